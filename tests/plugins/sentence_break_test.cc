// Unicode's own test of sentence boundaries (SentenceBreakTest.txt, Debian's unicode-data), and where our
// tailorings give another result.
#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unicode/uchar.h>

#include "plugins/builtin/sentence_end.h"

namespace unroll::testing {
namespace {

using builtin::Abbreviations;
using builtin::SentenceEnd;

/// A line of the file: characters, and before which of them a sentence begins.
struct Line {
  std::vector<char32_t> characters;
  std::vector<bool> begins;
};

Line parse(const std::string& text) {
  Line line;
  std::istringstream fields(text.substr(0, text.find('#')));
  bool begins = false;
  for (std::string field; fields >> field;) {
    if (field == "\u00F7" || field == "\u00D7") {
      begins = field == "\u00F7";
    } else {
      line.characters.push_back(static_cast<char32_t>(std::stoul(field, nullptr, 16)));
      line.begins.push_back(begins);
    }
  }
  return line;
}

std::string utf8(char32_t c) {
  std::string bytes(U8_LENGTH(static_cast<UChar32>(c)), '\0');
  std::int32_t at = 0;
  U8_APPEND_UNSAFE(bytes.data(), at, static_cast<UChar32>(c));
  return bytes;
}

int property(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_SENTENCE_BREAK);
}
bool is_between(char32_t c) {
  const int kind = property(c);
  return kind == U_SB_SP || kind == U_SB_SEP || kind == U_SB_CR || kind == U_SB_LF || kind == U_SB_EXTEND ||
         kind == U_SB_FORMAT;
}

/// As Line::begins.
std::vector<bool> begins_of(const std::vector<char32_t>& characters) {
  const Abbreviations words;
  SentenceEnd sentences;
  std::vector<bool> begins(characters.size(), false);
  begins[0] = true;
  std::size_t gap = characters.size();  // where it begins
  for (std::size_t i = 0; i < characters.size(); ++i) {
    auto place = SentenceEnd::Place::kInside;
    for (const char byte : utf8(characters[i])) place = sentences.take(byte, words);
    if (place == SentenceEnd::Place::kGap) {
      gap = std::min(gap, i);
      continue;
    }
    // White space between belongs to the sentence after it; in UAX 29, to the one before it.
    std::size_t first = std::min(gap, i);
    while (first < i && is_between(characters[first])) ++first;
    if (place == SentenceEnd::Place::kBegins) begins[first] = true;
    gap = characters.size();
  }
  return begins;
}

/// The tailoring that explains why, against the file, no sentence begins before character `at`; empty: none
/// does.
std::string tailoring(const Line& line, std::size_t at) {
  if (!line.begins[at]) return "";
  std::size_t before = at;  // the last character before it that is no Extend or Format
  while (before > 1 && (property(line.characters[before - 1]) == U_SB_EXTEND ||
                        property(line.characters[before - 1]) == U_SB_FORMAT))
    --before;
  switch (property(line.characters[before - 1])) {
    case U_SB_SEP:
    case U_SB_CR:
    case U_SB_LF:
      return "a line end is white space";
    case U_SB_SP:
      return "";
    default:
      return "white space must follow a stop";
  }
}

TEST(SentenceBreakTest, PassesButForTheTailorings) {
  std::ifstream file("/usr/share/unicode/auxiliary/SentenceBreakTest.txt");
  ASSERT_TRUE(file) << "install Debian's unicode-data";
  std::map<std::string, int> tailored;
  int lines = 0, same = 0;
  for (std::string text; std::getline(file, text);) {
    const Line line = parse(text);
    if (line.characters.empty()) continue;
    ++lines;
    const auto begins = begins_of(line.characters);
    if (begins == line.begins) {
      ++same;
      continue;
    }
    for (std::size_t i = 0; i < begins.size(); ++i) {
      if (begins[i] == line.begins[i]) continue;
      const std::string reason = tailoring(line, i);
      EXPECT_NE(reason, "") << "before character " << i << ": " << text;
      ++tailored[reason];
    }
  }
  EXPECT_GT(lines, 400);
  EXPECT_GT(4 * same, 3 * lines);
  for (const auto& [reason, count] : tailored) RecordProperty(reason, count);
}

}  // namespace
}  // namespace unroll::testing
