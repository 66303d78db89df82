// What a batch knows about its files from earlier runs: an SQLite file (WAL, synchronous=FULL) beside the
// results. Thread-safe. Every function throws CommandError, which names the file.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/document.h"

struct sqlite3;

namespace unroll {

/// Identifies a result: two results with equal keys have the same bytes.
struct ResultKey {
  std::string content;  ///< content_hash()
  std::string plugins;  ///< With their options.
  std::string model;    ///< Reader::model()
  bool operator==(const ResultKey&) const = default;
};

class BatchState {
 public:
  struct Entry {
    ResultKey key;
    DocumentId document;  ///< The engine's id; may be empty if complete.
    bool complete = false;
  };

  /// Locks the file: a second batch with the same results is refused here.
  explicit BatchState(const std::filesystem::path& file);
  ~BatchState();
  BatchState(const BatchState&) = delete;
  BatchState& operator=(const BatchState&) = delete;

  std::optional<Entry> find(const std::filesystem::path& path) const;
  /// Paths of the files with a complete result for that key.
  std::vector<std::filesystem::path> complete_with(const ResultKey& key) const;
  void put(const std::filesystem::path& path, const Entry& entry);
  void forget(const std::filesystem::path& path);

 private:
  class Statement;
  [[noreturn]] void fail() const;

  std::string name_;
  mutable std::mutex mutex_;
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> database_;
};

}  // namespace unroll
