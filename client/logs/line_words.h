// What lines of a log are compared by: their words, without what changes from run to run (numbers, times,
// identifiers). The words of paths and names stay.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// Words in lower case. A number, or an identifier of digits and letters, is "#"; a name keeps its letters
/// ("py35" is "py#"). Names of months and days are left out.
std::vector<std::string> line_words(std::string_view line);

/// A word, or two that follow each other.
struct LineFeature {
  std::uint64_t hash = 0;
  float share = 1;  ///< Of a rare word's weight.
};
/// Each once.
std::vector<LineFeature> line_features(const std::vector<std::string>& words);

/// Equal for lines with the same words.
std::uint64_t line_key(const std::vector<std::string>& words);

}  // namespace unroll
