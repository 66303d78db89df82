// A checkpoint folder as a network that runs without gradients, in the form that is fastest on this machine.
// Internal to model/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "model/block_model.h"
#include "model/network.h"

namespace unroll {

struct LoadedNetwork {
  std::unique_ptr<Network> network;
  std::string dtype;  ///< What `auto` came to.
  std::int64_t parameters = 0;
  std::uint64_t fingerprint = 0;  ///< Of the checkpoint in that dtype: states of others are refused.
};

/// The definition itself as a network.
std::unique_ptr<Network> plain_network(BlockRecurrentTransformer definition);

/// As load_block_model() says. Sets the number of threads where the options name one.
LoadedNetwork load_network(const std::filesystem::path& directory, const ModelOptions& options);

}  // namespace unroll
