#include "model/recurrence.h"

#include <memory>
#include <utility>

#include <ATen/ATen.h>

namespace unroll {

void Recurrence::forget(const at::Tensor& rows, std::span<const at::Tensor> initial) {
  if (!rows.any().item<bool>()) return;
  for (std::size_t i = 0; i < states.size(); ++i)
    states[i] = at::where(rows.view({-1, 1, 1}), initial[i], states[i]);
  const auto kept = rows.logical_not();
  if (!memories.empty()) {
    const auto before = memories_visible.defined()
                            ? memories_visible
                            : at::ones({rows.size(0), memories.front().size(2)}, rows.options());
    memories_visible = before.logical_and(kept.unsqueeze(1));
  }
  for (auto& block : routed) {
    auto seen = std::make_shared<RoutedBlock>(*block);
    seen->visible = seen->visible.defined() ? seen->visible.logical_and(kept) : kept;
    block = std::move(seen);
  }
  // Drop blocks that no row sees any longer.
  std::erase_if(routed, [](const auto& block) { return !block->visible.any().template item<bool>(); });
}

Recurrence Recurrence::detached() const {
  Recurrence result;
  result.memories_visible = memories_visible;
  for (const auto& block : routed) {
    auto cut = std::make_shared<RoutedBlock>(*block);
    cut->kv = cut->kv.detach();
    cut->routes = cut->routes.detach();
    result.routed.push_back(std::move(cut));
  }
  for (const auto& memory : memories) result.memories.push_back(memory.detach());
  for (const auto& state : states) result.states.push_back(state.detach());
  return result;
}

Recurrence Recurrence::row(std::int64_t index) const {
  const auto alone = [&](const at::Tensor& all, std::int64_t dimension) {
    return all.size(dimension) == 1 ? all : all.narrow(dimension, index, 1).clone();
  };
  Recurrence result;
  for (const auto& memory : memories) result.memories.push_back(alone(memory, 1));
  for (const auto& state : states) result.states.push_back(alone(state, 0));
  for (const auto& block : routed) {
    if (block->kv.size(1) == 1) {
      result.routed.push_back(block);
      continue;
    }
    auto mine = std::make_shared<RoutedBlock>(*block);
    mine->kv = alone(mine->kv, 1);
    mine->routes = alone(mine->routes, 0);
    if (mine->scales.defined()) mine->scales = alone(mine->scales, 1);
    if (mine->visible.defined()) mine->visible = alone(mine->visible, 0);
    result.routed.push_back(std::move(mine));
  }
  if (memories_visible.defined()) result.memories_visible = alone(memories_visible, 0);
  return result;
}

Recurrence Recurrence::to(at::Device device) const {
  auto result = *this;
  for (auto* tensors : {&result.memories, &result.states})
    for (auto& tensor : *tensors) tensor = tensor.to(device);
  for (auto& block : result.routed) {
    if (block->kv.device() == device) continue;  // the states of a document share it
    auto moved = std::make_shared<RoutedBlock>(*block);
    for (auto* tensor : {&moved->kv, &moved->scales, &moved->routes, &moved->visible})
      if (tensor->defined()) *tensor = tensor->to(device);
    block = std::move(moved);
  }
  return result;
}

std::size_t Recurrence::bytes() const {
  std::size_t total = 0;
  for (const auto* tensors : {&memories, &states})
    for (const auto& tensor : *tensors) total += tensor.nbytes();
  return total;
}

std::vector<Recurrence> Recurrence::rows(std::int64_t batch) const {
  std::vector<Recurrence> result;
  if (batch == 1 || !routed.empty() || memories_visible.defined()) {
    for (std::int64_t i = 0; i < batch; ++i) result.push_back(row(i));
    return result;
  }
  std::vector<at::Tensor> from, to;
  const auto copy = [&](const at::Tensor& all, std::int64_t dimension, std::int64_t index) {
    const auto& part = from.emplace_back(all.narrow(dimension, index, 1));
    return to.emplace_back(empty_copy_of(part));
  };
  for (std::int64_t i = 0; i < batch; ++i) {
    auto& mine = result.emplace_back();
    for (const auto& memory : memories) mine.memories.push_back(copy(memory, 1, i));
    for (const auto& state : states) mine.states.push_back(copy(state, 0, i));
  }
  if (!to.empty()) at::_foreach_copy_(to, from);
  return result;
}

at::Tensor empty_copy_of(const at::Tensor& tensor) {
  return tensor.is_non_overlapping_and_dense()
             ? at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options())
             : at::empty(tensor.sizes(), tensor.options());
}

Recurrence join(std::span<const Recurrence> rows) {
  if (rows.size() == 1) return rows.front();
  // Documents follow each other in memory, so that each is copied as a whole.
  const auto concatenate = [&](auto list, std::int64_t batch) {
    std::vector<at::Tensor> result;
    for (std::size_t i = 0; i < (rows.front().*list).size(); ++i) {
      std::vector<at::Tensor> parts;
      for (const auto& row : rows) parts.push_back((row.*list)[i].transpose(0, batch));
      result.push_back(at::cat(parts, 0).transpose(0, batch));
    }
    return result;
  };
  Recurrence all;
  all.memories = concatenate(&Recurrence::memories, 1);
  all.states = concatenate(&Recurrence::states, 0);
  return all;
}

}  // namespace unroll
