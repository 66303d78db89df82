#include "training/validation.h"

#include <algorithm>
#include <memory>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "model/checkpoint.h"
#include "model/cpu/packed_transformer.h"
#include "model/load_network.h"

namespace unroll {
namespace {

constexpr std::size_t kMostHeldOut = 65536;  // tokens of all documents

/// The network in the fastest form for this CPU.
std::unique_ptr<Network> make_network(const ModelConfig& config, const TensorMap& parameters,
                                      const std::string& dtype) {
  const auto arithmetic = dtype == "bf16" ? Arithmetic::kBf16 : Arithmetic::kFp32;
  const bool on_cpu = parameters.begin()->second.is_cpu();
  if (on_cpu && PackedTransformer::computes(config) && cpu_supports(arithmetic))
    return std::make_unique<PackedTransformer>(BlockRecurrentTransformer(config, parameters), arithmetic);
  return plain_network({config, cast_for_products(parameters, dtype)});
}

}  // namespace

Parts hold_out(const std::vector<TokenDocument>& documents, double share) {
  Parts parts;
  const auto most = kMostHeldOut / std::max<std::size_t>(1, documents.size());
  for (const auto& [name, tokens] : documents) {
    const auto held = std::min(most, static_cast<std::size_t>(share * static_cast<double>(tokens.size())));
    parts.training.push_back({name, tokens.first(tokens.size() - held)});
    if (held > 0) parts.validation.push_back({name, tokens.last(held)});
  }
  return parts;
}

Validation::Validation(std::vector<TokenDocument> documents, const Vocabulary& vocabulary, ModelConfig config,
                       std::string dtype)
    : documents_(std::move(documents)),
      config_(std::move(config)),
      dtype_(std::move(dtype)),
      first_input_(vocabulary.first_input()) {
  for (const auto& document : documents_) {
    tokens_ += static_cast<double>(document.tokens.size());
    for (const auto token : document.tokens) bytes_ += static_cast<double>(vocabulary.bytes(token).size());
  }
  if (tokens_ == 0)
    throw std::runtime_error("there is nothing to validate on; give more with --validation or --hold-out");
}

double Validation::loss(const TensorMap& parameters) const {
  const at::NoGradGuard no_grad;
  const auto network = make_network(config_, parameters, dtype_);
  double sum = 0;
  for (const auto& document : documents_) sum += nats(*network, document);
  return sum / tokens_;
}

double Validation::nats(Network& network, const TokenDocument& document) const {
  const auto width = static_cast<std::size_t>(config_.block_width);
  Recurrence recurrence;
  std::int64_t before = first_input_;
  std::vector<float> logprobs;
  for (std::size_t begin = 0; begin < document.tokens.size(); begin += width) {
    const auto block = document.tokens.subspan(begin, std::min(width, document.tokens.size() - begin));
    const std::vector<std::int32_t> targets(block.begin(), block.end());
    std::vector<std::int64_t> inputs{before};
    inputs.insert(inputs.end(), targets.begin(), targets.end() - 1);
    before = targets.back();
    const auto hidden = network.forward_block(at::tensor(inputs).unsqueeze(0), recurrence);
    network.score(hidden, {{targets, &logprobs, nullptr}})();
  }
  return -std::accumulate(logprobs.begin(), logprobs.end(), 0.0);
}

double Validation::bits_per_byte(double loss) const {
  return loss / std::numbers::ln2 * tokens_ / bytes_;
}

}  // namespace unroll
