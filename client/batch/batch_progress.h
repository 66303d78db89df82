// A batch's progress on standard error: one line for the total and one for each file that is being read,
// redrawn in place. If standard error is not a terminal, only messages are written.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "client/cli/terminal.h"
#include "client/reading/reader.h"

namespace unroll {

struct BatchTotals {
  std::size_t files = 0;
  std::uint64_t bytes = 0;
};

/// Thread-safe.
class BatchProgress {
 public:
  explicit BatchProgress(BatchTotals totals);
  ~BatchProgress();
  BatchProgress(const BatchProgress&) = delete;
  BatchProgress& operator=(const BatchProgress&) = delete;

  /// Progress of the file that a job reads: its size, and its state at the start of this run and now.
  void update(std::size_t job, const std::string& name, std::uint64_t size, const ReadProgress& first,
              const ReadProgress& now);
  /// The job has ended its file, whatever the outcome.
  void finish(std::size_t job, std::uint64_t size);
  /// Writes a line above the progress.
  void message(const std::string& text);
  /// As message(), on a terminal only.
  void note(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  struct Running {
    std::string name;
    std::uint64_t size = 0;
    ReadProgress first, now;
    Clock::time_point started = Clock::now();
  };
  void draw();
  void erase();
  std::string whole(std::size_t width, std::size_t name_columns) const;
  std::string whole_name() const;

  std::mutex mutex_;
  const BatchTotals totals_;
  const Terminal terminal_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point drawn_at_{};
  std::size_t lines_ = 0;  ///< Drawn above the cursor.
  std::map<std::size_t, Running> running_;
  BatchTotals done_;
  std::uint64_t bytes_read_ = 0, tokens_read_ = 0;  ///< Of files that are done, in this run.
};

}  // namespace unroll
