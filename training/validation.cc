#include "training/validation.h"

#include <algorithm>
#include <numbers>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace unroll {
namespace {

constexpr std::size_t kMostHeldOut = 65536;  // tokens, of all documents together

}  // namespace

TensorMap cast_for_products(TensorMap parameters, const std::string& dtype) {
  if (dtype == "fp32") return parameters;
  for (auto& [name, tensor] : parameters) {
    if (name.ends_with(".weight") && tensor.dim() == 2 && name != "token_emb.weight")
      tensor = tensor.to(at::kBFloat16);
  }
  return parameters;
}

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
    : documents_(std::move(documents)), config_(std::move(config)), dtype_(std::move(dtype)) {
  for (const auto& document : documents_) {
    tokens_ += static_cast<double>(document.tokens.size());
    for (const auto token : document.tokens) bytes_ += static_cast<double>(vocabulary.bytes(token).size());
  }
  if (tokens_ == 0)
    throw std::runtime_error("there is nothing to validate on; name more with --validation or --hold-out");
}

double Validation::loss(const TensorMap& parameters) const {
  const at::NoGradGuard no_grad;
  const BlockRecurrentTransformer model(config_, cast_for_products(parameters, dtype_));
  double sum = 0;
  for (const auto& document : documents_) sum += nats(model, document);
  return sum / tokens_;
}

double Validation::nats(const BlockRecurrentTransformer& model, const TokenDocument& document) const {
  const auto width = static_cast<std::size_t>(config_.block_width);
  Recurrence recurrence;
  double sum = 0;
  std::int64_t before = kBeginOfDocument;
  for (std::size_t begin = 0; begin < document.tokens.size(); begin += width) {
    const auto block = document.tokens.subspan(begin, std::min(width, document.tokens.size() - begin));
    const std::vector<std::int64_t> targets(block.begin(), block.end());
    std::vector<std::int64_t> inputs{before};
    inputs.insert(inputs.end(), targets.begin(), targets.end() - 1);
    before = targets.back();
    const auto hidden = model.forward_block(at::tensor(inputs).unsqueeze(0), recurrence);
    const auto logits = model.to_logits(hidden.flatten(0, 1)).to(at::kFloat);
    sum += at::cross_entropy_loss(logits, at::tensor(targets), {}, at::Reduction::Sum).item<double>();
  }
  return sum;
}

double Validation::bits_per_byte(double loss) const {
  return loss / std::numbers::ln2 * tokens_ / bytes_;
}

}  // namespace unroll
