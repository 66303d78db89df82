// Memory replay back-propagation (Wu et al. 2020, Memformer, arXiv 2010.06891, algorithm 1): gradients
// through any number of blocks in the memory of one. The blocks are first read without gradients, and the
// state before each is kept. Then, from the last to the first, each is read again with gradients, starting
// from the gradients of the state after it. The gradients are those of plain
// back-propagation.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include <ATen/core/Tensor.h>

#include "model/block_recurrent_transformer.h"

namespace unroll {

struct BackwardCallbacks {
  /// Changes the recurrence before block `index`, such as resetting it; must do the same each time. May be
  /// empty.
  std::function<void(std::size_t index, Recurrence& recurrence)> before_block;
  /// The scalar loss of block `index` from its hidden states [batch, length, dim] and its compression loss
  /// (undefined if none). Returns undefined if the block has no loss.
  std::function<at::Tensor(std::size_t index, const at::Tensor& hidden, const at::Tensor& compression)> loss;
  bool compression = false;  ///< Whether to compute the compression loss.
};

/// Adds the gradients of the blocks' losses to those of the model's parameters. Advances `recurrence`, which
/// is detached; no gradient flows to the state before the first block. blocks: int64 [batch, length] each.
/// Returns the sum of the losses.
double replay_backward(const BlockRecurrentTransformer& model, std::span<const at::Tensor> blocks,
                       Recurrence& recurrence, const BackwardCallbacks& callbacks);

/// The same by plain back-propagation, which holds the graphs of all blocks at once.
double plain_backward(const BlockRecurrentTransformer& model, std::span<const at::Tensor> blocks,
                      Recurrence& recurrence, const BackwardCallbacks& callbacks);

}  // namespace unroll
