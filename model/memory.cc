#include "model/memory.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>

namespace unroll {
namespace {

constexpr std::int64_t kNoPadding = 0;

std::int64_t latest_length(const ModelConfig& config) {
  return config.memory_blocks * config.block_width;
}

/// The last `length` positions.
at::Tensor last(const at::Tensor& memory, std::int64_t length) {
  return memory.slice(2, std::max<std::int64_t>(0, memory.size(2) - length));
}

/// The positions that leave the uncompressed part of `past` when another block comes.
at::Tensor leaving_block(const ModelConfig& config, const at::Tensor& past) {
  return past.slice(2, past.size(2) - latest_length(config)).slice(2, 0, config.block_width);
}

}  // namespace

at::Tensor Compression::operator()(const ModelConfig& config, const at::Tensor& leaving) const {
  const auto factor = config.compressed_mem_factor;
  if (factor == 1) return leaving;
  const auto kept = leaving.slice(2, leaving.size(2) % factor);
  if (kept.size(2) == 0) return kept;
  if (config.compressed_mem_method != CompressionMethod::kConvolution) {
    const auto groups = kept.unflatten(2, {-1, factor});
    return config.compressed_mem_method == CompressionMethod::kMean ? groups.mean(3) : groups.amax(3);
  }
  const auto channels = kept.permute({1, 0, 3, 2}).flatten(1, 2);  // [batch, 2 * kv_dim, positions]
  const auto shorter =
      at::conv1d(channels, weight, bias, at::IntArrayRef(factor), at::IntArrayRef(kNoPadding), 1, 2);
  return shorter.unflatten(1, {2, -1}).permute({1, 0, 3, 2});  // [2, batch, positions, kv_dim]
}

at::Tensor next_memory(const ModelConfig& config, const Compression& compression, const at::Tensor& past,
                       const at::Tensor& block) {
  const auto latest_most = latest_length(config);
  if (!past.defined() || (!config.use_compressed_mem && config.memory_blocks == 1)) return block;
  const auto compressed_before = std::max<std::int64_t>(0, past.size(2) - latest_most);
  const auto latest = at::cat(std::vector<at::Tensor>{past.slice(2, compressed_before), block}, 2);
  if (!config.use_compressed_mem) return last(latest, latest_most);
  auto older = past.slice(2, 0, compressed_before);
  std::vector<at::Tensor> parts{last(latest, latest_most)};  // newest first
  if (latest.size(2) > latest_most) {
    const auto most = config.block_width / 2;
    auto leaving = leaving_block(config, past);
    for (std::int64_t generation = 1; generation <= config.compressed_mem_generations; ++generation) {
      // A generation is the end of what the older ones leave: it fills up before the next begins.
      const auto own = last(older, std::min(most, older.size(2)));
      older = older.slice(2, 0, older.size(2) - own.size(2));
      const auto grown = at::cat(std::vector<at::Tensor>{own, compression(config, leaving)}, 2);
      parts.push_back(last(grown, most));
      leaving = grown.slice(2, 0, std::max<std::int64_t>(0, grown.size(2) - most));
    }
  } else if (older.size(2) > 0) {
    parts.push_back(older);
  }
  std::ranges::reverse(parts);
  return at::cat(parts, 2);
}

at::Tensor compression_loss(const ModelConfig& config, const Compression& compression,
                            const Attention& attention, const at::Tensor& q, const at::Tensor& past) {
  if (!past.defined() || past.size(2) < latest_length(config)) return {};
  const auto leaving = leaving_block(config, past).detach();
  const auto compressed = compression(config, leaving);
  auto content = attention;  // by content, not by position
  if (content.q_scale) content.q_scale = content.q_scale->detach();
  if (content.k_scale) content.k_scale = content.k_scale->detach();
  const auto seen = [&](const at::Tensor& kv) {
    return content(q.detach(), kv[0], kv[1], nullptr, std::nullopt);
  };
  return at::mse_loss(seen(compressed), seen(leaving));
}

std::int64_t memory_length(const ModelConfig& config) {
  if (!config.use_memories) return 0;
  return latest_length(config) +
         (config.use_compressed_mem ? config.compressed_mem_generations * (config.block_width / 2) : 0);
}

}  // namespace unroll
