#include "client/logs/log_records.h"

#include <array>
#include <filesystem>
#include <optional>
#include <utility>

#include "client/sources/log_text.h"

namespace unroll {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr std::uint64_t kMostJoinedLines = 4096;

/// Joins the lines of a carrier, and finds the records that lines continue.
class Records {
 public:
  Records(const TextPlaces& places, const records::TimeFormat& times,
          const std::function<void(const LogRecord&)>& take)
      : times_(times), places_(places), take_(take) {}

  /// `begin`: where the line is in the text.
  void add(std::string_view line, std::uint64_t begin) {
    ++lines_;
    auto carried = records::carried_text(line);
    Open& open = open_.at(static_cast<std::size_t>(carried.stream));
    LogRecord& record = open.record;
    if (record.lines++ == 0) {
      record.line = lines_;
      record.start = places_.original(begin);
    }
    if (!open.goes_on) {
      record.time = carried.time;
      open.level = carried.level;
    }
    record.text += carried.text;
    record.end = places_.original(begin + line.size());
    open.goes_on = carried.continues && record.lines < kMostJoinedLines;
    if (!open.goes_on) finish(open);
  }

  void finish() {
    for (Open& open : open_) {
      if (!open.record.text.empty() || open.record.lines > 0) finish(open);
    }
  }

  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;
  ~Records() = default;

 private:
  /// A stream's record that is not complete.
  struct Open {
    LogRecord record;  ///< Its lines are those since the last complete record, of any stream.
    std::optional<int> level;
    bool goes_on = false;
  };

  void finish(Open& open) {
    LogRecord record = std::exchange(open.record, {});
    if (record.lines == 0) record.line = lines_;  // cut off: the log has ended
    record.facts = records::record_facts(record.text, open.level);
    record.place = traces_.next(records::after_header(record.text), after_problem_);
    if (record_ == 0) record.place = records::LinePlace::kRecord;
    if (record.place == records::LinePlace::kRecord) {
      record_ = record.line;
      after_problem_ = record.facts.severity > 0;
    }
    record.record = record_;
    if (!times_.empty()) record.time = times_.text(record.text);
    if (record.time.empty()) record.time = records::record_time(record.text);
    open.goes_on = false;
    take_(record);
    for (Open& other : open_) other.record.lines = 0;
  }

  const records::TimeFormat& times_;
  std::array<Open, 2> open_;  ///< By stream.
  const TextPlaces& places_;
  const std::function<void(const LogRecord&)>& take_;
  records::Traces traces_;
  std::uint64_t lines_ = 0, record_ = 0;
  bool after_problem_ = false;
};

}  // namespace

std::string severity_reason(const records::RecordFacts& facts) {
  constexpr const char* kNames[] = {"routine", "warning", "error", "fatal"};
  return std::string(kNames[facts.severity]) + " by its " + (facts.has_level ? "level" : "words");
}

std::string read_records(Source source, const std::string& encoding, const records::TimeFormat& times,
                         const std::function<void(const LogRecord&)>& take) {
  LogText log(encoding);
  Records records(log.places(), times, take);
  std::string text;
  std::uint64_t begin = 0;  // of `text`, in the whole text
  const auto take_lines = [&](bool at_end) {
    std::size_t at = 0;
    for (std::size_t newline = text.find('\n'); newline != std::string::npos; newline = text.find('\n', at)) {
      std::string_view line = std::string_view(text).substr(at, newline - at);
      if (line.ends_with('\r')) line.remove_suffix(1);
      records.add(line, begin + at);
      at = newline + 1;
    }
    if (at_end && at < text.size()) {
      records.add(std::string_view(text).substr(at), begin + at);
      at = text.size();
    }
    text.erase(0, at);
    begin += at;
  };
  for (std::string bytes = source.read(kReadBytes); !bytes.empty(); bytes = source.read(kReadBytes)) {
    log.take(bytes, text);
    take_lines(false);
  }
  log.finish(text);
  take_lines(true);
  records.finish();
  if (log.cut_lines() == 0) return "";
  return source.name() + ": of " + std::to_string(log.cut_lines()) + " lines only the first " +
         std::to_string(records::kMostRecordBytes / 1024) + " KiB were read; the first of them is line " +
         std::to_string(log.first_cut());
}

std::string about_times(const std::string& log, const std::string& encoding,
                        const records::TimeFormat& times) {
  std::error_code failed;
  if (times.empty() || !std::filesystem::is_regular_file(log, failed)) return "";
  Source source = Source::open(log);
  std::string begin = source.read(kReadBytes);
  for (std::string more = begin; !more.empty() && begin.size() < kReadBytes; begin += more)
    more = source.read(kReadBytes - begin.size());
  bool found = false;
  read_records(Source::of_text(log, begin), encoding, times,
               [&](const LogRecord& record) { found = found || !times.text(record.text).empty(); });
  if (found || begin.empty()) return "";
  return log + ": no line " + (begin.size() < kReadBytes ? "" : "of the first 256 KiB ") +
         "has a time of the form that --time-format names; without times, when lines come is not looked at";
}

}  // namespace unroll
