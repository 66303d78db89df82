// Whatever the bytes and however they arrive: the same tokens, and from the tokens the same bytes.
#include "tokenizer/tokenizer.h"

#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace unroll {
namespace {

const std::filesystem::path kModel =
    std::filesystem::path(UNROLL_SOURCE_DIR) / "models/unroll-small/tokenizer.model";

std::shared_ptr<const Vocabulary> vocabulary() {
  static const auto loaded = Vocabulary::load(kModel);
  return loaded;
}

std::vector<Token> whole(std::string_view document, std::uint64_t begin = 0) {
  StreamingTokenizer tokenizer(vocabulary(), begin);
  std::vector<Token> tokens;
  tokenizer.append(document, tokens);
  EXPECT_LT(tokenizer.pending_bytes(), 2 * kMaxSegmentBytes);
  tokenizer.finish(tokens);
  EXPECT_EQ(tokenizer.pending_bytes(), 0u);
  return tokens;
}

/// In chunks of a random size from 1 to `most`, some of them empty.
std::vector<Token> in_chunks(std::string_view document, std::size_t most, std::mt19937& random) {
  StreamingTokenizer tokenizer(vocabulary());
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

std::string decoded(const std::vector<Token>& tokens) {
  std::vector<std::int32_t> ids;
  for (const auto& token : tokens) ids.push_back(token.id);
  return vocabulary()->decode(ids);
}

/// Each token stands for the bytes at its place, and the places tile the document.
void expect_tiles(const std::vector<Token>& tokens, std::string_view document) {
  std::uint64_t place = 0, segment = 0;
  for (const auto& token : tokens) {
    ASSERT_EQ(token.begin, place);
    ASSERT_GE(token.length, 1u);
    ASSERT_LE(token.begin + token.length, document.size());
    ASSERT_EQ(document.substr(token.begin, token.length), vocabulary()->bytes(token.id));
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

/// At segment begins, evenly picked, and not more than `most` of them.
void expect_restarts(const std::vector<Token>& tokens, std::string_view document, std::size_t most) {
  std::vector<std::size_t> firsts;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].begin == tokens[i].segment_begin) firsts.push_back(i);
  }
  const auto stride = firsts.size() / most + 1;
  for (std::size_t i = 0; i < firsts.size(); i += stride) {
    const auto from = tokens[firsts[i]].segment_begin;
    const auto again = whole(document.substr(from), from);
    const std::vector<Token> rest(tokens.begin() + static_cast<std::ptrdiff_t>(firsts[i]), tokens.end());
    ASSERT_TRUE(again == rest) << "restarted at " << from;
  }
}

void expect_everything(const std::string& document, std::mt19937& random, bool byte_by_byte = true) {
  const auto tokens = whole(document);
  ASSERT_TRUE(decoded(tokens) == document);
  ASSERT_NO_FATAL_FAILURE(expect_tiles(tokens, document));
  if (byte_by_byte) {
    ASSERT_TRUE(in_chunks(document, 1, random) == tokens) << "byte by byte";
  }
  for (const std::size_t most : {7, 300, 5000, 100000}) {
    ASSERT_TRUE(in_chunks(document, most, random) == tokens) << "chunks of up to " << most;
  }
  ASSERT_NO_FATAL_FAILURE(expect_restarts(tokens, document, 5));
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}

/// A piece of what documents are made of, nice or not.
std::string random_part(std::mt19937& random) {
  const auto up_to = [&](std::size_t most) { return std::size_t{random() % (most + 1)}; };
  switch (random() % 14) {
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
      return "ﬁ ½ e\xCC\x81 \xC2\xA0\xE3\x80\x80Ａ";  // what normalisation would change
    case 11:
      return std::string(up_to(up_to(9) == 0 ? 9000 : 20), 'a');
    case 12:
      return "<s></s><unk><0x0A>";
    default:
      return " The quick brown fox, 2026-01-02 ERROR connection refused";
  }
}

TEST(StreamingTokenizer, RandomDocuments) {
  std::mt19937 random(20260101);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    std::string document;
    const auto parts = random() % 200;
    for (std::size_t i = 0; i < parts; ++i) document += random_part(random);
    ASSERT_NO_FATAL_FAILURE(expect_everything(document, random));
  }
}

TEST(StreamingTokenizer, RandomBytes) {
  std::mt19937 random(1);
  std::string document(40000, '\0');
  for (auto& byte : document) byte = static_cast<char>(random());
  expect_everything(document, random);
  std::erase(document, '\n');
  expect_everything(document, random);
}

