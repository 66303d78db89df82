// What one document's blocks left behind, as BlockModel hands it out: the transformer's recurrence, the last
// token, and the document's cache where the checkpoint has one. Internal to model/.
#pragma once

#include <memory>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"
#include "model/document_cache.h"

namespace unroll {

class BlockState final : public ModelState {
 public:
  BlockState(Recurrence recurrence, std::int32_t last_token, std::shared_ptr<const DocumentCache> cache,
             std::uint64_t checkpoint)
      : recurrence(std::move(recurrence)),
        last_token(last_token),
        cache(std::move(cache)),
        checkpoint_(checkpoint) {}

  std::size_t bytes() const override;
  std::vector<std::byte> serialize() const override;
  /// `checkpoint`: the fingerprint of the parameters that the state must have been made with. Throws
  /// std::runtime_error.
  static std::shared_ptr<const BlockState> deserialize(std::span<const std::byte> bytes,
                                                       const ModelConfig& config, at::Device device,
                                                       std::uint64_t checkpoint);

  const Recurrence recurrence;
  const std::int32_t last_token;
  const std::shared_ptr<const DocumentCache> cache;  ///< Null where the checkpoint has none.

 private:
  std::vector<at::Tensor> tensors() const;
  std::uint64_t checkpoint_;
};

/// Tells checkpoints apart: a hash of the configuration, every number of the parameters, and what is computed
/// in.
std::uint64_t fingerprint(const ModelConfig& config, const std::map<std::string, at::Tensor>& parameters,
                          const std::string& dtype);

}  // namespace unroll
