#include "model/network.h"

#include <algorithm>
#include <limits>

#include <ATen/ATen.h>

namespace unroll {

BlockStart BlockStart::first(std::int64_t count) const {
  BlockStart result{count, {}};
  for (const auto& each : kv) result.kv.push_back(each.narrow(2, 0, count));
  return result;
}

BlockStart BlockStart::row(std::int64_t index) const {
  BlockStart result{length, {}};
  for (const auto& each : kv)
    result.kv.push_back(each.size(1) == 1 ? each : each.narrow(1, index, 1).clone());
  return result;
}

void append_top(const at::Tensor& logprobs, std::int64_t count, std::vector<std::int32_t>& ids,
                std::vector<float>& values) {
  const auto [best, places] = logprobs.topk(std::min(count, logprobs.size(1)), -1);
  const auto here = best.to(at::kCPU, at::kFloat).contiguous(),
             tokens = places.to(at::kCPU, at::kInt).contiguous();
  values.insert(values.end(), here.const_data_ptr<float>(), here.const_data_ptr<float>() + here.numel());
  const auto* token = tokens.const_data_ptr<std::int32_t>();
  ids.insert(ids.end(), token, token + tokens.numel());
}

void append_ranks(const at::Tensor& logprobs, const at::Tensor& targets, std::vector<std::int32_t>& ranks) {
  const auto places = targets.unsqueeze(1), own = logprobs.gather(1, places);
  const auto ids = at::arange(logprobs.size(1), places.options());
  const auto before = (logprobs > own).logical_or((logprobs == own).logical_and(ids < places));
  const auto here = (before.sum(-1) + 1).to(at::kCPU, at::kInt).contiguous();
  const auto* rank = here.const_data_ptr<std::int32_t>();
  ranks.insert(ranks.end(), rank, rank + here.numel());
}

void append_mass(const at::Tensor& logprobs, std::span<const std::uint8_t> members,
                 std::vector<float>& mass) {
  const auto count = std::min(logprobs.size(1), std::ssize(members));
  auto others = at::empty({count}, at::kByte);
  std::ranges::transform(members.first(static_cast<std::size_t>(count)),
                         others.mutable_data_ptr<std::uint8_t>(), [](auto member) { return member == 0; });
  const auto outside = others.to(at::kBool).to(logprobs.device());
  const auto of_members = logprobs.narrow(1, 0, count)
                              .masked_fill(outside, -std::numeric_limits<float>::infinity())
                              .logsumexp(-1);
  const auto here = of_members.clamp(kNoMass, 0).to(at::kCPU, at::kFloat).contiguous();
  mass.insert(mass.end(), here.const_data_ptr<float>(), here.const_data_ptr<float>() + here.numel());
}

}  // namespace unroll
