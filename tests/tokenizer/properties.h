// Properties that must hold for any vocabulary and any bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tokenizer/tokenizer.h"

namespace unroll {

using VocabularyPtr = std::shared_ptr<const Vocabulary>;

inline std::vector<Token> whole(const VocabularyPtr& vocabulary, std::string_view document,
                                std::uint64_t begin = 0) {
  StreamingTokenizer tokenizer(vocabulary, begin);
  std::vector<Token> tokens;
  tokenizer.append(document, tokens);
  EXPECT_LT(tokenizer.pending_bytes(), 2 * kMaxSegmentBytes);
  tokenizer.finish(tokens);
  EXPECT_EQ(tokenizer.pending_bytes(), 0u);
  return tokens;
}

/// In chunks of a random size from 1 to `most`, some of them empty.
inline std::vector<Token> in_chunks(const VocabularyPtr& vocabulary, std::string_view document,
                                    std::size_t most, std::mt19937& random) {
  StreamingTokenizer tokenizer(vocabulary);
  std::vector<Token> tokens;
  while (!document.empty()) {
    const auto size = std::min<std::size_t>(document.size(), 1 + random() % most);
    tokenizer.append(document.substr(0, size), tokens);
    if (random() % 16 == 0) tokenizer.append("", tokens);
    EXPECT_LT(tokenizer.pending_bytes(), 2 * kMaxSegmentBytes);
    document.remove_prefix(size);
  }
  tokenizer.finish(tokens);
  return tokens;
}

inline std::vector<std::int32_t> ids_of(const std::vector<Token>& tokens) {
  std::vector<std::int32_t> ids;
  for (const auto& token : tokens) ids.push_back(token.id);
  return ids;
}

inline std::string decoded(const VocabularyPtr& vocabulary, const std::vector<Token>& tokens) {
  return vocabulary->decode(ids_of(tokens));
}

/// The ranges tile the document and lie in their segments. `exact`: each token represents the bytes of its
/// range.
inline void expect_tiles(const VocabularyPtr& vocabulary, const std::vector<Token>& tokens,
                         std::string_view document, bool exact = true) {
  std::uint64_t place = 0, segment = 0;
  for (const auto& token : tokens) {
    ASSERT_EQ(token.begin, place);
    ASSERT_TRUE(token.length > 0 || (!exact && token.begin == 0));
    ASSERT_LE(token.begin + token.length, document.size());
    if (exact) {
      ASSERT_EQ(document.substr(token.begin, token.length), vocabulary->bytes(token.id));
    }
    ASSERT_GE(token.segment_begin, segment);
    if (token.segment_begin != segment) {
      ASSERT_EQ(token.segment_begin, token.begin) << "a segment begins with a token";
    }
    segment = token.segment_begin;
    place += token.length;
    ASSERT_LE(place - segment, kMaxSegmentBytes);
  }
  EXPECT_EQ(place, document.size());
}

/// At most `most` segment starts, evenly distributed.
inline void expect_restarts(const VocabularyPtr& vocabulary, const std::vector<Token>& tokens,
                            std::string_view document, std::size_t most) {
  std::vector<std::size_t> firsts;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i == 0 || tokens[i].segment_begin != tokens[i - 1].segment_begin) firsts.push_back(i);
  }
  const auto stride = firsts.size() / most + 1;
  for (std::size_t i = 0; i < firsts.size(); i += stride) {
    const auto from = tokens[firsts[i]].segment_begin;
    const auto again = whole(vocabulary, document.substr(from), from);
    const std::vector<Token> rest(tokens.begin() + static_cast<std::ptrdiff_t>(firsts[i]), tokens.end());
    ASSERT_TRUE(again == rest) << "restarted at " << from;
  }
}

/// Checks all properties. `exact`: no normalisation, and a token for each byte.
inline void expect_everything(const VocabularyPtr& vocabulary, const std::string& document,
                              std::mt19937& random, bool exact = true, bool byte_by_byte = true) {
  const auto tokens = whole(vocabulary, document);
  if (exact) {
    ASSERT_TRUE(decoded(vocabulary, tokens) == document);
  }
  ASSERT_NO_FATAL_FAILURE(expect_tiles(vocabulary, tokens, document, exact));
  if (byte_by_byte) {
    ASSERT_TRUE(in_chunks(vocabulary, document, 1, random) == tokens) << "byte by byte";
  }
  for (const std::size_t most : {300, 5000}) {
    ASSERT_TRUE(in_chunks(vocabulary, document, most, random) == tokens) << "chunks of up to " << most;
  }
  ASSERT_NO_FATAL_FAILURE(expect_restarts(vocabulary, tokens, document, 5));
}

inline std::string repeated(std::string_view text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}

/// A random piece of text, valid or not.
inline std::string random_part(std::mt19937& random) {
  const auto up_to = [&](std::size_t most) { return std::size_t{random() % (most + 1)}; };
  switch (random() % 18) {
    case 0: {
      std::string bytes(up_to(60), '\0');
      for (auto& byte : bytes) byte = static_cast<char>(random());
      return bytes;
    }
    case 1: {
      std::string ascii(up_to(80), ' ');
      for (auto& byte : ascii) byte = static_cast<char>(32 + random() % 95);
      return ascii;
    }
    case 2:
      return std::string(up_to(4), '\0');
    case 3:
      return repeated("\xE2\x96\x81", up_to(3));  // U+2581
    case 4:
      return std::string("\xF0\x9F\x98\x80", 1 + up_to(3));  // an emoji, or its start
    case 5:
      return "\r\n";
    case 6:
      return std::string(up_to(up_to(9) == 0 ? 9000 : 20), ' ');
    case 7:
      return "\n";
    case 8:
      return "\t\x1B[31m\x7F\xC2\x85";
    case 9:
      return "\xED\xA0\x80\xC0\x80\xF4\x90\x80\x80";  // a surrogate, an overlong NUL, past the end
    case 10:
      return "ﬁ ½ e\xCC\x81 \xC2\xA0\xE3\x80\x80Ａ";  // changed by normalisation
    case 11:
      return std::string(up_to(up_to(9) == 0 ? 9000 : 20), 'a');
    case 12:
      return "<s></s><unk><0x0A><|endoftext|>";
    case 13:
      return "x\xCC\x95" + repeated("\xCC\x81", up_to(up_to(9) == 0 ? 3000 : 3));  // accents
    case 14:
      return repeated("\xF0\x9D\x85\xA0", up_to(3)) + "\xE0\xA5\x98\xCD\x84";  // longer when normalised
    case 15:
      return repeated("\n", up_to(up_to(9) == 0 ? 5000 : 4));
    case 16:
      return repeated("1", up_to(up_to(9) == 0 ? 5000 : 6)) + "'LL don't \t\xE3\x80\x80";
    default:
      return " The quick brown fox, 2026-01-02 ERROR connection refused";
  }
}

inline std::string random_document(std::mt19937& random, std::size_t most_parts) {
  std::string document;
  const auto parts = random() % most_parts;
  for (std::size_t i = 0; i < parts; ++i) document += random_part(random);
  return document;
}

}  // namespace unroll
