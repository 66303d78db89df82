// Where the lines and events of all followed sources go.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "client/follow/deliverer.h"
#include "client/follow/follow_metrics.h"
#include "client/follow/printed_lines.h"

namespace unroll {

/// Standard output, webhooks and commands, and the file of counters. Thread-safe.
class EventOutlets {
 public:
  /// Before any event. `spool`: of Deliverer; starts the programs that deliver. Throws std::runtime_error.
  void open(const std::filesystem::path& spool, const std::vector<DeliveryTarget>& targets,
            const std::filesystem::path& metrics_file);
  OutputLines& lines() { return lines_; }
  void add_source(const std::string& source);
  void count_line(const std::string& source);
  /// Stores the event for each target, then counts it. Throws std::runtime_error.
  void put(const nlohmann::json& event);
  /// To be called now and then, by one thread: sees to the programs that deliver, and writes the counters.
  void beat();
  /// Writes the counters.
  void finish();

 private:
  OutputLines lines_;
  std::mutex mutex_;  ///< Of the deliverers.
  std::vector<std::unique_ptr<Deliverer>> deliverers_;
  std::optional<FollowMetrics> metrics_;
  std::chrono::steady_clock::time_point written_;
};

}  // namespace unroll
