// The safetensors format (huggingface/safetensors): 8 bytes little-endian header length, a JSON header of
// names, types, shapes and byte ranges, then the data. Read by memory map; every length and offset in the
// header is checked first. Here tensors are named ranges of bytes; safetensors.h makes LibTorch's of them.
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

/// A tensor as it lies in the file, from the first dimension's first row on.
struct StoredTensor {
  std::string name;
  std::string_view dtype;  ///< "F32": the format's own name.
  std::vector<std::int64_t> shape;
  const void* data = nullptr;
  std::size_t size = 0;  ///< Bytes: those of all numbers of the shape.
};

struct SafetensorsFile {
  std::vector<StoredTensor>
      tensors;  ///< Their data is the map's: a private one, so writing does not reach the file.
  std::map<std::string, std::string> metadata;
  std::shared_ptr<const void> map;
  /// Null where there is none of that name.
  const StoredTensor* find(std::string_view name) const;
};

/// Throws std::runtime_error that names the file, the tensor, what is wrong, and what to do.
SafetensorsFile map_safetensors(const std::filesystem::path& file);

/// Writes to a temporary file beside it, syncs, renames: a reader sees the old file or the new one. Throws
/// std::runtime_error.
void write_stored_tensors(const std::filesystem::path& file, std::vector<StoredTensor> tensors,
                          const std::map<std::string, std::string>& metadata);

}  // namespace unroll
