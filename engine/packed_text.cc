#include "engine/packed_text.h"

#include <cstdint>

#include <zlib.h>

namespace unroll {
namespace {

constexpr std::size_t kLengthBytes = 4, kShortest = 256;
constexpr std::size_t kMostRatio = 1032;  ///< Maximum expansion of deflate.

const Bytef* as_bytes(const void* data) {
  return static_cast<const Bytef*>(data);
}

}  // namespace

std::optional<std::vector<std::byte>> pack_text(std::string_view text) {
  if (text.size() < kShortest || text.size() > UINT32_MAX) return std::nullopt;
  uLongf size = ::compressBound(text.size());
  std::vector<std::byte> bytes(kLengthBytes + size);
  for (std::size_t i = 0; i < kLengthBytes; ++i) bytes[i] = static_cast<std::byte>(text.size() >> (8 * i));
  if (::compress2(reinterpret_cast<Bytef*>(bytes.data() + kLengthBytes), &size, as_bytes(text.data()),
                  text.size(), Z_DEFAULT_COMPRESSION) != Z_OK)
    return std::nullopt;
  bytes.resize(kLengthBytes + size);
  if (bytes.size() > text.size() - text.size() / 8) return std::nullopt;
  return bytes;
}

std::optional<std::string> unpack_text(std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthBytes) return std::nullopt;
  std::size_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length |= static_cast<std::size_t>(bytes[i]) << (8 * i);
  const auto stream = bytes.subspan(kLengthBytes);
  if (length > kMostRatio * stream.size()) return std::nullopt;
  std::string text(length, '\0');
  uLongf size = length;
  if (::uncompress(reinterpret_cast<Bytef*>(text.data()), &size, as_bytes(stream.data()), stream.size()) !=
          Z_OK ||
      size != length)
    return std::nullopt;
  return text;
}

}  // namespace unroll
