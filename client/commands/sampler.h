// Draws a token from a distribution.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace unroll {

struct SamplerOptions {
  double temperature = 1;  ///< Divides the log-probabilities; 0: always the most probable token.
  std::int64_t top_k = 0;  ///< Only the so many most probable; 0: all.
  double top_p = 1;  ///< Only the most probable that together have so much; the one that reaches it counts.
  std::uint64_t seed = 1;  ///< The same draws for the same distributions, on every machine.
};

/// One thread.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {}
  /// `logprobs` [num_tokens] in nats; minus infinity is never drawn. Equal ones rank by token. Throws
  /// std::runtime_error where nothing can be drawn.
  std::int32_t draw(std::span<const float> logprobs);

 private:
  using Candidate = std::pair<double, std::int32_t>;  // log-probability, then weight; token
  void keep_top(std::vector<Candidate>& candidates) const;

  SamplerOptions options_;
  std::mt19937_64 random_;
};

}  // namespace unroll
