#include "model/device_states.h"

namespace unroll {

std::size_t DeviceStates::make_room() {
  std::erase_if(states_, [](const auto& state) { return state.expired(); });
  std::size_t used = 0, spilled = 0;
  for (const auto& state : states_)
    if (const auto held = state.lock()) used += held->device_bytes();
  for (; used > budget_ && !states_.empty(); states_.pop_front()) {
    const auto oldest = states_.front().lock();
    if (!oldest) continue;
    used -= oldest->device_bytes();
    oldest->spill();
    ++spilled;
  }
  return spilled;
}

}  // namespace unroll
