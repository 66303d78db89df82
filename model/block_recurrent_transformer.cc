#include "model/block_recurrent_transformer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>

#include "model/checkpoint.h"

namespace unroll {
namespace {

/// x + branch, or the fixed gate between the two.
at::Tensor add_residual(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate) {
  if (!gate.defined()) return x + branch;
  const auto decay = gate.sigmoid();
  return decay * branch + (1 - decay) * x;
}

/// bool [batch, positions]: which positions of the next memory are visible, undefined if all are. A position
/// is visible only if all that it was made from is. Follows the moves of memory.h.
at::Tensor next_visible(ModelConfig config, const at::Tensor& visible) {
  config.compressed_mem_method = CompressionMethod::kMean;
  const auto past = visible.to(at::kFloat).unsqueeze(0).unsqueeze(-1);  // [1, batch, positions, 1]
  const auto block = at::ones({1, visible.size(0), config.block_width, 1}, past.options());
  const auto next = next_memory(config, {}, past, block).squeeze(-1).squeeze(0) >= 1;
  return next.all().item<bool>() ? at::Tensor() : next;
}

}  // namespace

BlockRecurrentTransformer::BlockRecurrentTransformer(ModelConfig config, TensorMap parameters)
    : config_(std::move(config)),
      parameters_(std::move(parameters)),
      token_emb_(parameter("token_emb.weight")),
      logits_weight_(parameter("to_logits.1.weight")),
      logits_norm_(make_norm(
          "to_logits.0.", [this](const auto& name) -> auto& { return parameter(name); })),
      rotary_(config_.dim_head, memory_length(config_) + config_.block_width, token_emb_.device()),
      causal_mask_(at::ones({config_.block_width, config_.block_width}, token_emb_.options().dtype(at::kBool))
                       .tril()) {
  recurrent_layers_ = config_.recurrent_layers;
  std::ranges::sort(recurrent_layers_);
  for (std::int64_t layer = 1; layer <= config_.depth; ++layer) layers_.push_back(make_layer(layer));
  if (config_.dynamic_position_bias) {
    const auto part = [this](const char* name) {
      return parameter("dynamic_position_bias." + std::string(name));
    };
    position_bias_ = {part("0.weight"), part("0.bias"),   part("2.weight"),
                      part("2.bias"),   part("4.weight"), part("4.bias")};
  }
}

const at::Tensor& BlockRecurrentTransformer::parameter(const std::string& name) const {
  const auto found = parameters_.find(name);
  if (found == parameters_.end()) throw std::invalid_argument("no parameter " + name);
  return found->second;
}

Layer BlockRecurrentTransformer::make_layer(std::int64_t layer) const {
  const std::string prefix = "layers." + std::to_string(layer - 1) + ".";
  const bool qk_rmsnorm = config_.has_qk_rmsnorm(layer);
  const FindParameter find = [this](const std::string& name) -> const at::Tensor& { return parameter(name); };
  Layer result;
  result.norm = make_norm(prefix + "0.norm.", find);
  result.to_q = parameter(prefix + "0.to_q.weight");
  result.to_kv = parameter(prefix + "0.to_kv.weight");
  result.to_out = parameter(prefix + "0.to_out.weight");
  result.attn = make_attention(config_, prefix + "0.attn.", qk_rmsnorm, find);
  if (config_.is_recurrent(layer))
    result.state_container = make_state_container(config_, prefix + "0.state_container.", qk_rmsnorm, find);
  // States count from the bottom of the network, as in the reference's router and lists.
  const auto read_here = config_.states_read_at(layer);
  for (std::size_t i = 0; i < recurrent_layers_.size(); ++i) {
    if (std::ranges::count(read_here, recurrent_layers_[i]) > 0) result.reads_states.push_back(i);
  }
  result.ff_norm = make_norm(prefix + "1.0.", find);
  result.ff_in = parameter(prefix + "1.1.weight");
  result.ff_out = parameter(prefix + "1.3.weight");
  if (config_.gate_residuals) {
    result.attention_gate = parameter(prefix + "0.residual_gate");
    result.ff_gate = parameter(prefix + "1.residual_gate");
  }
  if (config_.convolves_memories()) {
    const std::string conv = "mem_manager.layers." + std::to_string(layer - 1) + ".1.1.";
    result.compression = {parameter(conv + "weight"), parameter(conv + "bias")};
  }
  if (config_.routed_memory_layer == layer)
    result.routed = make_routed_attention(config_, prefix + "0.routed_memory.", result.attn, find);
  return result;
}

std::vector<at::Tensor> BlockRecurrentTransformer::initial_states(std::int64_t batch) const {
  std::vector<at::Tensor> states;
  for (std::size_t i = 0; i < recurrent_layers_.size(); ++i) {
    states.push_back(state_container(i).initial().unsqueeze(0).expand({batch, -1, -1}));
  }
  return states;
}

at::Tensor BlockRecurrentTransformer::attention_mask(std::int64_t length, std::int64_t past_length,
                                                     const at::Tensor& memories_visible) const {
  auto visible = causal_mask_.slice(0, 0, length).slice(1, 0, length);
  if (past_length > 0 && !memories_visible.defined()) {
    visible =
        at::cat(std::vector<at::Tensor>{at::ones({length, past_length}, visible.options()), visible}, 1);
  } else if (past_length > 0) {
    const auto past = memories_visible.unsqueeze(1).unsqueeze(1);
    visible = at::cat(std::vector<at::Tensor>{past.expand({-1, 1, length, -1}),
                                              visible.expand({past.size(0), 1, length, length})},
                      -1);
  }
  if (!position_bias_) return visible;
  return (*position_bias_)(length, past_length)
      .masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity());
}

