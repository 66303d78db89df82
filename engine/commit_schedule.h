// Decides which documents are committed next, and when. The engine commits many together, because each commit
// waits for the disk and writes whole pages. Not thread-safe.
//
// - Documents that were read from are committed together: when one has read options.commit_blocks blocks, or
//   options.commit_interval after the last such commit.
// - A document that a client waits for (it was opened, or has ended) is committed when there is nothing to
//   read. While the engine reads others, it waits to share a commit: at most kMostWait, and at most a quarter
//   of the time that it has been open; at most kClientWait if its client waits to send bytes.
// - After a commit failed because the disk is full, all commits wait for kRetry.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/document.h"

namespace unroll {

class CommitSchedule {
 public:
  using TimePoint = OpenDocument::TimePoint;
  using Documents = std::vector<OpenDocument*>;
  static constexpr std::chrono::milliseconds kMostWait{1000}, kClientWait{100}, kRetry{1000};

  CommitSchedule(const EngineOptions& options, TimePoint now)
      : options_(options), last_of_all_(now - options.commit_interval) {}

  /// Opened, not in the journal yet. `client_waits`: its client sends bytes when it is accepted.
  void add_opened(OpenDocument& document, bool client_waits) {
    add_waiting(document, client_waits ? kClientWait : kMostWait);
  }
  /// Done or failed.
  void add_ended(OpenDocument& document) {
    const auto age = options_.now() - document.started;
    add_waiting(document, std::min<OpenDocument::TimePoint::duration>(kMostWait, age / 4));
  }
  /// It was read from. `now`: do not wait for other documents.
  void add_read(OpenDocument& document, bool now) {
    read_.insert(&document);
    all_is_due_ |= now || document.blocks_since_commit >= options_.commit_blocks;
  }
  bool was_read(OpenDocument& document) const { return read_.contains(&document); }
  /// Committed, or closed.
  void remove(OpenDocument& document) {
    read_.erase(&document);
    waiting_.erase(&document);
    if (waiting_.empty()) group_due_.reset();
  }

  /// Whether the disk is full: nothing can be committed, and nothing should be read.
  bool blocked() const { return retry_.has_value(); }
  /// The documents to commit now; each stays until it is removed. `idle`: there is nothing to read.
  Documents due(bool idle) {
    const auto now = options_.now();
    if (retry_ && now < *retry_) return {};
    if (retry_ || (!read_.empty() && (all_is_due_ || now >= last_of_all_ + options_.commit_interval))) {
      auto all = everything();
      last_of_all_ = now;
      if (all.empty()) {
        retry_.reset();
      } else {
        all_is_due_ = false;
      }
      return all;
    }
    if (!waiting_.empty() && (idle || now >= *group_due_)) return {waiting_.begin(), waiting_.end()};
    return {};
  }
  /// All that can be committed; a document whose plugins have not answered is between two states.
  Documents everything() const {
    std::set<OpenDocument*, ByNumber> all = waiting_;
    for (auto* document : read_) {
      if (!document->awaiting_plugins) all.insert(document);
    }
    return {all.begin(), all.end()};
  }
  void disk_is_full() { retry_ = options_.now() + kRetry; }
  void disk_has_room() { retry_.reset(); }

  std::optional<TimePoint> next_wake() const {
    if (retry_) return retry_;
    auto wake = group_due_;
    if (!read_.empty()) {
      const auto all = last_of_all_ + options_.commit_interval;
      wake = wake ? std::min(*wake, all) : all;
    }
    return wake;
  }

 private:
  void add_waiting(OpenDocument& document, TimePoint::duration wait) {
    waiting_.insert(&document);
    const auto due = options_.now() + wait;
    if (!group_due_ || due < *group_due_) group_due_ = due;
  }

  const EngineOptions& options_;
  std::set<OpenDocument*, ByNumber> waiting_;  ///< Clients wait for their commit.
  std::optional<TimePoint> group_due_;         ///< When waiting_ is committed.
  std::set<OpenDocument*, ByNumber> read_;     ///< Read from since their last commit.
  bool all_is_due_ = false;
  TimePoint last_of_all_;  ///< Initially one interval ago: the first commit is immediate.
  std::optional<TimePoint> retry_;
};

}  // namespace unroll
