// The built-in plugin score by sentences.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using ::testing::ElementsAre;

constexpr const char* kSentences = R"({"granularity":"sentence"})";

std::vector<std::string> sentences_of(const std::string& text) {
  std::vector<MadeToken> tokens;
  for (const char c : text) tokens.push_back({std::string(1, c), -1});
  std::vector<std::string> sentences;
  for (const auto& output : read("score", kSentences, made_document(tokens, 7))) {
    if (output["type"] != "sentence") continue;
    const auto start = output["start"].get<std::size_t>();
    sentences.push_back(text.substr(start, output["end"].get<std::size_t>() - start));
  }
  return sentences;
}

TEST(ScoreSentences, EndAtAStopAndABeginningOrAtABlankLine) {
  EXPECT_THAT(sentences_of(
                  "Mr. Hugo slept. He woke!\nWhen? \"At ten.\" Said who\n\nA heading\n \nversion 1.5 is out"),
              ElementsAre("Mr. Hugo slept.", "He woke!", "When?", "\"At ten.\"", "Said who", "A heading",
                          "version 1.5 is out"));
  EXPECT_THAT(sentences_of("It costs 5 etc. a piece.  \n"), ElementsAre("It costs 5 etc. a piece."));
  EXPECT_THAT(sentences_of("  \n\n "), ElementsAre());
}

/// Each line is a sentence. Joined by `between`, the text is cut there and nowhere else.
void expect_cuts(const std::vector<std::string>& sentences, const std::string& between = " ") {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : between) + sentence;
  EXPECT_EQ(sentences_of(text), sentences);
}

TEST(ScoreSentences, AbbreviationsDoNotEndThem) {
  expect_cuts({"At last Dr. Watson and Mrs. Hudson met Prof. K. R. Moriarty, cf. Fig. 3b and No. 9 on p. 40.",
               "He left on Feb. 7 at 6 a.m. with J.R.R. Tolkien.", "Nobody knew."});
  expect_cuts({"She moved to the U.S.", "The U.S. Senate met.", "They sold tea, coffee, etc.",
               "He came at 9 p.m.", "Then it rained."});
  expect_cuts({"So do I.", "Vitamin C helps.", "\"Why?\" he asked.", "(It was cold.)", "He slept...",
               "Then he woke\u2026", "What?!", "No."});
  expect_cuts({"They wrote it in 1999.", "12 people read it.", "It cost $4.50 a copy.", "iPads were new."});
}

TEST(ScoreSentences, EndAsTheirLanguageHasIt) {
  expect_cuts({"Am 5. Mai kam Fr. Dr. Weber, d. h. die Leiterin.", "Sie zahlte ca. 20 Euro bzw. nichts.",
               "\u201eKomm!\u201c rief er.", "\u00bbNein.\u00ab",
               "\u00dcbrigens im 19. Jahrhundert war es anders."});
  expect_cuts({"\u00ab Pourquoi ? \u00bb demanda M. Blanc.", "\u00c9mile sortit.", "\u00ab Viens ! \u00bb",
               "O\u00f9 est Mme. Noir ?"});
  expect_cuts({"\u00bfVienes, Sr. P\u00e9rez?", "\u00a1No!", "\u2014Ya voy \u2014dijo la Sra. L\u00f3pez.",
               "\u00c9l calló."});
  expect_cuts(
      {"\u041e\u043d \u043a\u0443\u043f\u0438\u043b \u0445\u043b\u0435\u0431 \u0438 \u0442. \u0434. \u0432 "
       "\u043b\u0430\u0432\u043a\u0435.",
       "\u042d\u0442\u043e \u0431\u044b\u043b\u043e \u0443\u0442\u0440\u043e\u043c."});
  expect_cuts(
      {"\u0623\u064a\u0646 \u0623\u0646\u062a\u061f", "\u0647\u0646\u0627\u06d4", "\u0639\u0627\u062f."});
  expect_cuts({"\u0935\u0939 \u0917\u092f\u093e\u0964", "\u092b\u093f\u0930 \u0906\u092f\u093e\u0964"});
}

TEST(ScoreSentences, NeedNoSpaceInEastAsia) {
  expect_cuts({"\u4ed6\u6765\u4e86\u3002", "\u4ed6\u8bf4\uff1a\u201c\u597d\u3002\u201d",
               "\u771f\u7684\u5417\uff1f\uff01", "Yes\u3002", "\u8d70\u5427\u3002"},
              "");
  // Nothing ends within corner brackets; "to" goes on after them.
  expect_cuts({"\u5f7c\u306f\u300c\u306f\u3044\u3002\u884c\u304f\u3002\u300d\u3068\u8a00\u3063\u305f\u3002",
               "\u300c\u3044\u3044\u3048\u3002\u300d", "\u96e8\u3060\u3002"},
              "");
}

