// What blocks leave for later blocks: memories, states, and routed memory.
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
  std::vector<at::Tensor>
      memories;  ///< One per layer: [2 (k, v), batch, positions, kv_dim], before rotation.
  std::vector<at::Tensor>
      states;           ///< One per recurrent layer, in order of layer: [batch, num_state_vectors, dim].
  RoutedMemory routed;  ///< For routed_memory_layer.

  /// bool [batch, positions]: which memories are visible to each row; undefined: all. The rows of a training
  /// batch start documents at different times.
  at::Tensor memories_visible;

  /// Resets the rows (bool [batch], true) that begin a document: their memories become invisible, and their
  /// states those of `initial`, one per recurrent layer as initial_states() returns them.
  void forget(const at::Tensor& rows, std::span<const at::Tensor> initial);
  /// The same values, detached from the graph that made them: the border of truncated back-propagation.
  Recurrence detached() const;
  /// One row as a batch of one that shares no memory with the others.
  Recurrence row(std::int64_t index) const;
  /// The same on `device`.
  Recurrence to(at::Device device) const;
  /// Size of memories and states.
  std::size_t bytes() const;
  /// All `batch` rows, copied in as few launches as the device allows.
  std::vector<Recurrence> rows(std::int64_t batch) const;
};

/// An uninitialized tensor to copy `tensor` to. It has the same strides if it can: then a GPU copies many
/// such tensors in one launch.
at::Tensor empty_copy_of(const at::Tensor& tensor);

/// Joins recurrences of equal shapes into one batch, in order.
Recurrence join(std::span<const Recurrence> rows);

}  // namespace unroll
