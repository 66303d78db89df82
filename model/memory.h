// A layer's memory: keys and values of the blocks before, the latest uncompressed, older ones compressed (Rae
// et al. 2019, arXiv 1911.05507) once or, in generations, several times.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/config.h"

namespace unroll {

/// Of one layer; all generations are compressed in the same way.
struct Compression {
  at::Tensor weight, bias;  // grouped convolution over k and v; undefined: compression without parameters
  /// leaving [2 (k, v), batch, positions, kv_dim] -> positions / compressed_mem_factor; positions at the
  /// front that do not fill one are dropped.
  at::Tensor operator()(const ModelConfig& config, const at::Tensor& leaving) const;
};

/// The memory after a full block. `past`: the memory before it, undefined at a document's start; `block` [2
/// (k, v), batch, block_width, kv_dim]. Positions are ordered oldest first: the highest generation, ..., the
/// first, the latest blocks.
at::Tensor next_memory(const ModelConfig& config, const Compression& compression, const at::Tensor& past,
                       const at::Tensor& block);

/// Rae et al. 2019, section 3.2: mean squared difference between what the block's queries read from the
/// leaving positions and from their compression. Gradients reach only the compression. q [batch, heads, n,
/// dim_head] before rotation. Undefined if nothing leaves.
at::Tensor compression_loss(const ModelConfig& config, const Compression& compression,
                            const Attention& attention, const at::Tensor& q, const at::Tensor& past);

/// Maximum length of a memory, in positions.
std::int64_t memory_length(const ModelConfig& config);

}  // namespace unroll
