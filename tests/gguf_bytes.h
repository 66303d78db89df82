// Builds GGUF files for tests, byte by byte: valid ones, and ones with errors at any place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

class GgufBytes {
 public:
  template <typename T>
  static std::string number(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  static std::string text(std::string_view value) {
    return number<std::uint64_t>(value.size()) + std::string(value);
  }

  // Types are those of the format: 4 is uint32, 6 float32, 7 bool, 8 a string, 9 an array.
  GgufBytes& value(std::string_view key, std::uint32_t type, const std::string& bytes) {
    ++keys;
    key_bytes += text(key) + number(type) + bytes;
    return *this;
  }
  GgufBytes& integer(std::string_view key, std::uint32_t value) { return this->value(key, 4, number(value)); }
  GgufBytes& real(std::string_view key, float value) { return this->value(key, 6, number(value)); }
  GgufBytes& string(std::string_view key, std::string_view value) { return this->value(key, 8, text(value)); }
  GgufBytes& array(std::string_view key, std::uint32_t type, std::uint64_t count, const std::string& bytes) {
    return value(key, 9, number(type) + number(count) + bytes);
  }

  /// `dimensions` in the order of the file: columns first.
  GgufBytes& describe(std::string_view name, const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                      std::uint64_t offset) {
    ++tensors;
    tensor_bytes += text(name) + number(static_cast<std::uint32_t>(dimensions.size()));
    for (const auto dimension : dimensions) tensor_bytes += number(dimension);
    tensor_bytes += number(type) + number(offset);
    return *this;
  }
  /// With its data, after what was added before.
  GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                    const std::string& bytes) {
    data.resize((data.size() + alignment - 1) / alignment * alignment);
    describe(name, dimensions, type, data.size());
    data += bytes;
    return *this;
  }

  std::string build() const {
    std::string file = "GGUF" + number(version) + number(tensors) + number(keys) + key_bytes + tensor_bytes;
    if (!data.empty()) file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data;
  }

  std::uint32_t version = 3;
  std::uint64_t tensors = 0, keys = 0;
  std::uint64_t alignment = 32;
  std::string key_bytes, tensor_bytes, data;
};

}  // namespace unroll
