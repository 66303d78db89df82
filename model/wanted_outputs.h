// What a block's tokens are asked for beyond their log-probabilities, and the document cache's part in it.
// Internal to model/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>

#include "model/block_model.h"
#include "model/document_cache.h"
#include "model/network.h"

namespace unroll {

/// Whether the device must return whole distributions because the cache changes them.
bool needs_all_logits(const Wants& wants, bool has_cache);

/// Adds to `output` what `wants` asks for beyond log-probabilities, from the hidden states [length, dim] of
/// tokens that the network has scored. `cache` may be null; otherwise it is mixed in, and appended to.
void add_wanted(Network& network, const at::Tensor& hidden, std::span<const std::int32_t> tokens,
                const Wants& wants, DocumentCache* cache, BlockOutput& output);

/// Drops what the first `count` of `rows` rows gave.
void drop_first(BlockOutput& output, std::size_t count, std::size_t rows);

}  // namespace unroll
