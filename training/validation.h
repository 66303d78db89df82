// Validation during training: how well the weights predict text that is not trained on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/block_recurrent_transformer.h"
#include "model/network.h"
#include "tokenizer/tokenizer.h"
#include "training/token_file.h"

namespace unroll {

/// The ends of documents for validation, and the rest for training.
struct Parts {
  std::vector<TokenDocument> training, validation;
};
/// Holds out the last `share` of each document, up to a total that can be read quickly.
Parts hold_out(const std::vector<TokenDocument>& documents, double share);

class Validation {
 public:
  /// Throws std::runtime_error if there is nothing to validate on.
  Validation(std::vector<TokenDocument> documents, const Vocabulary& vocabulary, ModelConfig config,
             std::string dtype);
  /// Nats per token. Each document is read from its first token, keeping states and memories.
  double loss(const TensorMap& parameters) const;
  double bits_per_byte(double loss) const;

 private:
  double nats(Network& network, const TokenDocument& document) const;

  std::vector<TokenDocument> documents_;
  ModelConfig config_;
  std::string dtype_;
  std::int32_t first_input_;
  double tokens_ = 0, bytes_ = 0;
};

}  // namespace unroll
