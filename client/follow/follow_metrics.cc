#include "client/follow/follow_metrics.h"

#include <utility>

#include "base/atomic_file.h"
#include "client/cli/text.h"
#include "client/views/follow_view.h"

namespace unroll {
namespace {

/// A label's value.
std::string quoted(const std::string& text) {
  std::string value = "\"";
  for (const char c : one_line(text)) {
    if (c == '"' || c == '\\') value += '\\';
    value += c;
  }
  return value += '"';
}

std::string head(const std::string& name, const std::string& help) {
  return "# HELP " + name + " " + help + "\n# TYPE " + name + " counter\n";
}

}  // namespace

FollowMetrics::FollowMetrics(std::filesystem::path file, std::string source)
    : file_(std::move(file)), source_(std::move(source)) {
  for (const char* severity : kSeverities) events_[severity] = 0;  // so that a rate sees the first one
}

void FollowMetrics::write() const {
  const std::string label = "file=" + quoted(source_);
  std::string text = head("unroll_follow_lines_total", "Lines of the log that were read.") +
                     "unroll_follow_lines_total{" + label + "} " + std::to_string(lines_) + "\n" +
                     head("unroll_follow_events_total", "Unusual lines, by their severity.");
  for (const auto& [severity, count] : events_)
    text += "unroll_follow_events_total{" + label + ",severity=\"" + severity + "\"} " +
            std::to_string(count) + "\n";
  AtomicFile file(file_, 0644);  // another user's program reads it
  file.write(text);
  file.commit();
}

}  // namespace unroll
