// What the faster forms of the network, cpu/ and gpu/, take from its definition: matrices that multiply the
// same rows are put on one another, and what is left of a layer once they are is kept without them.
#pragma once

#include <vector>

#include "model/block_recurrent_transformer.h"

namespace unroll {

/// Of a layer's normed input: queries, key and value, and a query for each state that it reads, in that
/// order.
std::vector<at::Tensor> entry_matrices(const BlockRecurrentTransformer& definition, const Layer& layer);
/// Of a cell's normed states: key and value, queries to the states, queries to the block.
std::vector<at::Tensor> entry_matrices(const StateContainer& container);

/// What is left: norms, scales, biases, gates; of a layer no state container either.
Layer without_matrices(Layer layer);
StateContainer without_matrices(StateContainer container);

/// Of a fixed gate, [dim]: how much of what is new is taken; undefined where the gate is.
at::Tensor share_of(const at::Tensor& gate);

}  // namespace unroll
