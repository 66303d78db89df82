// Prepared tokens: what was written is read, and no other file is accepted.
#include "training/token_file.h"

#include <filesystem>
#include <stdexcept>

#include "tests/training/fixture.h"
#include "tokenizer/tokenizer.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Tokens : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder / "data/below");
    write_file(folder / "data/b", text(1, 5));
    write_file(folder / "data/below/a", std::string("\xFF\0 any bytes", 12));
    write_file(folder / "data/empty", "");
  }
  std::string text_of(const TokenDocument& document) const {
    return vocabulary->decode(std::vector<std::int32_t>(document.tokens.begin(), document.tokens.end()));
  }
  std::string problem_with(const fs::path& file) const {
    return error_of([&] { TokenFile(file, kVocabulary); });
  }

  TemporaryFolder folder;
  std::shared_ptr<const Vocabulary> vocabulary = Vocabulary::load(kVocabulary);
};

TEST_F(Tokens, OfEveryFileInOrderOfPath) {
  std::uint64_t bytes = 0;
  const auto done =
      prepare_tokens(folder / "data", kVocabulary, folder / "out", [&](const PrepareProgress& progress) {
        EXPECT_GE(progress.bytes, bytes);
        bytes = progress.bytes;
      });
  EXPECT_EQ(bytes, text(1, 5).size() + 12);
  EXPECT_EQ(done.total_bytes, bytes);
  EXPECT_EQ(done.documents, 3u);
  const TokenFile file(folder / "out", kVocabulary);
  ASSERT_EQ(file.documents().size(), 3u);
  EXPECT_EQ(file.documents()[0].name, "b");
  EXPECT_EQ(file.documents()[1].name, "below/a");
  EXPECT_EQ(text_of(file.documents()[0]), text(1, 5));
  EXPECT_EQ(text_of(file.documents()[1]), read_file(folder / "data/below/a"));
  EXPECT_TRUE(file.documents()[2].tokens.empty());
  EXPECT_EQ(file.tokens(), done.tokens);
  EXPECT_EQ(file.source(), (folder / "data").string());
  const auto copy = std::make_unique<TokenFile>(file)->documents();  // The map lives on in `file`.
  EXPECT_EQ(text_of(copy[0]), text(1, 5));
}

TEST_F(Tokens, OfOneFile) {
  prepare_tokens(folder / "data/b", kVocabulary, folder / "out");
  const TokenFile file(folder / "out", kVocabulary);
  ASSERT_EQ(file.documents().size(), 1u);
  EXPECT_EQ(file.documents()[0].name, "b");
  EXPECT_EQ(text_of(file.documents()[0]), text(1, 5));
}

TEST_F(Tokens, CompressedFilesArePassedOver) {
  write_file(folder / "data/c.gz", "\x1F\x8B\x08 not really");
  write_file(folder / "data/d.zst", "\x28\xB5\x2F\xFD not either");
  const auto done = prepare_tokens(folder / "data", kVocabulary, folder / "out");
  EXPECT_EQ(done.skipped, 2u);
  EXPECT_EQ(done.documents, 3u);
}

TEST_F(Tokens, WhatIsNotPreparedOrNotWholeIsRefusedByName) {
  const auto file = folder / "out";
  prepare_tokens(folder / "data", kVocabulary, file);
  const auto whole = read_file(file);
  EXPECT_TRUE(is_token_file(file));
  EXPECT_FALSE(is_token_file(folder / "data/b"));
  EXPECT_FALSE(is_token_file(folder / "data"));
  EXPECT_THAT(problem_with(folder / "data/b"),
              AllOf(HasSubstr("data/b"), HasSubstr("not a file of prepared tokens")));
  for (std::size_t size = 8; size < whole.size(); size += 7) {
    write_file(file, whole.substr(0, size));
    EXPECT_THAT(problem_with(file), AllOf(HasSubstr(file.string()), HasSubstr("unroll prepare"))) << size;
  }
  for (std::size_t at = 8; at < whole.size(); ++at) {
    if (at >= 12 && at < 16) continue;  // Reserved.
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write_file(file, damaged);
    EXPECT_THAT(problem_with(file), HasSubstr(file.string())) << at;
  }
  auto newer = whole;
  newer[8] = 2;
  write_file(file, newer);
  EXPECT_THAT(problem_with(file), HasSubstr("version 2 of the format"));
}

TEST_F(Tokens, OfAnotherVocabulary) {
  prepare_tokens(folder / "data", kVocabulary, folder / "out");
  write_file(folder / "other.model", "another");
  EXPECT_THAT(error_of([&] { TokenFile(folder / "out", folder / "other.model"); }),
              AllOf(HasSubstr((folder / "out").string()), HasSubstr("another vocabulary"),
                    HasSubstr((folder / "other.model").string())));
}

TEST_F(Tokens, NothingToRead) {
  fs::create_directories(folder / "nothing");
  const auto problem = [&](const fs::path& source) {
    return error_of([&] { prepare_tokens(source, kVocabulary, folder / "out"); });
  };
  EXPECT_THAT(problem(folder / "nothing"), HasSubstr("there are no files below"));
  EXPECT_THAT(problem(folder / "none"), HasSubstr("neither a folder nor a file"));
  EXPECT_FALSE(fs::exists(folder / "out"));
}

}  // namespace
}  // namespace unroll
