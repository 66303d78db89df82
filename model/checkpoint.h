// A checkpoint folder: config.json and model.safetensors, whose names and shapes are those of the reference's
// state_dict, so that a checkpoint goes from here to there and back.
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

/// Every expected tensor as contiguous fp32 in memory of its own (the file may change afterwards). Stored as
/// F32, BF16 or F16; or as I8 [rows, columns] with `<name>.scale` F32 [rows] to multiply rows by. Throws
/// std::runtime_error that names the file and the first few tensors that are missing, unknown or of another
/// shape or type.
TensorMap load_parameters(const std::filesystem::path& directory, const ModelConfig& config);

/// The `dtype` that save_checkpoint() needs to store the checkpoint as it is; fp32 for what it never writes.
/// Throws std::runtime_error.
std::string storage_dtype(const std::filesystem::path& directory);

/// Writes config.json and model.safetensors, each whole or not at all, in a folder that is made if needed.
/// `dtype` is of the storage: fp32; bf16; int8, which is int8 for the matrices `*.weight` (symmetric, one
/// scale a row) and bf16 for all else. Throws std::runtime_error.
void save_checkpoint(const std::filesystem::path& directory, const ModelConfig& config,
                     const TensorMap& parameters, const std::string& dtype);

}  // namespace unroll
