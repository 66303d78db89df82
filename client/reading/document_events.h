// Turns the daemon's notifications about one document into a Reader's events.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>

#include "client/reading/connection.h"
#include "client/reading/reader.h"

namespace unroll {

inline constexpr int kHeartbeatMs = 250;

/// Calls ReadEvents::progress when the progress changes, and at least every kHeartbeatMs.
class ProgressReporter {
 public:
  explicit ProgressReporter(const ReadEvents& events) : events_(events) {}
  void report(const ReadProgress& progress);
  /// To be called at least every kHeartbeatMs.
  void beat();
  void end(const ReadProgress& all);
  const ReadProgress& last() const { return last_; }

 private:
  const ReadEvents& events_;
  ReadProgress last_;
  std::chrono::steady_clock::time_point reported_;
};

/// Handles a document's notifications over successive subscriptions.
class DocumentFollower {
 public:
  explicit DocumentFollower(const ReadEvents& events) : events_(events), progress_(events) {}
  /// The daemon's next output is number `next`; those before `from` are not delivered.
  void start(const DocumentId& document, std::uint64_t next, std::uint64_t from);
  /// Returns true when the document is done. Throws Error if it failed.
  bool take(const Notification& message);
  const DocumentId& document() const { return document_; }
  std::uint64_t first_undelivered() const { return std::max(next_, from_); }
  ProgressReporter& progress() { return progress_; }

 private:
  const ReadEvents& events_;
  ProgressReporter progress_;
  DocumentId document_;
  std::uint64_t next_ = 0, from_ = 0;
};

/// Waits until the document is done. The connection is attached to it from output number `from` on.
/// Throws Error if the document fails, CommandError if the daemon disconnects.
void follow_document(DaemonConnection& connection, const DocumentId& document, std::uint64_t from,
                     const ReadEvents& events);

}  // namespace unroll
