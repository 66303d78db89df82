// The engine's counters since its start. Seconds are wall time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "base/error.h"

namespace unroll {

/// A histogram of durations, as in Prometheus.
struct Histogram {
  /// Upper bounds in seconds; longer durations are only in `count`.
  static constexpr std::array kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                         0.25,  0.5,    1.0,   2.5,  5.0,   10.0};
  std::array<std::uint64_t, kBounds.size()> buckets{};  ///< Not cumulative.
  std::uint64_t count = 0;
  double sum = 0;

  void add(double seconds, std::uint64_t times = 1) {
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
      if (seconds > kBounds[i]) continue;
      buckets[i] += times;
      break;
    }
    count += times;
    sum += seconds * static_cast<double>(times);
  }
};

struct ModelStats {
  std::size_t open_documents = 0;
  std::uint64_t blocks = 0, tokens = 0;
  double seconds = 0;  ///< In the model.
};

struct EngineStats {
  std::size_t open_documents = 0,
              waiting_documents = 0;  ///< Waiting: open documents with nothing to read.
  std::uint64_t documents_done = 0, documents_failed = 0;
  std::map<ErrorCode, std::uint64_t> failed_by_reason;
  std::uint64_t blocks = 0, tokens = 0, bytes = 0, outputs = 0, commits = 0, reloads = 0;
  std::map<std::string, ModelStats> models;             ///< By name.
  std::uint64_t buffered_bytes = 0, memory_bytes = 0;   ///< Of open documents; see EngineOptions.
  std::uint64_t resident_documents = 0, evictions = 0;  ///< State in memory; times that one was evicted.
  std::size_t revisions = 1;  ///< That documents are being read with, the one for new documents included.
  std::uint64_t journal_errors = 0;  ///< Commits and other writes of the engine's that failed.
  bool journal_blocked = false;      ///< The disk is full: nothing is read until it has room.
  std::uint64_t journal_bytes = 0;   ///< Size of its files.
  /// What the documents of the owner that has the most are charged with; see max_journal_bytes_per_owner.
  std::uint64_t journal_largest_owner_bytes = 0;
  double model_seconds = 0, plugin_seconds = 0, journal_seconds = 0;
  /// A block's launch, including blocks of other documents; a document's wait in the queue, per block; a
  /// commit.
  Histogram block, queue_wait, commit;
  /// Duration so far of the engine thread's current round; 0 if it is idle.
  double round_seconds = 0;
};

}  // namespace unroll