TEST(StreamingTokenizer, LinesAroundTheLimit) {
  std::mt19937 random(2);
  for (const std::string_view filler :
       {"a", " ", "\xC3\xA9", "\xE2\x96\x81", "\xF0\x9F\x98\x80", "\x80", "\xF0", ""}) {
    for (std::size_t size = kMaxSegmentBytes - 5; size <= kMaxSegmentBytes + 5; ++size) {
      auto document = filler.empty() ? std::string(size, '\0') : repeated(filler, size / filler.size() + 1);
      document.resize(size);
      SCOPED_TRACE(std::string(filler) + " " + std::to_string(size));
      for (const auto* end : {"", "\n", "\r\nmore\n"}) {
        const auto text = document + end;
        const auto tokens = whole(text);
        ASSERT_TRUE(decoded(tokens) == text);
        ASSERT_NO_FATAL_FAILURE(expect_tiles(tokens, text));
        ASSERT_TRUE(in_chunks(text, 9, random) == tokens);
      }
    }
  }
}

TEST(StreamingTokenizer, MegabyteWithoutNewline) {
  std::mt19937 random(3);
  std::string words, letters;
  while (words.size() < 1 << 20) words += " word" + std::to_string(random() % 1000);
  while (letters.size() < 1 << 20) letters += "\xF0\x9F\x98\x80z";
  expect_everything(words, random, false);
  expect_everything(letters, random, false);
}

TEST(StreamingTokenizer, LongRunsOfSpaces) {
  std::mt19937 random(4);
  expect_everything(std::string(30000, ' ') + "x" + std::string(5000, ' ') + "\n  ", random);
}

TEST(StreamingTokenizer, NothingAndNextToNothing) {
  EXPECT_TRUE(whole("").empty());
  for (int byte = 0; byte < 256; ++byte) {
    const std::string document(1, static_cast<char>(byte));
    const auto tokens = whole(document);
    EXPECT_EQ(decoded(tokens), document) << byte;
    expect_tiles(tokens, document);
  }
}

TEST(StreamingTokenizer, ALineComesOutAsSoonAsItIsComplete) {
  StreamingTokenizer tokenizer(vocabulary(), 100);
  std::vector<Token> tokens;
  tokenizer.append("a line", tokens);
  EXPECT_TRUE(tokens.empty());
  EXPECT_EQ(tokenizer.pending_bytes(), 6u);
  tokenizer.append("\nhalf", tokens);
  EXPECT_EQ(decoded(tokens), "a line\n");
  EXPECT_EQ(tokens.front().begin, 100u);
  EXPECT_EQ(tokens.back().segment_begin, 100u);
  EXPECT_EQ(tokenizer.pending_bytes(), 4u);
  tokens.clear();
  tokenizer.finish(tokens);
  EXPECT_EQ(decoded(tokens), "half");
  EXPECT_EQ(tokens.front().begin, 107u);
}

TEST(StreamingTokenizer, TextIsCompressed) {
  // Bytes alone would pass everything above.
  const std::string text = "The connection to the server was closed because the request took too long.\n";
  EXPECT_LT(whole(text).size(), text.size() / 2);
}

TEST(Vocabulary, IdsAndTheirBytes) {
  EXPECT_EQ(vocabulary()->size(), 8192);
  EXPECT_EQ(vocabulary()->bytes(kBeginOfDocument), "");
  EXPECT_THROW(vocabulary()->bytes(-1), std::out_of_range);
  EXPECT_THROW(vocabulary()->bytes(8192), std::out_of_range);
}

std::string load_error(const std::filesystem::path& file) {
  try {
    Vocabulary::load(file);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  ADD_FAILURE() << file << " loads";
  return "";
}

TEST(Vocabulary, FilesThatCannotBeLoadedAreNamed) {
  const auto folder = std::filesystem::temp_directory_path();
  const auto missing = folder / "unroll-no-such-tokenizer.model";
  EXPECT_THAT(load_error(missing), testing::HasSubstr(missing.string() + ": no such file"));
  EXPECT_THAT(load_error(folder), testing::HasSubstr(folder.string()));

  const auto file = folder / ("unroll-tokenizer-test-" + std::to_string(::getpid()));
  std::ifstream in(kModel, std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  for (const auto& bytes : {std::string(), std::string("garbage"), std::string(5000, '\xFF'),
                            std::string(5000, '\0'), good.substr(0, good.size() / 2), good.substr(0, 5000)}) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    EXPECT_THAT(load_error(file), testing::HasSubstr(file.string() + ": "));
  }
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace unroll
