// Follows double quotation marks through a text, as several languages set them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "plugins/builtin/characters.h"

namespace unroll::builtin {

class Quotation {
 public:
  bool inside() const { return open_ != 0; }

  /// Reads on, to an end between characters. Returns how many of the bytes stand between marks.
  std::size_t read(std::string_view text) {
    std::size_t quoted = 0;
    for (std::size_t i = 0; i < text.size();) {
      if (const std::size_t length = mark(text, i); length > 0) {
        i += length;
        continue;
      }
      quoted += inside() ? 1 : 0;
      ++i;
    }
    return quoted;
  }
  void visit(auto& archive) {
    archive(open_);
    if (open_ > kPairs.size()) open_ = 0;
  }

 private:
  struct Pair {
    std::string_view opens, closes;
  };
  static constexpr std::array<Pair, 9> kPairs = {{
      {"\"", "\""},
      {"\u201C", "\u201D"},  // English, Chinese
      {"\u201E", "\u201C"},  // German
      {"\u201E", "\u201D"},  // Polish
      {"\u201D", "\u201D"},  // Swedish
      {"\u00AB", "\u00BB"},  // French, Russian
      {"\u00BB", "\u00AB"},  // Danish
      {"\u00BB", "\u00BB"},  // Finnish
      {"\u300C", "\u300D"},  // Japanese
  }};

  /// The length of the mark at `at`, which opens or closes; 0: there is none.
  std::size_t mark(std::string_view text, std::size_t at) {
    const auto here = text.substr(at);
    for (std::size_t i = 0; i < kPairs.size(); ++i) {
      const auto& pair = kPairs[i];
      if (inside() ? pair.opens == kPairs[open_ - 1].opens && here.starts_with(pair.closes)
                   : here.starts_with(pair.opens) && !is_inch(text, at)) {
        open_ = inside() ? 0 : static_cast<std::uint8_t>(i + 1);
        return inside() ? pair.opens.size() : pair.closes.size();
      }
    }
    return 0;
  }
  static bool is_inch(std::string_view text, std::size_t at) {
    return text[at] == '"' && at > 0 && is_digit(text[at - 1]);
  }

  std::uint8_t open_ = 0;  // 1 and more: a pair that its mark opens
};

}  // namespace unroll::builtin
