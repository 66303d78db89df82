#include "model/block_recurrent_transformer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>

#include "model/checkpoint.h"

namespace unroll {
namespace {

constexpr double kLayerNormEpsilon = 1e-5;
constexpr double kReferenceRmsnormScale = 8;
constexpr std::int64_t kNoPadding = 0;

/// x times weight transposed, in the weight's precision.
at::Tensor project(const at::Tensor& x, const at::Tensor& weight) {
  if (x.scalar_type() == weight.scalar_type()) return at::linear(x, weight);
  return at::linear(x.to(weight.scalar_type()), weight).to(x.scalar_type());
}

at::Tensor l2norm(const at::Tensor& x) {
  return x / x.norm(2, -1, true).clamp_min(1e-12);
}

at::Tensor split_heads(const at::Tensor& x, std::int64_t heads) {  // [b, n, h*d] -> [b, h, n, d]
  return x.unflatten(-1, {heads, -1}).transpose(1, 2);
}

at::Tensor merge_heads(const at::Tensor& x) {
  return x.transpose(1, 2).flatten(2);
}  // [b, h, n, d] -> [b, n, h*d]

/// The sum of a residual branch and what it branches from, or the fixed gate between them.
at::Tensor add_residual(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate) {
  if (!gate.defined()) return x + branch;
  const auto decay = gate.sigmoid();
  return decay * branch + (1 - decay) * x;
}

}  // namespace

Recurrence Recurrence::detached() const {
  Recurrence result;
  for (const auto& memory : memories) result.memories.push_back(memory.detach());
  for (const auto& state : states) result.states.push_back(state.detach());
  return result;
}

Recurrence Recurrence::row(std::int64_t index) const {
  const auto alone = [&](const at::Tensor& all, std::int64_t dimension) {
    return all.size(dimension) == 1 ? all : all.narrow(dimension, index, 1).clone();
  };
  Recurrence result;
  for (const auto& memory : memories) result.memories.push_back(alone(memory, 1));
  for (const auto& state : states) result.states.push_back(alone(state, 0));
  if (memories_visible.defined()) result.memories_visible = alone(memories_visible, 0);
  return result;
}

Recurrence join(std::span<const Recurrence> rows) {
  if (rows.size() == 1) return rows.front();
  const auto concatenate = [&](auto list, std::int64_t dimension) {
    std::vector<at::Tensor> result;
    for (std::size_t i = 0; i < (rows.front().*list).size(); ++i) {
      std::vector<at::Tensor> parts;
      for (const auto& row : rows) parts.push_back((row.*list)[i]);
      result.push_back(at::cat(parts, dimension));
    }
    return result;
  };
  Recurrence all;
  all.memories = concatenate(&Recurrence::memories, 1);
  all.states = concatenate(&Recurrence::states, 0);
  return all;
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, gamma.sizes(), gamma, beta, kLayerNormEpsilon);
}

at::Tensor Attention::ready_queries(const at::Tensor& q, const RotaryTables* rotary,
                                    std::int64_t behind) const {
  const auto scaled = q_scale ? l2norm(q) * *q_scale : q;
  return rotary ? rotary->rotate_queries(scaled, behind) : scaled;
}

at::Tensor Attention::ready_keys(const at::Tensor& k, const RotaryTables* rotary, std::int64_t behind) const {
  const auto heads = split_heads(k, kv_heads);
  const auto scaled = k_scale ? l2norm(heads) * *k_scale : heads;
  return rotary ? rotary->rotate_keys(scaled, behind) : scaled;
}

at::Tensor Attention::operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const RotaryTables* rotary, const std::optional<at::Tensor>& mask) const {
  return attend(ready_queries(q, rotary), ready_keys(k, rotary), v, mask);
}

at::Tensor Attention::attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const std::optional<at::Tensor>& mask) const {
  const auto expand = [&](const at::Tensor& x) {
    return x.expand({x.size(0), q.size(1), x.size(2), x.size(3)});
  };
  return at::scaled_dot_product_attention(q, expand(k), expand(split_heads(v, kv_heads)), mask, 0.0, false,
                                          scale);
}

StateContainer::Reading StateContainer::prepare(const at::Tensor& states) const {
  auto normed = state_norm(states) + state_pos_ids;
  const auto kv = project(normed, state_to_kv).chunk(2, -1);
  return {states, normed, kv[0], kv[1]};
}

at::Tensor StateContainer::read(const at::Tensor& x, const Reading& reading) const {
  const auto q = split_heads(project(x, q_to_state), heads);
  return merge_heads(to_state_cross_attn(q, reading.k, reading.v, nullptr, std::nullopt));
}

