#include "base/sha256.h"

#include <cstdint>

#include "base/hex.h"

namespace unroll {
namespace {

// Eight words of the hash, the number of whole blocks; then the bytes of the block that has begun.
constexpr std::size_t kHead = 8 * 4 + 8;

void put(std::vector<std::byte>& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

std::uint64_t take(std::span<const std::byte>& in, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= std::to_integer<std::uint64_t>(in[i]) << (8 * i);
  in = in.subspan(bytes);
  return value;
}

}  // namespace

void Sha256::add(std::string_view bytes) {
  ::nettle_sha256_update(&state_, bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()));
}

std::vector<std::byte> Sha256::digest() const {
  auto copy = state_;
  std::vector<std::byte> digest(SHA256_DIGEST_SIZE);
  ::nettle_sha256_digest(&copy, digest.size(), reinterpret_cast<std::uint8_t*>(digest.data()));
  return digest;
}

std::vector<std::byte> Sha256::save() const {
  std::vector<std::byte> saved;
  for (const auto word : state_.state) put(saved, word, 4);
  put(saved, state_.count, 8);
  for (std::size_t i = 0; i < state_.index; ++i) put(saved, state_.block[i], 1);
  return saved;
}

std::optional<Sha256> Sha256::load(std::span<const std::byte> saved) {
  if (saved.size() < kHead || saved.size() >= kHead + SHA256_BLOCK_SIZE) return std::nullopt;
  Sha256 result;
  for (auto& word : result.state_.state) word = static_cast<std::uint32_t>(take(saved, 4));
  result.state_.count = take(saved, 8);
  result.state_.index = static_cast<unsigned>(saved.size());
  for (std::size_t i = 0; !saved.empty(); ++i)
    result.state_.block[i] = static_cast<std::uint8_t>(take(saved, 1));
  return result;
}

std::string digest_text(std::span<const std::byte> digest) {
  return to_hex({reinterpret_cast<const std::uint8_t*>(digest.data()), digest.size()});
}

}  // namespace unroll
