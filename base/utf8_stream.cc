#include "base/utf8_stream.h"

#include "base/utf8.h"

namespace unroll {

std::string Utf8Stream::append(std::string_view bytes) {
  pending_ += bytes;
  std::string text;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const auto character = next_utf8(rest);
    if (character.cut_off) break;
    text += character.valid ? rest.substr(0, character.bytes) : kReplacement;
    rest.remove_prefix(character.bytes);
  }
  pending_ = std::string(rest);
  return text;
}

}  // namespace unroll
