// The built-in plugin embed, on documents whose vectors are known.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

std::vector<double> vector_of(const json& output) {
  return output["vector"].get<std::vector<double>>();
}

double cosine(const json& a, const json& b) {
  const auto x = vector_of(a), y = vector_of(b);
  double sum = 0;
  for (std::size_t d = 0; d < x.size(); ++d) sum += x[d] * y[d];
  return sum;
}

/// The document's vector.
json vector_for(const std::string& text, const std::vector<float>& hidden = {1, 0}, int times = 1) {
  const std::vector<MadeToken> tokens(static_cast<std::size_t>(times), {text, -1, hidden});
  return read("embed", "{}", made_document(tokens)).back();
}

TEST(Embed, WithoutWordsTheMeanOfTheStatesWorkedByHand) {
  const auto document = made_document({{"ab ", -1, {3, 0}}, {"c ", -1, {0, 4}}, {"d", -1, {0, 1}}}, 1);
  const auto outputs = read("embed", R"({"segment_tokens":2})", document);
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_EQ(outputs[0]["start"], 0);
  EXPECT_EQ(outputs[0]["end"], 5);
  EXPECT_EQ(outputs[1]["start"], 5);
  EXPECT_EQ(outputs[1]["end"], 6);
  EXPECT_EQ(outputs[2]["dim"], 2 + 512);
  const auto first = vector_of(outputs[0]), whole = vector_of(outputs[2]);
  EXPECT_EQ(first.size(), 514u);
  EXPECT_NEAR(first[0], 0.6, 1e-5);
  EXPECT_NEAR(first[1], 0.8, 1e-5);
  EXPECT_NEAR(whole[0], 3 / std::sqrt(34), 1e-5);
  EXPECT_NEAR(whole[1], 5 / std::sqrt(34), 1e-5);
}

TEST(Embed, AWordWeighsAgainstTheStatesByTheTokens) {
  // One token: 1.4 / 65 of states and 1 of words; 64 tokens: 0.7.
  EXPECT_NEAR(vector_of(vector_for("word"))[0], (1.4 / 65) / std::hypot(1.4 / 65, 1), 1e-5);
  EXPECT_NEAR(vector_of(vector_for("word ", {1, 0}, 64))[0], 0.7 / std::hypot(0.7, 1), 1e-5);
}

TEST(Embed, TheSameWordsAreNearWhateverTheirCaseAndHowTheyAreCutIntoTokens) {
  const auto query = vector_for("Jean Valjean");
  const auto document = made_document({{"said je", -1}, {"an val", -1}, {"jean, who", -1}}, 1);
  EXPECT_GT(cosine(query, read("embed", "{}", document).back()), 0.7);
  EXPECT_LT(cosine(query, vector_for("Elizabeth Bennet")), 0.3);
}

TEST(Embed, SegmentsEndWithSentencesThatFit) {
  std::vector<MadeToken> tokens = {{"", -1}};  // a space that the vocabulary puts before the text
  for (const char* word :
       {"One", " two", ".", " Three", " four", " five", ".", " Six", " is", " a", " long", " one", "."})
    tokens.push_back({word, -1});
  const auto document = made_document(tokens, 4);
  for (const bool resume : {false, true}) {
    std::vector<std::string> segments;
    for (const auto& output : read("embed", R"({"segment_tokens":5})", document, resume)) {
      if (output["type"] == "segment") segments.push_back(shown(document, output));
      EXPECT_EQ(vector_of(output).size(), 514u);
    }
    EXPECT_EQ(segments,
              (std::vector<std::string>{"One two.", " Three four five.", " Six is a long one", "."}));
  }
}

TEST(Embed, SegmentsHoldTheirOwnWords) {
  const auto outputs =
      read("embed", R"({"segment_tokens":1})", made_document({{" alpha", -1}, {" omega", -1}}, 2));
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_GT(cosine(outputs[0], vector_for("alpha")), 0.99);
  EXPECT_GT(cosine(outputs[1], vector_for("omega")), 0.99);
  EXPECT_NEAR(cosine(outputs[2], outputs[0]), cosine(outputs[2], outputs[1]), 1e-4);
}

}  // namespace
}  // namespace unroll::testing
