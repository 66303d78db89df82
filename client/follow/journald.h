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

/// Not thread-safe. A line is "<PRIORITY>IDENTIFIER[PID]: MESSAGE", without the time, which would make every
/// line different. Newlines within a message are written as \n.
class JournaldLines {
 public:
  explicit JournaldLines(const JournaldOptions& options);  ///< At the first entry. Throws CommandError.
  void go_to_end();
  /// Moves to the entry at `cursor`, which next() will return. Returns false if it is gone; next() then
  /// returns the entry after it.
  bool go_to(const std::string& cursor);
  /// The next line with its newline; nullopt if there is none yet.
  std::optional<std::string> next();
  std::string cursor() const;  ///< Of the entry that next() returned.
  /// To poll: readable when process_changes() has something to do.
  int descriptor() const;
  void process_changes();

 private:
  void add_matches(const std::vector<std::string>& units);
  bool step();
  std::string priority() const;
  std::string field(const char* name) const;

  struct Close {
    void operator()(sd_journal* journal) const;
  };
  std::unique_ptr<sd_journal, Close> journal_;
  bool at_entry_ = false;  ///< The current entry is the one that next() returns.
};

}  // namespace unroll
