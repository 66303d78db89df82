#include "training/adapt.h"

#include <chrono>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "model/document_cache.h"
#include "training/token_blocks.h"
#include "training/validation.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

constexpr double kMeanSquareDecay = 0.95;
constexpr double kEpsilon = 1e-8;

/// A parameter and its gradient's running mean square.
struct Learned {
  at::Tensor parameter, mean_square;
};

/// The state carried from block to block of a document.
struct Document {
  Recurrence recurrence;
  std::optional<DocumentCache> cache;
  std::int32_t last_token = 0;
};

}  // namespace

struct Adapter::Impl {
  Impl(const fs::path& directory, const AdaptOptions& options)
      : options(options),
        directory(directory),
        config(load_model_config(directory / "config.json")),
        parameters(load_parameters(directory, config)),
        vocabulary(Vocabulary::load(directory)) {
    for (auto& [name, tensor] : parameters) {
      if (!BlockRecurrentTransformer::is_trainable(name)) continue;
      learned.push_back({tensor.set_requires_grad(true), at::zeros_like(tensor.detach())});
    }
  }

  Document begin() const {
    Document document;
    document.last_token = vocabulary->first_input();
    if (config.document_cache_tokens > 0)
      document.cache.emplace(config.num_tokens, config.document_cache_tokens);
    return document;
  }

  /// Scores one block, then learns from it. Returns its nats.
  double read_block(std::span<const std::int32_t> tokens, Document& document) {
    const BlockRecurrentTransformer model(config, cast_for_products(parameters, options.dtype));
    std::vector<std::int64_t> inputs{document.last_token};
    inputs.insert(inputs.end(), tokens.begin(), tokens.end());
    document.last_token = tokens.back();
    const auto ids = at::tensor(inputs).unsqueeze(0);
    const auto length = static_cast<std::int64_t>(tokens.size());
    const auto hidden = model.forward_block(ids.narrow(1, 0, length), document.recurrence);
    document.recurrence = document.recurrence.detached();
    const auto all = at::log_softmax(model.to_logits(hidden[0]).to(at::kFloat), -1);
    const auto logprobs = all.gather(1, ids[0].narrow(0, 1, length).unsqueeze(1)).squeeze(1);
    const double nats = score(tokens, logprobs.detach().contiguous(), document.cache);
    torch::autograd::backward({-logprobs.mean()}, {});
    step();
    return nats;
  }

  static double score(std::span<const std::int32_t> tokens, const at::Tensor& logprobs,
                      std::optional<DocumentCache>& cache) {
    const auto* network = logprobs.const_data_ptr<float>();
    double nats = 0;
    for (const auto token : tokens) {
      if (cache) {
        const auto mixture = cache->predict();
        nats -= mixture.logprob(token, *network);
        cache->append(token, mixture, *network);
      } else {
        nats -= *network;
      }
      ++network;
    }
    if (!std::isfinite(nats))
      throw std::runtime_error(
          "adapting diverged: the model's numbers are no longer finite; lower --learning-rate");
    return nats;
  }

  void step() {
    const at::NoGradGuard no_grad;
    ++steps;
    const double seen = 1 - std::pow(kMeanSquareDecay, steps);  // bias correction for the first steps
    for (auto& [parameter, mean_square] : learned) {
      const auto gradient = parameter.grad();
      if (!gradient.defined()) continue;  // the initial state, after a document's first block
      mean_square.mul_(kMeanSquareDecay).addcmul_(gradient, gradient, 1 - kMeanSquareDecay);
      parameter.addcdiv_(gradient, (mean_square / seen).sqrt_().add_(kEpsilon), -options.learning_rate);
      parameter.mutable_grad().reset();
    }
  }

  const AdaptOptions options;
  const fs::path directory;
  const ModelConfig config;
  TensorMap parameters;
  const std::shared_ptr<const Vocabulary> vocabulary;
  std::vector<Learned> learned;  // share the parameters
  std::int64_t steps = 0;
};

Adapter::Adapter(const fs::path& model_directory, const AdaptOptions& options)
    : impl_(std::make_unique<Impl>(model_directory, options)) {}

Adapter::~Adapter() = default;

EvalResult Adapter::read(const fs::path& file, const std::function<bool(std::uint64_t bytes)>& go_on) {
  EvalResult result;
  auto document = impl_->begin();
  const auto start = std::chrono::steady_clock::now();
  const auto read_block = [&](std::span<const std::int32_t> tokens, std::uint64_t end) {
    result.nats += impl_->read_block(tokens, document);
    result.tokens += tokens.size();
    return !go_on || go_on(end);
  };
  result.bytes = for_each_block(file, impl_->vocabulary, static_cast<std::size_t>(impl_->config.block_width),
                                read_block);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  result.set_rates(seconds.count());
  return result;
}

void Adapter::save(const fs::path& directory) const {
  TensorMap detached;
  for (const auto& [name, tensor] : impl_->parameters) detached[name] = tensor.detach();
  save_checkpoint(directory, impl_->config, detached, storage_dtype(impl_->directory));
  fs::copy_file(impl_->directory / "tokenizer.model", directory / "tokenizer.model",
                fs::copy_options::overwrite_existing);
}

}  // namespace unroll
