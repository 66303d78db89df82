// A layer's memory: keys and values of the blocks before, the latest as they are, those that went out of them
// compressed (Rae et al. 2019, arXiv 1911.05507), once or, generation by generation, several times.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/config.h"

namespace unroll {

/// Of one layer. Every generation is compressed in the same way.
struct Compression {
  at::Tensor weight, bias;  // grouped convolution over k and v; undefined: no compression by convolution
  /// leaving [2 (k, v), batch, positions, kv_dim] -> as many times fewer positions as the factor says; those
  /// at the front that do not fill one are dropped.
  at::Tensor operator()(const ModelConfig& config, const at::Tensor& leaving) const;
};

/// After a full block. `past`: the one before, undefined at a document's start; `block` [2 (k, v), batch,
/// block_width, kv_dim]. Oldest position first: the highest generation, ..., the first, the latest blocks.
at::Tensor next_memory(const ModelConfig& config, const Compression& compression, const at::Tensor& past,
                       const at::Tensor& block);

/// Rae et al. 2019, section 3.2: how differently the block's queries see what leaves the memory and its
/// compression, mean squared; gradients reach the compression alone. q [batch, heads, n, dim_head] before
/// rotation. Undefined where nothing leaves.
at::Tensor compression_loss(const ModelConfig& config, const Compression& compression,
                            const Attention& attention, const at::Tensor& q, const at::Tensor& past);

/// The longest that a memory becomes, in positions.
std::int64_t memory_length(const ModelConfig& config);

}  // namespace unroll
