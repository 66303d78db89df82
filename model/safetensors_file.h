// The safetensors format (huggingface/safetensors): 8 bytes little-endian header length, a JSON header of
// names, types, shapes and byte ranges, then the data. The file is memory-mapped; every length and offset in
// the header is checked first. Here tensors are named ranges of bytes; safetensors.h turns them into
// LibTorch's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// A tensor's bytes in the file, in row-major order.
struct StoredTensor {
  std::string name;
  std::string_view dtype;  ///< "F32": the format's own name.
  std::vector<std::int64_t> shape;
  const void* data = nullptr;
  std::size_t size = 0;  ///< Size of the data in bytes.
};

struct SafetensorsFile {
  std::vector<StoredTensor>
      tensors;  ///< Their data points into `map`, which is private: writes do not reach the file.
  std::map<std::string, std::string> metadata;
  std::shared_ptr<const void> map;
  /// Null if there is no such tensor.
  const StoredTensor* find(std::string_view name) const;
};

/// Throws std::runtime_error that names the file, the tensor, the problem, and what to do.
SafetensorsFile map_safetensors(const std::filesystem::path& file);

/// Writes a temporary file beside it, syncs and renames it: a reader sees the old file or the new one. Throws
/// std::runtime_error.
void write_stored_tensors(const std::filesystem::path& file, std::vector<StoredTensor> tensors,
                          const std::map<std::string, std::string>& metadata);

}  // namespace unroll
