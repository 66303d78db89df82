// Validation while training: how well the weights predict text that is not trained on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/block_recurrent_transformer.h"
#include "model/network.h"
#include "tokenizer/tokenizer.h"
#include "training/token_file.h"

namespace unroll {

/// The parameters as matrix products take them; gradients flow back through the casts.
TensorMap cast_for_products(TensorMap parameters, const std::string& dtype);

/// The ends of documents, for validation, and the rest, for training.
struct Parts {
  std::vector<TokenDocument> training, validation;
};
/// Holds out the last `share` of each document, but of all together no more than reading takes a moment.
Parts hold_out(const std::vector<TokenDocument>& documents, double share);

class Validation {
 public:
  /// Throws std::runtime_error where there is nothing to validate on.
  Validation(std::vector<TokenDocument> documents, const Vocabulary& vocabulary, ModelConfig config,
             std::string dtype);
  /// Nats per token: each document from its first token, states and memories kept throughout.
  double loss(const TensorMap& parameters) const;
  double bits_per_byte(double loss) const;

 private:
  double nats(Network& network, const TokenDocument& document) const;

  std::vector<TokenDocument> documents_;
  ModelConfig config_;
  std::string dtype_;
  double tokens_ = 0, bytes_ = 0;
};

}  // namespace unroll
