#include "daemon/log.h"

#include <cstdlib>
#include <memory>
#include <utility>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"

namespace unroll {
namespace {

/// Whether a character of several bytes must not be shown: C1 controls, and characters that change the
/// writing direction or end a line.
bool is_hidden(std::string_view character) {
  constexpr std::string_view kC1 = "\xC2";
  if (character.size() == 2)
    return character.starts_with(kC1) && static_cast<unsigned char>(character[1]) < 0xA0;
  if (character.size() != 3 || !character.starts_with("\xE2")) return false;
  const auto second = static_cast<unsigned char>(character[1]),
             third = static_cast<unsigned char>(character[2]);
  const bool line_or_turn = second == 0x80 && third >= 0xA8 && third <= 0xAE;  // U+2028 to U+202E
  const bool isolate = second == 0x81 && third >= 0xA6 && third <= 0xA9;       // U+2066 to U+2069
  return line_or_turn || isolate;
}

class SafeMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& into) override {
    const std::string text = log_text({message.payload.data(), message.payload.size()});
    into.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<SafeMessage>(); }
};

/// Whether standard error goes to journald: $JOURNAL_STREAM has its device and inode (systemd.exec(5)).
bool logs_to_journald() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino) == stream;
}

}  // namespace

std::string log_text(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_character_length(text);
    const std::string_view character = text.substr(0, length == 0 ? 1 : length);
    const auto first = static_cast<unsigned char>(text.front());
    const bool shown = length == 1 ? first >= 0x20 && first != 0x7F : length > 1 && !is_hidden(character);
    line += shown ? character : kReplacement;
    text.remove_prefix(character.size());
  }
  return line;
}

void start_log(const std::string& level) {
  std::shared_ptr<spdlog::logger> logger;
  std::string pattern = "%*";
  if (logs_to_journald()) {
    logger = spdlog::systemd_logger_mt("unrolld", "unrolld");
  } else {
    logger = spdlog::stderr_logger_mt("unrolld");
    pattern = "%Y-%m-%dT%H:%M:%S.%e %l: %*";
  }
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<SafeMessage>('*').set_pattern(pattern);
  logger->set_formatter(std::move(formatter));
  spdlog::set_default_logger(std::move(logger));
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::flush_on(spdlog::level::info);
}

}  // namespace unroll
