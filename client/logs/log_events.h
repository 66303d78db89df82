// The odd lines of logs as events: what a person reads one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

namespace unroll {

/// An odd line, with those that are part of the same event.
struct LogEvent {
  static constexpr std::size_t kMostListed = 20;

  double score = 0;
  std::size_t log = 0;  ///< By its number.
  std::uint64_t line = 0;
  std::uint64_t record = 0;  ///< The line at which its record begins, if it continues one; else 0.
  bool is_frame = false;     ///< It is a step of a stack: it says nothing by itself.
  std::string file, text, time, known;
  std::string shown;  ///< What people see of the text; empty: all of it.
  std::string parts;  ///< What the score is made of, for people.
  /// The range that a number of it is out of, for people. Lines with usual numbers are not like it.
  std::string odd_number;
  bool alert = false;
  nlohmann::ordered_json object;  ///< As JSON; may be null.

  // Filled by LogEvents:
  std::uint64_t count = 1;                      ///< How often it came.
  std::uint64_t first_line = 0, last_line = 0;  ///< Of the lines that follow each other.
  std::uint64_t order = 0;
  std::vector<std::uint64_t> repeats;  ///< Other lines with the same words, the first kMostListed.
  struct Neighbour {
    std::uint64_t line = 0;
    double score = 0;
    std::string text;
  };
  std::vector<Neighbour> neighbours;  ///< Its other lines, the first kMostListed.

  const std::string& shown_text() const { return shown.empty() ? text : shown; }
  /// With the range.
  std::string told_text() const { return shown_text() + odd_number; }
};

/// Groups odd lines: lines with the same words are one event that came several times; odd lines that follow
/// each other, and the lines of a record, are one event. The oddest line stands for the event. Not
/// thread-safe. Keeps the most unusual events, ten times as many as are wanted.
class LogEvents {
 public:
  /// `wanted`: how many best() will be asked for.
  explicit LogEvents(std::size_t wanted);

  /// Whether a line with this score may be among the best.
  bool wants(double score) const { return score > floor_; }
  /// Takes the next odd line. Lines of a log come in order.
  void add(LogEvent line);
  /// Takes an event that is not a line.
  void add_alone(LogEvent event);

  std::uint64_t size() const { return size_; }  ///< Events, also those that are no longer kept.
  /// The most unusual ones, best first; valid until the next add().
  std::vector<const LogEvent*> best(std::size_t most) const;
  /// What people see of the records of log `log` that begin at these lines.
  void show_records(std::size_t log, const std::unordered_map<std::uint64_t, std::string>& shown);

 private:
  /// Which event has lines with these words, and how many.
  struct Words {
    std::size_t event = 0;
    std::uint64_t count = 0;
  };
  bool repeat(Words& words, LogEvent& line);
  bool join(LogEvent& line);
  void merge(LogEvent& event, LogEvent& line, bool of_record);
  void prune();

  const std::size_t most_;
  std::vector<LogEvent> events_;
  std::unordered_map<std::uint64_t, Words> by_words_;
  std::uint64_t size_ = 0;
  double floor_ = 0;
  // The line before: of which event it is, and where.
  bool is_open_ = false;
  std::size_t open_event_ = 0, open_log_ = 0;
  std::uint64_t open_line_ = 0, open_record_ = 0;
};

/// Adds to the event's object what LogEvents knows: count, repeats, first_line, last_line, neighbours.
nlohmann::ordered_json event_object(const LogEvent& event);

}  // namespace unroll
