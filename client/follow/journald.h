// systemd's journal as lines of text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct sd_journal;

namespace unroll {

struct JournaldOptions {
  std::vector<std::string> units;   ///< None: everything.
  std::filesystem::path directory;  ///< Empty: this machine's journal.
};

/// One thread. A line is "IDENTIFIER[PID]: MESSAGE": without the time, which would make no two lines alike; a
/// message's own line ends are written as \n.
class JournaldLines {
 public:
  explicit JournaldLines(const JournaldOptions& options);  ///< At the first entry. Throws CommandError.
  void go_to_end();
  /// The next line is that of the entry at `cursor`; false where it is gone, and the next one there is
  /// follows.
  bool go_to(const std::string& cursor);
  /// With its line end; nullopt where there is none yet.
  std::optional<std::string> next();
  std::string cursor() const;  ///< Of the entry that next() gave.
  /// To wait for: readable (for a descriptor's events) when process_changes() has something to do.
  int descriptor() const;
  void process_changes();

 private:
  void add_matches(const std::vector<std::string>& units);
  bool step();
  std::string field(const char* name) const;

  struct Close {
    void operator()(sd_journal* journal) const;
  };
  std::unique_ptr<sd_journal, Close> journal_;
  bool at_entry_ = false;  ///< go_to() stands on the entry that next() is to give.
};

}  // namespace unroll
