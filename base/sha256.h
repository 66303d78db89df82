// SHA-256 (FIPS 180-4) whose state can be saved. A document that is resumed is recognised by the digest of
// its first bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nettle/sha2.h>

namespace unroll {

/// Not for sharing between threads.
class Sha256 {
 public:
  Sha256() { ::nettle_sha256_init(&state_); }
  void add(std::string_view bytes);
  /// Of the bytes so far; 32 bytes.
  std::vector<std::byte> digest() const;

  /// What load() continues from, on any machine; 40 to 103 bytes.
  std::vector<std::byte> save() const;
  /// Nullopt if these are not bytes of save().
  static std::optional<Sha256> load(std::span<const std::byte> saved);

 private:
  sha256_ctx state_{};
};

/// As sha256sum prints it.
std::string digest_text(std::span<const std::byte> digest);

}  // namespace unroll
