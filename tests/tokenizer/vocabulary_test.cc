// Every kind of normalisation that SentencePiece can be trained with.
#include <unordered_map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sentencepiece_trainer.h>

#include "tests/temporary_folder.h"
#include "tests/tokenizer/properties.h"
#include "tokenizer/tokenizer.h"

namespace unroll {
namespace {

class TrainedVocabulary : public testing::Test {
 protected:
  /// Trains a vocabulary of 300 pieces with this normalisation table: lines of code points in hexadecimal, a
  /// tab, and their replacements.
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

  static std::vector<std::int32_t> ids_of(const Vocabulary& vocabulary, std::string_view text) {
    std::vector<Token> tokens;
    vocabulary.tokenize({text, 0, true}, tokens);
    return unroll::ids_of(tokens);
  }

  TemporaryFolder folder_;
};

// load()'s sample has no 'Q': only later text shows the rule.
TEST_F(TrainedVocabulary, TextThatItWouldChangeIsReadByteByByte) {
  const auto vocabulary = Vocabulary::load(train("51\t71\n"));  // Q becomes q
  EXPECT_EQ(vocabulary->decode(ids_of(*vocabulary, "the Quick brown fox")), "the Quick brown fox");
  EXPECT_LT(ids_of(*vocabulary, "the quick").size(), 9U) << "text that comes back is not read as bytes";
  EXPECT_EQ(ids_of(*vocabulary, "the Quick").size(), 9U);
}

TEST_F(TrainedVocabulary, OneThatChangesTextKeepsThePlacesOfTheBytes) {
  const auto vocabulary = Vocabulary::load(train("2C\t3B\n"));  // a comma becomes a semicolon
  std::mt19937 random(1);
  expect_everything(vocabulary, "the quick, brown fox,\n\x80 jumps", random, false);
  const auto tokens = whole(vocabulary, "the quick, brown fox");
  EXPECT_EQ(decoded(vocabulary, tokens), "the quick; brown fox");
}

}  // namespace
}  // namespace unroll
