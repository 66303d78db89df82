// Snapshots of documents that --after named, as files in $XDG_CACHE_HOME/unroll/snapshots (~/.cache).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// The files that were used last, up to a size of all: $UNROLL_CACHE_BYTES, or 1 GiB. Several processes may
/// use it at once.
class SnapshotCache {
 public:
  struct Entry {
    std::string key;   ///< Begins the file's name.
    std::string name;  ///< Of the document, for people.
    std::filesystem::path path;
    std::uint64_t bytes = 0;
    std::filesystem::file_time_type used;
  };

  SnapshotCache();
  /// Newest first. Empty if there is no folder for it.
  std::vector<Entry> list() const;
  /// Counts as a use.
  std::optional<std::string> find(const std::string& key) const;
  /// Does nothing if it cannot be written: the next command reads the document again.
  void put(const std::string& key, const std::filesystem::path& document, std::string_view file) const;
  /// False if there is none.
  bool remove(const std::string& key) const;

 private:
  void shrink() const;

  std::filesystem::path folder_;  ///< Empty: none.
  std::uint64_t most_bytes_;
};

}  // namespace unroll
