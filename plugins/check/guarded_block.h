// A block in protected memory: read-only while it is lent, inaccessible afterwards, as in a worker.
#pragma once

#include <array>
#include <cstddef>

#include "plugins/check/synthetic.h"

namespace unroll::check {

/// A write, or a read while it is not lent, ends this process; progress() records which it was.
class GuardedBlock {
 public:
  explicit GuardedBlock(SyntheticBlock block);
  GuardedBlock(const GuardedBlock&) = delete;
  GuardedBlock& operator=(const GuardedBlock&) = delete;
  /// The addresses stay reserved, so that a late read by a plugin cannot hit other memory.
  ~GuardedBlock() { take_back(); }

  /// Makes the block readable until take_back().
  const unroll_block& lend();
  void take_back();

 private:
  void protect(int protection);
  SyntheticBlock block_;
  unroll_block view_{};
  unroll_tensor tensor_{};
  char* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace unroll::check
