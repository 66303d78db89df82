// Loads a pretrained checkpoint as a transformer or network that is ready to compute. Internal to model/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "model/block_model.h"
#include "model/load_network.h"
#include "model/pretrained/checkpoint.h"
#include "model/pretrained/transformer.h"

namespace unroll {

struct LoadedPretrained {
  PretrainedTransformer transformer;
  std::string dtype;  ///< What `auto` selected.
  std::int64_t parameters = 0;
  std::uint64_t checkpoint = 0;   ///< Hash of its configuration and weights, whatever the dtype.
  std::uint64_t fingerprint = 0;  ///< pretrained_fingerprint()
};

/// Of a checkpoint that is computed in `dtype`: which states can be restored.
std::uint64_t pretrained_fingerprint(std::uint64_t checkpoint, const std::string& dtype);
/// The type of the memories' numbers if the checkpoint is computed in `dtype`.
at::ScalarType pretrained_memory_type(const std::string& dtype);

/// Loads a Hugging Face folder or a GGUF file. Sets the number of threads if the options name one. Throws
/// std::runtime_error that names the file, the problem, and what to do.
LoadedPretrained load_pretrained(const std::filesystem::path& path, const ModelOptions& options);

/// The same, as a network.
LoadedNetwork load_pretrained_network(const std::filesystem::path& path, const ModelOptions& options);

}  // namespace unroll
