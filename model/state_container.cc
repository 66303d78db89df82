#include "model/state_container.h"

#include <vector>

#include <ATen/ATen.h>

namespace unroll {
namespace {

constexpr double kLeastNorm = 1e-12;

at::Tensor gelu_gated(const at::Tensor& x, const at::Tensor& in) {
  const auto halves = project(x, in).chunk(2, -1);
  return at::gelu(halves[1]) * halves[0];
}

}  // namespace

at::Tensor StateGate::operator()(const at::Tensor& before, const at::Tensor& hidden) const {
  const auto z = project(hidden, weight) + bias;
  if (beta.defined()) {
    const auto decay = beta.sigmoid();
    return decay * z + (1 - decay) * before;
  }
  // Equations 6 to 9 of the paper: before training the gate keeps most of the old state and adds little.
  const auto parts = z.chunk(3, -1);
  return before * (parts[2] + 1).sigmoid() + parts[0].tanh() * (parts[1] - 1).sigmoid();
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
  if (forget_bias.defined()) return write_slots(reading, k, v);
  const auto self_q = split_heads(project(reading.normed, state_to_q), heads);
  const auto cross_q = split_heads(project(reading.normed, q_from_state), heads);
  const auto self_out = state_self_attn(self_q, reading.k, reading.v, nullptr, std::nullopt);
  const auto cross_out = from_state_cross_attn(cross_q, k, v, nullptr, std::nullopt);
  // The reference joins the two along each head, so the halves interleave head by head.
  const auto joined = merge_heads(at::cat(std::vector<at::Tensor>{self_out, cross_out}, -1));
  if (cell == StateCell::kSingle) return gate(reading.states, gelu_gated(joined, ff_in));
  const auto attended = gate(reading.states, project(joined, to_state_out));
  return cell == StateCell::kSkip ? attended : ff_gate(attended, gelu_gated(ff_norm(attended), ff_in));
}

/// Equations 6 to 13 of Memformer: each slot attends to itself and to the block, not to other slots. A slot
/// that finds nothing in the block stays as it is, except that it moves a little towards its bias each time:
/// it forgets.
at::Tensor StateContainer::write_slots(const Reading& reading, const at::Tensor& k,
                                       const at::Tensor& v) const {
  const auto q =
      from_state_cross_attn.ready_queries(split_heads(project(reading.normed, state_to_q), heads), nullptr);
  const auto own_keys = from_state_cross_attn.ready_keys(reading.k, nullptr);
  const auto keys = from_state_cross_attn.ready_keys(k, nullptr);
  const auto own = (q * own_keys).sum(-1, true);  // [batch, heads, slots, 1]
  const auto others = at::matmul(q, keys.transpose(-1, -2));
  const auto weights =
      (at::cat(std::vector<at::Tensor>{own, others}, -1) * from_state_cross_attn.scale).softmax(-1);
  const auto seen =
      at::matmul(weights.narrow(-1, 1, others.size(-1)), split_heads(v, from_state_cross_attn.kv_heads));
  // A head keeps its share of a slot's channels: the slot is its own value.
  const auto kept = split_heads(reading.states, heads) * weights.narrow(-1, 0, 1);
  const auto next = merge_heads(kept) + project(merge_heads(seen), to_state_out) + forget_bias;
  return next / next.norm(2, -1, true).clamp_min(kLeastNorm);
}

at::Tensor StateContainer::initial() const {
  return forget_bias.defined() ? l2norm(forget_bias) : init_state;
}

StateContainer make_state_container(const ModelConfig& config, const std::string& prefix, bool qk_rmsnorm,
                                    const FindParameter& parameter) {
  const auto make_gate = [&](const std::string& weight, const std::string& beta) {
    return StateGate{parameter(prefix + weight + ".weight"), parameter(prefix + weight + ".bias"),
                     config.state_gate == StateGateKind::kFixed ? parameter(prefix + beta) : at::Tensor()};
  };
  StateContainer container;
  container.heads = config.heads;
  container.cell = config.state_cell;
  container.state_norm = make_norm(prefix + "state_norm.", parameter);
  container.q_to_state = parameter(prefix + "q_to_state.weight");
  container.state_to_q = parameter(prefix + "state_to_q.weight");
  container.state_to_kv = parameter(prefix + "state_to_kv.weight");
  container.state_pos_ids = parameter(prefix + "state_pos_ids");
  container.to_state_cross_attn =
      make_attention(config, prefix + "to_state_cross_attn.", qk_rmsnorm, parameter);
  container.from_state_cross_attn =
      make_attention(config, prefix + "from_state_cross_attn.", qk_rmsnorm, parameter);
  if (config.state_gate == StateGateKind::kMemformer) {
    container.to_state_out = parameter(prefix + "to_state_out.weight");
    container.forget_bias = parameter(prefix + "forget_bias");
    return container;
  }
  container.q_from_state = parameter(prefix + "q_from_state.weight");
  container.init_state = parameter(prefix + "init_state");
  container.state_self_attn = make_attention(config, prefix + "state_self_attn.", qk_rmsnorm, parameter);
  container.gate = make_gate("state_out_to_gate", "learned_ema_beta");
  if (config.state_cell != StateCell::kSingle)
    container.to_state_out = parameter(prefix + "to_state_out.weight");
  if (config.state_cell != StateCell::kSkip) container.ff_in = parameter(prefix + "state_ff_in.weight");
  if (config.state_cell == StateCell::kDual) {
    container.ff_norm = make_norm(prefix + "state_ff_norm.", parameter);
    container.ff_gate = make_gate("state_ff_to_gate", "learned_ff_beta");
  }
  return container;
}

}  // namespace unroll
