#include "model/continuation.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "model/document_cache.h"
#include "model/load_transformer.h"

namespace unroll {

struct Continuation::Impl {
  Impl(BlockRecurrentTransformer transformer, bool with_cache) : model_(std::move(transformer)) {
    const auto& config = model_.config();
    block_ = model_.open_block({}, 1);
    if (with_cache && config.document_cache_tokens > 0)
      cache_.emplace(config.num_tokens, config.document_cache_tokens);
  }

  /// The last token and all of `tokens` but its last go in; `tokens` are what they predict.
  void read_piece(std::span<const std::int32_t> tokens) {
    const auto network = extend(tokens.first(tokens.size() - 1));
    if (cache_) {
      const auto* logprobs = network.const_data_ptr<float>();
      for (const auto token : tokens) {
        cache_->append(token, cache_->predict(), logprobs[token]);
        logprobs += model_.config().num_tokens;
      }
    }
    finish(tokens.back());
  }

  /// The next token where its distribution is known already.
  void read_known(std::int32_t token) {
    if (cache_) cache_->append(token, cache_->predict(), network_.const_data_ptr<float>()[token]);
    known_ = false;
    finish(token);
  }

  void look_ahead() {
    network_ = extend({});
    distribution_ = network_.clone();
    if (cache_) cache_->predict().apply(distribution());
    known_ = true;
  }

  std::span<float> distribution() {
    return {distribution_.mutable_data_ptr<float>(), static_cast<std::size_t>(distribution_.numel())};
  }
  bool known() const { return known_; }
  std::size_t room() const { return static_cast<std::size_t>(model_.config().block_width - block_.length); }
  void check(std::span<const std::int32_t> tokens) const {
    for (const auto token : tokens) {
      if (token < 0 || token >= model_.config().num_tokens)
        throw std::invalid_argument("token " + std::to_string(token) +
                                    " is not in the model's vocabulary of " +
                                    std::to_string(model_.config().num_tokens));
    }
  }

 private:
  /// The last token goes in, and `more` behind it -> the network's log-probabilities behind each, fp32 [1 +
  /// count, num_tokens], where somebody wants them.
  at::Tensor extend(std::span<const std::int32_t> more) {
    std::vector<std::int64_t> inputs{last_token_};
    inputs.insert(inputs.end(), more.begin(), more.end());
    const auto tokens = at::tensor(inputs).unsqueeze(0).to(model_.device());
    const auto hidden = model_.extend_block(tokens, block_);
    if (!more.empty() && !cache_) return {};
    return at::log_softmax(model_.to_logits(hidden[0]), -1).to(at::kCPU, at::kFloat).contiguous();
  }

  void finish(std::int32_t last_token) {
    last_token_ = last_token;
    if (room() > 0) return;
    recurrence_ = model_.close_block(block_, recurrence_);
    block_ = model_.open_block(recurrence_, 1);
  }

  const BlockRecurrentTransformer model_;
  OpenBlock block_;
  std::optional<DocumentCache> cache_;
  Recurrence recurrence_;  // before the open block_
  std::int32_t last_token_ = kFirstInput;
  bool known_ = false;                 // the two below are those of the next token
  at::Tensor network_, distribution_;  // [1, num_tokens] nats
};

Continuation::Continuation(const std::filesystem::path& model_directory, const ModelOptions& options,
                           bool with_cache) {
  const c10::InferenceMode guard;
  impl_ = std::make_unique<Impl>(load_transformer(model_directory, options), with_cache);
}

Continuation::~Continuation() = default;

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
