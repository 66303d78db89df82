// The state of one document as BlockModel returns it: the network's recurrence, the last token, and the
// document cache if the checkpoint has one. Internal to model/.
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
  /// On the host, where the state waits for its next block. `checkpoint` is the fingerprint of the
  /// parameters; the state must have been made with them. Throws std::runtime_error.
  static std::shared_ptr<const BlockState> deserialize(std::span<const std::byte> bytes,
                                                       const NetworkShape& shape, std::uint64_t checkpoint);

  /// Only the location of the tensors ever changes. From any thread; the result stays valid while it is held.
  std::shared_ptr<const Recurrence> recurrence() const;
  /// Copies the tensors to the host. The device's memory is freed when nobody holds them any longer. Routed
  /// memory is not moved: all states of a document share it. From any thread.
  void spill() const;
  bool is_spilled() const;
  /// Bytes of device memory that spill() would free.
  std::size_t device_bytes() const;

  const std::int32_t last_token;
  const std::shared_ptr<const DocumentCache> cache;  ///< Null if the checkpoint has none.

 private:
  mutable std::mutex mutex_;  // guards the two below
  mutable std::shared_ptr<const Recurrence> recurrence_;
  mutable bool is_spilled_ = false;
  std::uint64_t checkpoint_;
};

/// Identifies a checkpoint: a hash of the configuration, all parameters, and the type of numbers that is
/// computed with.
std::uint64_t fingerprint(std::string_view config, const TensorMap& parameters, std::string_view dtype);

}  // namespace unroll
