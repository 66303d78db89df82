#include "tokenizer/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"

namespace unroll {
namespace {

constexpr std::size_t kCharacters = 256 + 68;  // the characters of non-printable bytes follow the first 256

/// Bytes by character; -1: none. Printable bytes are the character of the same number; the others, in rising
/// order, are those from U+0100 on.
constexpr std::array<std::int16_t, kCharacters> make_bytes() {
  std::array<std::int16_t, kCharacters> bytes{};
  bytes.fill(-1);
  std::size_t next = 256;
  for (std::int16_t byte = 0; byte < 256; ++byte) {
    const bool printed = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    bytes[printed ? static_cast<std::size_t>(byte) : next++] = byte;
  }
  return bytes;
}
constexpr auto kBytes = make_bytes();

}  // namespace

std::optional<std::string> from_byte_alphabet(std::string_view written) {
  std::string bytes;
  while (!written.empty()) {
    const auto character = next_utf8(written);
    if (!character.valid || character.code >= kCharacters || kBytes[character.code] < 0) return std::nullopt;
    bytes += static_cast<char>(kBytes[character.code]);
    written.remove_prefix(character.bytes);
  }
  return bytes;
}

}  // namespace unroll
