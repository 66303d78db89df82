// What is told of one document, as a Reader's events.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>

#include "client/reading/connection.h"
#include "client/reading/reader.h"

namespace unroll {

inline constexpr int kHeartbeatMs = 250;

/// Calls ReadEvents::progress when there is something new, and again every kHeartbeatMs.
class ProgressTeller {
 public:
  explicit ProgressTeller(const ReadEvents& events) : events_(events) {}
  void tell(const ReadProgress& progress);
  /// To be called at least every kHeartbeatMs.
  void beat();
  void end(const ReadProgress& all);
  const ReadProgress& last() const { return last_; }

 private:
  const ReadEvents& events_;
  ReadProgress last_;
  std::chrono::steady_clock::time_point told_;
};

/// Takes a document's notifications as they come from one subscription after another.
class DocumentFollower {
 public:
  explicit DocumentFollower(const ReadEvents& events) : events_(events), progress_(events) {}
  /// The daemon's next output is number `next`; those before `from` are not told.
  void start(const DocumentId& document, std::uint64_t next, std::uint64_t from);
  /// True where the document is done. Throws Error where it failed.
  bool take(const Notification& message);
  const DocumentId& document() const { return document_; }
  std::uint64_t first_untold() const { return std::max(next_, from_); }
  ProgressTeller& progress() { return progress_; }

 private:
  const ReadEvents& events_;
  ProgressTeller progress_;
  DocumentId document_;
  std::uint64_t next_ = 0, from_ = 0;
};

/// Waits until the document, to which the connection is attached from output number `from` on, is done.
/// Throws Error where it fails, CommandError where the daemon goes away.
void follow_document(DaemonConnection& connection, const DocumentId& document, std::uint64_t from,
                     const ReadEvents& events);

}  // namespace unroll
