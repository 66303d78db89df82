// The safetensors format (huggingface/safetensors): 8 bytes little-endian header length, a JSON header of
// names, types, shapes and byte ranges, then the data. Read by memory map; every length and offset in the
// header is checked first.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

namespace unroll {

using TensorMap = std::map<std::string, at::Tensor>;

/// Tensors that borrow from the mapped file and keep the map alive; read-only by agreement (the map is
/// private). Throws std::runtime_error that names the file, the tensor, what is wrong, and what to do.
TensorMap read_safetensors(const std::filesystem::path& file,
                           std::map<std::string, std::string>* metadata = nullptr);

/// Writes to a temporary file beside it, syncs, renames: a reader sees the old file or the new one.
void write_safetensors(const std::filesystem::path& file, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace unroll