at::Tensor BlockRecurrentTransformer::attend(const Layer& layer, const at::Tensor& q, const at::Tensor& k,
                                             const at::Tensor& v, const at::Tensor& past,
                                             const at::Tensor& mask) const {
  if (!past.defined()) return merge_heads(layer.attn(q, k, v, rotation(), mask));
  const auto keys = at::cat(std::vector<at::Tensor>{past[0], k}, 1);
  const auto values = at::cat(std::vector<at::Tensor>{past[1], v}, 1);
  return merge_heads(layer.attn(q, keys, values, rotation(), mask));
}

at::Tensor BlockRecurrentTransformer::read_the_past(const Layer& layer, const at::Tensor& x,
                                                    const at::Tensor& attended,
                                                    const std::vector<StateContainer::Reading>& readings,
                                                    const RoutedMemory& routed) const {
  std::vector<at::Tensor> parts{attended};
  for (const auto state : layer.reads_states)
    parts.push_back(state_container(state).read(x, readings[state]));
  if (layer.routed) parts.push_back(layer.routed->read(x, routed));
  return project(parts.size() == 1 ? parts.front() : at::cat(parts, -1), layer.to_out);
}

at::Tensor BlockRecurrentTransformer::feed_forward(const Layer& layer, const at::Tensor& x) const {
  const auto ff = project(layer.ff_norm(x), layer.ff_in).chunk(2, -1);
  return project(at::gelu(ff[1]) * ff[0], layer.ff_out);
}

at::Tensor BlockRecurrentTransformer::forward_block(const at::Tensor& tokens, Recurrence& recurrence,
                                                    at::Tensor* compression) const {
  const auto length = tokens.size(1);
  TORCH_CHECK(length >= 1 && length <= config_.block_width, "a block has 1 to ", config_.block_width,
              " tokens");
  const bool full = length == config_.block_width;
  const auto states = recurrence.states.empty() ? initial_states(tokens.size(0)) : recurrence.states;
  std::vector<StateContainer::Reading> readings;
  for (std::size_t i = 0; i < states.size(); ++i) readings.push_back(state_container(i).prepare(states[i]));
  const auto& memories = recurrence.memories;
  const auto mask =
      attention_mask(length, memories.empty() ? 0 : memories.front().size(2), recurrence.memories_visible);

  Recurrence next;
  next.routed = recurrence.routed;
  std::vector<at::Tensor> losses;
  auto x = at::embedding(token_emb_, tokens);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto& layer = layers_[i];
    const auto normed = layer.norm(x);
    const auto kv = project(normed, layer.to_kv).chunk(2, -1);
    const auto q = split_heads(project(normed, layer.to_q), config_.heads);
    const auto attended =
        attend(layer, q, kv[0], kv[1], memories.empty() ? at::Tensor() : memories[memory_read_at(i)], mask);
    x = add_residual(x, read_the_past(layer, normed, attended, readings, recurrence.routed),
                     layer.attention_gate);
    if (layer.state_container)
      next.states.push_back(layer.state_container->write(readings[next.states.size()], kv[0], kv[1]));
    x = add_residual(x, feed_forward(layer, x), layer.ff_gate);
    if (!full) continue;
    if (layer.routed)
      next.routed =
          layer.routed->append(recurrence.routed, project(normed, layer.routed->to_route_k), kv[0], kv[1]);
    if (!config_.use_memories) continue;
    const auto past = memories.empty() ? at::Tensor() : memories[i];
    next.memories.push_back(next_memory(config_, layer.compression, past, at::stack({kv[0], kv[1]})));
    if (compression && layer.compression.weight.defined())
      losses.push_back(compression_loss(config_, layer.compression, layer.attn, q, past));
  }
  if (!full) next.memories = memories;
  if (recurrence.memories_visible.defined())
    next.memories_visible =
        full ? next_visible(config_, recurrence.memories_visible) : recurrence.memories_visible;
  if (compression)
    *compression = losses.empty() || !losses.front().defined() ? at::Tensor() : at::stack(losses).mean();
  recurrence = std::move(next);
  return x;
}