TEST(ScoreSentences, WhitespaceBetweenBelongsToTheOneBehind) {
  const auto outputs = read(
      "score", kSentences, made_document({{"One.", -1}, {" ", -2}, {" Two", -4}, {".", -8}, {"\n", -16}}, 2));
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_EQ(outputs[0]["nats"], 1);
  EXPECT_EQ(outputs[0]["tokens"], 1);
  EXPECT_EQ(outputs[1]["nats"], 30);
  EXPECT_EQ(outputs[1]["start"], 6);
  EXPECT_EQ(outputs[1]["end"], 10);
  EXPECT_NEAR(outputs[1]["bits_per_byte"].get<double>(), 30 / std::log(2) / 7, 1e-4);
  // After what was not an end after all, it belongs to the sentence that continues.
  const auto one = read("score", kSentences, made_document({{"One.", -1}, {" ", -2}, {" two", -4}}, 1));
  ASSERT_EQ(one.size(), 2u);
  EXPECT_EQ(one[0]["nats"], 7);
}

TEST(ScoreSentences, AddUpToTheDocumentAndResumeAtEveryBlock) {
  for (const auto kind : kSyntheticKinds) {
    const SyntheticDocument document(kind, 17);
    const auto outputs = read("score", kSentences, document);
    EXPECT_EQ(read("score", kSentences, document, true), outputs);
    double nats = 0;
    for (const auto& output : outputs) {
      if (output["type"] == "sentence") nats += output["nats"].get<double>();
    }
    const double all = outputs.back()["nats"].get<double>();
    EXPECT_LE(nats, all * (1 + 1e-4));
    if (kind == SyntheticKind::kProse) {
      EXPECT_NEAR(nats, all, all * 1e-4);
    }
  }
}

TEST(ScoreSentences, ALongGapIsCut) {
  std::vector<MadeToken> tokens = {{"A stop.", -1}};
  for (int i = 0; i < 5000; ++i) tokens.push_back({std::string(16, ' '), -1});
  tokens.push_back({"Behind it.", -1});
  const auto outputs = read("score", kSentences, made_document(tokens, 64));
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_EQ(outputs[0]["end"], 7);
  EXPECT_EQ(outputs[1]["start"], 7 + 5000 * 16);
  EXPECT_EQ(outputs[0]["nats"].get<double>() + outputs[1]["nats"].get<double>(), 5002);
}

/// From character `start` to before `end`.
std::string by_characters(const std::string& text, std::uint64_t start, std::uint64_t end) {
  std::string part;
  std::uint64_t begun = 0;
  for (const char c : text) {
    begun += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
    if (begun > start && begun <= end) part += c;
  }
  return part;
}

TEST(Score, CountsCharactersBesideBytes) {
  const std::string text =
      "  \u00C9cole \u00E9tait ferm\u00E9e. \u00C0 midi, rien.\n\n\u732B\u304C\u300C\u306D\u308B\u300D\u3002"
      "\u96E8\u304C\u964D\u308B\u3002\n\xF0\x9F\x99\x82 smiles in the gr\u00F6\u00DFte Stadt.\r\n";
  for (const std::size_t length : {1, 2, 5, 64}) {  // of a token, which may cut characters
    std::vector<MadeToken> tokens;
    for (std::size_t at = 0; at < text.size(); at += length) tokens.push_back({text.substr(at, length), -1});
    const auto document = made_document(tokens);
    for (const char* granularity : {"paragraph", "sentence", "line"}) {
      const auto outputs = read("score", json({{"granularity", granularity}}).dump(), document, true);
      EXPECT_GE(outputs.size(), 3u);
      for (std::size_t i = 0; i + 1 < outputs.size(); ++i)
        EXPECT_EQ(by_characters(text, outputs[i]["start_char"], outputs[i]["end_char"]),
                  shown(document, outputs[i]));
      for (const auto& passage : outputs.back()["surprising"])
        EXPECT_EQ(by_characters(text, passage["start_char"], passage["end_char"]), shown(document, passage));
    }
    std::string pieces;
    std::uint64_t next = 0;
    for (const auto& block : read("score", R"({"granularity":"token"})", document, true)) {
      if (block["type"] != "tokens") continue;
      for (std::size_t i = 0; i < block["start"].size(); ++i) {
        EXPECT_EQ(block["start_char"][i], next);
        next = block["end_char"][i];
        pieces += by_characters(text, block["start_char"][i], next);
      }
    }
    EXPECT_EQ(pieces, text);
  }
}

}  // namespace
}  // namespace unroll::testing
