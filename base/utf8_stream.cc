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

std::string Utf8Stream::finish() {
  std::string text;
  for (std::size_t i = 0; i < pending_.size(); ++i) text += kReplacement;
  pending_.clear();
  return text;
}

std::string valid_utf8(std::string_view bytes) {
  Utf8Stream stream;
  auto text = stream.append(bytes);
  return text += stream.finish();
}

}  // namespace unroll
