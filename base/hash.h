// FNV-1a: a short, stable hash that is not cryptographic.
#pragma once

#include <cstdint>
#include <string_view>

namespace unroll {

inline std::uint64_t fnv1a(std::string_view bytes) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return hash;
}

}  // namespace unroll
