// `unroll generate` as a user runs it.
#include <cmath>

#include <signal.h>

#include "model/block_model.h"
#include "model/safetensors.h"
#include "tests/client/end_to_end.h"
#include "tokenizer/tokenizer.h"

namespace unroll::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Generate : public WithModel {
 protected:
  static Finished generate(std::vector<std::string> arguments, const Surroundings& surroundings = {}) {
    arguments.insert(arguments.begin(), "generate");
    arguments.insert(arguments.end(), {"--model", model()});
    return unroll(std::move(arguments), surroundings);
  }
  static std::string text_of(std::vector<std::string> arguments, const Surroundings& surroundings = {}) {
    const Finished finished = generate(std::move(arguments), surroundings);
    EXPECT_EQ(finished.exit_code, 0);
    EXPECT_EQ(finished.err, "");
    return finished.out;
  }
};

/// The log-probability of each token after `text`, as blocks are scored.
std::vector<double> scored(const std::string& model_folder, const std::string& text,
                           const std::vector<std::int32_t>& more) {
  StreamingTokenizer tokenizer(Vocabulary::load(model_folder + "/tokenizer.model"));
  std::vector<Token> tokens;
  tokenizer.append(text, tokens);
  tokenizer.finish(tokens);
  std::vector<std::int32_t> ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  ids.insert(ids.end(), more.begin(), more.end());
  const auto model = load_block_model(model_folder, {"cpu", "fp32", 1});
  std::vector<double> result;
  ModelStatePtr state;
  for (std::span<const std::int32_t> rest = ids; !rest.empty();) {
    const auto width = static_cast<std::size_t>(model->info().block_width);
    const BlockInput block{state, rest.first(std::min(width, rest.size())), {}};
    const auto output = std::move(model->run({&block, 1}).front());
    result.insert(result.end(), output.logprobs.begin(), output.logprobs.end());
    state = output.next;
    rest = rest.subspan(block.tokens.size());
  }
  return {result.end() - static_cast<std::ptrdiff_t>(more.size()), result.end()};
}

TEST_F(Generate, WhatItDrawsFromIsWhatDocumentsAreScoredWith) {
  const std::vector<std::string> command = {path("book.txt"), "--prompt", "Then",    "--tokens", "150",
                                            "--format",       "ndjson",   "--dtype", "fp32"};
  const auto lines = lines_of(text_of(command));
  ASSERT_EQ(lines.size(), 150u);
  std::vector<std::int32_t> drawn;
  for (const auto& line : lines) drawn.push_back(line["token"]);
  const auto expected = scored(model(), prose(12) + "Then", drawn);
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_NEAR(lines[i]["logprob"], expected[i], 1e-4) << i;
}

TEST_F(Generate, APretrainedModelWritesOnWithWhatItScoresWith) {
  const std::string folder = path("pretrained");
  write_tiny_pretrained(folder);
  const Finished written = unroll({"generate", path("book.txt"), "--tokens", "100", "--format", "ndjson",
                                   "--dtype", "fp32", "--model", folder});
  ASSERT_EQ(written.exit_code, 0) << written.err;
  std::vector<std::int32_t> drawn;
  const auto lines = lines_of(written.out);
  for (const auto& line : lines) drawn.push_back(line["token"]);
  ASSERT_EQ(drawn.size(), 100u);
  const auto expected = scored(folder, prose(12), drawn);
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_NEAR(lines[i]["logprob"], expected[i], 1e-4) << i;
}

/// A snapshot has no text, but what it leaves goes on as the text does.
TEST_F(Generate, GoesOnAfterASnapshot) {
  const std::string pretrained = path("pretrained");
  write_tiny_pretrained(pretrained);
  for (const auto& folder : {model(), pretrained}) {
    SCOPED_TRACE(folder);
    const std::string file = path("book.snapshot");
    const Finished made = unroll({"snapshot", "create", path("book.txt"), "--out", file, "--embedded",
                                  "--dtype", "fp32", "--model", folder});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto after = [&](const std::string& name) {
      return unroll({"generate", "--after", name, "--prompt", "öThen", "--tokens", "60", "--format", "ndjson",
                     "--temperature", "0", "--dtype", "fp32", "--model", folder});
    };
    const auto found = after(file), expected = after(path("book.txt"));
    ASSERT_EQ(found.exit_code, 0) << found.err;
    const auto lines = lines_of(found.out), same = lines_of(expected.out);
    ASSERT_EQ(lines.size(), 60u);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      ASSERT_EQ(lines[i]["token"], same[i]["token"]) << i;
      EXPECT_NEAR(lines[i]["logprob"], same[i]["logprob"], 1e-4) << i;
    }
  }
  const Finished other = generate({"--after", path("book.snapshot"), "--tokens", "1"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, AllOf(HasSubstr("book.snapshot"), HasSubstr("another checkpoint")));
}

