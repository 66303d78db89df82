#include "client/follow/follow_metrics.h"

#include "base/atomic_file.h"
#include "base/prometheus_text.h"
#include "client/cli/text.h"
#include "client/views/follow_view.h"

namespace unroll {

void FollowMetrics::add_source(const std::string& source) {
  const std::lock_guard lock(mutex_);
  for (const char* severity : kSeverities) sources_[one_line(source)].events[severity];
}

void FollowMetrics::count_line(const std::string& source) {
  const std::lock_guard lock(mutex_);
  ++sources_[one_line(source)].lines;
}

void FollowMetrics::count_event(const std::string& source, const std::string& severity) {
  const std::lock_guard lock(mutex_);
  ++sources_[one_line(source)].events[severity];
}

void FollowMetrics::write() const {
  PrometheusText metrics;
  {
    const std::lock_guard lock(mutex_);
    constexpr const char* kLines = "unroll_follow_lines_total";
    metrics.head(kLines, "counter", "Lines of the log that were read.");
    for (const auto& [source, counts] : sources_) metrics.sample(kLines, counts.lines, {{"file", source}});
    constexpr const char* kEvents = "unroll_follow_events_total";
    metrics.head(kEvents, "counter", "Unusual lines, by their severity.");
    for (const auto& [source, counts] : sources_) {
      for (const auto& [severity, count] : counts.events)
        metrics.sample(kEvents, count, {{"file", source}, {"severity", severity}});
    }
  }
  AtomicFile file(file_, 0644);  // another user's program reads it
  file.write(metrics.text());
  file.commit();
}

}  // namespace unroll