at::Tensor StateContainer::write(const Reading& reading, const at::Tensor& k, const at::Tensor& v) const {
  const auto self_q = split_heads(project(reading.normed, state_to_q), heads);
  const auto cross_q = split_heads(project(reading.normed, q_from_state), heads);
  const auto self_out = state_self_attn(self_q, reading.k, reading.v, nullptr, std::nullopt);
  const auto cross_out = from_state_cross_attn(cross_q, k, v, nullptr, std::nullopt);
  // The reference joins the two along each head, so the halves interleave head by head.
  const auto out =
      project(merge_heads(at::cat(std::vector<at::Tensor>{self_out, cross_out}, -1)), to_state_out);
  const auto z = project(out, gate_weight) + gate_bias;
  const auto decay = learned_ema_beta.sigmoid();
  return decay * z + (1 - decay) * reading.states;
}

BlockRecurrentTransformer::BlockRecurrentTransformer(ModelConfig config, TensorMap parameters)
    : config_(std::move(config)),
      parameters_(std::move(parameters)),
      token_emb_(parameter("token_emb.weight")),
      logits_weight_(parameter("to_logits.1.weight")),
      logits_norm_(make_norm("to_logits.0.")),
      rotary_(config_.dim_head, (config_.use_compressed_mem ? 3 : 2) * config_.block_width,
              token_emb_.device()),
      causal_mask_(at::ones({config_.block_width, config_.block_width}, token_emb_.options().dtype(at::kBool))
                       .tril()) {
  recurrent_layers_ = config_.recurrent_layers;
  std::ranges::sort(recurrent_layers_);
  for (std::int64_t layer = 1; layer <= config_.depth; ++layer) layers_.push_back(make_layer(layer));
}

const at::Tensor& BlockRecurrentTransformer::parameter(const std::string& name) const {
  const auto found = parameters_.find(name);
  if (found == parameters_.end()) throw std::invalid_argument("no parameter " + name);
  return found->second;
}

LayerNorm BlockRecurrentTransformer::make_norm(const std::string& prefix) const {
  return {parameter(prefix + "gamma"), parameter(prefix + "beta")};
}

Attention BlockRecurrentTransformer::make_attention(const std::string& prefix, bool qk_rmsnorm) const {
  Attention attention;
  attention.kv_heads = config_.kv_dim() / config_.dim_head;
  attention.scale = 1 / std::sqrt(static_cast<double>(config_.dim_head));
  if (qk_rmsnorm) {
    attention.q_scale = parameter(prefix + "q_scale");
    attention.k_scale = parameter(prefix + "k_scale");
    if (config_.apply_qk_rmsnorm_scale) attention.scale = kReferenceRmsnormScale;
  }
  return attention;
}

StateContainer BlockRecurrentTransformer::make_state_container(const std::string& prefix,
                                                               bool qk_rmsnorm) const {
  StateContainer container;
  container.state_norm = make_norm(prefix + "state_norm.");
  container.q_to_state = parameter(prefix + "q_to_state.weight");
  container.q_from_state = parameter(prefix + "q_from_state.weight");
  container.state_to_q = parameter(prefix + "state_to_q.weight");
  container.state_to_kv = parameter(prefix + "state_to_kv.weight");
  container.init_state = parameter(prefix + "init_state");
  container.state_pos_ids = parameter(prefix + "state_pos_ids");
  container.to_state_out = parameter(prefix + "to_state_out.weight");
  container.gate_weight = parameter(prefix + "state_out_to_gate.weight");
  container.gate_bias = parameter(prefix + "state_out_to_gate.bias");
  container.learned_ema_beta = parameter(prefix + "learned_ema_beta");
  container.to_state_cross_attn = make_attention(prefix + "to_state_cross_attn.", qk_rmsnorm);
  container.state_self_attn = make_attention(prefix + "state_self_attn.", qk_rmsnorm);
  container.from_state_cross_attn = make_attention(prefix + "from_state_cross_attn.", qk_rmsnorm);
  container.heads = config_.heads;
  return container;
}

