// The users of HTTP over TCP: names with bearer tokens (RFC 6750), from a file that only the daemon may read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// Owners from here on have a token and no uid. While tokens are in use, users with such a uid are refused.
inline constexpr std::uint32_t kFirstTokenOwner = 0x8000'0000;
/// Of a connection that has not sent a token yet: (uid_t)-1, which is no user.
inline constexpr std::uint32_t kUnknownOwner = 0xFFFF'FFFF;

/// Immutable.
class HttpTokens {
 public:
  using Digest = std::array<std::byte, 32>;
  /// What a token gives.
  struct Grant {
    std::uint32_t owner = kUnknownOwner;
    Digest digest{};  ///< SHA-256 of the token.
  };

  /// Each line of the file is `NAME TOKEN`; empty lines and those that begin with # do not count. A name is a
  /// user, and may have several tokens. Its owner depends on the name alone, so that its documents stay its
  /// own after a restart and with another token. Throws Error(kInvalidParams), which names the file and the
  /// line: others may read the file, it belongs to another user, it is malformed, or has no token.
  static std::shared_ptr<const HttpTokens> load(const std::filesystem::path& file);

  /// For an Authorization field, "Bearer TOKEN". Compares with every token, in a time that does not depend on
  /// how much of one is right.
  std::optional<Grant> find(std::string_view authorization) const;
  /// Whether the token is still in the file that this was loaded from.
  bool has(const Grant& grant) const;

 private:
  struct Entry {
    std::string name;
    Grant grant;
  };
  void add(std::string name, std::string_view token);

  std::vector<Entry> entries_;
};

}  // namespace unroll
