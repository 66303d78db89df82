#include "model/routed_memory.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "model/int8_rows.h"

namespace unroll {
namespace {

constexpr double kMoreThanTop = 9.0 / 8;  // CoLT5 lets coordinate descent spread over this many times more
constexpr double kHidden = -1e9;          // a score that is chosen only if nothing else is left
constexpr std::int64_t kScoreRows = 64;   // positions whose scores exist at a time: [64, segments]

/// For positions that each have one place: blocks [2, batch, block_width, kv_dim] and places [batch, count]
/// of segments -> their content [2, batch, count * segment, kv_dim].
at::Tensor gather_by_copy(const RoutedMemory& memory, const at::Tensor& places, std::int64_t segment) {
  const auto& first = memory.front()->kv;
  const auto batch = first.size(1), width = first.size(2), dim = first.size(3), count = places.size(1);
  const auto in_block = width / segment;
  auto packed = at::empty({2, batch, count * segment, dim}, first.options());
  auto scales = memory.front()->scales.defined()
                    ? at::empty({2, batch, count * segment, 1}, memory.front()->scales.options())
                    : at::Tensor();
  const auto copy = [&](const at::Tensor& from, const at::Tensor& to, std::int64_t half, std::int64_t row,
                        std::int64_t begin, std::int64_t place) {
    const auto size = from.size(3) * from.element_size();
    const auto* source =
        static_cast<const char*>(from.const_data_ptr()) + ((half * batch + row) * width + begin) * size;
    auto* target =
        static_cast<char*>(to.mutable_data_ptr()) + ((half * batch + row) * count + place) * segment * size;
    std::memcpy(target, source, static_cast<std::size_t>(segment * size));
  };
  const auto* at = places.const_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < batch; ++row) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto place = at[row * count + i];
      const auto& block = *memory[static_cast<std::size_t>(place / in_block)];
      const auto begin = place % in_block * segment;
      for (std::int64_t half = 0; half < 2; ++half) {
        copy(block.kv, packed, half, row, begin, i);
        if (scales.defined()) copy(block.scales, scales, half, row, begin, i);
      }
    }
  }
  const auto values = packed.to(at::kFloat);
  return scales.defined() ? values * scales : values;
}

/// The same with gradients, on any device.
at::Tensor gather_all(const RoutedMemory& memory, const at::Tensor& places, std::int64_t segment) {
  std::vector<at::Tensor> blocks;
  for (const auto& block : memory) blocks.push_back(block->unpacked());
  const auto all = at::cat(blocks, 2).unflatten(2, {-1, segment}).flatten(3);  // [2, batch, segments, ...]
  const auto index = places.view({1, places.size(0), -1, 1}).expand({2, -1, -1, all.size(3)});
  return all.gather(2, index).unflatten(3, {segment, -1}).flatten(2, 3);
}

/// bool [batch, segments]: which are visible to a row; undefined: all.
at::Tensor visible_segments(const RoutedMemory& memory) {
  if (std::ranges::none_of(memory, [](const auto& block) { return block->visible.defined(); })) return {};
  std::vector<at::Tensor> parts;
  for (const auto& block : memory) {
    const auto shape = block->routes.sizes().slice(0, 2);
    parts.push_back(block->visible.defined() ? block->visible.unsqueeze(1).expand(shape)
                                             : at::ones(shape, block->routes.options().dtype(at::kBool)));
  }
  return at::cat(parts, 1);
}

}  // namespace

std::size_t RoutedBlock::bytes() const {
  return kv.nbytes() + routes.nbytes() + (scales.defined() ? scales.nbytes() : 0);
}

at::Tensor RoutedBlock::unpacked() const {
  const auto values = kv.to(at::kFloat);
  return scales.defined() ? values * scales : values;
}

at::Tensor CoordinateDescent::operator()(const at::Tensor& scores) const {
  const auto log_k = std::log(std::min(k, static_cast<double>(scores.size(-1))));
  auto current = std::max(first_epsilon, epsilon);
  auto b = -scores;
  at::Tensor a;
  for (int i = 0; i < iterations; ++i) {
    a = current * (log_k - ((scores + b) / current).logsumexp(-1, true));
    b = -(scores + a).relu();
    current = std::max(current * decay, epsilon);
  }
  return ((scores + a + b) / current).exp();
}

