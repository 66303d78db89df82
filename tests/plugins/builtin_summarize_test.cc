// The built-in plugin summarize.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/builtin/quotation.h"
#include "plugins/builtin/sentence_text.h"
#include "plugins/builtin/summary_choice.h"
#include "plugins/builtin/topic.h"
#include "tests/plugins/sentences.h"

namespace unroll::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Not;

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

TEST(Summarize, ReadsScriptsWithoutSpaces) {
  std::vector<MadeToken> tokens;
  for (int i = 0; i < 8; ++i) {
    // Seven sentences of 14 characters, and a heading without a stop.
    for (const char* token : {"\u8239", "\u6bcf\u5929", "\u65e9\u4e0a", "\u4ece", "\u6cb3\u8fb9", "\u5f00",
                              "\u5230", "\u5bf9\u9762\u7684", "\u9547\u4e0a"})
      tokens.push_back({token, -1});
    tokens.push_back({i == 0 ? "\n\n" : "\u3002", -1});
  }
  const auto outputs = read("summarize", R"({"words":20})", made_document(tokens, 7));
  ASSERT_EQ(outputs.size(), 1u);
  ASSERT_FALSE(outputs[0]["sentences"].empty());
  EXPECT_TRUE(outputs[0]["sentences"][0]["text"].get<std::string>().ends_with("\u3002"));
}

TEST(Summarize, BeginsNoSentenceWithAnIdeographicSpace) {
  std::string text;
  std::vector<MadeToken> tokens;
  for (int i = 0; i < 12; ++i) {
    for (const char* token : {"\u3000", "\u6751\u306e", "\u56f3\u66f8\u9928\u306f",
                              "\u53e4\u3044\u5efa\u7269", "\u3067\u3042\u308b\u3002\n\n"}) {
      tokens.push_back({token, -1});
      text += token;
    }
  }
  const auto summary = read("summarize", "{}", made_document(tokens, 7)).back();
  ASSERT_FALSE(summary["sentences"].empty());
  for (const auto& sentence : summary["sentences"]) {
    EXPECT_TRUE(sentence["text"].get<std::string>().starts_with("\u6751"));
    EXPECT_EQ(text.substr(sentence["start"], 3), "\u6751");
  }
}

TEST(SentenceText, ProseEndsWithAStopOfItsScript) {
  using builtin::is_prose;
  EXPECT_TRUE(is_prose("The whole town came to see the lamp."));
  EXPECT_TRUE(is_prose("\u201eDie ganze Stadt kam an den Strand.\u201c"));
  EXPECT_TRUE(
      is_prose("\u0627\u0644\u064a\u0648\u0645 \u0648\u0635\u0644 \u0643\u0644 "
               "\u0627\u0644\u0646\u0627\u0633 \u0625\u0644\u0649 "
               "\u0627\u0644\u0628\u0644\u062f\u061f"));
  EXPECT_TRUE(
      is_prose("\u56fe\u4e66\u9986\u5728\u6cb3\u8fb9\u5df2\u7ecf\u6709\u4e00\u767e\u5e74\u4e86\u3002"));
  EXPECT_FALSE(is_prose("\u56fe\u4e66\u9986\u5728\u6cb3\u8fb9\u5df2\u7ecf\u6709\u4e00\u767e\u5e74\u4e86"));
  EXPECT_FALSE(is_prose("The whole town came to see the lamp"));
  EXPECT_FALSE(is_prose("\u0e2b\u0e49\u0e2d\u0e07\u0e2a\u0e21\u0e38\u0e14")) << "a heading in Thai";
  EXPECT_TRUE(builtin::ends_with_stop("\u1795\u17d2\u179f\u17b6\u179a\u17d4 \"")) << "Khmer";
  EXPECT_TRUE(builtin::ends_with_stop("\u03c0\u03bf\u03cd;")) << "Greek";
  EXPECT_FALSE(builtin::ends_with_stop("one;"));
  // Short words and many marks, but prose; not a row of figures.
  EXPECT_TRUE(is_prose(
      "They often go by bus, e.g. to a bay or to an inn (see e.g. Hill et al. 2011 for a map of it)."));
  EXPECT_FALSE(is_prose("Total 12.5 17.25 (3.5) 99.1, 4: 88.2 and 7.5; 1.25 of 18."));
}

/// The middle of the speech has the words that are most common.
TEST(Summarize, DoesNotTakeSpeechesApart) {
  const std::string first = "The mill by the river had been for sale since the miller died.";
  const std::string last = "The widow shut the door and the buyers went back to the river.";
  for (const auto& [open, close] : {std::pair{"\"", "\""},
                                    {"\u201C", "\u201D"},
                                    {"\u201E", "\u201C"},
                                    {"\u00AB", "\u00BB"},
                                    {"\u00BB", "\u00AB"}}) {
    const std::string speech =
        std::string(open) +
        "Go away all of you now. The mill by the river is a mill of mine. The mill and "
        "the river will be here for a long time. You get the mill by the river never in "
        "your life," +
        close + " said the widow.";
    const auto text = first + "\n\n" + speech + "\n\n" + last + "\n";
    EXPECT_THAT(summary_of(text, 26), ElementsAre(first, last)) << open;
    EXPECT_THAT(summary_of(text, 40), ElementsAre(first, last)) << open;
    // Without the marks it is the best part.
    const auto plain = first + "\n\n" + speech.substr(std::string_view(open).size()) + "\n\n" + last + "\n";
    EXPECT_THAT(summary_of(plain, 26), Not(ElementsAre(first, last))) << open;
    EXPECT_FALSE(summary_of(speech, 40).empty()) << "there is nothing else";
  }
}

