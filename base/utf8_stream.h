// Turns a stream of bytes into valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace unroll {

/// Returns only whole characters and only valid UTF-8. Not thread-safe.
class Utf8Stream {
 public:
  /// Returns the characters that these bytes complete; U+FFFD for each byte that belongs to none.
  std::string append(std::string_view bytes);
  /// At the end: U+FFFD for each byte of an incomplete character.
  std::string finish();

 private:
  std::string pending_;  ///< The first bytes of an incomplete character.
};

/// All of `bytes`; U+FFFD for each byte that belongs to no character.
std::string valid_utf8(std::string_view bytes);

}  // namespace unroll
