// The built-in plugin words.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using ::testing::ElementsAre;

constexpr const char* kRaw = R"({"boundary":"raw"})";
constexpr float kEnd = -0.125;  // after the last token

MadeToken token(const std::string& text, float logprob, float word_end, std::int32_t rank = 1) {
  MadeToken made{text, logprob};
  made.word_end = word_end;
  made.rank = rank;
  return made;
}

struct Read {
  std::vector<json> words;
  json document;
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const auto& word : words) all.push_back(word["word"]);
    return all;
  }
  std::vector<double> nats() const {
    std::vector<double> all;
    for (const auto& word : words) all.push_back(word["nats"]);
    return all;
  }
  double sum() const {
    double all = document["separator_nats"];
    for (const auto& word : words) all += word["nats"].get<double>();
    return all;
  }
};

Read read_words(const std::vector<MadeToken>& tokens, const std::string& options = "{}",
                std::size_t width = 3, bool resume = false) {
  Read result;
  for (auto& output : read("words", options, made_document(tokens, width), resume, kEnd)) {
    if (output["type"] == "document") {
      result.document = output;
    } else {
      for (auto& word : output["words"]) result.words.push_back(word);
    }
  }
  return result;
}

/// "Der große Hund\n\nbellt": a word of two tokens, one with a character in two tokens, a separator of its
/// own.
std::vector<MadeToken> some_tokens() {
  return {token("Der", -2, -8, 5),   token(" gro", -3, -0.5, 7), token("\xC3", -0.25, -4),
          token("\x9F", -0.5, -16),  token("e", -1, -2),         token(" Hund", -4, -0.75, 9),
          token("\n", -1.5, -0.375), token("\n", -2.5, -1),      token("bellt", -6, -3, 11)};
}

/// Each character is a token, with surprisals 1, 2, 3, ..., 50, 1, ...
std::vector<MadeToken> characters(const std::string& text) {
  std::vector<MadeToken> tokens;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) {
      tokens.back().text.push_back(c);
    } else {
      const auto number = static_cast<float>(tokens.size() % 50 + 1);
      tokens.push_back(token(std::string(1, c), -number, -0.5, static_cast<std::int32_t>(number)));
    }
  }
  return tokens;
}

TEST(Words, CountWhereTheyEnd) {
  const auto read = read_words(some_tokens());
  EXPECT_THAT(read.texts(), ElementsAre("Der", "gro\u00DFe", "Hund", "bellt"));
  // Tokens, plus the end after it, less that before it if a space comes with its first token.
  EXPECT_THAT(read.nats(),
              ElementsAre(2 + 0.5, 3 + 0.25 + 0.5 + 1 + 0.75 - 0.5, 4 + 0.375 - 0.75, 6 + 0.125));
  EXPECT_EQ(read.document["separator_nats"], 1.5 + 2.5 - 0.375);
  EXPECT_EQ(read.document["end_nats"], 0.125);
  EXPECT_EQ(read.document["nats"], 20.75);
  EXPECT_EQ(read.sum(), 20.75 + 0.125);
  EXPECT_EQ(read.document["words"], 4);
  EXPECT_EQ(read.document["characters"], 21);
  EXPECT_EQ(read.document["bytes"], 22);
}

TEST(Words, RawIsTheirTokens) {
  const auto read = read_words(some_tokens(), kRaw);
  EXPECT_THAT(read.nats(), ElementsAre(2, 4.75, 4, 6));
  EXPECT_EQ(read.document["separator_nats"], 4);
  EXPECT_EQ(read.document["end_nats"], 0);
  EXPECT_EQ(read.sum(), read.document["nats"]);
}

TEST(Words, HavePlacesInBytesAndCharacters) {
  const auto read = read_words(some_tokens());
  const auto& word = read.words[1];
  EXPECT_EQ(word["start"], 4);
  EXPECT_EQ(word["end"], 10);
  EXPECT_EQ(word["start_char"], 4);
  EXPECT_EQ(word["end_char"], 9);
  EXPECT_EQ(word["tokens"], 4);
  EXPECT_EQ(word["rank"], 7) << "of its first token";
  EXPECT_EQ(read.words[3]["start"], 17);
  EXPECT_EQ(read.words[3]["start_char"], 16);
  EXPECT_EQ(read.words[3]["end_char"], 21);
}

