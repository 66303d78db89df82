// Keeps the states of open documents within a budget of GPU memory. If there is no room, the oldest states of
// waiting documents are moved to the host; such a state is copied back while its next block is computed.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "model/block_state.h"

namespace unroll {

/// One thread at a time.
class DeviceStates {
 public:
  /// `budget` in bytes.
  explicit DeviceStates(std::size_t budget) : budget_(budget) {}
  /// Registers the newest state, without keeping it alive.
  void add(const std::shared_ptr<const BlockState>& state) { states_.emplace_back(state); }
  /// Spills the oldest until the rest fits. Returns the number spilled.
  std::size_t make_room();

 private:
  std::size_t budget_;
  std::deque<std::weak_ptr<const BlockState>> states_;  // on the device or freed; oldest first
};

}  // namespace unroll
