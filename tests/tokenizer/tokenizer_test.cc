// Whatever the bytes and however they arrive: the same tokens, and from the tokens the same bytes.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/tokenizer/properties.h"

namespace unroll {
namespace {

const std::filesystem::path kModel = std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/tokenizer.model";

std::shared_ptr<const Vocabulary> vocabulary() {
  static const auto loaded = Vocabulary::load(kModel);
  return loaded;
}

TEST(StreamingTokenizer, RandomDocuments) {
  std::mt19937 random(20260101);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    ASSERT_NO_FATAL_FAILURE(expect_everything(vocabulary(), random_document(random, 200), random));
  }
}

TEST(StreamingTokenizer, RandomBytes) {
  std::mt19937 random(1);
  std::string document(40000, '\0');
  for (auto& byte : document) byte = static_cast<char>(random());
  expect_everything(vocabulary(), document, random);
  std::erase(document, '\n');
  expect_everything(vocabulary(), document, random);
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
        const auto tokens = whole(vocabulary(), text);
        ASSERT_TRUE(decoded(vocabulary(), tokens) == text);
        ASSERT_NO_FATAL_FAILURE(expect_tiles(vocabulary(), tokens, text));
        ASSERT_TRUE(in_chunks(vocabulary(), text, 9, random) == tokens);
      }
    }
  }
}

TEST(StreamingTokenizer, MegabyteWithoutNewline) {
  std::mt19937 random(3);
  std::string words, letters;
  while (words.size() < 1 << 20) words += " word" + std::to_string(random() % 1000);
  while (letters.size() < 1 << 20) letters += "\xF0\x9F\x98\x80z";
  expect_everything(vocabulary(), words, random, true, false);
  expect_everything(vocabulary(), letters, random, true, false);
}

TEST(StreamingTokenizer, LongRunsOfSpaces) {
  std::mt19937 random(4);
  expect_everything(vocabulary(), std::string(30000, ' ') + "x" + std::string(5000, ' ') + "\n  ", random);
}

TEST(StreamingTokenizer, NothingAndNextToNothing) {
  EXPECT_TRUE(whole(vocabulary(), "").empty());
  for (int byte = 0; byte < 256; ++byte) {
    const std::string document(1, static_cast<char>(byte));
    const auto tokens = whole(vocabulary(), document);
    EXPECT_EQ(decoded(vocabulary(), tokens), document) << byte;
    expect_tiles(vocabulary(), tokens, document);
  }
}

TEST(StreamingTokenizer, ALineComesOutAsSoonAsItIsComplete) {
  StreamingTokenizer tokenizer(vocabulary(), 100);
  std::vector<Token> tokens;
  tokenizer.append("a line", tokens);
  EXPECT_TRUE(tokens.empty());
  EXPECT_EQ(tokenizer.pending_bytes(), 6u);
  tokenizer.append("\nhalf", tokens);
  EXPECT_EQ(decoded(vocabulary(), tokens), "a line\n");
  EXPECT_EQ(tokens.front().begin, 100u);
  EXPECT_EQ(tokens.back().segment_begin, 100u);
  EXPECT_EQ(tokenizer.pending_bytes(), 4u);
  tokens.clear();
  tokenizer.finish(tokens);
  EXPECT_EQ(decoded(vocabulary(), tokens), "half");
  EXPECT_EQ(tokens.front().begin, 107u);
}

TEST(StreamingTokenizer, TextIsCompressed) {
  // Plain bytes would pass all tests above.
  const std::string text = "The connection to the server was closed because the request took too long.\n";
  EXPECT_LT(whole(vocabulary(), text).size(), text.size() / 2);
}

TEST(Vocabulary, IdsAndTheirBytes) {
  EXPECT_EQ(vocabulary()->size(), 8192);
  EXPECT_EQ(vocabulary()->first_input(), 1);
  EXPECT_EQ(vocabulary()->ends(), std::vector<std::int32_t>{2});
  EXPECT_EQ(vocabulary()->bytes(vocabulary()->first_input()), "");
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
