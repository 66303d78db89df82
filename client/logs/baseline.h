// What `unroll anomaly --baseline` compares with: the known lines and the habits of one or more good logs,
// each under its name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "client/logs/known_lines.h"
#include "client/logs/log_habits.h"

namespace unroll {

/// A log to read: a file, and its name without what differs from run to run.
struct LogFile {
  std::filesystem::path path;
  std::string name;
};

/// The name of a log without rotation, compression and dates: "app/web.log" for "app/web.log-20260302.gz".
std::string log_name(const std::filesystem::path& path);

/// The logs that `arguments` name: files, and all files in folders with their paths in them; "-" is standard
/// input. Files that are no text are passed over with a note. Throws CommandError.
std::vector<LogFile> log_files(const std::vector<std::string>& arguments,
                               const std::function<void(const std::string&)>& note);

/// How logs are read.
struct LogReading {
  std::string encoding;  ///< As of LogText.
  records::TimeFormat times;
};

/// What a log is compared with.
struct GoodLog {
  KnownLines lines;
  LogHabits habits;
};

/// Not thread-safe.
class Baseline {
 public:
  /// Reads the log as good. `note`: messages for the user. Throws CommandError.
  void learn(const LogFile& log, const LogReading& reading,
             const std::function<void(const std::string&)>& note);
  /// Adds what a file of save() holds. Returns whether it is such a file; throws CommandError if it is
  /// damaged.
  bool load(const std::filesystem::path& file);
  /// Only the owner may read the file: it holds lines of the logs. Throws std::runtime_error.
  void save(const std::filesystem::path& file) const;

  /// What to compare a log with: the log with the same name, else with the same file name, else the lines of
  /// all, without habits. `name_of_pair` becomes the name of what was chosen; empty for all.
  GoodLog& good_for(const std::string& name, std::string& name_of_pair);
  std::uint64_t lines() const;      ///< That were learned.
  std::uint64_t different() const;  ///< Of them.
  std::size_t logs() const { return logs_.size(); }

 private:
  std::map<std::string, GoodLog> logs_;
  GoodLog all_;  ///< Of all logs; made when it is needed.
};

}  // namespace unroll
