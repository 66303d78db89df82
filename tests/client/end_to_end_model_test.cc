// The commands for models and plugins: eval, bench, logits, model, plugin.
#include <cmath>
#include <filesystem>

#include <ATen/ATen.h>

#include "model/safetensors.h"
#include "tests/client/end_to_end.h"
#include "tokenizer/tokenizer.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class Models : public WithModel {
 protected:
  /// Standard output of a command that succeeds, as JSON.
  static json json_of(const std::vector<std::string>& arguments) {
    const Finished finished = unroll(arguments);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_EQ(finished.err, "");
    return json::parse(finished.out);
  }
  static json evaluate(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"eval", path("book.txt"), "--format", "json", "--model"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return json_of(arguments);
  }
};

TEST_F(Models, EvalAgreesWithScore) {
  const json eval = evaluate({model(), "--dtype", "fp32"});
  const json score =
      json::parse(read_embedded({"score", path("book.txt"), "--format", "json", "--dtype", "fp32"}));
  EXPECT_NEAR(eval["bits_per_byte"].get<double>(), score["bits_per_byte"].get<double>(), 1e-4);
  EXPECT_EQ(eval["tokens"], score["tokens"]);
  EXPECT_EQ(eval["bytes"], prose(12).size());
  EXPECT_GT(eval["tokens_per_second"], 0);
  // Another number type and another memory give similar, but not equal results.
  for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{
           {model(), "--dtype", "bf16"}, {model(), "--dtype", "fp32", "--reset-tokens", "32"}}) {
    const double other = evaluate(more)["bits_per_byte"];
    EXPECT_NE(other, eval["bits_per_byte"].get<double>()) << more[1];
    EXPECT_NEAR(other, eval["bits_per_byte"].get<double>(), 0.5) << more[1];
  }
  EXPECT_THAT(unroll({"eval", path("book.txt"), "--model", model()}).out, HasSubstr("bits per byte"));
}

TEST_F(Models, TokenizeShowsTheTokensAndTheirBytes) {
  const fs::path vocabulary = fs::path(model()) / "tokenizer.model";
  const std::string text = prose(12);
  std::vector<Token> tokens;
  StreamingTokenizer tokenizer(Vocabulary::load(vocabulary));
  tokenizer.append(text, tokens);
  tokenizer.finish(tokens);
  std::string lines;
  for (const Token& token : tokens) {
    lines += "{\"id\":" + std::to_string(token.id) + ",\"start\":" + std::to_string(token.begin) +
             ",\"end\":" + std::to_string(token.begin + token.length) + "}\n";
  }
  for (const std::string& given : {model(), vocabulary.string()}) {
    const Finished finished = unroll({"tokenize", path("book.txt"), "--model", given, "--format", "ndjson"});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_EQ(finished.out, lines);
  }
  expect_failure(unroll({"tokenize", path("book.txt"), "--model", "/nowhere/m"}), "/nowhere/m", "--model");
}

TEST_F(Models, BenchTellsItsFigures) {
  const json bench = json_of({"bench", "--model", model(), "--format", "json", "--seconds", "0.05", "--batch",
                              "2", "--dtype", "fp32"});
  EXPECT_GT(bench["tokens_per_second"], 0);
  EXPECT_GT(bench["peak_rss_bytes"], 1 << 20);
  EXPECT_EQ(bench["device"], "cpu");
  EXPECT_EQ(bench["dtype"], "fp32");
  EXPECT_EQ(bench["batch"], 2);
}

TEST_F(Models, LogitsOfGivenTokens) {
  at::Tensor tokens = at::randint(0, 8192, {3, 70}, at::kLong);
  tokens[2].copy_(tokens[0]);
  write_safetensors(path("T.safetensors"), {{"tokens", tokens}});
  const auto logits = [&](const std::string& tokens_file, const std::string& out) {
    return unroll({"logits", "--model", model(), "--tokens", path(tokens_file), "--out", path(out)});
  };
  const Finished finished = logits("T.safetensors", "O.safetensors");
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out, "");
  const TensorMap out = read_safetensors(path("O.safetensors"));
  const at::Tensor all = out.at("logits");
  EXPECT_EQ(all.sizes(), at::IntArrayRef({3, 70, 8192}));
  EXPECT_EQ(all.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::isfinite(all).all().item<bool>());
  EXPECT_TRUE(at::allclose(all[0], all[2], 1e-5, 1e-5)) << "the same tokens";
  EXPECT_FALSE(at::allclose(all[0], all[1], 1e-2, 1e-2)) << "others";
  ASSERT_TRUE(out.contains("memories.1"));
  EXPECT_EQ(out.at("memories.0").size(0), 2);
  EXPECT_EQ(out.at("memories.0").size(1), 3);
  EXPECT_EQ(out.at("memories.0").size(3), 8);
  EXPECT_EQ(out.at("states.0").sizes(), at::IntArrayRef({3, 8, 16}));
  EXPECT_EQ(out.size(), 4u);

  // Later tokens do not change earlier results.
  write_safetensors(path("T1.safetensors"), {{"tokens", tokens.slice(1, 0, 40).contiguous()}});
  ASSERT_EQ(logits("T1.safetensors", "O1.safetensors").exit_code, 0);
  EXPECT_TRUE(
      at::allclose(read_safetensors(path("O1.safetensors")).at("logits"), all.slice(1, 0, 40), 1e-4, 1e-4));

  expect_failure(logits("missing", "O"), path("missing"), "");
  write_safetensors(path("T2.safetensors"), {{"tokens", at::full({1, 4}, 8192, at::kLong)}});
  expect_failure(logits("T2.safetensors", "O"), path("T2.safetensors"), "8192");
  EXPECT_FALSE(fs::exists(path("O")));
}

