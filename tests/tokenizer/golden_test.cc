// Compares small vocabularies of every family with their own packages on the same texts (make_golden.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/temporary_folder.h"
#include "tests/tokenizer/properties.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(UNROLL_SOURCE_DIR) / "tests/tokenizer/golden";

struct Family {
  const char* name;
  bool exact;  ///< Tokens restore the document's bytes.
  std::int32_t first_input;
  std::vector<std::int32_t> ends;
};

class Golden : public testing::TestWithParam<Family> {
 protected:
  VocabularyPtr vocabulary_ = Vocabulary::load(kGolden / GetParam().name);
};

TEST_P(Golden, TokensAreThoseOfTheirPackage) {
  const auto cases = nlohmann::json::parse(read_file(kGolden / GetParam().name / "expected.json"));
  ASSERT_GT(cases.size(), 50u);
  std::mt19937 random(1);
  for (const auto& [text, ids] :
       cases.get<std::vector<std::pair<std::string, std::vector<std::int32_t>>>>()) {
    SCOPED_TRACE(text.substr(0, 200));
    const auto tokens = whole(vocabulary_, text);
    EXPECT_EQ(ids_of(tokens), ids);
    ASSERT_NO_FATAL_FAILURE(expect_everything(vocabulary_, text, random, GetParam().exact));
  }
}

TEST_P(Golden, AnyBytesInAnyChunks) {
  std::mt19937 random(20260102);
  for (int round = 0; round < 8; ++round) {
    SCOPED_TRACE(round);
    const auto document = random_document(random, 80);
    ASSERT_NO_FATAL_FAILURE(expect_everything(vocabulary_, document, random, GetParam().exact, round < 3));
  }
}

TEST_P(Golden, RunsAroundTheLimit) {
  std::mt19937 random(2);
  for (const std::string_view filler : {"a", " ", "\n", "1", "\xCC\x81", "\xE5\xAD\x97", "\x04"}) {
    for (const auto size :
         {kMaxSegmentBytes - 5, kMaxSegmentBytes, kMaxSegmentBytes + 1, 3 * kMaxSegmentBytes}) {
      const auto text = "so " + repeated(filler, size / filler.size()) + "x y\n";
      SCOPED_TRACE(std::string(filler) + " " + std::to_string(size));
      ASSERT_NO_FATAL_FAILURE(expect_everything(vocabulary_, text, random, GetParam().exact, false));
    }
  }
}

TEST_P(Golden, FirstInputAndEnds) {
  EXPECT_EQ(vocabulary_->first_input(), GetParam().first_input);
  EXPECT_EQ(vocabulary_->ends(), GetParam().ends);
  for (const auto id : vocabulary_->ends()) EXPECT_EQ(vocabulary_->bytes(id), "");
}

INSTANTIATE_TEST_SUITE_P(
    Families, Golden,
    testing::Values(Family{"gpt2", true, 701, {700, 702}}, Family{"llama3", true, 701, {700, 702}},
                    Family{"qwen2", false, 700, {700, 702}}, Family{"smollm", false, 684, {683, 685}},
                    Family{"splits", true, 701, {700, 702}}, Family{"llama2", false, 1, {2}},
                    Family{"gemma", true, 1, {2}}, Family{"t5", false, 2, {2}},
                    Family{"mistral", false, 1, {2}}, Family{"mistral3", false, 1, {2}},
                    Family{"yi", true, 1, {2}}, Family{"words", false, 1, {2}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(CharacterBpe, IsTheSentencePieceModelThatItWasMadeFrom) {
  const auto json = Vocabulary::load(kGolden / "mistral"), model = Vocabulary::load(kGolden / "llama2");
  EXPECT_EQ(json->tokens(), model->tokens());
  EXPECT_EQ(json->first_input(), model->first_input());
  EXPECT_EQ(json->ends(), model->ends());
  std::mt19937 random(4);
  for (int round = 0; round < 20; ++round) {
    const auto document = random_document(random, 80);
    EXPECT_EQ(ids_of(whole(json, document)), ids_of(whole(model, document)));
  }
  for (const char* document : {"\xE2\x96\x81z b", "\x01z", "\xFF", " \xFF", "z\xE2\x96\x81", ""})
    EXPECT_EQ(ids_of(whole(json, document)), ids_of(whole(model, document))) << document;
}

class GgufVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(GgufVocabulary, IsFoundInAFolderThatHoldsNothingElse) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(kGolden / GetParam() / "vocabulary.gguf", folder / "model.gguf");
  EXPECT_EQ(Vocabulary::load(folder.path())->tokens(), Vocabulary::load(folder / "model.gguf")->tokens());
}

TEST_P(GgufVocabulary, IsTheOneOfTheFolder) {
  const auto file = Vocabulary::load(kGolden / GetParam() / "vocabulary.gguf");
  const auto folder = Vocabulary::load(kGolden / GetParam());
  EXPECT_EQ(file->tokens(), folder->tokens());
  EXPECT_EQ(file->first_input(), folder->first_input());
  EXPECT_EQ(file->ends(), folder->ends());
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    const auto document = random_document(random, 80);
    EXPECT_TRUE(whole(file, document) == whole(folder, document));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GgufVocabulary,
                         testing::Values("gpt2", "llama3", "qwen2", "smollm", "llama2"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace unroll
