// Loads a checkpoint as a network that runs without gradients, in the form that is fastest on this machine.
// Internal to model/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"
#include "model/network.h"

namespace unroll {

struct LoadedNetwork {
  std::unique_ptr<Network> network;
  std::string dtype;  ///< What `auto` selected.
  std::int64_t parameters = 0;
  std::uint64_t weight_bytes = 0;  ///< ModelInfo::weight_bytes.
  std::uint64_t fingerprint = 0;   ///< Of the checkpoint in that dtype; states with another one are refused.
  /// On a CPU: a row has the bits that it gets alone. If not, one document is computed at a time.
  bool rows_are_independent = true;
};

/// Bytes of one number in this dtype.
constexpr std::int64_t bytes_of(std::string_view dtype) {
  return dtype == "fp32" ? 4 : dtype == "bf16" ? 2 : 1;
}

/// The definition as a network, for machines without a faster form.
std::unique_ptr<Network> plain_network(BlockRecurrentTransformer definition);

/// As load_block_model(). Sets the number of threads if the options name one.
LoadedNetwork load_network(const std::filesystem::path& model, const ModelOptions& options);

}  // namespace unroll
