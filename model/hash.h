// Checksum and fingerprint of bytes, against accidents, not against forgery. Internal to model/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace unroll {

/// FNV-1a over 64-bit words.
class Hash {
 public:
  void add(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const char*>(data);
    for (; size > 0;
         bytes += std::min(size, sizeof(std::uint64_t)), size -= std::min(size, sizeof(std::uint64_t))) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes, std::min(size, sizeof word));
      value_ = (value_ ^ word) * 1099511628211u;
      value_ ^= value_ >> 32;  // mixes high bits into the low ones
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 14695981039346656037u;
};

}  // namespace unroll
