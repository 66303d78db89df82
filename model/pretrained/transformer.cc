#include "model/pretrained/transformer.h"

#include <cmath>
#include <optional>
#include <utility>

#include <ATen/ATen.h>

namespace unroll {
namespace {

/// Multiplies in the precision of the weights; the result is fp32.
at::Tensor project(const at::Tensor& x, const PretrainedLinear& linear) {
  auto y = at::linear(x.to(linear.weight.scalar_type()), linear.weight).to(at::kFloat);
  return linear.bias.defined() ? y + linear.bias : y;
}

/// bool [length, past + length]: what each of a block's positions sees; the first `begin` keys come before
/// the block.
at::Tensor visible(std::int64_t length, std::int64_t begin, at::Device device) {
  return at::ones({length, begin + length}, at::TensorOptions(at::kBool).device(device)).tril(begin);
}

}  // namespace

PretrainedTransformer::PretrainedTransformer(PretrainedConfig config, PretrainedWeights weights,
                                             at::ScalarType memories)
    : config_(std::move(config)),
      weights_(std::move(weights)),
      memory_type_(memories),
      attention_type_(device().is_cpu() ? at::kFloat : memories) {
  const auto& frequencies = config_.inverse_frequencies;
  const auto position = at::arange(config_.memory_positions() + config_.block_width, at::kFloat);
  auto angle = at::outer(position, at::tensor(at::ArrayRef<float>(frequencies)));
  angle = at::cat(std::vector<at::Tensor>{angle, angle}, -1);
  cosine_ = angle.cos().to(device());
  sine_ = angle.sin().to(device());
}

NetworkShape PretrainedTransformer::shape() const {
  NetworkShape shape;
  shape.num_tokens = config_.vocabulary;
  shape.dim = config_.hidden_size;
  shape.depth = config_.layers;
  shape.block_width = config_.block_width;
  shape.first_input = config_.bos ? *config_.bos : config_.eos.value_or(0);
  shape.document_cache_tokens = config_.document_cache_tokens;
  shape.kv_dim = config_.kv_dim();
  shape.memory_length = config_.memory_positions();
  shape.memory_type = memory_type_;
  return shape;
}

at::Tensor PretrainedTransformer::rms_norm(const at::Tensor& x, const at::Tensor& scale) const {
  return x * at::rsqrt(x.pow(2).mean(-1, true) + config_.rms_eps) * scale;
}

at::Tensor PretrainedTransformer::rotate(const at::Tensor& x, std::int64_t begin) const {
  const auto halves = x.chunk(2, -1);
  const auto turned = at::cat(std::vector<at::Tensor>{-halves[1], halves[0]}, -1);
  return x * cosine_.narrow(0, begin, x.size(2)) + turned * sine_.narrow(0, begin, x.size(2));
}

at::Tensor PretrainedTransformer::split_heads(const at::Tensor& x) const {
  return x.unflatten(-1, {-1, config_.head_dim}).transpose(1, 2);
}

OpenPretrainedBlock PretrainedTransformer::open_block(const Recurrence& before, std::int64_t batch,
                                                      std::int64_t room) const {
  OpenPretrainedBlock block;
  if (!before.memories.empty()) block.past = before.memories.front().size(2);
  const auto empty = [&](std::vector<std::int64_t> shape, at::ScalarType type) {
    return at::empty(shape, at::TensorOptions(type).device(device()));
  };
  const std::vector<std::int64_t> all{batch, config_.kv_heads, block.past + room, config_.head_dim};
  for (std::size_t i = 0; i < weights_.layers.size(); ++i) {
    block.keys.push_back(empty(all, attention_type_));
    block.values.push_back(empty(all, attention_type_));
    block.block.push_back(empty({2, batch, room, config_.kv_dim()}, memory_type_));
    if (block.past == 0) continue;
    const auto& memory = before.memories[i];
    block.keys[i].narrow(2, 0, block.past).copy_(rotate(split_heads(memory[0].to(at::kFloat)), 0));
    block.values[i].narrow(2, 0, block.past).copy_(split_heads(memory[1]));
  }
  return block;
}

at::Tensor PretrainedTransformer::attend(std::size_t index, const at::Tensor& x,
                                         OpenPretrainedBlock& block) const {
  const auto& layer = weights_.layers[index];
  const auto batch = x.size(0), length = x.size(1), begin = block.past + block.length;
  auto k = project(x, layer.k);
  if (layer.k_norm.defined()) k = rms_norm(k.unflatten(-1, {-1, config_.head_dim}), layer.k_norm).flatten(-2);
  // Round what is attended to now as memories are, because later blocks attend to it, too.
  const auto here = block.block[index].narrow(2, block.length, length);
  here[0].copy_(k);
  here[1].copy_(project(x, layer.v));
  block.keys[index].narrow(2, begin, length).copy_(rotate(split_heads(here[0].to(at::kFloat)), begin));
  block.values[index].narrow(2, begin, length).copy_(split_heads(here[1]));

  auto q = split_heads(project(x, layer.q));
  if (layer.q_norm.defined()) q = rms_norm(q, layer.q_norm);
  // The queries that share a key are rows of one product: [batch, kv_heads, group * length, head_dim].
  const auto group = config_.heads / config_.kv_heads;
  q = rotate(q, begin).to(attention_type_).unflatten(1, {-1, group}).flatten(2, 3);
  std::optional<at::Tensor> mask;
  if (length > 1) mask = visible(length, begin, device()).repeat({group, 1});
  const auto seen = at::scaled_dot_product_attention(
      q, block.keys[index].narrow(2, 0, begin + length), block.values[index].narrow(2, 0, begin + length),
      mask, 0.0, false, 1 / std::sqrt(static_cast<double>(config_.head_dim)));
  const auto heads = seen.unflatten(2, {group, length}).flatten(1, 2);  // [batch, heads, length, head_dim]
  return project(heads.transpose(1, 2).reshape({batch, length, -1}), layer.o);
}

at::Tensor PretrainedTransformer::extend_block(const at::Tensor& tokens, OpenPretrainedBlock& block) const {
  TORCH_CHECK(tokens.size(1) >= 1 && block.length + tokens.size(1) <= block.block.front().size(2),
              "a block has 1 to ", config_.block_width, " tokens");
  auto x = at::embedding(weights_.embedding, tokens).to(at::kFloat);
  for (std::size_t i = 0; i < weights_.layers.size(); ++i) {
    const auto& layer = weights_.layers[i];
    x = x + attend(i, rms_norm(x, layer.attention_norm), block);
    const auto normed = rms_norm(x, layer.feed_forward_norm);
    x = x + project(at::silu(project(normed, layer.gate)) * project(normed, layer.up), layer.down);
  }
  block.length += tokens.size(1);
  return rms_norm(x, weights_.norm);
}

Recurrence PretrainedTransformer::close_block(const OpenPretrainedBlock& block,
                                              const Recurrence& before) const {
  if (block.length < config_.block_width) return before;
  const auto sinks = config_.attention_sinks, latest = config_.memory_blocks * config_.block_width;
  Recurrence next;
  for (std::size_t i = 0; i < block.block.size(); ++i) {
    std::vector<at::Tensor> parts{block.block[i]};
    if (!before.memories.empty()) {
      const auto& past = before.memories[i];
      // Sinks stay; of the rest, the latest positions.
      const auto kept = std::min(past.size(2) - sinks, latest - config_.block_width);
      parts = {past.narrow(2, 0, sinks), past.narrow(2, past.size(2) - kept, kept), block.block[i]};
    }
    next.memories.push_back(parts.size() == 1 ? parts.front() : at::cat(parts, 2));
  }
  return next;
}

at::Tensor PretrainedTransformer::forward_block(const at::Tensor& tokens, Recurrence& recurrence) const {
  auto block = open_block(recurrence, tokens.size(0), tokens.size(1));
  auto hidden = extend_block(tokens, block);
  recurrence = close_block(block, recurrence);
  return hidden;
}

at::Tensor PretrainedTransformer::to_logits(const at::Tensor& hidden) const {
  return project(hidden, {weights_.output, {}});
}

}  // namespace unroll
