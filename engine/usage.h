// What open documents take, of each owner and of all, against the limits. Under the core's mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "engine/engine.h"

namespace unroll {

struct Usage {
  std::size_t documents = 0;
  std::uint64_t buffered = 0;  ///< Bytes accepted and not yet taken by the tokenizer.
  std::uint64_t fixed = 0;     ///< Bytes of memory for as long as documents are open.
  std::uint64_t resident = 0;  ///< Bytes of memory that are free again when documents are put away.
  std::uint64_t memory() const { return buffered + fixed + resident; }
};

class UsageByOwner {
 public:
  explicit UsageByOwner(const EngineOptions& options) : options_(options) {}

  /// One more document. `state_bytes`: what its state takes that can not be put away; 0 where it can. Throws
  /// Error(kLimit) that names the limit.
  void open(std::uint32_t owner, std::uint64_t state_bytes);
  /// One less, of the same.
  void close(std::uint32_t owner, std::uint64_t state_bytes);
  void add_buffered(std::uint32_t owner, std::int64_t bytes);
  void add_resident(std::uint32_t owner, std::int64_t bytes);
  /// Writers of this owner's documents have to wait for others' bytes to be read.
  bool buffers_full(std::uint32_t owner) const;
  /// Something has to be put away.
  bool over_memory() const;
  /// Nothing of this owner's has to be put away, with an eighth of the memory to spare.
  bool has_air(std::uint32_t owner) const;
  const Usage& all() const { return all_; }
  Usage of(std::uint32_t owner) const;

 private:
  /// An open document's bookkeeping, tokens that wait, and its plugins' objects, about.
  static constexpr std::uint64_t kDocumentBytes = 16 * 1024;
  const EngineOptions& options_;
  Usage all_;
  std::unordered_map<std::uint32_t, Usage> owners_;
};

}  // namespace unroll
