// A block in memory that may be read while it is lent and not touched at all afterwards, as a worker's is.
#pragma once

#include <array>
#include <cstddef>

#include "plugins/check/synthetic.h"

namespace unroll::check {

/// Whoever writes into it, or reads it when it is not lent, ends this process; progress() says which.
class GuardedBlock {
 public:
  explicit GuardedBlock(SyntheticBlock block);
  GuardedBlock(const GuardedBlock&) = delete;
  GuardedBlock& operator=(const GuardedBlock&) = delete;
  /// The addresses stay taken: nothing else will ever lie where a plugin may still look.
  ~GuardedBlock() { take_back(); }

  /// Borrowed until take_back().
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
