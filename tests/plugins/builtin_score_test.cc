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

}  // namespace
}  // namespace unroll::testing
