// Samples a token from a distribution.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace unroll {

struct SamplerOptions {
  double temperature = 1;  ///< Divides the log-probabilities; 0: always the most probable token.
  std::int64_t top_k = 0;  ///< Only this many most probable tokens; 0: all.
  double top_p = 1;        ///< Only the most probable tokens up to this total, with the one that reaches it.
  std::uint64_t seed = 1;  ///< Equal seeds and distributions give equal draws on every machine.
};

/// Not thread-safe.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {}
  /// `logprobs` [num_tokens] in nats; minus infinity is never drawn. Ties are ranked by token id. Throws
  /// std::runtime_error if there is nothing to draw.
  std::int32_t draw(std::span<const float> logprobs);

 private:
  using Candidate = std::pair<double, std::int32_t>;  // log-probability, then weight; token
  void keep_top(std::vector<Candidate>& candidates) const;

  SamplerOptions options_;
  std::mt19937_64 random_;
};

}  // namespace unroll