OpenBlock BlockRecurrentTransformer::open_block(const Recurrence& before, std::int64_t batch) const {
  const auto width = config_.block_width;
  OpenBlock block;
  block.routed = before.routed;
  const auto states = before.states.empty() ? initial_states(batch) : before.states;
  for (std::size_t i = 0; i < states.size(); ++i)
    block.readings.push_back(state_container(i).prepare(states[i]));
  if (!before.memories.empty()) block.memory_length = before.memories.front().size(2);
  const auto room = [&](std::vector<std::int64_t> shape) { return at::empty(shape, token_emb_.options()); };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto length = block.memory_length + width, kv_heads = layers_[i].attn.kv_heads;
    block.keys.push_back(room({batch, kv_heads, length, config_.dim_head}));
    block.values.push_back(room({batch, length, config_.kv_dim()}));
    block.block.push_back(room({2, batch, width, config_.kv_dim()}));
    if (block.memory_length == 0) continue;
    const auto& memory = before.memories[memory_read_at(i)];
    block.keys[i]
        .narrow(2, 0, block.memory_length)
        .copy_(layers_[i].attn.ready_keys(memory[0], rotation(), width));
    block.values[i].narrow(1, 0, block.memory_length).copy_(memory[1]);
  }
  return block;
}

at::Tensor BlockRecurrentTransformer::extend_block(const at::Tensor& tokens, OpenBlock& block) const {
  const auto length = tokens.size(1), begin = block.memory_length + block.length;
  const auto behind = config_.block_width - block.length - length;
  TORCH_CHECK(length >= 1 && behind >= 0, "a block has 1 to ", config_.block_width, " tokens");
  const auto mask = attention_mask(length, begin, {});
  auto x = at::embedding(token_emb_, tokens);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto& layer = layers_[i];
    const auto normed = layer.norm(x);
    const auto kv = project(normed, layer.to_kv).chunk(2, -1);
    block.block[i].narrow(2, block.length, length).copy_(at::stack({kv[0], kv[1]}));
    block.keys[i].narrow(2, begin, length).copy_(layer.attn.ready_keys(kv[0], rotation(), behind));
    block.values[i].narrow(1, begin, length).copy_(kv[1]);
    const auto q = split_heads(project(normed, layer.to_q), config_.heads);
    const auto attended = layer.attn.attend(layer.attn.ready_queries(q, rotation(), behind),
                                            block.keys[i].narrow(2, 0, begin + length),
                                            block.values[i].narrow(1, 0, begin + length), mask);
    x = add_residual(x, read_the_past(layer, normed, merge_heads(attended), block.readings, block.routed),
                     layer.attention_gate);
    if (layer.routed) block.routes.push_back(project(normed, layer.routed->to_route_k));
    x = add_residual(x, feed_forward(layer, x), layer.ff_gate);
  }
  block.length += length;
  return x;
}

Recurrence BlockRecurrentTransformer::close_block(const OpenBlock& block, const Recurrence& before) const {
  const bool full = block.length == config_.block_width;
  Recurrence next;
  next.routed = before.routed;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto kv = block.block[i].narrow(2, 0, block.length);
    if (layers_[i].state_container)
      next.states.push_back(
          layers_[i].state_container->write(block.readings[next.states.size()], kv[0], kv[1]));
    const auto past = before.memories.empty() ? at::Tensor() : before.memories[i];
    if (full && config_.use_memories)
      next.memories.push_back(next_memory(config_, layers_[i].compression, past, kv));
    if (full && layers_[i].routed)
      next.routed = layers_[i].routed->append(before.routed, at::cat(block.routes, 1), kv[0], kv[1]);
  }
  if (!full) next.memories = before.memories;
  return next;
}

at::Tensor BlockRecurrentTransformer::to_logits(const at::Tensor& hidden) const {
  return project(logits_norm_(hidden), logits_weight_);
}

at::Tensor BlockRecurrentTransformer::forward(const at::Tensor& tokens, Recurrence& recurrence) const {
  std::vector<at::Tensor> hidden;
  for (const auto& block : tokens.split(config_.block_width, 1))
    hidden.push_back(forward_block(block, recurrence));
  return to_logits(at::cat(hidden, 1));
}

bool BlockRecurrentTransformer::is_trainable(std::string_view name) {
  return !name.ends_with(".beta");
}

TensorMap random_parameters(const ModelConfig& config) {
  TensorMap result;
  for (const auto& [name, shape] : expected_parameters(config)) {
    const auto ends = [&name = name](std::string_view suffix) { return name.ends_with(suffix); };
    auto tensor = at::empty(shape, at::kFloat);
    if (ends(".beta")) {
      tensor.zero_();
    } else if (ends("gamma") || ends("q_scale") || ends("k_scale")) {
      tensor.fill_(1);
    } else if (ends("init_state") || ends("_beta") || ends("residual_gate")) {
      tensor.normal_(0, 0.1);
    } else if (ends("state_pos_ids") || ends("forget_bias") || name == "token_emb.weight") {
      tensor.normal_(0, 1);
    } else {
      // As torch.nn.Linear and Conv1d: uniform in 1/sqrt(fan in). A bias has its weight's fan in; the gate's
      // has dim.
      auto fan_in = config.dim;
      if (name.starts_with("mem_manager"))
        fan_in = config.kv_dim() * config.compressed_mem_factor;
      else if (shape.size() == 2)
        fan_in = shape[1];
      const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
      tensor.uniform_(-bound, bound);
    }
    result.emplace(name, std::move(tensor));
  }
  return result;
}

}  // namespace unroll
