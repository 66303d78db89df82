// The recall task, and that the stored models do what docs/experiments.md says, as far as a test has time.
#include <algorithm>
#include <set>

#include "tests/model/testing.h"
#include "training/recall/task.h"
#include "training/recall/test.h"

namespace unroll::recall {
namespace {

constexpr std::int64_t kDistance = 200;

/// Words between spaces, and the letters of keys, of many documents.
std::set<std::string> words_and_keys(Split split) {
  Source source(split, 7);
  std::set<std::string> found;
  for (int i = 0; i < 200; ++i) {
    auto all = text(source.make(0, 500, 1).tokens);
    found.insert("<" + all.substr(1, kKeyLetters));
    all = all.substr(kKeyLetters + 3);                                     // after the value
    all.resize(all.rfind(' ') == std::string::npos ? 0 : all.rfind(' '));  // the last word may be cut
    for (std::size_t begin = 0, end = 0; (end = all.find(' ', begin)) != std::string::npos; begin = end + 1)
      found.insert(all.substr(begin, end - begin));
  }
  return found;
}

TEST(Recall, TrainingAndTestShareNeitherWordsNorKeys) {
  const auto training = words_and_keys(Split::kTraining), test = words_and_keys(Split::kTest);
  EXPECT_GT(training.size(), 1000U);
  EXPECT_GT(test.size(), 1000U);
  for (const auto& word : test) EXPECT_FALSE(training.contains(word)) << word;
}

TEST(Recall, TheQuestionEndsAtTheDistanceFromTheValue) {
  Source source(Split::kTraining, 3);
  for (int i = 0; i < 100; ++i) {
    const auto before = i * 3;
    const auto document = source.make(before, kDistance, 1);
    const auto all = text(document.tokens);
    const auto given = static_cast<std::size_t>(before), value = given + kKeyLetters + 2;
    EXPECT_EQ(all[given], '<');
    EXPECT_EQ(all[value - 1], '=');
    EXPECT_EQ(all[value], 'a' + document.answer);
    EXPECT_EQ(all.size(), value + 1 + kDistance);
    EXPECT_EQ(all.substr(all.size() - kKeyLetters - 2), "?" + all.substr(given + 1, kKeyLetters) + "=");
    EXPECT_EQ(std::ranges::count(all, '='), 2);
  }
}

TEST(Recall, OfSeveralPairsOneIsAskedFor) {
  Source source(Split::kTraining, 3);
  std::set<std::size_t> asked;
  for (int i = 0; i < 50; ++i) {
    const auto document = source.make(0, kDistance, 4);
    const auto all = text(document.tokens);
    const auto key = all.substr(all.size() - kKeyLetters - 1, kKeyLetters);
    const auto place = all.find("<" + key + "=");
    EXPECT_EQ(all[place + kKeyLetters + 2], 'a' + document.answer);
    asked.insert(place);
  }
  EXPECT_EQ(asked.size(), 4U);
}

TEST(Recall, NoRoomForTheQuestionIsAnError) {
  EXPECT_THROW(Source(Split::kTest, 1).make(0, 4, 1), std::invalid_argument);
}

double accuracy(const std::string& model, std::int64_t distance, const std::string& dropped = "") {
  TestOptions options;
  options.model = std::filesystem::path(UNROLL_SOURCE_DIR) / "models" / model;
  options.documents = options.together = 40;
  if (!dropped.empty()) options.dropped = {dropped};
  options.threads = 1;
  return test(options, distance).accuracy();
}

TEST(Recall, StatesAloneRememberWhatTheyAreTrainedFor) {
  EXPECT_GE(accuracy("recall-states", 2000), 0.95);
  EXPECT_LE(accuracy("recall-states", 2000, "states"), 0.2);
}

TEST(Recall, RoutedMemoryFindsIt) {
  EXPECT_GE(accuracy("recall-routed", 2000), 0.95);
  EXPECT_LE(accuracy("recall-routed", 2000, "routed"), 0.2);
}

}  // namespace
}  // namespace unroll::recall
