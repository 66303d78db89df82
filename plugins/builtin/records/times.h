// What the times that record_time() finds mean.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace unroll::records {

/// Seconds, for differences: of a time without a year, a day or a zone only what it states counts. Nullopt if
/// the text is not a time: ISO 8601, syslog's, a web server's, klog's, logcat's, a time of day, seconds,
/// milli-, micro- or nanoseconds since 1970.
std::optional<double> seconds_of(std::string_view time);

/// A format of strptime(3), as users give it.
class TimeFormat {
 public:
  TimeFormat() = default;
  explicit TimeFormat(std::string format) : format_(std::move(format)) {}
  bool empty() const { return format_.empty(); }
  /// The first time in the line's first bytes that has the format, in seconds; a fraction of digits may
  /// follow.
  std::optional<double> find(std::string_view line) const;
  /// The same as written; empty if there is none.
  std::string text(std::string_view line) const;

 private:
  struct Found {
    double seconds = 0;
    std::size_t begin = 0, end = 0;
  };
  std::optional<Found> look(std::string_view line) const;
  std::string format_;
};

}  // namespace unroll::records
