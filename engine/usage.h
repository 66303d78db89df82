// Resource usage of open documents, per owner and in total, checked against the limits. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "engine/engine.h"

namespace unroll {

struct Usage {
  std::size_t documents = 0;
  std::uint64_t buffered = 0;  ///< Bytes accepted and not yet tokenized.
  std::uint64_t fixed = 0;     ///< Bytes of memory used while documents are open.
  std::uint64_t resident = 0;  ///< Bytes of memory freed when documents are evicted.
  std::uint64_t memory() const { return buffered + fixed + resident; }
};

class UsageByOwner {
 public:
  explicit UsageByOwner(const EngineOptions& options) : options_(options) {}

  /// Adds a document. `state_bytes`: the size of its state if it cannot be evicted; 0 if it can. Throws
  /// Error(kLimit), which names the limit.
  void open(std::uint32_t owner, std::uint64_t state_bytes);
  /// Removes a document with the same arguments.
  void close(std::uint32_t owner, std::uint64_t state_bytes);
  void add_buffered(std::uint32_t owner, std::int64_t bytes);
  /// Adds bytes whose sender does not wait for room. Throws LimitError.
  void reserve_buffered(std::uint32_t owner, std::uint64_t bytes);
  void add_resident(std::uint32_t owner, std::int64_t bytes);
  /// Whether writers of this owner's documents must wait for room in the buffers.
  bool buffers_full(std::uint32_t owner) const;
  /// Whether documents must be evicted: of all owners, or of one.
  bool over_memory() const;
  /// Whether the documents of all owners together exceed their limit.
  bool over_total_memory() const;
  /// Whether this owner's documents exceed its limit, or those of all owners theirs.
  bool over_memory(std::uint32_t owner) const;
  /// Bytes of memory above seven eighths of the limit, in total and of one owner.
  struct Excess {
    std::uint64_t all, own;
  };
  Excess excess(std::uint32_t owner) const;
  Usage all() const;

 private:
  /// Approximate size of an open document's bookkeeping, waiting tokens and plugin instances.
  static constexpr std::uint64_t kDocumentBytes = 16 * 1024;
  Usage of(std::uint32_t owner) const;  ///< With mutex_ held, as the next one.
  void forget_idle(std::uint32_t owner);
  void check_buffered(const Usage& own, std::uint64_t more) const;

  const EngineOptions& options_;
  mutable std::mutex mutex_;
  Usage all_;
  std::unordered_map<std::uint32_t, Usage> owners_;
};

}  // namespace unroll