TEST_F(Models, InfoIsOfTheModelInItsFolder) {
  const json info = json_of({"model", "info", "--model", model(), "--format", "json"});
  EXPECT_EQ(info["folder"], model());
  EXPECT_EQ(info["num_tokens"], 8192);
  EXPECT_EQ(info["vocabulary"], 8192);
  EXPECT_EQ(info["dim"], 16);
  EXPECT_EQ(info["depth"], 2);
  EXPECT_EQ(info["block_width"], 32);
  EXPECT_GT(info["parameters"], 2 * 8192 * 16);
  EXPECT_EQ(info["config"], json::parse(read_file(fs::path(model()) / "config.json")));
  EXPECT_THAT(unroll({"model", "info", "--model", model()}).out,
              AllOf(HasSubstr("depth"), HasSubstr("8,192")));
}

TEST_F(Models, ConvertedModelReadsAsWell) {
  const double before = evaluate({model()})["bits_per_byte"];
  const auto bytes = [](const fs::path& folder) { return fs::file_size(folder / "model.safetensors"); };
  for (const char* dtype : {"bf16", "int8", "fp32"}) {
    const std::string folder = path(dtype);
    const Finished finished = unroll({"model", "convert", model(), folder, "--dtype", dtype});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_EQ(finished.out + finished.err, "");
    EXPECT_NEAR(evaluate({folder})["bits_per_byte"].get<double>(), before, 0.01) << dtype;
  }
  EXPECT_LT(bytes(path("int8")), bytes(path("bf16")) * 3 / 4);
  EXPECT_LT(bytes(path("bf16")), bytes(model()) * 3 / 4);
  EXPECT_EQ(read_file(fs::path(path("fp32")) / "model.safetensors"),
            read_file(fs::path(model()) / "model.safetensors"));

  const std::string again = path("bf16") + "/../model";
  expect_failure(unroll({"model", "convert", model(), again}), "cannot be converted in place",
                 "another folder");
  EXPECT_EQ(evaluate({model()})["bits_per_byte"], before);
}

TEST_F(Models, PluginsAreListed) {
  const json list = json_of({"plugin", "list", "--format", "json"});
  std::vector<std::string> names;
  for (const json& plugin : list["plugins"]) {
    names.push_back(plugin["name"]);
    EXPECT_FALSE(plugin["description"].get<std::string>().empty());
    EXPECT_TRUE(fs::exists(plugin["library"].get<std::string>()));
  }
  EXPECT_THAT(names, testing::ElementsAre("anomaly", "embed", "logprobs", "score", "summarize", "words"));
  EXPECT_THAT(unroll({"plugin", "list"}).out, AllOf(HasSubstr("anomaly "), HasSubstr("summarize ")));
}

TEST_F(Models, TheOneInTheBoxReadsEnglish) {
  const std::string folder = std::string(UNROLL_SOURCE_DIR) + "/models/unroll-small";
  const json info = json_of({"model", "info", "--format", "json", "--model", folder});
  EXPECT_LE(info["state_bytes"].get<std::size_t>(), 2'200'000u) << "of each open document";
  const json eval =
      json_of({"eval", std::string(UNROLL_SOURCE_DIR) + "/README.md", "--format", "json", "--model", folder});
  EXPECT_LT(eval["bits_per_byte"].get<double>(), 4) << "gzip -9 needs 3.9 of this file, an untrained model 8";
}

TEST_F(Models, PluginCheck) {
  const json list = json_of({"plugin", "list", "--format", "json"});
  for (const json& plugin : list["plugins"]) {
    const Finished finished = unroll({"plugin", "check", plugin["library"]});
    EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
    EXPECT_THAT(finished.out, HasSubstr(plugin["name"].get<std::string>()));
  }
  for (const std::string& file : {path("missing.so"), path("book.txt"), model()}) {
    const Finished finished = unroll({"plugin", "check", file});
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_THAT(finished.out + finished.err, HasSubstr(file));
  }
}

}  // namespace
}  // namespace unroll::test
