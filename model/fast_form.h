// What the faster forms of the network, cpu/ and gpu/, take from its definition: matrices that multiply the
// same rows are concatenated, and the rest of a layer is kept without them.
#pragma once

#include <vector>

#include "model/block_recurrent_transformer.h"

namespace unroll {

/// Matrices for a layer's normed input: queries; key and value; queries to each state that it reads. In that
/// order.
std::vector<at::Tensor> entry_matrices(const BlockRecurrentTransformer& definition, const Layer& layer);
/// Matrices for a cell's normed states: key and value; queries to the states; queries to the block.
std::vector<at::Tensor> entry_matrices(const StateContainer& container);

/// Keeps norms, scales, biases and gates; a layer also loses its state container.
Layer without_matrices(Layer layer);
StateContainer without_matrices(StateContainer container);

/// [dim], for a fixed gate: the share of the new value; undefined if `gate` is.
at::Tensor share_of(const at::Tensor& gate);

}  // namespace unroll