TEST_F(Generate, EndsWhereTheModelEndsTheText) {
  const std::string folder = path("pretrained");
  write_tiny_pretrained(folder);
  const auto ends = Vocabulary::load(folder)->ends();
  ASSERT_FALSE(ends.empty());
  const auto file = std::filesystem::path(folder) / "model.safetensors";
  auto weights = read_safetensors(file);
  auto& embedding = weights.at("model.embed_tokens.weight");
  embedding = embedding.clone();
  embedding[ends.front()] *= 100;  // certain wherever its logit is above 0
  write_safetensors(file, weights);
  const Finished written =
      unroll({"generate", "--prompt", "It was", "--tokens", "500", "--format", "ndjson", "--model", folder});
  EXPECT_EQ(written.exit_code, 0) << written.err;
  EXPECT_LT(lines_of(written.out).size(), 500u);
}

TEST_F(Generate, TheSameSeedWritesTheSame) {
  const std::vector<std::string> command = {"--prompt", "It was", "--tokens", "40", "--seed"};
  const auto with_seed = [&](const std::string& seed) {
    auto arguments = command;
    arguments.push_back(seed);
    return text_of(arguments);
  };
  EXPECT_EQ(with_seed("3"), with_seed("3"));
  EXPECT_NE(with_seed("3"), with_seed("4"));
}

TEST_F(Generate, HoweverTheBeginningComes) {
  const std::vector<std::string> more = {"--tokens", "20"};
  const auto with = [&](std::vector<std::string> arguments, const Surroundings& surroundings = {}) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return text_of(arguments, surroundings);
  };
  const std::string expected = with({path("book.txt")});
  EXPECT_EQ(with({"-"}, {.input = prose(12), .environment = {}}), expected);
  EXPECT_EQ(with({"--prompt", prose(12)}), expected);
  const std::string log = with({path("a.log"), "--prompt", "\n12:00:51"});
  EXPECT_EQ(with({"--prompt", log_lines() + "\n12:00:51"}), log);
  EXPECT_NE(with({}), expected);
  EXPECT_EQ(with({path("empty")}), with({}));
}

TEST_F(Generate, TextIsWholeCharacters) {
  // Random weights often draw bytes that form no character.
  const auto lines = lines_of(text_of({"--tokens", "400", "--format", "ndjson"}));
  std::string joined;
  for (const auto& line : lines) joined += line["text"];
  EXPECT_THAT(joined, HasSubstr("\uFFFD"));
  EXPECT_EQ(text_of({"--tokens", "400"}), joined);
  EXPECT_EQ(nlohmann::json(joined).dump().empty(), false);  // throws if it is not UTF-8
}

TEST_F(Generate, OnATerminalNothingMovesTheCursor) {
  const Finished finished =
      run_on_terminal({program("unroll").string(), "generate", "--tokens", "400", "--model", model()});
  EXPECT_EQ(finished.exit_code, 0);
  for (const char c : finished.out)
    EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\r' || c == '\t') << int{c};
  EXPECT_THAT(finished.out, testing::EndsWith("\n"));
}

TEST_F(Generate, TheMostProbableNeedsNoSeed) {
  const auto greedy = [&](const std::string& seed) {
    return text_of({path("book.txt"), "--temperature", "0", "--tokens", "30", "--seed", seed});
  };
  EXPECT_EQ(greedy("1"), greedy("2"));
  EXPECT_EQ(text_of({path("book.txt"), "--top-k", "1", "--tokens", "30"}), greedy("1"));
}

TEST_F(Generate, ASignalEndsItInGoodOrder) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string out = path("endless-" + std::to_string(signal));
    Process process({program("unroll").string(), "generate", "--tokens", "0", "--model", model(), "--format",
                     "ndjson", "--out", out},
                    out + ".log");
    ASSERT_TRUE(eventually([&] { return read_file(out).size() > 10'000; }));
    EXPECT_EQ(process.stop(signal), 0);
    EXPECT_GT(lines_of(read_file(out)).size(), 100u);  // each line is complete
    EXPECT_EQ(read_file(out + ".log"), "");
  }
}

TEST_F(Generate, WhatGoesWrongIsNamed) {
  expect_failure(generate({path("nowhere.txt")}), "nowhere.txt", "No such file");
  expect_failure(unroll({"generate", "--model", "/nowhere/m"}), "/nowhere/m", "--model");
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"--temperature", "-1"}, {"--top-p", "1.5"}, {"--top-k", "-2"}, {"--tokens", "many"}}) {
    expect_failure(generate(wrong), wrong[0], "'unroll generate --help'", 2);
  }
}

}  // namespace
}  // namespace unroll::test
