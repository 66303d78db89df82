#include "training/memory_replay.h"

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

namespace unroll {
namespace {

/// Gradients of the state before a block; undefined ones are zero.
struct RecurrenceGradients {
  std::vector<at::Tensor> memories, states;
  /// Of blocks in routed memory, which all later blocks read: accumulated until the block is processed.
  std::map<const void*, std::pair<at::Tensor, at::Tensor>> routed;  // of kv and routes, by identity()
};

/// Copies of a block that differ only in visibility have the same identity.
const void* identity(const RoutedBlock& block) {
  return block.kv.const_data_ptr();
}

at::Tensor leaf(const at::Tensor& tensor) {
  return tensor.detach().requires_grad_();
}

/// The same values as leaves of a graph.
Recurrence leaves(const Recurrence& recurrence) {
  auto result = recurrence;
  for (auto& memory : result.memories) memory = leaf(memory);
  for (auto& state : result.states) state = leaf(state);
  for (auto& block : result.routed) {
    auto copy = std::make_shared<RoutedBlock>(*block);
    copy->kv = leaf(copy->kv);
    copy->routes = leaf(copy->routes);
    block = std::move(copy);
  }
  return result;
}

class Roots {
 public:
  void add(const at::Tensor& root, const at::Tensor& gradient) {
    if (!gradient.defined() || !root.requires_grad()) return;
    roots_.push_back(root);
    gradients_.push_back(gradient);
  }
  void backward() const {
    if (!roots_.empty()) torch::autograd::backward(roots_, gradients_);
  }

 private:
  std::vector<at::Tensor> roots_, gradients_;
};

void add_gradient(at::Tensor& sum, const at::Tensor& gradient) {
  if (gradient.defined()) sum = sum.defined() ? sum + gradient : gradient;
}

}  // namespace

double replay_backward(const BlockRecurrentTransformer& model, std::span<const at::Tensor> blocks,
                       Recurrence& recurrence, const BackwardCallbacks& callbacks) {
  const auto prepare = [&](std::size_t index, Recurrence& before) {
    if (callbacks.before_block) callbacks.before_block(index, before);
  };
  recurrence = recurrence.detached();
  std::vector<Recurrence> before;  // the state before each block
  {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      before.push_back(recurrence);
      prepare(i, recurrence);
      model.forward_block(blocks[i], recurrence);
    }
  }
  double total = 0;
  RecurrenceGradients asked;  // of the state after the current block
  for (std::size_t i = blocks.size(); i-- > 0;) {
    const auto start = leaves(before[i]);
    auto next = start;
    prepare(i, next);
    at::Tensor compression;
    const auto hidden = model.forward_block(blocks[i], next, callbacks.compression ? &compression : nullptr);
    const auto loss = callbacks.loss(i, hidden, compression);
    Roots roots;
    if (loss.defined()) {
      total += loss.item<double>();
      roots.add(loss, at::ones_like(loss));
    }
    for (std::size_t j = 0; j < asked.memories.size(); ++j) roots.add(next.memories[j], asked.memories[j]);
    for (std::size_t j = 0; j < asked.states.size(); ++j) roots.add(next.states[j], asked.states[j]);
    const auto& after = i + 1 < blocks.size() ? before[i + 1].routed : recurrence.routed;
    if (!after.empty() && !next.routed.empty()) {
      // A partial block adds no routed block: the last one belongs to another block.
      const bool left =
          start.routed.empty() || identity(*next.routed.back()) != identity(*start.routed.back());
      const auto own =
          left ? asked.routed.extract(identity(*after.back())) : decltype(asked.routed)::node_type();
      if (!own.empty()) {
        roots.add(next.routed.back()->kv, own.mapped().first);
        roots.add(next.routed.back()->routes, own.mapped().second);
      }
    }
    roots.backward();
    asked.memories.clear();
    asked.states.clear();
    for (const auto& memory : start.memories) asked.memories.push_back(memory.grad());
    for (const auto& state : start.states) asked.states.push_back(state.grad());
    for (std::size_t j = 0; j < start.routed.size(); ++j) {
      auto& sum = asked.routed[identity(*before[i].routed[j])];
      add_gradient(sum.first, start.routed[j]->kv.grad());
      add_gradient(sum.second, start.routed[j]->routes.grad());
    }
  }
  return total;
}

double plain_backward(const BlockRecurrentTransformer& model, std::span<const at::Tensor> blocks,
                      Recurrence& recurrence, const BackwardCallbacks& callbacks) {
  std::vector<at::Tensor> losses;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (callbacks.before_block) callbacks.before_block(i, recurrence);
    at::Tensor compression;
    const auto hidden =
        model.forward_block(blocks[i], recurrence, callbacks.compression ? &compression : nullptr);
    const auto loss = callbacks.loss(i, hidden, compression);
    if (loss.defined()) losses.push_back(loss);
  }
  recurrence = recurrence.detached();
  if (losses.empty()) return 0;
  const auto total = at::stack(losses).sum();
  torch::autograd::backward({total}, {});
  return total.item<double>();
}

}  // namespace unroll
