#include "client/commands/sampler.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace unroll {

std::int32_t Sampler::draw(std::span<const float> logprobs) {
  std::vector<Candidate> candidates;
  for (std::size_t id = 0; id < logprobs.size(); ++id) {
    if (std::isfinite(logprobs[id])) candidates.emplace_back(logprobs[id], static_cast<std::int32_t>(id));
  }
  if (candidates.empty())
    throw std::runtime_error("the model gives no token a probability; its weights are damaged");
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  const auto first = *std::ranges::min_element(candidates, likelier);
  if (options_.temperature == 0) return first.second;
  if (options_.top_k > 0 || options_.top_p < 1) std::ranges::sort(candidates, likelier);
  for (auto& [value, id] : candidates) value = std::exp((value - first.first) / options_.temperature);
  keep_top(candidates);

  double total = 0;
  for (const auto& [weight, id] : candidates) total += weight;
  // std::uniform_real_distribution is not the same in all implementations.
  double left = total * static_cast<double>(random_() >> 11U) * 0x1p-53;
  for (const auto& [weight, id] : candidates) {
    if (left < weight) return id;
    left -= weight;
  }
  return first.second;  // if rounding leaves a remainder
}

void Sampler::keep_top(std::vector<Candidate>& candidates) const {
  if (options_.top_k > 0)
    candidates.resize(std::min(candidates.size(), static_cast<std::size_t>(options_.top_k)));
  if (options_.top_p >= 1) return;
  double total = 0, sum = 0;
  for (const auto& [weight, id] : candidates) total += weight;
  std::size_t kept = 0;
  while (kept < candidates.size() && sum < options_.top_p * total) sum += candidates[kept++].first;
  candidates.resize(kept);
}

}  // namespace unroll
