#include "model/continuation.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "base/hex.h"
#include "model/block_state.h"
#include "model/document_cache.h"
#include "model/tokenwise_network.h"

namespace unroll {
namespace {

constexpr std::int64_t kLogitRows = 128;

}  // namespace

struct Continuation::Impl {
  Impl(std::unique_ptr<TokenwiseNetwork> network, bool with_cache, std::optional<std::int32_t> first_input)
      : network_(std::move(network)), last_token_(first_input.value_or(network_->shape().first_input)) {
    const auto& shape = network_->shape();
    if (with_cache && shape.document_cache_tokens > 0)
      cache_.emplace(shape.num_tokens, shape.document_cache_tokens);
  }

  void restore(std::span<const std::byte> state, const std::string& checkpoint) {
    const auto forms = network_->state_forms();
    const auto form = std::ranges::find_if(
        forms, [&](const StateForm& candidate) { return to_hex(candidate.fingerprint) == checkpoint; });
    if (form == forms.end())
      throw std::runtime_error("it is of another checkpoint (" + checkpoint +
                               "); name its model with --model");
    if (state.empty()) return;
    auto shape = network_->shape();
    shape.memory_type = form->memory_type;
    const auto restored = BlockState::deserialize(state, shape, form->fingerprint);
    network_->restore(*restored->recurrence());
    last_token_ = restored->last_token;
    if (cache_) cache_ = *restored->cache;
  }

  /// Reads the last token and all of `tokens` but its last; their outputs predict `tokens`.
  void read_piece(std::span<const std::int32_t> tokens) {
    const auto rows = extend(tokens.first(tokens.size() - 1));
    if (cache_) {
      const auto* logprobs = rows.const_data_ptr<float>();
      for (const auto token : tokens) {
        cache_->append(token, cache_->predict(), logprobs[token]);
        logprobs += network_->shape().num_tokens;
      }
    }
    last_token_ = tokens.back();
  }

  /// Reads the next token if its distribution is already known.
  void read_known(std::int32_t token) {
    if (cache_) cache_->append(token, cache_->predict(), of_network_.const_data_ptr<float>()[token]);
    known_ = false;
    last_token_ = token;
  }

  void look_ahead() {
    of_network_ = extend({});
    distribution_ = of_network_.clone();
    if (cache_) cache_->predict().apply(distribution());
    known_ = true;
  }

  std::span<float> distribution() {
    return {distribution_.mutable_data_ptr<float>(), static_cast<std::size_t>(distribution_.numel())};
  }
  bool known() const { return known_; }
  /// Maximum number of tokens for read_piece(). With a cache the logits of all of them exist.
  std::size_t room() const {
    return static_cast<std::size_t>(cache_ ? std::min(network_->room(), kLogitRows) : network_->room());
  }
  void check(std::span<const std::int32_t> tokens) const {
    for (const auto token : tokens) {
      if (token < 0 || token >= network_->shape().num_tokens)
        throw std::invalid_argument("token " + std::to_string(token) +
                                    " is not in the model's vocabulary of " +
                                    std::to_string(network_->shape().num_tokens));
    }
  }

 private:
  /// Reads the last token and then `more` -> the network's log-probabilities after each, fp32 [1 + count,
  /// num_tokens], undefined if they are not needed.
  at::Tensor extend(std::span<const std::int32_t> more) {
    std::vector<std::int32_t> inputs{last_token_};
    inputs.insert(inputs.end(), more.begin(), more.end());
    const auto hidden = network_->extend(inputs);
    if (!more.empty() && !cache_) return {};
    return at::log_softmax(network_->logits(hidden), -1);
  }

  const std::unique_ptr<TokenwiseNetwork> network_;
  std::optional<DocumentCache> cache_;
  std::int32_t last_token_;
  bool known_ = false;                    // whether the two below are those of the next token
  at::Tensor of_network_, distribution_;  // [1, num_tokens] nats
};

Continuation::Continuation(const std::filesystem::path& model, const ModelOptions& options, bool with_cache) {
  const c10::InferenceMode guard;
  impl_ = std::make_unique<Impl>(load_tokenwise_network(model, options), with_cache, options.first_input);
}

Continuation::~Continuation() = default;

void Continuation::restore(std::span<const std::byte> state, const std::string& checkpoint) {
  const c10::InferenceMode guard;
  impl_->restore(state, checkpoint);
}

void Continuation::read(std::span<const std::int32_t> tokens) {
  const c10::InferenceMode guard;
  impl_->check(tokens);
  if (!tokens.empty() && impl_->known()) {
    impl_->read_known(tokens.front());
    tokens = tokens.subspan(1);
  }
  while (!tokens.empty()) {
    const auto length = std::min(tokens.size(), impl_->room());
    impl_->read_piece(tokens.first(length));
    tokens = tokens.subspan(length);
  }
}

std::span<const float> Continuation::next() {
  const c10::InferenceMode guard;
  if (!impl_->known()) impl_->look_ahead();
  return impl_->distribution();
}

}  // namespace unroll
