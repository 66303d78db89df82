#include "client/sources/log_text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <iconv.h>
#include <poll.h>

#include "base/error.h"
#include "base/utf8.h"
#include "base/write_all.h"
#include "client/cli/command_error.h"
#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/terminal_text.h"

namespace unroll {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kHeadBytes = 512;             // to guess the encoding
constexpr std::size_t kFewestBytes = 64;            // to guess UTF-16
constexpr std::size_t kMostLineBytes = 256 * 1024;  // of the original; more is skipped to the line's end
// One more than the plugin looks at, so that it knows that the line is longer.
constexpr std::size_t kMostText = records::kMostRecordBytes + 1;
constexpr const char* kFallback = "WINDOWS-1252";

struct Mark {
  std::string_view bytes;
  const char* encoding;
};
using namespace std::string_view_literals;
constexpr Mark kMarks[] = {{"\xEF\xBB\xBF"sv, "UTF-8"},
                           {"\xFF\xFE\0\0"sv, "UTF-32LE"},
                           {"\0\0\xFE\xFF"sv, "UTF-32BE"},
                           {"\xFF\xFE"sv, "UTF-16LE"},
                           {"\xFE\xFF"sv, "UTF-16BE"}};

bool is_utf8_name(std::string_view name) {
  return name == "UTF-8" || name == "utf-8" || name == "utf8" || name == "UTF8";
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto plain = std::find_if(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
    text.remove_prefix(static_cast<std::size_t>(plain - text.begin()));
    if (text.empty()) return true;
    const std::size_t length = utf8_character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

/// Whether a terminal would show the line unchanged, apart from a carriage return at its end.
bool is_plain(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return std::none_of(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
  });
}

/// UTF-16 without a mark: many bytes at even or at odd places are zero (times, digits, blanks and what else
/// is ASCII), and hardly any at the others.
const char* guess_utf16(std::string_view head) {
  std::array<std::size_t, 2> zeros{};
  for (std::size_t i = 0; i < head.size(); ++i) zeros[i % 2] += head[i] == '\0' ? 1 : 0;
  const std::size_t many = std::max<std::size_t>(head.size() / 2 / 5, 2), few = head.size() / 100;
  if (head.size() < 8) return nullptr;
  if (zeros[1] >= many && zeros[0] <= few) return "UTF-16LE";
  return zeros[0] >= many && zeros[1] <= few ? "UTF-16BE" : nullptr;
}

const Mark* mark_of(std::string_view head) {
  const auto mark = std::find_if(std::begin(kMarks), std::end(kMarks),
                                 [&](const Mark& each) { return head.starts_with(each.bytes); });
  return mark == std::end(kMarks) ? nullptr : mark;
}

/// By the byte order mark, else by the zeros; null if it shows none.
const char* encoding_of(std::string_view head) {
  const Mark* mark = mark_of(head);
  return mark != nullptr ? mark->encoding : guess_utf16(head);
}

}  // namespace

void TextPlaces::add(std::uint64_t text, std::uint64_t original) {
  const std::lock_guard lock(mutex_);
  if (places_.back().text == text) places_.pop_back();
  places_.push_back({text, original});
}

std::uint64_t TextPlaces::original(std::uint64_t text) const {
  const std::lock_guard lock(mutex_);
  const auto after = std::upper_bound(places_.begin(), places_.end(), text,
                                      [](std::uint64_t at, const Place& place) { return at < place.text; });
  const Place& place = *(after - 1);
  return place.original + (text - place.text);
}

/// iconv, line by line.
class LogText::Decoder {
 public:
  explicit Decoder(const std::string& encoding) : state_(::iconv_open("UTF-8", encoding.c_str())) {
    if (state_ == reinterpret_cast<iconv_t>(-1)) {
      throw CommandError("the encoding '" + encoding + "' is not known; 'iconv --list' lists those that are",
                         kExitUsage);
    }
  }
  ~Decoder() { ::iconv_close(state_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// U+FFFD for each byte that is not valid.
  std::string decode(std::string_view bytes) {
    ::iconv(state_, nullptr, nullptr, nullptr, nullptr);
    std::string text;
    std::array<char, 4096> buffer;
    char* from = const_cast<char*>(bytes.data());
    std::size_t left = bytes.size();
    while (left > 0) {
      char* to = buffer.data();
      std::size_t room = buffer.size();
      const std::size_t result = ::iconv(state_, &from, &left, &to, &room);
      const int error = errno;
      text.append(buffer.data(), static_cast<std::size_t>(to - buffer.data()));
      if (result != static_cast<std::size_t>(-1) || error == E2BIG) continue;
      text += kReplacement;
      ++from;
      --left;
    }
    return text;
  }

 private:
  iconv_t state_;
};

LogText::LogText(const std::string& encoding, bool keeps_places)
    : guesses_(encoding.empty()), keeps_places_(keeps_places) {
  if (guesses_ || is_utf8_name(encoding)) return;
  decoder_ = std::make_unique<Decoder>(encoding);
  std::string upper = encoding;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (upper.starts_with("UTF-16") || upper.starts_with("UTF16") || upper.starts_with("UCS-2")) unit_ = 2;
  if (upper.starts_with("UTF-32") || upper.starts_with("UTF32") || upper.starts_with("UCS-4")) unit_ = 4;
  big_endian_ = upper.ends_with("BE");
}

LogText::~LogText() = default;

/// Finds the encoding, and skips the byte order mark.
void LogText::detect() {
  detected_ = true;
  const char* found = encoding_of(head_);
  if (guesses_ && found != nullptr && !is_utf8_name(found)) {
    decoder_ = std::make_unique<Decoder>(found);
    unit_ = std::string_view(found).starts_with("UTF-32") ? 4 : 2;
    big_endian_ = std::string_view(found).ends_with("BE");
  }
  const Mark* mark = mark_of(head_);
  if (mark == nullptr || (unit_ == 1) != is_utf8_name(mark->encoding)) return;
  // A name without an order of bytes (UTF-16): the mark has it.
  if (unit_ > 1) {
    decoder_ = std::make_unique<Decoder>(mark->encoding);
    big_endian_ = std::string_view(mark->encoding).ends_with("BE");
  }
  head_.erase(0, mark->bytes.size());
  line_begin_ = taken_ = mark->bytes.size();
  in_step_ = false;
}

void LogText::take(std::string_view bytes, std::string& text) {
  if (detected_) return take_units(bytes, text);
  head_ += bytes;
  // With zeros it may be UTF-16, in which other characters than a newline have the newline's byte.
  const bool decides = head_.find('\n') != std::string::npos &&
                       (!guesses_ || mark_of(head_) != nullptr || head_.size() >= kFewestBytes ||
                        head_.find('\0') == std::string::npos);
  if (head_.size() < kHeadBytes && !decides) return;
  detect();
  take_units(std::exchange(head_, {}), text);
}

void LogText::take_units(std::string_view bytes, std::string& text) {
  const auto code_of = [&](std::size_t end) {  // of the unit that ends at line_'s byte `end`
    char low = 0;
    for (std::size_t i = 1; i <= unit_; ++i) {
      const char byte = line_[end - i];
      const bool is_low = big_endian_ ? i == 1 : i == unit_;
      if (is_low)
        low = byte;
      else if (byte != '\0')
        return '\xFF';
    }
    return low;
  };
  for (const char byte : bytes) {
    line_ += byte;
    ++taken_;
    if (line_.size() % unit_ != 0) continue;
    const char c = code_of(line_.size());
    if (c == '\n') {
      const std::string newline = line_.substr(line_.size() - unit_);
      line_.resize(line_.size() - unit_);
      end_line(newline, text);
    } else if (c == '\r' && line_.size() > kMostLineBytes / 2) {
      // What is before it is overwritten; the carriage return may also end the line.
      const std::string kept = line_.substr(line_.size() - unit_);
      line_ = kept;
      skips_ = false;
    } else if (line_.size() > kMostLineBytes) {
      line_.resize(line_.size() - unit_);
      skips_ = true;
    }
  }
}

void LogText::end_line(std::string_view newline, std::string& text) {
  append_converted(newline, text);
  line_.clear();
  line_begin_ = taken_;
  skips_ = false;
}

std::string LogText::decoded(std::string_view line) {
  if (decoder_) return decoder_->decode(line);
  if (!guesses_ || is_valid_utf8(line)) return std::string(line);
  return Decoder(kFallback).decode(line);
}

void LogText::append_converted(std::string_view newline, std::string& text) {
  ++lines_;
  std::string line = decoded(line_);
  if (!is_plain(line)) line = records::terminal_text(line);
  if (line.size() > kMostText || skips_) {
    if (++cut_lines_ == 1) first_cut_ = lines_;
    line.resize(std::min(line.size(), kMostText));
    while (!line.empty() && continues_utf8(line.back())) line.pop_back();
  }
  const bool same = line == line_ && !skips_ && newline.size() <= 1;
  if (keeps_places_ && (!in_step_ || !same)) places_.add(made_, line_begin_);
  text += line;
  made_ += line.size();
  const std::uint64_t end = taken_ - newline.size();
  if (keeps_places_ && !same) places_.add(made_, end);
  if (newline.empty()) return;
  text += '\n';
  ++made_;
  in_step_ = same;
}

void LogText::finish(std::string& text) {
  if (!detected_) {
    detect();
    take_units(std::exchange(head_, {}), text);
  }
  if (!line_.empty()) end_line("", text);
}

LogTextPump::LogTextPump(Source source, std::shared_ptr<LogText> text, std::shared_ptr<RecentText> recent)
    : source_(std::move(source)), text_(std::move(text)), recent_(std::move(recent)) {}

void LogTextPump::run(int pipe, int stop) {
  for (;;) {
    std::array<pollfd, 3> waited = {pollfd{source_.descriptor(), POLLIN, 0}, pollfd{stop, POLLIN, 0},
                                    pollfd{pipe, 0, 0}};
    if (::poll(waited.data(), waited.size(), -1) < 0 && errno != EINTR)
      throw CommandError(system_message("cannot wait for " + source_.name(), errno));
    if (waited[1].revents != 0 || waited[2].revents != 0) return;
    if (waited[0].revents == 0) continue;
    const std::string bytes = source_.read(kReadBytes);
    std::string text;
    if (bytes.empty()) {
      text_->finish(text);
    } else {
      text_->take(bytes, text);
    }
    if (recent_) recent_->add(text);
    if (!write_all(pipe, text) || bytes.empty()) return;
  }
}

std::string log_line_text(std::string_view line) {
  LogText whole("");
  std::string text;
  whole.take(line, text);
  whole.finish(text);
  return text;
}

std::string wide_encoding(std::string_view head) {
  const char* found = encoding_of(head);
  return found == nullptr || is_utf8_name(found) ? "" : found;
}

Source log_source(Source source, std::shared_ptr<LogText> text, std::shared_ptr<RecentText> recent) {
  const std::string name = source.name();
  const auto total = source.total_bytes();
  return Source::pumped(
      name, std::make_unique<LogTextPump>(std::move(source), std::move(text), std::move(recent)), total);
}

}  // namespace unroll
