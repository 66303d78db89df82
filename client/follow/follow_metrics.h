// Counters of `unroll follow` as a file for Prometheus.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace unroll {

/// Counts from the start of the process. Not thread-safe.
class FollowMetrics {
 public:
  /// `source`: the label `file`.
  FollowMetrics(std::filesystem::path file, std::string source);
  void count_line() { ++lines_; }
  void count_event(const std::string& severity) { ++events_[severity]; }
  /// Replaces the file atomically, in the format of node_exporter's textfile collector. Throws
  /// std::runtime_error.
  void write() const;

 private:
  const std::filesystem::path file_;
  const std::string source_;
  std::uint64_t lines_ = 0;
  std::map<std::string, std::uint64_t> events_;
};

}  // namespace unroll
