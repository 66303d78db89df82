#include "model/wanted_outputs.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>

namespace unroll {
namespace {

constexpr std::int64_t kMostLogits = std::int64_t{1} << 23;  // that exist at a time: 32 MiB

std::vector<float> to_vector(const at::Tensor& tensor) {
  const auto compact = tensor.to(at::kCPU, at::kFloat).contiguous();
  const auto* data = compact.const_data_ptr<float>();
  return {data, data + compact.numel()};
}

/// Mixes the document's cache into log-probabilities: those of the targets, and if `all` is given, those of
/// the whole vocabulary [rows, num_tokens]. Appends the targets to the cache.
void mix(DocumentCache& cache, std::span<const std::int32_t> targets, std::span<float> logprobs,
         at::Tensor* all) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto mixture = cache.predict();
    if (all) {
      const auto row = static_cast<std::int64_t>(i) * all->size(1);
      mixture.apply({all->mutable_data_ptr<float>() + row, static_cast<std::size_t>(all->size(1))});
    }
    const float network = logprobs[i];
    logprobs[i] = mixture.logprob(targets[i], network);
    cache.append(targets[i], mixture, network);
  }
}

}  // namespace

bool needs_all_logits(const Wants& wants, bool has_cache) {
  return has_cache && (wants.top_k > 0 || wants.entropy || wants.ranks || !wants.members.empty());
}

void add_wanted(Network& network, const at::Tensor& hidden, std::span<const std::int32_t> tokens,
                const Wants& wants, DocumentCache* cache, BlockOutput& output) {
  if (wants.hidden) output.hidden = to_vector(hidden);
  if (!needs_all_logits(wants, cache != nullptr)) {
    if (cache) mix(*cache, tokens, output.logprobs, nullptr);
    return;
  }
  const auto append = [](std::vector<float>& out, const at::Tensor& rows) {
    const auto values = to_vector(rows);
    out.insert(out.end(), values.begin(), values.end());
  };
  const auto targets = at::tensor(at::ArrayRef<std::int32_t>(tokens.data(), tokens.size()), at::kLong);
  const auto step = std::clamp<std::int64_t>(kMostLogits / network.shape().num_tokens, 16, 128);
  for (std::int64_t begin = 0; begin < hidden.size(0); begin += step) {
    const auto rows = std::min(step, hidden.size(0) - begin);
    auto logprobs = at::log_softmax(network.logits(hidden.narrow(0, begin, rows)), -1);
    if (cache) {
      const auto first = static_cast<std::size_t>(begin), count = static_cast<std::size_t>(rows);
      mix(*cache, tokens.subspan(first, count), std::span(output.logprobs).subspan(first, count), &logprobs);
    }
    if (wants.entropy) append(output.entropy, -(logprobs.exp() * logprobs).sum(-1));
    if (wants.top_k > 0) append_top(logprobs, wants.top_k, output.top_ids, output.top_logprobs);
    if (wants.ranks) append_ranks(logprobs, targets.narrow(0, begin, rows), output.ranks);
    if (!wants.members.empty()) append_mass(logprobs, wants.members, output.mass);
  }
}

void drop_first(BlockOutput& output, std::size_t count, std::size_t rows) {
  if (count == 0) return;
  const auto drop = [&](auto& values) {
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / rows * count));
  };
  for (auto* floats : {&output.logprobs, &output.entropy, &output.hidden, &output.top_logprobs, &output.mass})
    drop(*floats);
  for (auto* numbers : {&output.top_ids, &output.ranks}) drop(*numbers);
}

}  // namespace unroll
