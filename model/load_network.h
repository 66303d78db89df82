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
#include "model/gpu/row_machine.h"
#include "model/network.h"

namespace unroll {

struct LoadedNetwork {
  std::unique_ptr<Network> network;
  std::string dtype;                             ///< What `auto` selected.
  std::string form = "operators", form_problem;  ///< ModelInfo's.
  std::int64_t parameters = 0;
  std::uint64_t weight_bytes = 0;  ///< ModelInfo::weight_bytes.
  std::uint64_t fingerprint = 0;   ///< Of the checkpoint in that dtype; states with another one are refused.
  std::uint64_t checkpoint = 0;    ///< Of a pretrained one, whatever the dtype.
  /// On a CPU: a row has the bits that it gets alone. If not, one document is computed at a time.
  bool rows_are_independent = true;
};

/// Bytes of one number in this dtype.
constexpr std::int64_t bytes_of(std::string_view dtype) {
  return dtype == "fp32" ? 4 : dtype == "bf16" ? 2 : 1;
}

/// The definition as a network, for machines without a faster form.
std::unique_ptr<Network> plain_network(BlockRecurrentTransformer definition);

/// Makes the form for GPUs of a definition on the machine's device, in loaded.dtype, and checks it. If it may
/// be used, sets loaded.network and loaded.form; if not, or if no graph was recorded, loaded.form_problem.
/// Throws std::runtime_error if the device was lost, because then LibTorch's operators cannot compute either.
void use_gpu_form(const BlockRecurrentTransformer& definition, std::unique_ptr<RowMachine> machine,
                  bool graphs, LoadedNetwork& loaded);

/// As load_block_model(). Sets the number of threads if the options name one.
LoadedNetwork load_network(const std::filesystem::path& model, const ModelOptions& options);

}  // namespace unroll
