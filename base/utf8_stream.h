// UTF-8 out of bytes that come a few at a time.
#pragma once

#include <string>
#include <string_view>

namespace unroll {

/// Never gives a part of a character, and nothing that is not UTF-8. One thread.
class Utf8Stream {
 public:
  /// The characters that these bytes complete; U+FFFD for each byte that belongs to none.
  std::string append(std::string_view bytes);

 private:
  std::string pending_;  ///< A character's first bytes.
};

}  // namespace unroll