Layer BlockRecurrentTransformer::make_layer(std::int64_t layer) const {
  const std::string prefix = "layers." + std::to_string(layer - 1) + ".";
  const bool qk_rmsnorm = config_.has_qk_rmsnorm(layer);
  Layer result;
  result.norm = make_norm(prefix + "0.norm.");
  result.to_q = parameter(prefix + "0.to_q.weight");
  result.to_kv = parameter(prefix + "0.to_kv.weight");
  result.to_out = parameter(prefix + "0.to_out.weight");
  result.attn = make_attention(prefix + "0.attn.", qk_rmsnorm);
  if (config_.is_recurrent(layer)) {
    result.state_container = make_state_container(prefix + "0.state_container.", qk_rmsnorm);
  }
  // States count from the bottom of the network, as the reference's router and lists do.
  const auto read_here = config_.states_read_at(layer);
  for (std::size_t i = 0; i < recurrent_layers_.size(); ++i) {
    if (std::ranges::count(read_here, recurrent_layers_[i]) > 0) result.reads_states.push_back(i);
  }
  result.ff_norm = make_norm(prefix + "1.0.");
  result.ff_in = parameter(prefix + "1.1.weight");
  result.ff_out = parameter(prefix + "1.3.weight");
  if (config_.gate_residuals) {
    result.attention_gate = parameter(prefix + "0.residual_gate");
    result.ff_gate = parameter(prefix + "1.residual_gate");
  }
  if (config_.use_compressed_mem && config_.compressed_mem_factor > 1) {
    const std::string conv = "mem_manager.layers." + std::to_string(layer - 1) + ".1.1.";
    result.compress_weight = parameter(conv + "weight");
    result.compress_bias = parameter(conv + "bias");
  }
  return result;
}

at::Tensor next_memory(const ModelConfig& config, const Layer& layer, const at::Tensor& past,
                       const at::Tensor& block) {
  if (!config.use_compressed_mem) return block;  // block_width positions, and the block has just those
  const auto width = config.block_width;
  const auto compressed_width = width / 2;
  if (!past.defined()) return block;
  // What the block pushes out of the short memory is the block before it; its compression joins the long one,
  // on the left.
  auto leaving = past.slice(2, -width);
  auto compressed = past.slice(2, 0, -width);
  compressed = compressed.slice(2, std::max<std::int64_t>(0, compressed.size(2) - compressed_width));
  const auto factor = config.compressed_mem_factor;
  if (factor > 1) {
    const auto kept = leaving.size(2) / factor * factor;
    leaving = leaving.slice(2, leaving.size(2) - kept);
    if (kept > 0) {
      const auto channels = leaving.permute({1, 0, 3, 2}).flatten(1, 2);  // [batch, 2 * kv_dim, positions]
      const auto shorter = at::conv1d(channels, layer.compress_weight, layer.compress_bias,
                                      at::IntArrayRef(factor), at::IntArrayRef(kNoPadding), 1, 2);
      leaving = shorter.unflatten(1, {2, -1}).permute({1, 0, 3, 2});  // [2, batch, positions, kv_dim]
    }
  }
  compressed = at::cat(std::vector<at::Tensor>{compressed, leaving}, 2);
  compressed = compressed.slice(2, std::max<std::int64_t>(0, compressed.size(2) - compressed_width));
  return at::cat(std::vector<at::Tensor>{compressed, block}, 2);
}

std::vector<at::Tensor> BlockRecurrentTransformer::initial_states(std::int64_t batch) const {
  std::vector<at::Tensor> states;
  for (std::size_t i = 0; i < recurrent_layers_.size(); ++i) {
    states.push_back(state_container(i).init_state.unsqueeze(0).expand({batch, -1, -1}));
  }
  return states;
}

at::Tensor BlockRecurrentTransformer::attention_mask(std::int64_t length, std::int64_t past_length,
                                                     const at::Tensor& memories_visible) const {
  const auto causal = causal_mask_.slice(0, 0, length).slice(1, 0, length);
  if (past_length == 0) return causal;
  if (!memories_visible.defined())
    return at::cat(std::vector<at::Tensor>{at::ones({length, past_length}, causal.options()), causal}, 1);
  const auto batch = memories_visible.size(0);
  return at::cat(
      std::vector<at::Tensor>{memories_visible.view({batch, 1, 1, 1}).expand({batch, 1, length, past_length}),
                              causal.expand({batch, 1, length, length})},
      -1);
}

at::Tensor BlockRecurrentTransformer::attend(const Layer& layer, const at::Tensor& x, const at::Tensor& k,
                                             const at::Tensor& v, const at::Tensor& past,
                                             const at::Tensor& memories_visible,
                                             const std::vector<StateContainer::Reading>& readings) const {
  const auto mask = attention_mask(x.size(1), past.defined() ? past.size(2) : 0, memories_visible);
  const auto q = split_heads(project(x, layer.to_q), config_.heads);
  if (!past.defined())
    return read_states(layer, x, merge_heads(layer.attn(q, k, v, &rotary_, mask)), readings);
  const auto keys = at::cat(std::vector<at::Tensor>{past[0], k}, 1);
  const auto values = at::cat(std::vector<at::Tensor>{past[1], v}, 1);
  return read_states(layer, x, merge_heads(layer.attn(q, keys, values, &rotary_, mask)), readings);
}

