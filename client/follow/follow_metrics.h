// Counters of `unroll follow` as a file for Prometheus.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace unroll {

/// Counts from the start of the process. Thread-safe.
class FollowMetrics {
 public:
  explicit FollowMetrics(std::filesystem::path file) : file_(std::move(file)) {}
  /// `source`: the label `file`. Its counters begin at 0, so that a rate sees the first line and event.
  void add_source(const std::string& source);
  void count_line(const std::string& source);
  void count_event(const std::string& source, const std::string& severity);
  /// Replaces the file atomically, in the format of node_exporter's textfile collector. Throws
  /// std::runtime_error.
  void write() const;

 private:
  struct Counts {
    std::uint64_t lines = 0;
    std::map<std::string, std::uint64_t> events;  ///< By severity.
  };
  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  std::map<std::string, Counts> sources_;
};

}  // namespace unroll
