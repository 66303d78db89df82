// Reads a document and then continues it: returns the distribution of the next token, one token at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "model/block_model.h"

namespace unroll {

/// One document, from its first token. Memory is constant, whatever the length: states and memories pass from
/// block to block; within a block, keys and values are kept, so that a token costs the work of one token. One
/// thread.
class Continuation {
 public:
  /// `with_cache` false: the network alone, even if the checkpoint has a document cache. Throws as
  /// load_block_model() does.
  Continuation(const std::filesystem::path& model, const ModelOptions& options, bool with_cache = true);
  ~Continuation();
  /// Before the first read(): goes on after the blocks that have left `state`, BlockModel's of the same
  /// checkpoint in any type of numbers; empty: before a document's first block. Needs dtype fp32.
  /// `checkpoint`: ModelInfo's. Throws std::runtime_error if it is another one, or if the state is damaged.
  void restore(std::span<const std::byte> state, const std::string& checkpoint);
  /// Reads the document's next tokens. Throws std::invalid_argument for a token that is not in the
  /// vocabulary.
  void read(std::span<const std::int32_t> tokens);
  /// [num_tokens] nats: log p(next token
  /// everything read so far), with the document cache mixed in. Equal to what BlockModel scores that token
  /// with, except for the order of sums. Valid until read().
  std::span<const float> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace unroll