RoutedAttention::Routed RoutedAttention::route(const at::Tensor& queries, const RoutedMemory& memory) const {
  std::vector<at::Tensor> blocks;
  for (const auto& block : memory) blocks.push_back(block->routes.to(at::kFloat));
  const auto routes = at::cat(blocks, 1).transpose(1, 2);  // [batch, route_dim, segments]
  const auto chosen = std::min(top, routes.size(2));
  if (!c10::InferenceMode::is_enabled()) {
    auto scores = at::matmul(queries, routes) / std::sqrt(static_cast<double>(queries.size(-1)));
    const auto visible = visible_segments(memory);
    if (visible.defined()) scores = scores.masked_fill(visible.logical_not().unsqueeze(1), kHidden);
    const auto places = std::get<1>(scores.detach().topk(chosen, -1));
    const auto soft = CoordinateDescent{kMoreThanTop * static_cast<double>(top)}(scores).gather(-1, places);
    const auto seen = visible.defined()
                          ? visible.unsqueeze(1).expand({-1, places.size(1), -1}).gather(-1, places)
                          : at::Tensor();
    return {places, soft + (1 - soft).detach(), seen};
  }
  std::vector<at::Tensor> places;
  for (const auto& rows : queries.split(kScoreRows, 1))
    places.push_back(std::get<1>(at::matmul(rows, routes).topk(chosen, -1)));
  return {at::cat(places, 1), {}, {}};
}

at::Tensor RoutedAttention::read(const at::Tensor& x, const RoutedMemory& memory) const {
  const auto batch = x.size(0), length = x.size(1);
  if (memory.empty()) return at::zeros({batch, length, to_q.size(0)}, x.options());
  const auto routed = route(project(x, to_route_q), memory);
  const auto chosen = routed.places.size(2);
  const auto flat = routed.places.flatten(1).contiguous();
  const bool copies = c10::InferenceMode::is_enabled() && flat.is_cpu();
  const auto kv = (copies ? gather_by_copy(memory, flat, segment) : gather_all(memory, flat, segment))
                      .unflatten(2, {length, chosen * segment});  // [2, batch, n, positions, kv_dim]
  const auto q = attention.ready_queries(split_heads(project(x, to_q), heads), nullptr).transpose(1, 2);
  const auto to_positions = [&](const at::Tensor& segments) {
    return segments.repeat_interleave(segment, 2);
  };
  // Each position has its own keys and values: batch and positions become one dimension.
  const auto each = [](const at::Tensor& all) { return all.flatten(0, 1); };
  const auto values = routed.gates.defined() ? kv[1] * to_positions(routed.gates).unsqueeze(-1) : kv[1];
  std::optional<at::Tensor> mask;
  if (routed.visible.defined()) {
    const auto hidden = to_positions(routed.visible).logical_not();
    mask =
        each(at::zeros(hidden.sizes(), x.options()).masked_fill(hidden, kHidden)).unsqueeze(1).unsqueeze(1);
  }
  const auto attended =
      attention.attend(each(q).unsqueeze(2), attention.ready_keys(each(kv[0]), nullptr), each(values), mask);
  const auto result = attended.reshape({batch, length, -1});
  return routed.visible.defined() ? result * routed.visible.any(-1, true) : result;
}

RoutedMemory RoutedAttention::append(const RoutedMemory& memory, const at::Tensor& routes,
                                     const at::Tensor& k, const at::Tensor& v) const {
  auto block = std::make_shared<RoutedBlock>();
  block->kv = at::stack({k, v});
  block->routes = routes.unflatten(1, {-1, segment}).amax(2);
  if (c10::InferenceMode::is_enabled()) {
    if (stored == at::kChar) {
      const auto scales = (block->kv.abs().amax(-1, true) / kInt8Max).clamp_min(1e-12);
      block->kv = (block->kv / scales).round().to(at::kChar);
      block->scales = scales;
    } else {
      block->kv = block->kv.to(stored);
    }
    block->routes = block->routes.to(at::kBFloat16).contiguous();
  }
  const auto drop = std::max<std::int64_t>(0, std::ssize(memory) + 1 - most_blocks);
  RoutedMemory next(memory.begin() + drop, memory.end());
  next.push_back(std::move(block));
  return next;
}

RoutedAttention make_routed_attention(const ModelConfig& config, const std::string& prefix,
                                      const Attention& attention, const FindParameter& parameter) {
  RoutedAttention routed;
  routed.to_q = parameter(prefix + "to_q.weight");
  routed.to_route_q = parameter(prefix + "to_route_q.weight");
  routed.to_route_k = parameter(prefix + "to_route_k.weight");
  routed.attention = attention;
  routed.heads = config.heads;
  routed.segment = config.routed_memory_segment;
  routed.top = config.routed_memory_top;
  routed.most_blocks = config.routed_blocks();
  routed.stored = config.routed_memory_dtype == "int8" ? at::kChar : at::kBFloat16;
  return routed;
}

std::size_t routed_memory_bytes(const ModelConfig& config) {
  if (config.routed_memory_layer == 0) return 0;
  const auto tokens = config.routed_blocks() * config.block_width;
  const auto element = config.routed_memory_dtype == "int8" ? 1 : 2;
  const auto scales = config.routed_memory_dtype == "int8" ? 2 * sizeof(float) : 0;
  const auto routes = config.routed_memory_dim * 2 * tokens / config.routed_memory_segment;
  return static_cast<std::size_t>(tokens * 2 * config.kv_dim() * element + routes) +
         static_cast<std::size_t>(tokens) * scales;
}

}  // namespace unroll