TEST(Words, AWordThatEndsInsideATokenHasSurelyEnded) {
  const auto read = read_words(
      {token("One", -1, -8), token(".\n\n", -2, -4), token("Two of", -3, -8), token(" it", -4, -0.5)});
  EXPECT_THAT(read.texts(), ElementsAre("One.", "Two", "of", "it"));
  EXPECT_THAT(read.nats(), ElementsAre(1 + 2, 3, 0 + 0.5, 4 - 0.5 + 0.125));
  EXPECT_EQ(read.words[2]["tokens"], 0) << "its bytes are in the token of the word before";
  EXPECT_EQ(read.document["separator_nats"], 0);
}

TEST(Words, OnlySeparatorsAndNothing) {
  const auto spaces = read_words({token(" ", -1, -2), token("\n", -2, -2)});
  EXPECT_THAT(spaces.words, ElementsAre());
  EXPECT_EQ(spaces.document["separator_nats"], 3);
  EXPECT_TRUE(spaces.document["bits_per_word"].is_null());
  EXPECT_TRUE(read_words({}).document["bits_per_byte"].is_null());
}

TEST(Words, ATokenWithoutBytesBeforeTheTextBelongsToTheFirstWord) {
  const auto read = read_words({token("", -1, -2, 3), token("It", -2, -2), token(" is", -3, -0.5)}, kRaw);
  EXPECT_THAT(read.nats(), ElementsAre(3, 3));
  EXPECT_EQ(read.words[0]["tokens"], 2);
}

TEST(Words, TheSameInAnyBlocksAndAfterEachResume) {
  for (const auto& tokens : {some_tokens(), characters("กินข้าวที่บ้าน ab 我们在学校看书。")}) {
    const auto expected = read_words(tokens);
    for (const std::size_t width : {1, 2, 5, 100}) {
      for (const bool resume : {false, true}) {
        const auto read = read_words(tokens, "{}", width, resume);
        EXPECT_EQ(read.words, expected.words) << width;
        EXPECT_EQ(read.document, expected.document) << width;
      }
    }
  }
}

/// The words are those of ICU 72's dictionaries.
TEST(Words, ScriptsWithoutSpacesAreDividedByIcu) {
  EXPECT_THAT(read_words(characters("กินข้าวที่บ้าน ไปโรงเรียน")).texts(),
              ElementsAre("กิน", "ข้าว", "ที่", "บ้าน", "ไป", "โรงเรียน"));
  EXPECT_THAT(read_words(characters("我们在学校看书。")).texts(),
              ElementsAre("我们", "在", "学校", "看书。"));
  EXPECT_THAT(read_words(characters("彼は学生です")).texts(), ElementsAre("彼", "は", "学生", "です"));
  EXPECT_THAT(read_words(characters("ຂ້ອຍມັກພາສາລາວ")).texts(), ElementsAre("ຂ້ອຍ", "ມັກ", "ພາສາ", "ລາວ"));
  EXPECT_THAT(read_words(characters("ខ្ញុំស្រលាញ់ផ្ទះ")).texts(), ElementsAre("ខ្ញុំ", "ស្រលាញ់", "ផ្ទះ"));
}

TEST(Words, OfScriptsWithSpacesAreNotDivided) {
  EXPECT_THAT(read_words(characters("e-mail, 3.5% (d'Arc) 한국어를 배워요")).texts(),
              ElementsAre("e-mail,", "3.5%", "(d'Arc)", "한국어를", "배워요"));
}

/// Opening marks go with the word after them, other marks with the word before.
TEST(Words, PunctuationBelongsToAWord) {
  EXPECT_THAT(read_words(characters("他说：“你好（世界）！”用iPhone手机，¥100。")).texts(),
              ElementsAre("他", "说：", "“你好", "（世界）！”", "用", "iPhone", "手机，", "¥100。"));
}

