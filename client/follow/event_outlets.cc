#include "client/follow/event_outlets.h"

namespace unroll {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kBetweenWrites{1};

}  // namespace

void EventOutlets::open(const std::filesystem::path& spool, const std::vector<DeliveryTarget>& targets,
                        const std::filesystem::path& metrics_file) {
  for (const DeliveryTarget& target : targets)
    deliverers_.push_back(std::make_unique<Deliverer>(spool, target));
  if (!metrics_file.empty()) metrics_.emplace(metrics_file);
}

void EventOutlets::add_source(const std::string& source) {
  if (metrics_) metrics_->add_source(source);
}

void EventOutlets::count_line(const std::string& source) {
  if (metrics_) metrics_->count_line(source);
}

void EventOutlets::put(const nlohmann::json& event) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& deliverer : deliverers_) deliverer->put(event["id"], event);
  }
  if (metrics_) metrics_->count_event(event["source"], event["severity"]);
}

void EventOutlets::beat() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& deliverer : deliverers_) deliverer->beat();
  }
  if (Clock::now() - written_ < kBetweenWrites) return;
  written_ = Clock::now();
  if (metrics_) metrics_->write();
}

void EventOutlets::finish() {
  if (metrics_) metrics_->write();
}

}  // namespace unroll
