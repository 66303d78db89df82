// The GGUF format (ggml's docs/gguf.md), versions 2 and 3, little-endian: a header, key-value metadata,
// descriptions of tensors, then their data. The file is memory-mapped; every count, length, offset and
// alignment is checked against it first. This file neither interprets keys nor decodes quantised types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

class MappedFile;

/// A tensor's type: `block_values` numbers of a row take `block_bytes` bytes.
struct GgufType {
  std::uint32_t id;       ///< ggml_type
  std::string_view name;  ///< ggml's own: "F32", "Q4_K"
  std::uint32_t block_values, block_bytes;
};

/// Views into the file's map: valid as long as the GgufFile.
struct GgufTensor {
  std::string_view name;
  const GgufType* type = nullptr;
  /// Rows first, as everywhere else: [rows, columns]. (The file stores columns first.)
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};

/// Immutable, so any thread may read. Everything throws std::runtime_error that names the file, what is
/// wrong, and what to do.
class GgufFile {
 public:
  /// Refuses damaged, cut and overlapping contents.
  explicit GgufFile(const std::filesystem::path& file);
  GgufFile(GgufFile&&) noexcept;
  GgufFile& operator=(GgufFile&&) noexcept;
  ~GgufFile();

  const std::filesystem::path& path() const { return path_; }

  // Metadata. Returns nullopt for an absent key; throws if the value is of another kind.
  bool has(std::string_view key) const { return values_.contains(key); }
  std::optional<std::int64_t> integer(std::string_view key) const;  ///< Of any integer type.
  std::optional<double> number(std::string_view key) const;         ///< Of any integer or float type.
  std::optional<bool> boolean(std::string_view key) const;
  /// Strings are views into the map. GGUF requires UTF-8; this is not checked.
  std::optional<std::string_view> string(std::string_view key) const;
  std::optional<std::vector<std::string_view>> strings(std::string_view key) const;
  std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;
  std::optional<std::vector<float>> numbers(std::string_view key) const;

  std::span<const GgufTensor> tensors() const { return tensors_; }  ///< In the order of the file.
  /// Null if there is no tensor of that name.
  const GgufTensor* find_tensor(std::string_view name) const;

  /// An error about this file: "FILE: PROBLEM".
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  struct Value {
    std::uint32_t type;  // of the value; of the elements if it is an array
    bool array;
    std::uint64_t count;          // of elements; 1 if not an array
    std::span<const char> bytes;  // of all elements
  };
  class Parser;

  const Value* find(std::string_view key, bool array) const;
  [[noreturn]] void wrong_kind(std::string_view key, const char* wanted) const;

  std::filesystem::path path_;
  std::unique_ptr<MappedFile> map_;
  std::map<std::string_view, Value> values_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string_view, std::size_t> places_;  // in tensors_
};

/// The GGUF file of a model path: the path itself if it is a file; in a folder without safetensors, its only
/// *.gguf file. Returns nullopt if there is none. Throws std::runtime_error if there are
/// several.
std::optional<std::filesystem::path> find_gguf(const std::filesystem::path& model);

}  // namespace unroll
