// LibTorch's tensors from and to safetensors files (safetensors_file.h says what those are).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

namespace unroll {

using TensorMap = std::map<std::string, at::Tensor>;

/// Tensors that borrow from the mapped file and keep the map alive; read-only by agreement (the map is
/// private). Throws std::runtime_error that names the file, the tensor, what is wrong, and what to do.
TensorMap read_safetensors(const std::filesystem::path& file,
                           std::map<std::string, std::string>* metadata = nullptr);

/// A reader sees the old file or the new one.
void write_safetensors(const std::filesystem::path& file, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace unroll
