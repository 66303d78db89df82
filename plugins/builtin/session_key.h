// The session that a line belongs to: the word that follows a given text, such as the block in "blk_1608" or
// the process in "sshd[24200]:".
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/ascii.h"

namespace unroll::builtin {

inline constexpr std::size_t kMostSessionKey = 64;  ///< Bytes; longer words are cut.

/// The word after the first `mark` that is followed by a word; empty if there is none. Words consist of
/// letters, digits, '_', '-' and '.', but do not end in '.'.
inline std::string_view session_key(std::string_view line, std::string_view mark) {
  const auto in_word = [](char c) { return ascii::is_alnum(c) || c == '_' || c == '-' || c == '.'; };
  for (auto at = line.find(mark); at != std::string_view::npos; at = line.find(mark, at + 1)) {
    const auto rest = line.substr(at + mark.size());
    const auto end = std::find_if_not(rest.begin(), rest.end(), in_word);
    auto word = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
    while (word.ends_with('.')) word.remove_suffix(1);
    if (!word.empty()) return word.substr(0, kMostSessionKey);
  }
  return {};
}

/// The line with all occurrences of the key removed, so that its shape is the same in all sessions.
inline std::string without_key(std::string_view line, std::string_view key) {
  std::string rest;
  for (std::size_t i = 0; i < line.size();) {
    const auto at = std::min(line.find(key, i), line.size());
    rest += line.substr(i, at - i);
    i = at == line.size() ? at : at + key.size();
  }
  return rest;
}

}  // namespace unroll::builtin
