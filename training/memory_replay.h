// Memory replay back-propagation (Wu et al. 2020, Memformer, arXiv 2010.06891, algorithm 1): gradients
// through any number of blocks in the memory that one takes. The blocks are read once without gradients, and
// what is before each of them is kept; then, from the last to the first, each is read again with them, and
// begins with what the blocks behind it ask of what it leaves. The gradients are those of plain
// back-propagation.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include <ATen/core/Tensor.h>

#include "model/block_recurrent_transformer.h"

namespace unroll {

struct BackwardCallbacks {
  /// What happens to a document's recurrence before block `index`, such as forgetting; the same each time.
  /// May be empty.
  std::function<void(std::size_t index, Recurrence& recurrence)> before_block;
  /// Block `index`'s part of the loss, a scalar, from its hidden states [batch, length, dim] and its
  /// compression loss, undefined where there is none. Undefined: it has no part.
  std::function<at::Tensor(std::size_t index, const at::Tensor& hidden, const at::Tensor& compression)> loss;
  bool compression = false;  ///< Whether the compression loss is wanted at all.
};

/// Adds the gradients of the blocks' losses to those of the model's parameters. `recurrence` moves on, cut
/// off from any graph; what is before the first block gets no gradient. blocks: int64 [batch, length] each.
/// Returns the sum of the losses.
double replay_backward(const BlockRecurrentTransformer& model, std::span<const at::Tensor> blocks,
                       Recurrence& recurrence, const BackwardCallbacks& callbacks);

/// The same by plain back-propagation: the blocks' graphs are all there at once.
double plain_backward(const BlockRecurrentTransformer& model, std::span<const at::Tensor> blocks,
                      Recurrence& recurrence, const BackwardCallbacks& callbacks);

}  // namespace unroll
