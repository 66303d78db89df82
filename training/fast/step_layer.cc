#include "training/fast/step_layer.h"

#include <algorithm>

namespace unroll {
namespace {

constexpr std::int64_t kFeatures = 128;  // inner features of the feed-forward computed at a time

}  // namespace

template <typename Number>
StepLayer<Number>::StepLayer(const ModelConfig& config, const Layer& layer, const RotaryTables& rotary,
                             const Gradients& gradients, StepMachine<Number>& machine)
    : machine_(machine),
      dim_(config.dim),
      inner_(config.inner_dim()),
      kv_(config.kv_dim()),
      heads_(config.heads),
      kv_heads_(layer.attn.kv_heads),
      dim_head_(config.dim_head),
      ff_(layer.ff_out.size(1)),
      scale_(static_cast<float>(layer.attn.scale)),
      reads_(layer.reads_states),
      gamma_(gradients.vector(layer.norm.gamma)),
      ff_gamma_(gradients.vector(layer.ff_norm.gamma)),
      key_value_(gradients.weight<Number>(layer.to_kv)),
      out_(gradients.weight<Number>(layer.to_out)),
      ff_values_(gradients.rows<Number>(layer.ff_in, 0, ff_)),
      ff_gates_(gradients.rows<Number>(layer.ff_in, ff_, ff_)),
      ff_out_(gradients.weight<Number>(layer.ff_out)),
      rotary_(rotary) {
  if (layer.attn.q_scale) {
    q_scale_ = gradients.vector(*layer.attn.q_scale);
    k_scale_ = gradients.vector(*layer.attn.k_scale);
  }
  queries_.push_back(gradients.weight<Number>(layer.to_q));
}

template <typename Number>
void StepLayer<Number>::add_read(const at::Tensor& q_to_state, const Gradients& gradients) {
  queries_.push_back(gradients.weight<Number>(q_to_state));
}

template <typename Number>
void StepLayer<Number>::refresh() {
  for (auto& weight : queries_) weight.refresh(machine_);
  for (auto* weight : {&key_value_, &out_, &ff_values_, &ff_gates_, &ff_out_}) weight->refresh(machine_);
}

template <typename Number>
void StepLayer<Number>::Kept::resize(const StepLayer& layer, BlockShape shape) {
  const auto tiles = shape.tiles(), row = tiles * kTileRows;
  x.resize<float>(layer.dim_ * row);
  mid.resize<float>(layer.dim_ * row);
  stats.resize<float>(2 * row);
  ff_stats.resize<float>(2 * row);
  entry.resize<float>(layer.queries() * row);
  joined.resize<float>(layer.queries() * row);
  lse.resize<float>(layer.heads_ * row);
  hidden.resize<Number>(2 * layer.ff_ * row);
  read_lse.resize(layer.reads_.size());
  for (auto& each : read_lse) each.resize<float>(layer.heads_ * row);
}

template <typename Number>
void StepLayer<Number>::enter(Kept& kept, const LayerPast& past, BlockShape shape) {
  machine_.parallel(shape.tiles(), [&](std::int64_t tile, Room& room) {
    auto* normed = room.take<float>(0, dim_ * kTileRows);
    machine_.loops.layer_norm(kept.x.template data<float>() + tile * dim_ * kTileRows, gamma_.values, dim_,
                              kept.stats.template data<float>() + tile * 2 * kTileRows, normed);
    const auto* in = machine_.right_side(normed, dim_, room, 1);
    auto* entry = kept.entry.template data<float>() + tile * queries() * kTileRows;
    for (std::size_t i = 0; i < queries_.size(); ++i)
      queries_[i].forward(in, entry + static_cast<std::int64_t>(i) * inner_ * kTileRows);
    auto* kv = room.take<float>(2, 2 * kv_ * kTileRows);
    key_value_.forward(in, kv);
    const auto at = (shape.lane(tile) * shape.width + shape.first(tile)) * kv_;
    const auto& floats = tile_kernels<float>();
    floats.rows(kv, kv_, shape.count(tile), kv_, past.block.k_out + at);
    floats.rows(kv + kv_ * kTileRows, kv_, shape.count(tile), kv_, past.block.v_out + at);
  });
}

template <typename Number>
AttentionCall StepLayer<Number>::own_call(Kept& kept, const LayerPast& past, BlockShape shape,
                                          float* d_joined, float* dq) const {
  AttentionCall call;
  call.lanes = shape.lanes;
  call.heads = heads_;
  call.kv_heads = kv_heads_;
  call.dim_head = dim_head_;
  call.query_tiles = shape.lane_tiles();
  call.scale = scale_;
  call.q_scale = q_scale_;
  call.k_scale = k_scale_;
  call.causal = true;
  call.past = past.memory.positions;
  call.first_visible = past.first_visible;
  call.segments = {past.memory, past.block.segment};
  call.rotation = rotary_.last(shape.width, call.keys());
  call.q = kept.entry.template data<float>();
  call.dq = dq;
  call.q_stride = call.out_stride = queries() * kTileRows;
  call.out = kept.joined.template data<float>();
  call.d_out = d_joined;
  call.out_head = dim_head_;
  call.lse = kept.lse.template data<float>();
  return call;
}

template <typename Number>
AttentionCall StepLayer<Number>::read_call(Kept& kept, BlockShape shape, std::size_t index,
                                           const StepCell<Number>& cell,
                                           typename StepCell<Number>::Kept& cell_kept, float* d_joined,
                                           float* dq) const {
  auto call = own_call(kept, {}, shape, d_joined, dq);
  const auto offset = static_cast<std::int64_t>(index + 1) * inner_ * kTileRows;
  call.q += offset;
  call.out += offset;
  if (dq) call.dq += offset;
  if (d_joined) call.d_out += offset;
  call.causal = false;
  call.rotation = {};
  call.scale = cell.read_scale();
  call.q_scale = cell.read_q_scale();
  call.k_scale = cell.read_k_scale();
  call.segments = {cell.segment(cell_kept, shape.lanes), {}};
  call.lse = kept.read_lse[index].template data<float>();
  return call;
}

template <typename Number>
void StepLayer<Number>::leave(Kept& kept, const LayerPast& past, BlockShape shape, Cells cells,
                              CellsKept cells_kept, StepAttention<Number>& attention, float* next) {
  attention.forward(own_call(kept, past, shape, nullptr, nullptr));
  for (std::size_t i = 0; i < reads_.size(); ++i)
    attention.forward(read_call(kept, shape, i, *cells[reads_[i]], *cells_kept[reads_[i]], nullptr, nullptr));
  machine_.parallel(shape.tiles(), [&](std::int64_t tile, Room& room) {
    const auto size = dim_ * kTileRows;
    auto* mid = kept.mid.template data<float>() + tile * size;
    std::copy_n(kept.x.template data<float>() + tile * size, size, mid);
    const auto* joined = kept.joined.template data<float>() + tile * queries() * kTileRows;
    out_.forward(machine_.right_side(joined, queries(), room, 0), mid, true);

    auto* normed = room.take<float>(1, size);
    machine_.loops.layer_norm(mid, ff_gamma_.values, dim_,
                              kept.ff_stats.template data<float>() + tile * 2 * kTileRows, normed);
    const auto* in = machine_.right_side(normed, dim_, room, 2);
    auto* values = room.take<float>(3, 2 * kFeatures * kTileRows);
    auto* gates = values + kFeatures * kTileRows;
    auto* gated = room.take<Number>(4, depth_of<Number>(ff_) * kTileRows);
    auto* hidden = kept.hidden.template data<Number>() + tile * 2 * ff_ * kTileRows;
    for (std::int64_t first = 0; first < ff_; first += kFeatures) {
      const auto count = std::min(kFeatures, ff_ - first), at = first * kTileRows;
      ff_values_.forward(in, first, count, values);
      ff_gates_.forward(in, first, count, gates);
      machine_.kernels.gelu_gate(values, gates, count, hidden + at, hidden + ff_ * kTileRows + at,
                                 gated + at);
    }
    std::copy_n(mid, size, next + tile * size);
    ff_out_.forward(gated, next + tile * size, true);
  });
}

template <typename Number>
void StepLayer<Number>::feed_forward_back(const Kept& kept, BlockShape shape, LayerRoom<Number>& room,
                                          float* d) {
  for (auto* gathered : {&room.d_out, &room.d_mid, &room.ff_normed}) gathered->resize(dim_, shape.tiles());
  for (auto* gathered : {&room.d_values, &room.d_gates, &room.gated}) gathered->resize(ff_, shape.tiles());
  room.joined.resize(queries(), shape.tiles());
  auto* d_joined = room.d_joined.template resize<float>(queries() * shape.tiles() * kTileRows);
  room.gamma.resize(shape.tiles(), dim_);
  const auto positions = room.d_out.positions();
  machine_.parallel(shape.tiles(), [&](std::int64_t tile, Room& own) {
    auto* dx = d + tile * dim_ * kTileRows;
    machine_.kernels.plain(dx, dim_, positions, room.d_out.left(tile));
    const auto* d_out = machine_.right_side(dx, dim_, own, 0);
    auto* d_gated = own.take<float>(1, 2 * kFeatures * kTileRows);
    auto* gated = d_gated + kFeatures * kTileRows;
    const auto size = depth_of<Number>(ff_) * kTileRows;
    auto* d_values = own.take<Number>(2, 2 * size);
    auto* d_gates = d_values + size;
    const auto* hidden = kept.hidden.template data<Number>() + tile * 2 * ff_ * kTileRows;
    for (std::int64_t first = 0; first < ff_; first += kFeatures) {
      const auto count = std::min(kFeatures, ff_ - first), at = first * kTileRows;
      ff_out_.backward_inputs(d_out, first, count, d_gated);
      machine_.kernels.gelu_gate_back(hidden + at, hidden + ff_ * kTileRows + at, d_gated, count, positions,
                                      room.d_values.left(tile, first), room.d_gates.left(tile, first),
                                      d_values + at, d_gates + at, gated);
      machine_.kernels.row_pairs(gated, count, room.gated.panel_stride(), room.gated.right(tile, first));
    }
    auto* d_normed = own.take<float>(3, dim_ * kTileRows);
    auto* normed = own.take<float>(4, dim_ * kTileRows);
    ff_values_.backward(d_values, d_normed);
    ff_gates_.backward(d_gates, d_normed, true);
    machine_.loops.layer_norm_back(kept.mid.template data<float>() + tile * dim_ * kTileRows,
                                   kept.ff_stats.template data<float>() + tile * 2 * kTileRows,
                                   ff_gamma_.values, d_normed, dim_, dx, room.gamma.part(tile), normed);
    machine_.kernels.row_pairs(normed, dim_, room.ff_normed.panel_stride(), room.ff_normed.right(tile));

    machine_.kernels.plain(dx, dim_, positions, room.d_mid.left(tile));
    const auto joined = tile * queries() * kTileRows;
    out_.backward(machine_.right_side(dx, dim_, own, 0), d_joined + joined);
    machine_.kernels.row_pairs(kept.joined.template data<float>() + joined, queries(),
                               room.joined.panel_stride(), room.joined.right(tile));
  });
  room.gamma.add_to(ff_gamma_.gradient);
  ff_out_.add_gradient(room.d_out.data(), room.gated.data(), positions, machine_);
  ff_values_.add_gradient(room.d_values.data(), room.ff_normed.data(), positions, machine_);
  ff_gates_.add_gradient(room.d_gates.data(), room.ff_normed.data(), positions, machine_);
  out_.add_gradient(room.d_mid.data(), room.joined.data(), positions, machine_);
}

template <typename Number>
void StepLayer<Number>::leave_back(Kept& kept, const LayerPast& past, BlockShape shape, Cells cells,
                                   CellsKept cells_kept, StepAttention<Number>& attention,
                                   LayerRoom<Number>& room, float* d) {
  feed_forward_back(kept, shape, room, d);
  auto* d_joined = room.d_joined.template data<float>();
  auto* dq = room.d_entry_tiles.template resize<float>(queries() * shape.tiles() * kTileRows);
  attention.backward(own_call(kept, past, shape, d_joined, dq));
  for (std::size_t i = 0; i < reads_.size(); ++i)
    attention.backward(read_call(kept, shape, i, *cells[reads_[i]], *cells_kept[reads_[i]], d_joined, dq));
}

template <typename Number>
void StepLayer<Number>::enter_back(Kept& kept, const LayerPast& past, BlockShape shape,
                                   LayerRoom<Number>& room, float* d) {
  room.d_entry.resize(queries(), shape.tiles());
  room.d_kv.resize(2 * kv_, shape.tiles());
  room.normed.resize(dim_, shape.tiles());
  room.gamma.resize(shape.tiles(), dim_);
  const auto positions = room.normed.positions();
  machine_.parallel(shape.tiles(), [&](std::int64_t tile, Room& own) {
    auto* d_normed = own.take<float>(0, dim_ * kTileRows);
    auto* normed = own.take<float>(1, dim_ * kTileRows);
    const auto* dq = room.d_entry_tiles.template data<float>() + tile * queries() * kTileRows;
    machine_.kernels.plain(dq, queries(), positions, room.d_entry.left(tile));
    for (std::size_t i = 0; i < queries_.size(); ++i) {
      const auto* part = dq + static_cast<std::int64_t>(i) * inner_ * kTileRows;
      queries_[i].backward(machine_.right_side(part, inner_, own, 2), d_normed, i > 0);
    }
    auto* dkv = own.take<float>(3, 2 * kv_ * kTileRows);
    const auto at = (shape.lane(tile) * shape.width + shape.first(tile)) * kv_;
    machine_.kernels.tile(past.block.segment.dk + at, kv_, shape.count(tile), kv_, dkv);
    machine_.kernels.tile(past.block.segment.dv + at, kv_, shape.count(tile), kv_, dkv + kv_ * kTileRows);
    machine_.kernels.plain(dkv, 2 * kv_, positions, room.d_kv.left(tile));
    key_value_.backward(machine_.right_side(dkv, 2 * kv_, own, 4), d_normed, true);
    machine_.loops.layer_norm_back(kept.x.template data<float>() + tile * dim_ * kTileRows,
                                   kept.stats.template data<float>() + tile * 2 * kTileRows, gamma_.values,
                                   d_normed, dim_, d + tile * dim_ * kTileRows, room.gamma.part(tile),
                                   normed);
    machine_.kernels.row_pairs(normed, dim_, room.normed.panel_stride(), room.normed.right(tile));
  });
  room.gamma.add_to(gamma_.gradient);
  for (std::size_t i = 0; i < queries_.size(); ++i)
    queries_[i].add_gradient(room.d_entry.left(0, static_cast<std::int64_t>(i) * inner_), room.normed.data(),
                             positions, machine_);
  key_value_.add_gradient(room.d_kv.data(), room.normed.data(), positions, machine_);
}

template class StepLayer<float>;
template class StepLayer<std::uint16_t>;

}  // namespace unroll
