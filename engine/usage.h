// What open documents take, of each owner and of all, against the limits. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "engine/engine.h"

namespace unroll {

struct Usage {
  std::size_t documents = 0;
  std::uint64_t buffered = 0;  ///< Bytes accepted and not yet taken by the tokenizer.
  std::uint64_t fixed = 0;     ///< Bytes of memory for as long as documents are open.
  std::uint64_t resident = 0;  ///< Bytes of memory that are free again when documents are evicted.
  std::uint64_t memory() const { return buffered + fixed + resident; }
};

class UsageByOwner {
 public:
  explicit UsageByOwner(const EngineOptions& options) : options_(options) {}

  /// One more document. `state_bytes`: what its state takes if it cannot be evicted; 0 if it can. Throws
  /// Error(kLimit) that names the limit.
  void open(std::uint32_t owner, std::uint64_t state_bytes);
  /// One less, of the same.
  void close(std::uint32_t owner, std::uint64_t state_bytes);
  void add_buffered(std::uint32_t owner, std::int64_t bytes);
  void add_resident(std::uint32_t owner, std::int64_t bytes);
  /// Writers of this owner's documents have to wait for others' bytes to be read.
  bool buffers_full(std::uint32_t owner) const;
  /// Something has to be evicted.
  bool over_memory() const;
  /// Bytes of memory, of all and of one owner, above what leaves an eighth of the limit to spare.
  struct Excess {
    std::uint64_t all, own;
  };
  Excess excess(std::uint32_t owner) const;
  Usage all() const;

 private:
  /// An open document's bookkeeping, tokens that wait, and its plugins' objects, about.
  static constexpr std::uint64_t kDocumentBytes = 16 * 1024;
  Usage of(std::uint32_t owner) const;  ///< With mutex_ held.

  const EngineOptions& options_;
  mutable std::mutex mutex_;
  Usage all_;
  std::unordered_map<std::uint32_t, Usage> owners_;
};

}  // namespace unroll
