// Keeps LibTorch's threads asleep while a network that has threads of its own computes. Internal to model/.
#pragma once

#include <ATen/Parallel.h>

#include "model/network.h"

namespace unroll {

/// Sets the number of LibTorch's threads for its lifetime.
class LibTorchThreads {
 public:
  explicit LibTorchThreads(const Network& network) : before_(at::get_num_threads()) {
    if (network.has_own_threads()) set(1);
  }
  ~LibTorchThreads() { set(before_); }
  LibTorchThreads(const LibTorchThreads&) = delete;
  LibTorchThreads& operator=(const LibTorchThreads&) = delete;

 private:
  static void set(int count) {
    if (count != at::get_num_threads()) at::set_num_threads(count);
  }
  int before_;
};

}  // namespace unroll