TEST(Words, DividedOnesHaveTheirTokensAndPlaces) {
  // A token of two words' characters counts for the first one.
  const auto read = read_words({token("它 我", -1, -2), token("们在", -2, -8, 20), token("学", -3, -8, 30),
                                token("校", -4, -8, 40), token(" 看", -5, -0.5, 50)},
                               "{}", 2);
  EXPECT_THAT(read.texts(), ElementsAre("它", "我们", "在", "学校", "看"));
  EXPECT_THAT(read.nats(), ElementsAre(1, 2, 0, 3 + 4 + 0.5, 5 - 0.5 + 0.125));
  EXPECT_EQ(read.sum(), 15 + 0.125);
  EXPECT_EQ(read.words[2]["tokens"], 0);
  EXPECT_EQ(read.words[2]["rank"], 20) << "of the token that holds its first byte";
  EXPECT_EQ(read.words[3]["tokens"], 2);
  EXPECT_EQ(read.words[3]["rank"], 30);
  EXPECT_EQ(read.words[3]["start"], 13);
  EXPECT_EQ(read.words[3]["end"], 19);
  EXPECT_EQ(read.words[3]["start_char"], 5);
  EXPECT_EQ(read.words[3]["end_char"], 7);
}

TEST(Words, LongRunsAreDividedBeforeTheirEnd) {
  std::string text, url(1500, 'x');
  for (int i = 0; i < 300; ++i) text += "我们在学校看书";
  const auto long_text = read_words(characters(text), "{}", 7);
  EXPECT_EQ(long_text.words.size(), 1200u);
  EXPECT_EQ(long_text.words[1199]["end"], text.size());
  EXPECT_EQ(long_text.sum(), long_text.document["nats"].get<double>() + 0.125);
  for (std::size_t i = 1; i < long_text.words.size(); ++i)
    EXPECT_EQ(long_text.words[i]["start"], long_text.words[i - 1]["end"]);
  EXPECT_EQ(read_words(characters(text), "{}", 100, true).words, long_text.words);

  const auto mixed = read_words(characters("我们" + url + "学校"), kRaw);
  EXPECT_EQ(mixed.words.front()["word"], "我们");
  EXPECT_EQ(mixed.words.back()["word"], "学校");
  EXPECT_EQ(mixed.words.size(), 4u) << "more than 1,024 bytes are no word";
  EXPECT_EQ(mixed.sum(), mixed.document["nats"]);
}

TEST(Words, AStateOfOtherOptionsIsRefused) {
  Loaded plugin(builtin_library("words"));
  const auto state = plugin.create(kRaw)->save();
  EXPECT_THROW(plugin.create()->load(state), PluginError);
}

/// A document that goes on from another one has that one's last word before it.
TEST(Words, GoOnFromADocument) {
  const auto before = made_document({token("Er", -1, -8), token(" bel", -2, -0.5)});
  const auto after = made_document({token("lt", -3, -8), token(" laut", -4, -0.25)});
  Loaded plugin(builtin_library("words"));
  const auto instance = plugin.create();
  process(*instance, before, 0);
  plugin.outputs.clear();
  instance->fork({sizeof(unroll_fork_point), 2, 6, nullptr, 0});
  process(*instance, after, 0);
  instance->finish(2, 7, kEnd);
  const auto words = json::parse(plugin.outputs.at(0))["words"];
  EXPECT_EQ(words[0]["word"], "lt");
  EXPECT_EQ(words[0]["nats"], 3 + 0.25);
  EXPECT_EQ(words[0]["start"], 0);
  EXPECT_EQ(json::parse(plugin.outputs.back())["nats"], 7);

  // A space first: what ended is the word before.
  plugin.outputs.clear();
  const auto other = plugin.create();
  process(*other, before, 0);
  plugin.outputs.clear();
  other->fork({sizeof(unroll_fork_point), 2, 6, nullptr, 0});
  const auto next = made_document({token(" laut", -4, -0.25)});
  process(*other, next, 0);
  other->finish(1, 5, kEnd);
  EXPECT_EQ(json::parse(plugin.outputs.at(0))["words"][0]["nats"], 4 - 0.25 + 0.125);
}

}  // namespace
}  // namespace unroll::testing
