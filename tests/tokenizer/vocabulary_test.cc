// Vocabularies of every kind that SentencePiece can train: tokens always give back the document's bytes.
#include <unordered_map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sentencepiece_trainer.h>

#include "tests/temporary_folder.h"
#include "tokenizer/tokenizer.h"

namespace unroll {
namespace {

class TrainedVocabulary : public testing::Test {
 protected:
  /// A vocabulary of 300 pieces whose normalisation is this table: lines of code points in hexadecimal, a
  /// tab, and those that take their place.
  std::filesystem::path train(const std::string& normalization) {
    std::string text;
    for (int i = 0; i < 200; ++i)
      text += "the quick brown fox number " + std::to_string(i * 7919 % 1000) + " jumps\n";
    write_file(folder_ / "text", text);
    write_file(folder_ / "rules.tsv", normalization);
    const std::unordered_map<std::string, std::string> options{
        {"input", (folder_ / "text").string()},
        {"model_prefix", (folder_ / "tokenizer").string()},
        {"normalization_rule_tsv", (folder_ / "rules.tsv").string()},
        {"vocab_size", "300"},
        {"model_type", "bpe"},
        {"byte_fallback", "true"},
        {"add_dummy_prefix", "false"},
        {"remove_extra_whitespaces", "false"},
        {"unk_id", "0"},
        {"bos_id", "1"},
        {"eos_id", "2"},
        {"minloglevel", "2"},
    };
    const auto status = sentencepiece::SentencePieceTrainer::Train(options);
    if (!status.ok()) throw std::runtime_error(status.ToString());
    return folder_ / "tokenizer.model";
  }

  static std::string round_trip(const std::shared_ptr<const Vocabulary>& vocabulary, std::string_view text) {
    std::vector<std::int32_t> ids;
    vocabulary->encode_segment(text, ids);
    return vocabulary->decode(ids);
  }

  TemporaryFolder folder_;
};

// The sample that load() tries has no 'Q': only what is read later shows the rule.
TEST_F(TrainedVocabulary, TextThatItWouldChangeIsReadByteByByte) {
  const auto vocabulary = Vocabulary::load(train("51\t71\n"));  // Q becomes q
  EXPECT_EQ(round_trip(vocabulary, "the Quick brown fox"), "the Quick brown fox");
  std::vector<std::int32_t> unchanged, changed;
  vocabulary->encode_segment("the quick", unchanged);
  vocabulary->encode_segment("the Quick", changed);
  EXPECT_LT(unchanged.size(), 9U) << "text that comes back is not read as bytes";
  EXPECT_EQ(changed.size(), 9U);
}

TEST_F(TrainedVocabulary, OneThatChangesTheSampleIsRefused) {
  const auto file = train("2C\t3B\n");  // a comma becomes a semicolon
  try {
    Vocabulary::load(file);
    FAIL() << "it loads";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr(file.string()),
                                             testing::HasSubstr("--normalization_rule_name=identity")));
  }
}

}  // namespace
}  // namespace unroll
