// Any tokenizer.json is refused with an error that names the problem, or gives a vocabulary that reads any
// bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/temporary_folder.h"
#include "tests/tokenizer/properties.h"

namespace unroll {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class TokenizerJson : public testing::Test {
 protected:
  static json good(const char* family = "gpt2") {
    return json::parse(read_file(std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/tokenizer/golden" /
                                 family / "tokenizer.json"));
  }
  std::string error_of(const std::string& text) {
    write_file(folder_ / "tokenizer.json", text);
    try {
      Vocabulary::load(folder_.path());
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr((folder_ / "tokenizer.json").string() + ": "));
      return error.what();
    }
    return "";
  }
  /// The error for the good file with one value changed.
  std::string error_with(const char* place, const json& value, const char* family = "gpt2") {
    auto changed = good(family);
    changed[json::json_pointer(place)] = value;
    return error_of(changed.dump());
  }

  TemporaryFolder folder_;
};

TEST_F(TokenizerJson, DamagedFilesAreRefused) {
  const auto text = good().dump();
  EXPECT_EQ(error_of(text), "");
  EXPECT_THAT(error_of(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of(text.substr(0, text.size() / 2)), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("is not a tokenizer.json"));
  EXPECT_THAT(error_of("{}"), HasSubstr("is not a tokenizer.json"));
  EXPECT_THAT(error_of(R"({"model":1,"model":2})"), HasSubstr("duplicate key"));
  EXPECT_THAT(error_of(std::string(100'000, '[')), HasSubstr("nested deeper"));
  EXPECT_THAT(error_of(std::string("{\"model\":\"\0\"}", 13)), HasSubstr("NUL"));
}

TEST_F(TokenizerJson, ImpossibleTokensAreRefused) {
  EXPECT_THAT(error_with("/model/vocab", json::array()), HasSubstr("lacks the object \"vocab\""));
  EXPECT_THAT(error_with("/model/vocab/a", -1), HasSubstr("the number -1"));
  EXPECT_THAT(error_with("/model/vocab/a", 1'000'000'000), HasSubstr("the number 1000000000"));
  EXPECT_THAT(error_with("/model/vocab/a", 18446744073709551615U), HasSubstr("18446744073709551615"));
  EXPECT_THAT(error_with("/model/vocab/a", 1.5), HasSubstr("1.5"));
  EXPECT_THAT(error_with("/model/vocab/a", "x"), HasSubstr("token number"));
  EXPECT_THAT(error_with("/model/vocab/new", 5), HasSubstr("two tokens of the number 5"));
  EXPECT_THAT(error_with("/added_tokens/0/id", nullptr), HasSubstr("token number"));
}

TEST_F(TokenizerJson, ImpossibleMergesAreRefused) {
  EXPECT_THAT(error_with("/model/merges", 7), HasSubstr("lacks the array \"merges\""));
  EXPECT_THAT(error_with("/model/merges/3", json::array({"nowhere", "a"})),
              HasSubstr("merge 3 names the token \"nowhere\", which is not in the vocabulary"));
  EXPECT_THAT(error_with("/model/merges/3", json::array({"a", "!!"})), HasSubstr("merge 3 names the token"));
  EXPECT_THAT(error_with("/model/merges/3", "ab"), HasSubstr("merge 3 is not two tokens"));
  EXPECT_THAT(error_with("/model/merges/3", "a b c"), HasSubstr("merge 3 is not two tokens"));
  EXPECT_THAT(error_with("/model/merges/3", json::array({"a"})), HasSubstr("not two tokens"));
}

TEST_F(TokenizerJson, WhatIsNotSupportedIsNamed) {
  EXPECT_THAT(error_with("/model/type", "WordPiece"), HasSubstr("\"WordPiece\" is not supported"));
  EXPECT_THAT(error_with("/model/byte_fallback", true), HasSubstr("byte_fallback in byte-level BPE"));
  EXPECT_THAT(error_with("/model/end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(error_with("/normalizer", {{"type", "Lowercase"}}), HasSubstr("\"Lowercase\""));
  EXPECT_THAT(error_with("/pre_tokenizer", nullptr), HasSubstr("neither is byte-level BPE"));
  EXPECT_THAT(error_with("/pre_tokenizer/type", "Whitespace"), HasSubstr("\"Whitespace\""));
  EXPECT_THAT(error_with("/pre_tokenizer/add_prefix_space", true), HasSubstr("add_prefix_space"));
}

TEST_F(TokenizerJson, WhatIsNotSupportedInAVocabularyOfCharactersIsNamed) {
  EXPECT_EQ(error_of(good("mistral").dump()), "");
  const auto error = [&](const char* place, const json& value) {
    return error_with(place, value, "mistral");
  };
  EXPECT_THAT(error("/model/byte_fallback", false), HasSubstr("without byte_fallback"));
  EXPECT_THAT(error("/model/ignore_merges", true), HasSubstr("ignore_merges"));
  EXPECT_THAT(error("/normalizer/normalizers/0/prepend", "_"), HasSubstr("\"prepend\":\"_\""));
  EXPECT_THAT(error("/normalizer/normalizers/1/content", "_"), HasSubstr("\"content\":\"_\""));
  EXPECT_THAT(error("/normalizer/normalizers/1/pattern", {{"Regex", " "}}), HasSubstr("\"Regex\""));
  EXPECT_THAT(error("/normalizer/normalizers/1", {{"type", "NFC"}}), HasSubstr("neither is byte-level BPE"));
  EXPECT_THAT(error("/normalizer/normalizers/2", {{"type", "NFC"}}), HasSubstr("NFC"));
  EXPECT_THAT(error("/pre_tokenizer", {{"type", "Digits"}}), HasSubstr("with a pre-tokenizer"));
  EXPECT_THAT(error_with("/pre_tokenizer/replacement", "_", "words"), HasSubstr("replacement \"_\""));
  const auto without = [&](const char* token) {
    auto changed = good("mistral");
    changed["model"]["vocab"].erase(token);
    changed["model"]["merges"] = json::array();
    return error_of(changed.dump());
  };
  EXPECT_THAT(without("\xE2\x96\x81"), HasSubstr("lacks the token U+2581"));
  EXPECT_THAT(without("<0x0A>"), HasSubstr("lacks the token <0x0A>"));
}

TEST_F(TokenizerJson, MergesOfControlTokensOrBytesAreRefused) {
  for (const char* part : {"<s>", "<0x0A>"}) {
    auto changed = good("mistral");
    changed["model"]["vocab"][std::string("e") + part] = changed["model"]["vocab"].size();
    changed["model"]["merges"][0] = {"e", part};
    EXPECT_THAT(error_of(changed.dump()), HasSubstr("its merge 0 is one of control tokens or bytes")) << part;
  }
}

TEST_F(TokenizerJson, ATokenThatIsOnlyAddedIsNoSymbol) {
  auto changed = good("yi");
  const auto size = static_cast<std::int32_t>(changed["model"]["vocab"].size());
  changed["added_tokens"].push_back({{"id", size}, {"content", "\n"}, {"special", false}});
  write_file(folder_ / "tokenizer.json", changed.dump());
  const auto vocabulary = Vocabulary::load(folder_.path());
  const auto tokens = whole(vocabulary, "\n");
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_LT(tokens[0].id, size) << "the byte piece";
}

TEST_F(TokenizerJson, PatternsThatCannotBeStreamedAreRefused) {
  const auto with = [&](const char* pattern) {
    const json split = {
        {"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
    const json level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
    return error_with("/pre_tokenizer",
                      {{"type", "Sequence"}, {"pretokenizers", json::array({split, level})}});
  };
  EXPECT_EQ(with(R"(\s+|[^\s^]+)"), "");
  EXPECT_THAT(with("("), HasSubstr("the pattern ( is not understood"));
  EXPECT_THAT(with("a*"), HasSubstr("matches nothing at all"));
  for (const char* behind : {R"(\bfoo)", "(?<=a)b", "(?<!a)b", "^a", R"(\Aa)"})
    EXPECT_THAT(with(behind), HasSubstr("looks behind a match")) << behind;
}

TEST_F(TokenizerJson, APatternThatTakesTooLongDoesNotMatch) {
  auto changed = good();
  changed["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       json::array({{{"type", "Split"},
                     {"pattern", {{"Regex", "(a+)+b"}}},
                     {"behavior", "Isolated"},
                     {"invert", false}},
                    {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}})}};
  ASSERT_EQ(error_of(changed.dump()), "");
  const auto vocabulary = Vocabulary::load(folder_.path());
  std::mt19937 random(1);
  expect_everything(vocabulary, "aab " + std::string(5000, 'a') + " aab", random, true, false);
}

TEST_F(TokenizerJson, WithoutATokenThatBeginsOrEndsATextItIsRefused) {
  EXPECT_THAT(error_with("/added_tokens", json::array()), HasSubstr("no token begins or ends a text"));
}

TEST_F(TokenizerJson, TheFilesBesideItSayWhatBeginsAndEndsATexts) {
  write_file(folder_ / "tokenizer.json", good().dump());
  write_file(folder_ / "config.json", R"({"bos_token_id": 702, "eos_token_id": [701, 5, 702]})");
  auto vocabulary = Vocabulary::load(folder_.path());
  EXPECT_EQ(vocabulary->first_input(), 702);
  EXPECT_THAT(vocabulary->ends(), testing::ElementsAre(700, 701, 702)) << "5 is no control token";
  write_file(folder_ / "tokenizer_config.json", R"({"bos_token": null, "eos_token": "<|im_end|>"})");
  write_file(folder_ / "config.json", "{}");
  vocabulary = Vocabulary::load(folder_.path());
  EXPECT_EQ(vocabulary->first_input(), 700) << "the end of a text, if no token begins one";
  write_file(folder_ / "tokenizer_config.json", "{");
  EXPECT_THROW(Vocabulary::load(folder_.path()), std::runtime_error);
}

TEST_F(TokenizerJson, SpecialTokensInTextAreText) {
  write_file(folder_ / "tokenizer.json", good().dump());
  const auto vocabulary = Vocabulary::load(folder_.path());
  const auto tokens = whole(vocabulary, "<|endoftext|>");
  EXPECT_GT(tokens.size(), 1u);
  EXPECT_EQ(decoded(vocabulary, tokens), "<|endoftext|>");
}

TEST_F(TokenizerJson, LongWordsTakeNoLongerThanManyShortOnes) {
  // A word as long as a segment, of pairs that all merge: ends only if the work per byte is logarithmic.
  write_file(folder_ / "tokenizer.json", good().dump());
  const auto vocabulary = Vocabulary::load(folder_.path());
  std::string word;
  while (word.size() < 1 << 18) word += "connection";
  EXPECT_EQ(decoded(vocabulary, whole(vocabulary, word)), word);
}

}  // namespace
}  // namespace unroll
