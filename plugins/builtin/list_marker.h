// Items of a list that goes on within a line: "1) ... 2) ...", "a. ... b. ...", "• ... • ...".
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "plugins/builtin/characters.h"

namespace unroll::builtin {

struct ListMarker {
  std::string_view bullet;  ///< Empty: none.
  std::string_view value;   ///< A number, or a small letter; may be empty after a bullet.
  std::string_view suffix;  ///< ".", ")" or ".)"

  bool is_one() const { return !bullet.empty() || !suffix.empty(); }

  /// What `text` is if it is a marker and nothing else.
  static ListMarker of(std::string_view text) {
    static constexpr std::array<std::string_view, 3> kBullets = {"\u2022", "\u2043", "\u25E6"};
    ListMarker marker;
    for (const auto bullet : kBullets) {
      if (!text.starts_with(bullet)) continue;
      marker.bullet = bullet;
      text.remove_prefix(bullet.size());
      if (text.starts_with(' ')) text.remove_prefix(1);
      if (text.empty()) return marker;
    }
    const bool letter = !text.empty() && text[0] >= 'a' && text[0] <= 'z';
    std::size_t length = letter ? 1 : 0;
    while (!letter && length < text.size() && length < kMostDigits && is_digit(text[length])) ++length;
    const auto suffix = text.substr(length);
    if (length == 0 || (suffix != "." && suffix != ")" && suffix != ".)")) return {};
    marker.value = text.substr(0, length);
    marker.suffix = suffix;
    return marker;
  }

  /// How the next item begins; empty if that cannot be told. `ordinals`: "2." may be "second".
  std::string next(bool ordinals) const {
    if (!bullet.empty()) return std::string(bullet);
    if (!is_digit(value[0])) return value == "z" ? "" : static_cast<char>(value[0] + 1) + std::string(suffix);
    if (ordinals && suffix == ".") return {};
    return std::to_string(std::stoi(std::string(value)) + 1) + std::string(suffix);
  }

 private:
  static constexpr std::size_t kMostDigits = 3;
};

}  // namespace unroll::builtin
