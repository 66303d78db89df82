// What one document's blocks left behind, as BlockModel hands it out: the network's recurrence, the last
// token, and the document's cache where the checkpoint has one. Internal to model/.
#pragma once

#include <memory>
#include <mutex>

#include "model/block_model.h"
#include "model/document_cache.h"
#include "model/network_shape.h"
#include "model/recurrence.h"
#include "model/safetensors.h"

namespace unroll {

class BlockState final : public ModelState {
 public:
  BlockState(Recurrence recurrence, std::int32_t last_token, std::shared_ptr<const DocumentCache> cache,
             std::uint64_t checkpoint)
      : last_token(last_token),
        cache(std::move(cache)),
        recurrence_(std::make_shared<const Recurrence>(std::move(recurrence))),
        checkpoint_(checkpoint) {}

  std::size_t bytes() const override;
  std::vector<std::byte> serialize() const override;
  /// On the host, where it waits for its next block. `checkpoint`: the fingerprint of the parameters that the
  /// state must have been made with. Throws std::runtime_error.
  static std::shared_ptr<const BlockState> deserialize(std::span<const std::byte> bytes,
                                                       const NetworkShape& shape, std::uint64_t checkpoint);

  /// Where its tensors lie is all that ever changes of it. From any thread; stays while it is held.
  std::shared_ptr<const Recurrence> recurrence() const;
  /// Copies the tensors to the host; the device's memory is free once nobody holds them. Routed memory stays
  /// where it is: a document's states share it. From any thread.
  void spill() const;
  bool is_spilled() const;
  /// What spill() would free, in bytes.
  std::size_t device_bytes() const;

  const std::int32_t last_token;
  const std::shared_ptr<const DocumentCache> cache;  ///< Null where the checkpoint has none.

 private:
  mutable std::mutex mutex_;  // for the two below
  mutable std::shared_ptr<const Recurrence> recurrence_;
  mutable bool is_spilled_ = false;
  std::uint64_t checkpoint_;
};

/// Tells checkpoints apart: a hash of the configuration, every number of the parameters, and what is computed
/// in.
std::uint64_t fingerprint(std::string_view config, const TensorMap& parameters, std::string_view dtype);

}  // namespace unroll
