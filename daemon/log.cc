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
    const Utf8 character = next_utf8(text);
    const bool shown = character.valid && !moves_cursor(character.code);
    line += shown ? text.substr(0, character.bytes) : kReplacement;
    text.remove_prefix(character.bytes);
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
