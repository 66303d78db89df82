// What blocks leave for those that come after: memories, states, and what routed memory keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/routed_memory.h"

namespace unroll {

/// Empty before the first block.
struct Recurrence {
  std::vector<at::Tensor> memories;  ///< One a layer: [2 (k, v), batch, positions, kv_dim], before rotation.
  std::vector<at::Tensor>
      states;           ///< One a recurrent layer, in order of layer: [batch, num_state_vectors, dim].
  RoutedMemory routed;  ///< Of routed_memory_layer.

  /// bool [batch, positions]: which of each row's memories count; undefined: all. Rows of a training batch
  /// start documents at different times.
  at::Tensor memories_visible;

  /// Rows (bool [batch], true) that begin a document: what is kept of them counts no more, and their states
  /// are `initial` again, one a recurrent layer as initial_states() gives them.
  void forget(const at::Tensor& rows, std::span<const at::Tensor> initial);
  /// The same values cut off from the graph that made them: the border of truncated back-propagation.
  Recurrence detached() const;
  /// One row of the batch, as a batch of one that holds nothing of the others.
  Recurrence row(std::int64_t index) const;
  /// The same on `device`.
  Recurrence to(at::Device device) const;
  /// Of memories and states.
  std::size_t bytes() const;
  /// Each row of a batch of so many, in as few copies as the device can do it.
  std::vector<Recurrence> rows(std::int64_t batch) const;
};

/// A batch of what has equal shapes, in order.
Recurrence join(std::span<const Recurrence> rows);

}  // namespace unroll
