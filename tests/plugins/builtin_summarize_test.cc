// The built-in plugin summarize.
#include <gtest/gtest.h>

#include "plugins/builtin/sentence_text.h"
#include "plugins/builtin/summary_choice.h"
#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

TEST(Summarize, SentencesAreTheDocumentsOwnInOrderWithinTheWords) {
  for (const int limit : {25, 60}) {
    const SyntheticDocument document(SyntheticKind::kProse, 11);
    const auto outputs = read("summarize", json({{"words", limit}}).dump(), document);
    ASSERT_EQ(outputs.size(), 1u);
    std::size_t words = 0, behind = 0;
    for (const auto& sentence : outputs[0]["sentences"]) {
      EXPECT_GE(sentence["start"].get<std::size_t>(), behind);
      behind = sentence["end"].get<std::size_t>();
      EXPECT_EQ(sentence["text"], shown(document, sentence));
      words += builtin::word_count(builtin::normalised(sentence["text"].get<std::string>()));
    }
    EXPECT_EQ(outputs[0]["words"], words);
    EXPECT_LE(words, static_cast<std::size_t>(limit));
    EXPECT_GT(words, static_cast<std::size_t>(limit) / 2);
  }
}

TEST(Summarize, ARunningSummaryIsWhatTheDocumentSoFarWouldGive) {
  const SyntheticDocument document(SyntheticKind::kProse, 11);
  constexpr std::uint64_t kEvery = 4096;
  const auto outputs = read("summarize", R"({"words":60,"every":4096})", document);
  ASSERT_GE(outputs.size(), 2u);
  std::uint64_t due = kEvery;
  for (std::size_t i = 0; i + 1 < outputs.size(); ++i) {
    EXPECT_EQ(outputs[i]["type"], "running");
    const auto end = outputs[i]["end"].get<std::uint64_t>();
    EXPECT_GE(end, due);
    due = (end / kEvery + 1) * kEvery;
    EXPECT_LE(outputs[i]["words"], 60);
    for (const auto& sentence : outputs[i]["sentences"]) {
      EXPECT_LE(sentence["end"], end);
      EXPECT_EQ(sentence["text"], shown(document, sentence));
    }
  }
  EXPECT_EQ(outputs.back(), read("summarize", R"({"words":60})", document).back()) << "they change nothing";
}

TEST(SentenceText, WhatStandsInQuotationMarks) {
  using builtin::quoted_share;
  EXPECT_EQ(quoted_share("He left."), 0);
  EXPECT_EQ(quoted_share(""), 0);
  EXPECT_DOUBLE_EQ(quoted_share("\"abc\" abc"), 3.0 / 9);
  EXPECT_DOUBLE_EQ(quoted_share("\xE2\x80\x9C"
                                "abc\xE2\x80\x9D it\xE2\x80\x99s"),
                   3.0 / 16);
}

TEST(SummaryChoice, AWordThatIsSaidAlreadyCountsLess) {
  const std::vector<std::uint32_t> common = {1, 2}, other = {3, 4};
  builtin::WordCounts counts;
  for (int i = 0; i < 6; ++i) counts.add(common);
  for (int i = 0; i < 4; ++i) counts.add(other);
  builtin::choice::Coverage coverage(counts);
  EXPECT_GT(coverage.of(common), coverage.of(other));
  coverage.choose(common);
  EXPECT_LT(coverage.of(common), coverage.of(other));
}

}  // namespace
}  // namespace unroll::testing
