// Delivers the events of `unroll follow` to a webhook or a command.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>
#include <sys/types.h>

#include "base/unique_fd.h"
#include "client/follow/spool.h"

namespace unroll {

/// Where events go: a webhook or a command.
struct DeliveryTarget {
  std::string url, format;  ///< "json" or "alertmanager".
  std::string command;      ///< For /bin/sh.
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DeliveryTarget, url, format, command)

/// Puts events into a spool on disk, from which the program unroll-post delivers each at least once. The
/// program ends with this object; events that it has not delivered stay for the next one. Not thread-safe.
class Deliverer {
 public:
  /// The spool is named `spool` with a hash of the target. Throws std::runtime_error.
  Deliverer(const std::filesystem::path& spool, const DeliveryTarget& target);
  /// Waits until unroll-post has delivered what it can without waiting.
  ~Deliverer();
  Deliverer(const Deliverer&) = delete;
  Deliverer& operator=(const Deliverer&) = delete;

  /// Throws std::runtime_error.
  void put(const std::string& id, const nlohmann::json& event);
  /// To be called now and then: starts unroll-post again if it has ended.
  void beat();

 private:
  void start();

  const std::filesystem::path folder_;
  const DeliveryTarget target_;
  const Spool spool_;
  UniqueFd to_program_;
  pid_t program_ = -1;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace unroll
