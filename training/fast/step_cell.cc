#include "training/fast/step_cell.h"

#include <algorithm>
#include <cmath>

namespace unroll {
namespace {

float sigmoid(float x) {
  return 1 / (1 + std::exp(-x));
}

Vector scale_of(const std::optional<at::Tensor>& scale, const Gradients& gradients) {
  return scale ? gradients.vector(*scale) : Vector();
}

}  // namespace

template <typename Number>
StepCell<Number>::StepCell(const ModelConfig& config, const StateContainer& container,
                           const Gradients& gradients, StepMachine<Number>& machine)
    : machine_(machine),
      dim_(config.dim),
      inner_(config.inner_dim()),
      kv_(config.kv_dim()),
      heads_(config.heads),
      kv_heads_(container.state_self_attn.kv_heads),
      dim_head_(config.dim_head),
      count_(config.num_state_vectors),
      tiles_(round_up(count_, kTileRows) / kTileRows),
      scale_(static_cast<float>(container.state_self_attn.scale)),
      gamma_(gradients.vector(container.state_norm.gamma)),
      places_(gradients.vector(container.state_pos_ids)),
      initial_(gradients.vector(container.init_state)),
      bias_(gradients.vector(container.gate.bias)),
      beta_(container.gate.beta.defined() ? gradients.vector(container.gate.beta) : Vector()),
      self_q_scale_(scale_of(container.state_self_attn.q_scale, gradients)),
      self_k_scale_(scale_of(container.state_self_attn.k_scale, gradients)),
      cross_q_scale_(scale_of(container.from_state_cross_attn.q_scale, gradients)),
      cross_k_scale_(scale_of(container.from_state_cross_attn.k_scale, gradients)),
      read_q_scale_(scale_of(container.to_state_cross_attn.q_scale, gradients)),
      read_k_scale_(scale_of(container.to_state_cross_attn.k_scale, gradients)),
      key_value_(gradients.weight<Number>(container.state_to_kv)),
      self_q_(gradients.weight<Number>(container.state_to_q)),
      cross_q_(gradients.weight<Number>(container.q_from_state)),
      out_(gradients.weight<Number>(container.to_state_out)),
      gate_(gradients.weight<Number>(container.gate.weight)) {}

template <typename Number>
void StepCell<Number>::refresh() {
  for (auto* weight : {&key_value_, &self_q_, &cross_q_, &out_, &gate_}) weight->refresh(machine_);
  set(places_.values, place_tiles_.resize<float>(size()));
}

template <typename Number>
void StepCell<Number>::set(const float* rows, float* states) const {
  for (std::int64_t tile = 0; tile < tiles_; ++tile)
    machine_.kernels.tile(rows + tile * kTileRows * dim_, dim_, rows_in(tile), dim_,
                          states + tile * dim_ * kTileRows);
}

template <typename Number>
void StepCell<Number>::get(const float* states, float* rows) const {
  for (std::int64_t tile = 0; tile < tiles_; ++tile)
    tile_kernels<float>().rows(states + tile * dim_ * kTileRows, dim_, rows_in(tile), dim_,
                               rows + tile * kTileRows * dim_);
}

template <typename Number>
void StepCell<Number>::set_initial(float* states) const {
  set(initial_.values, states);
}

template <typename Number>
void StepCell<Number>::add_initial_gradient(const float* d_states) const {
  std::vector<float> rows(static_cast<std::size_t>(count_ * dim_));
  get(d_states, rows.data());
  machine_.loops.add(initial_.gradient, rows.data(), count_ * dim_);
}

template <typename Number>
void StepCell<Number>::Kept::resize(const StepCell& cell, std::int64_t lanes) {
  const auto rows = lanes * cell.tiles_ * kTileRows;
  stats.resize<float>(2 * rows);
  entry.resize<float>(2 * cell.inner_ * rows);
  joined.resize<float>(2 * cell.inner_ * rows);
  kv.resize<float>(2 * lanes * cell.count_ * cell.kv_);
  d_kv.resize<float>(2 * lanes * cell.count_ * cell.kv_);
  self_lse.resize<float>(cell.heads_ * rows);
  cross_lse.resize<float>(cell.heads_ * rows);
  out.resize<float>(cell.dim_ * rows);
  z.resize<float>(cell.gate_.out() * rows);
}

template <typename Number>
KeySegment StepCell<Number>::segment(Kept& kept, std::int64_t lanes) const {
  const auto half = lanes * count_ * kv_;
  auto *kv = kept.kv.template data<float>(), *d_kv = kept.d_kv.template data<float>();
  return {kv, kv + half, d_kv, d_kv + half, count_};
}

template <typename Number>
void StepCell<Number>::prepare(const float* states, Kept& kept, std::int64_t lanes) {
  kept.resize(*this, lanes);
  const auto half = lanes * count_ * kv_;
  std::fill_n(kept.d_kv.template data<float>(), 2 * half, 0.0F);
  machine_.parallel(lanes * tiles_, [&](std::int64_t tile, Room& room) {
    const auto size = dim_ * kTileRows;
    auto* normed = room.take<float>(0, size);
    machine_.loops.layer_norm(states + tile * size, gamma_.values, dim_,
                              kept.stats.template data<float>() + tile * 2 * kTileRows, normed);
    machine_.loops.add(normed, place_tiles_.data<float>() + tile % tiles_ * size, size);
    const auto* in = machine_.right_side(normed, dim_, room, 1);
    auto* entry = kept.entry.template data<float>() + tile * 2 * inner_ * kTileRows;
    self_q_.forward(in, entry);
    cross_q_.forward(in, entry + inner_ * kTileRows);
    auto* kv = room.take<float>(2, 2 * kv_ * kTileRows);
    key_value_.forward(in, kv);
    auto* to = kept.kv.template data<float>() + (tile / tiles_ * count_ + tile % tiles_ * kTileRows) * kv_;
    const auto rows = rows_in(tile % tiles_);
    tile_kernels<float>().rows(kv, kv_, rows, kv_, to);
    tile_kernels<float>().rows(kv + kv_ * kTileRows, kv_, rows, kv_, to + half);
  });
}

/// Attention of the states to themselves or to the block. The reference joins the two head by head.
template <typename Number>
AttentionCall StepCell<Number>::call(Kept& kept, std::int64_t lanes, bool cross, const KeySegment& keys) {
  AttentionCall call;
  call.lanes = lanes;
  call.heads = heads_;
  call.kv_heads = kv_heads_;
  call.dim_head = dim_head_;
  call.query_tiles = tiles_;
  call.scale = scale_;
  call.q_scale = cross ? cross_q_scale_ : self_q_scale_;
  call.k_scale = cross ? cross_k_scale_ : self_k_scale_;
  call.segments[0] = keys;
  call.q_stride = call.out_stride = 2 * inner_ * kTileRows;
  call.out_head = 2 * dim_head_;
  const auto own = (cross ? inner_ : 0) * kTileRows, half = (cross ? dim_head_ : 0) * kTileRows;
  call.q = kept.entry.template data<float>() + own;
  call.out = kept.joined.template data<float>() + half;
  call.lse = (cross ? kept.cross_lse : kept.self_lse).template data<float>();
  call.dq = d_entry_.data<float>() + own;
  call.d_out = d_joined_.data<float>() + half;
  return call;
}

template <typename Number>
void StepCell<Number>::write(const float* states, Kept& kept, std::int64_t lanes, const KeySegment& block,
                             StepAttention<Number>& attention, float* next) {
  attention.forward(call(kept, lanes, false, segment(kept, lanes)));
  attention.forward(call(kept, lanes, true, block));
  machine_.parallel(lanes * tiles_, [&](std::int64_t tile, Room& room) {
    const auto* joined = kept.joined.template data<float>() + tile * 2 * inner_ * kTileRows;
    auto* out = kept.out.template data<float>() + tile * dim_ * kTileRows;
    out_.forward(machine_.right_side(joined, 2 * inner_, room, 0), out);
    auto* z = kept.z.template data<float>() + tile * gate_.out() * kTileRows;
    gate_.forward(machine_.right_side(out, dim_, room, 0), z);
    for (std::int64_t f = 0; f < gate_.out(); ++f)
      for (std::int64_t i = 0; i < kTileRows; ++i) z[f * kTileRows + i] += bias_.values[f];
    gate(states + tile * dim_ * kTileRows, z, next + tile * dim_ * kTileRows);
  });
}

template <typename Number>
void StepCell<Number>::gate(const float* states, const float* z, float* next) const {
  const auto size = dim_ * kTileRows;
  for (std::int64_t f = 0; f < dim_; ++f) {
    const auto share = beta_.values ? sigmoid(beta_.values[f]) : 0;
    for (std::int64_t i = f * kTileRows; i < (f + 1) * kTileRows; ++i)
      next[i] = beta_.values
                    ? share * z[i] + (1 - share) * states[i]
                    : states[i] * sigmoid(z[2 * size + i] + 1) + std::tanh(z[i]) * sigmoid(z[size + i] - 1);
  }
}

template <typename Number>
void StepCell<Number>::gate_back(const float* states, const float* z, const float* d_next, float* dz,
                                 float* d_states, float* d_beta) const {
  const auto size = dim_ * kTileRows;
  for (std::int64_t f = 0; f < dim_; ++f) {
    const auto share = beta_.values ? sigmoid(beta_.values[f]) : 0;
    for (std::int64_t i = f * kTileRows; i < (f + 1) * kTileRows; ++i) {
      const auto d = d_next[i];
      if (beta_.values) {
        dz[i] = d * share;
        d_states[i] = d * (1 - share);
        d_beta[f] += d * (z[i] - states[i]) * share * (1 - share);
        continue;
      }
      const auto in = std::tanh(z[i]), open = sigmoid(z[size + i] - 1), kept = sigmoid(z[2 * size + i] + 1);
      dz[i] = d * open * (1 - in * in);
      dz[size + i] = d * in * open * (1 - open);
      dz[2 * size + i] = d * states[i] * kept * (1 - kept);
      d_states[i] = d * kept;
    }
  }
}

template <typename Number>
void StepCell<Number>::write_back(const float* states, Kept& kept, std::int64_t lanes,
                                  const KeySegment& block, StepAttention<Number>& attention,
                                  const float* d_next, float* d_states) {
  const auto all = lanes * tiles_, size = dim_ * kTileRows;
  d_z_.resize(gate_.out(), all);
  gate_in_.resize(dim_, all);
  d_out_.resize(dim_, all);
  joined_in_.resize(2 * inner_, all);
  d_entry_.resize<float>(all * 2 * inner_ * kTileRows);
  d_joined_.resize<float>(all * 2 * inner_ * kTileRows);
  bias_part_.resize(all, gate_.out());
  beta_part_.resize(all, dim_);
  const auto positions = d_z_.positions();
  machine_.parallel(all, [&](std::int64_t tile, Room& room) {
    auto* dz = room.take<float>(0, gate_.out() * kTileRows);
    const auto* z = kept.z.template data<float>() + tile * gate_.out() * kTileRows;
    gate_back(states + tile * size, z, d_next + tile * size, dz, d_states + tile * size,
              beta_part_.part(tile));
    machine_.loops.sum_positions(dz, gate_.out(), bias_part_.part(tile));
    machine_.kernels.plain(dz, gate_.out(), positions, d_z_.left(tile));
    auto* d_out = room.take<float>(1, size);
    gate_.backward(machine_.right_side(dz, gate_.out(), room, 2), d_out);
    machine_.kernels.row_pairs(kept.out.template data<float>() + tile * size, dim_, gate_in_.panel_stride(),
                               gate_in_.right(tile));
    machine_.kernels.plain(d_out, dim_, positions, d_out_.left(tile));
    const auto joined = tile * 2 * inner_ * kTileRows;
    out_.backward(machine_.right_side(d_out, dim_, room, 2), d_joined_.data<float>() + joined);
    machine_.kernels.row_pairs(kept.joined.template data<float>() + joined, 2 * inner_,
                               joined_in_.panel_stride(), joined_in_.right(tile));
  });
  bias_part_.add_to(bias_.gradient);
  if (beta_.values) beta_part_.add_to(beta_.gradient);
  gate_.add_gradient(d_z_.data(), gate_in_.data(), positions, machine_);
  out_.add_gradient(d_out_.data(), joined_in_.data(), positions, machine_);
  attention.backward(call(kept, lanes, false, segment(kept, lanes)));
  attention.backward(call(kept, lanes, true, block));
}

template <typename Number>
void StepCell<Number>::prepare_back(const float* states, Kept& kept, std::int64_t lanes, bool written,
                                    float* d_states) {
  const auto all = lanes * tiles_, size = dim_ * kTileRows;
  d_kv_.resize(2 * kv_, all);
  d_self_.resize(2 * inner_, all);  // and those to the block
  normed_.resize(dim_, all);
  auto* d_normed = d_normed_.resize<float>(all * size);
  gamma_part_.resize(all, dim_);
  const auto positions = normed_.positions();
  const auto half = lanes * count_ * kv_;
  machine_.parallel(all, [&](std::int64_t tile, Room& room) {
    auto* dn = d_normed + tile * size;
    auto* dkv = room.take<float>(0, 2 * kv_ * kTileRows);
    const auto* from =
        kept.d_kv.template data<float>() + (tile / tiles_ * count_ + tile % tiles_ * kTileRows) * kv_;
    const auto rows = rows_in(tile % tiles_);
    machine_.kernels.tile(from, kv_, rows, kv_, dkv);
    machine_.kernels.tile(from + half, kv_, rows, kv_, dkv + kv_ * kTileRows);
    machine_.kernels.plain(dkv, 2 * kv_, positions, d_kv_.left(tile));
    key_value_.backward(machine_.right_side(dkv, 2 * kv_, room, 1), dn);
    if (written) {
      const auto* dq = d_entry_.data<float>() + tile * 2 * inner_ * kTileRows;
      machine_.kernels.plain(dq, 2 * inner_, positions, d_self_.left(tile));
      self_q_.backward(machine_.right_side(dq, inner_, room, 1), dn, true);
      cross_q_.backward(machine_.right_side(dq + inner_ * kTileRows, inner_, room, 1), dn, true);
    }
    auto* normed = room.take<float>(2, size);
    machine_.loops.layer_norm_back(states + tile * size,
                                   kept.stats.template data<float>() + tile * 2 * kTileRows, gamma_.values,
                                   dn, dim_, d_states + tile * size, gamma_part_.part(tile), normed);
    machine_.loops.add(normed, place_tiles_.data<float>() + tile % tiles_ * size, size);
    machine_.kernels.row_pairs(normed, dim_, normed_.panel_stride(), normed_.right(tile));
  });
  gamma_part_.add_to(gamma_.gradient);
  for (std::int64_t lane = 1; lane < lanes; ++lane)
    machine_.loops.add(d_normed, d_normed + lane * tiles_ * size, tiles_ * size);
  std::vector<float> rows(static_cast<std::size_t>(count_ * dim_));
  get(d_normed, rows.data());
  machine_.loops.add(places_.gradient, rows.data(), count_ * dim_);
  key_value_.add_gradient(d_kv_.data(), normed_.data(), positions, machine_);
  if (!written) return;
  self_q_.add_gradient(d_self_.left(0), normed_.data(), positions, machine_);
  cross_q_.add_gradient(d_self_.left(0, inner_), normed_.data(), positions, machine_);
}

template class StepCell<float>;
template class StepCell<std::uint16_t>;

}  // namespace unroll
