// What open documents' states take of a GPU's memory, kept within a budget: those that were made longest ago,
// of documents that wait, go to the host when there is not room for all. Such a state is copied back for as
// long as its next block is computed.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "model/block_state.h"

namespace unroll {

/// One thread at a time.
class DeviceStates {
 public:
  /// Bytes.
  explicit DeviceStates(std::size_t budget) : budget_(budget) {}
  /// The newest; not kept alive.
  void add(const std::shared_ptr<const BlockState>& state) { states_.emplace_back(state); }
  /// Spills the oldest until the rest fits. Returns how many.
  std::size_t make_room();

 private:
  std::size_t budget_;
  std::deque<std::weak_ptr<const BlockState>> states_;  // on the device or gone, oldest first
};

}  // namespace unroll