/// Of two sentences with the same words the first one is taken.
TEST(Summarize, DoesNotTakeWhatRefersToASentenceThatIsNotThere) {
  const std::string opening = "A widow sold her house and went away in May.";
  const std::string pronoun = "This was the keeper of the mill who saw the river rise.";
  const std::string name = "The keeper of the mill who was this saw the river rise.";
  EXPECT_THAT(summary_of(opening + " " + pronoun + " " + name, 22), ElementsAre(opening, name));
  EXPECT_THAT(summary_of(pronoun + " " + name, 12), ElementsAre(pronoun)) << "nothing is before it";
}

TEST(Summarize, SpeechAfterADashIsSpeech) {
  const std::string first = "The keeper of the mill saw the river rise in the night.";
  const std::string second = "In the night the keeper of the mill saw the river rise.";
  EXPECT_THAT(summary_of(first + "\n\n" + second, 12), ElementsAre(first));
  for (const std::string dash : {"\u2014", "\u2013", "\u2015"})
    EXPECT_THAT(summary_of(dash + first + "\n\n" + second, 12), ElementsAre(second)) << dash;
}

TEST(SentenceText, PronounsReferBack) {
  for (const std::string text :
       {"This was the end of it.", "\"These are mine.", "That's all.", "Das war alles.", "C'est la vie.",
        "C\u2019\u00E9tait lui.", "Esto no es todo.", "Dit is het einde.", "Ci\u00F2 non basta."})
    EXPECT_TRUE(builtin::refers_back(text)) << text;
  for (const std::string text :
       {"This book was read.", "That the king was dead is true.", "Das Haus war alt.", "This",
        "Thisbe was here.", "Ce livre est bon.", "It was late.", ""})
    EXPECT_FALSE(builtin::refers_back(text)) << text;
}

/// A speech of several paragraphs is closed only in its last one.
TEST(Summarize, AQuotationEndsWithItsParagraph) {
  const std::string second = "The mill by the river was sold to the baker in the spring.";
  EXPECT_THAT(summary_of("\"We all shall leave this old house behind us tomorrow.\n\n" + second + "\n", 13),
              ElementsAre(second));
}

TEST(Quotation, CountsWhatStandsBetweenMarks) {
  const auto quoted = [](std::string_view text) { return builtin::Quotation().read(text); };
  EXPECT_EQ(quoted("He left."), 0u);
  EXPECT_EQ(quoted(""), 0u);
  EXPECT_EQ(quoted("\"abc\" abc"), 3u);
  EXPECT_EQ(quoted("\u201Cabc\u201D it\u2019s"), 3u);
  EXPECT_EQ(quoted("\u201Eabc\u201C de"), 3u);
  EXPECT_EQ(quoted("\u201Dabc\u201D de"), 3u);
  EXPECT_EQ(quoted("\u00BBabc\u00BB de \u00BBabc\u00AB de"), 6u);
  EXPECT_EQ(quoted("\u00ABa \u201Cb\u201D c\u00BB d"), 11u) << "one within the other";
  EXPECT_EQ(quoted("A 5\" pipe and an 8\" one."), 0u);
  builtin::Quotation goes_on;
  EXPECT_EQ(goes_on.read("\"One."), 4u);
  EXPECT_EQ(goes_on.read("Two\" said Ann."), 3u);
  EXPECT_FALSE(goes_on.inside());
}

TEST(Topic, ASentenceIsCentralIfManyAreLikeIt) {
  builtin::Topic topic;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const bool common = i % 10 == 0;
    topic.add({common ? 1 : 1000 + i, common ? 2 : 2000 + i, 3000 + i});
  }
  EXPECT_GT(topic.centrality({1, 2, 3000}), 2 * topic.centrality({1001, 2001, 3001}));
  EXPECT_EQ(topic.centrality({500, 501, 502}), 0) << "words that no sentence has";
  EXPECT_EQ(topic.centrality({}), 0);
}

TEST(Topic, WordsOfAllSentencesSayLittle) {
  builtin::Topic topic;
  for (std::uint32_t i = 0; i < 100; ++i) topic.add({1, i % 3 == 0 ? 2 : 100 + i});
  EXPECT_GT(topic.centrality({2}), 3 * topic.centrality({1}));
}

TEST(Topic, ForgetsHalfBeforeItsCountsOverflow) {
  builtin::Topic topic;
  for (std::uint32_t i = 0; i < 200'000; ++i) topic.add({1, 2 + i % 3});
  EXPECT_NEAR(topic.centrality({1, 2}), 0.33, 0.05);
}

builtin::Candidate candidate(const std::string& text, double own, std::uint64_t start) {
  return {0, own, start, start + text.size(), text, false};
}

TEST(SummaryChoice, TakesTheBestThatAreUnlikeEachOther) {
  const std::string first = "The lamp of the old tower was lit every night by the keeper.";
  const std::string again = "The lamp of the old tower was lit every night by the widow.";
  const std::string other = "Several ships came into the harbour before the winter began here.";
  const std::vector<builtin::Candidate> candidates = {candidate(first, 5, 0), candidate(again, 3, 100),
                                                      candidate(other, 0, 200)};
  builtin::Topic topic;
  for (const auto& each : candidates) topic.add(builtin::content_words(each.text));
  EXPECT_THAT(builtin::choose_sentences(candidates, topic, 24), ElementsAre(0, 2));
  EXPECT_THAT(builtin::choose_sentences(candidates, topic, 13), ElementsAre(0));
  EXPECT_THAT(builtin::choose_sentences(candidates, topic, 11), ElementsAre(2)) << "what fits";
  EXPECT_THAT(builtin::choose_sentences({}, topic, 11), ElementsAre());
}

}  // namespace
}  // namespace unroll::testing
