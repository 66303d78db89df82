// The words of a text as they are searched for: case folded, divided by ICU (Chinese, Japanese, Thai by its
// dictionaries), reduced to their stems by Snowball.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// A hash for each word, in order. `language`: a code of ISO 639-1, whose stems are used if Snowball knows
/// it. `text`: UTF-8; other bytes divide words.
std::vector<std::uint32_t> search_terms(std::string_view text, const std::string& language);

/// How often each of a text's words occurs.
struct TermCount {
  std::uint32_t term = 0;
  std::uint32_t count = 0;
};
/// In order of `term`.
std::vector<TermCount> count_terms(std::vector<std::uint32_t> terms);

}  // namespace unroll
