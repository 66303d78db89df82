// GpuTransformer's scoring of the last layer's output. All blocks of a launch are scored together: one
// transfer of targets to the device, one of results back, through pinned memory. The host waits only for the
// results and may launch the next work before.
#include <algorithm>
#include <bit>
#include <utility>

#include <ATen/ATen.h>

#include "model/gpu/gpu_transformer.h"

namespace unroll {
namespace {

constexpr std::int64_t kTopRows = 128;  // rows whose logits exist in fp32 at a time
constexpr std::int64_t kLogitBytes = 64
                                     << 20;  // logits that exist at a time: a little more than a GPU's cache

std::int64_t rows_at_a_time(const at::Tensor& logits_weight) {
  const auto bytes = logits_weight.size(0) * static_cast<std::int64_t>(logits_weight.element_size());
  return static_cast<std::int64_t>(
      std::bit_floor(static_cast<std::uint64_t>(std::clamp<std::int64_t>(kLogitBytes / bytes, 128, 8192))));
}

/// All targets, block after block.
at::Tensor targets_of(std::span<const Scored> blocks, std::int64_t count) {
  auto targets = at::empty({count}, at::kLong);
  auto* to = targets.mutable_data_ptr<std::int64_t>();
  for (const auto& block : blocks) to = std::ranges::copy(block.targets, to).out;
  return targets;
}

}  // namespace

at::Tensor GpuTransformer::padded_logits(const at::Tensor& hidden) const {
  return at::linear(rows_.add_norm(hidden.contiguous(), {}, {}, logits_norm_), logits_);
}

std::function<void()> GpuTransformer::score(const at::Tensor& hidden, std::vector<Scored> blocks) {
  const auto all = hidden.flatten(0, 1);
  const auto count = all.size(0), length = hidden.size(1);
  const auto targets = to_device(targets_of(blocks, count));
  const bool entropy =
      std::ranges::any_of(blocks, [](const auto& block) { return block.entropy != nullptr; });
  const auto found = at::empty({entropy ? 2 : 1, count}, hidden.options());
  const auto step = rows_at_a_time(logits_);
  for (std::int64_t begin = 0; begin < count; begin += step) {
    const auto rows = std::min(step, count - begin);
    const auto part = [&](std::int64_t index) { return found[index].narrow(0, begin, rows); };
    rows_.score(padded_logits(all.narrow(0, begin, rows)), config_.num_tokens, targets.narrow(0, begin, rows),
                part(0), entropy ? part(1) : at::Tensor());
  }
  auto here = at::empty(found.sizes(), at::TensorOptions(at::kFloat).pinned_memory(device().is_cuda()));
  here.copy_(found, true);
  return [this, hidden, here, length, blocks = std::move(blocks), wait = machine_->mark()] {
    wait();
    const auto append = [&](std::int64_t index, std::size_t block, std::vector<float>& to) {
      const auto* from = here[index].const_data_ptr<float>() + static_cast<std::int64_t>(block) * length;
      to.insert(to.end(), from, from + length);
    };
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      append(0, i, *blocks[i].logprobs);
      if (blocks[i].entropy) append(1, i, *blocks[i].entropy);
      append_from_logits(hidden[static_cast<std::int64_t>(i)], blocks[i]);
    }
  };
}

void GpuTransformer::append_from_logits(const at::Tensor& hidden, const Scored& block) const {
  if (block.top_k == 0 && !block.ranks && !block.mass) return;
  const auto targets = to_device(targets_of(std::span(&block, 1), hidden.size(0)));
  for (std::int64_t begin = 0; begin < hidden.size(0); begin += kTopRows) {
    const auto rows = std::min(kTopRows, hidden.size(0) - begin);
    const auto logits =
        padded_logits(hidden.narrow(0, begin, rows)).narrow(1, 0, config_.num_tokens).to(at::kFloat);
    const auto all = at::log_softmax(logits, -1);
    if (block.top_k > 0) append_top(all, block.top_k, *block.top_ids, *block.top_logprobs);
    if (block.ranks) append_ranks(all, targets.narrow(0, begin, rows), *block.ranks);
    if (block.mass) append_mass(all, block.members, *block.mass);
  }
}

at::Tensor GpuTransformer::logits(const at::Tensor& hidden) {
  return padded_logits(hidden).narrow(1, 0, config_.num_tokens).to(at::kCPU, at::kFloat).contiguous();
}

}  // namespace unroll
