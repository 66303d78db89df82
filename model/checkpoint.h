// A checkpoint folder: config.json and model.safetensors, with the names and shapes of the reference's
// state_dict, so that both programs load each other's checkpoints.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/safetensors.h"

namespace unroll {

/// Name and shape of every tensor of a model's state_dict, its buffers included.
std::map<std::string, std::vector<std::int64_t>> expected_parameters(const ModelConfig& config);

/// Loads every expected tensor as contiguous fp32 in memory of its own (the file may change afterwards). The
/// file stores F32, BF16 or F16; or I8 [rows, columns] with `<name>.scale` F32 [rows], the factor for each
/// row. Throws std::runtime_error that names the file and the first few tensors that are missing, unknown, or
/// of another shape or type.
TensorMap load_parameters(const std::filesystem::path& directory, const ModelConfig& config);

/// The parameters with the matrices that multiply activations in `dtype`, fp32 or bf16; norms, gates and
/// embeddings stay in fp32. Gradients flow back through the casts.
TensorMap cast_for_products(TensorMap parameters, const std::string& dtype);

/// The `dtype` with which save_checkpoint() stores the checkpoint in its current type; fp32 for types that it
/// never writes. Throws std::runtime_error.
std::string storage_dtype(const std::filesystem::path& directory);

/// Writes config.json and model.safetensors, each atomically, and creates the folder if needed. `dtype` is
/// the storage type: fp32; bf16; int8, which stores matrices `*.weight` as int8 (symmetric, one scale per
/// row) and all else as bf16. Throws std::runtime_error.
void save_checkpoint(const std::filesystem::path& directory, const ModelConfig& config,
                     const TensorMap& parameters, const std::string& dtype);

}  // namespace unroll