at::Tensor BlockRecurrentTransformer::read_states(
    const Layer& layer, const at::Tensor& x, const at::Tensor& attended,
    const std::vector<StateContainer::Reading>& readings) const {
  std::vector<at::Tensor> parts{attended};
  for (const auto state : layer.reads_states)
    parts.push_back(state_container(state).read(x, readings[state]));
  return project(parts.size() == 1 ? parts.front() : at::cat(parts, -1), layer.to_out);
}

at::Tensor BlockRecurrentTransformer::feed_forward(const Layer& layer, const at::Tensor& x) const {
  const auto ff = project(layer.ff_norm(x), layer.ff_in).chunk(2, -1);
  return project(at::gelu(ff[1]) * ff[0], layer.ff_out);
}

at::Tensor BlockRecurrentTransformer::forward_block(const at::Tensor& tokens, Recurrence& recurrence) const {
  const auto length = tokens.size(1);
  TORCH_CHECK(length >= 1 && length <= config_.block_width, "a block has 1 to ", config_.block_width,
              " tokens");
  const bool full = length == config_.block_width;
  const auto states = recurrence.states.empty() ? initial_states(tokens.size(0)) : recurrence.states;
  std::vector<StateContainer::Reading> readings;
  for (std::size_t i = 0; i < states.size(); ++i) readings.push_back(state_container(i).prepare(states[i]));

  Recurrence next;
  auto x = at::embedding(token_emb_, tokens);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto& layer = layers_[i];
    const auto past = recurrence.memories.empty() ? at::Tensor() : recurrence.memories[i];
    const auto normed = layer.norm(x);
    const auto kv = project(normed, layer.to_kv).chunk(2, -1);
    const auto attended = attend(layer, normed, kv[0], kv[1], past, recurrence.memories_visible, readings);
    x = add_residual(x, attended, layer.attention_gate);
    if (layer.state_container) {
      next.states.push_back(layer.state_container->write(readings[next.states.size()], kv[0], kv[1]));
    }
    x = add_residual(x, feed_forward(layer, x), layer.ff_gate);
    if (full && config_.use_memories)
      next.memories.push_back(next_memory(config_, layer, past, at::stack({kv[0], kv[1]})));
  }
  if (!full) next.memories = recurrence.memories;
  recurrence = std::move(next);
  return x;
}

OpenBlock BlockRecurrentTransformer::open_block(const Recurrence& before, std::int64_t batch) const {
  const auto width = config_.block_width;
  OpenBlock block;
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
    const auto& memory = before.memories[i];
    block.keys[i]
        .narrow(2, 0, block.memory_length)
        .copy_(layers_[i].attn.ready_keys(memory[0], &rotary_, width));
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
    block.keys[i].narrow(2, begin, length).copy_(layer.attn.ready_keys(kv[0], &rotary_, behind));
    block.values[i].narrow(1, begin, length).copy_(kv[1]);
    const auto q = split_heads(project(normed, layer.to_q), config_.heads);
    const auto attended = layer.attn.attend(layer.attn.ready_queries(q, &rotary_, behind),
                                            block.keys[i].narrow(2, 0, begin + length),
                                            block.values[i].narrow(1, 0, begin + length), mask);
    x = add_residual(x, read_states(layer, normed, merge_heads(attended), block.readings),
                     layer.attention_gate);
    x = add_residual(x, feed_forward(layer, x), layer.ff_gate);
  }
  block.length += length;
  return x;
}

Recurrence BlockRecurrentTransformer::close_block(const OpenBlock& block, const Recurrence& before) const {
  const bool full = block.length == config_.block_width;
  Recurrence next;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto kv = block.block[i].narrow(2, 0, block.length);
    if (layers_[i].state_container)
      next.states.push_back(
          layers_[i].state_container->write(block.readings[next.states.size()], kv[0], kv[1]));
    const auto past = before.memories.empty() ? at::Tensor() : before.memories[i];
    if (full && config_.use_memories) next.memories.push_back(next_memory(config_, layers_[i], past, kv));
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
    } else if (ends("init_state") || ends("learned_ema_beta") || ends("residual_gate")) {
      tensor.normal_(0, 0.1);
    } else if (ends("state_pos_ids") || name == "token_emb.weight") {
      tensor.normal_(0, 1);
    } else {
      // torch.nn.Linear and Conv1d: uniform in 1/sqrt(fan in); a bias has its weight's fan in, dim for the
      // gate.
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
