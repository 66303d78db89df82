// What people said of events of `unroll follow`: that they and what is like them are normal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"
#include "client/logs/known_lines.h"

namespace unroll {

/// The last events of one source, so that a mark can name one. In a file that only its owner may read. Not
/// thread-safe.
class EventLog {
 public:
  /// Throws CommandError.
  explicit EventLog(std::filesystem::path file);
  /// `event`: id, source, scope, line, severity, text. Throws CommandError.
  void add(const nlohmann::json& event);
  /// The newest event in the folder's logs with this id, or with this SOURCE:LINE.
  static std::optional<nlohmann::json> find(const std::filesystem::path& folder, const std::string& event);

  static constexpr const char* kExtension = ".events";

 private:
  void open();
  void drop_old();

  const std::filesystem::path path_;
  UniqueFd file_;
  std::uint64_t bytes_ = 0;
};

/// The marks in a state folder, of one scope: what a user named to follow. Reads them again after they
/// changed. Not thread-safe.
class Marks {
 public:
  Marks(const std::filesystem::path& folder, std::string scope);
  /// Whether there are none.
  bool empty();
  /// The marked event that the line is like: with the same words, and not more severe. Empty if there is
  /// none.
  std::string like(std::string_view line, int severity);

  /// Marks what is like the event, or takes the mark back. Throws CommandError.
  static void add(const std::filesystem::path& folder, const nlohmann::json& event, bool normal);

 private:
  void load();

  const std::filesystem::path path_;
  const std::string scope_;
  std::filesystem::file_time_type changed_{};
  std::uintmax_t bytes_ = 0;
  KnownLines lines_;
  std::map<std::string, std::string, std::less<>> event_of_;  ///< By the line's text.
};

}  // namespace unroll
