// A document that is read and then written on: the distribution of its next token, one token at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "model/block_model.h"

namespace unroll {

/// One document's, from its first token on. Its memory is constant however long it becomes: states and
/// memories go from block to block, within one its keys and values are kept, so that a token costs a token's
/// work. One thread.
class Continuation {
 public:
  /// `with_cache` false: the network alone, even where the checkpoint has a document's cache. Throws as
  /// load_block_model() does.
  Continuation(const std::filesystem::path& model, const ModelOptions& options, bool with_cache = true);
  ~Continuation();
  /// The document's next tokens, drawn or not. Throws std::invalid_argument for one that is not in the
  /// vocabulary.
  void read(std::span<const std::int32_t> tokens);
  /// [num_tokens] nats: log p(next token | all that was read), which is what BlockModel scores that token
  /// with, but for the order of sums: the document's cache is mixed in. Valid until read().
  std::span<const float> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace unroll
