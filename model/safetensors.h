// Reads and writes LibTorch's tensors as safetensors files (format: safetensors_file.h).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

namespace unroll {

using TensorMap = std::map<std::string, at::Tensor>;

/// The tensors borrow from the mapped file and keep the map alive. Do not write to them (the map is private,
/// so a write would not reach the file). Throws std::runtime_error that names the file, the tensor, the
/// problem, and what to do.
TensorMap read_safetensors(const std::filesystem::path& file,
                           std::map<std::string, std::string>* metadata = nullptr);

/// Atomic: a reader sees the old file or the new one.
void write_safetensors(const std::filesystem::path& file, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace unroll
