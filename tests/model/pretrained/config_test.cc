#include "model/pretrained/config.h"

#include "base/gguf_file.h"
#include "tests/gguf_bytes.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

json config_of(const std::string& type, const json& changes = json::object()) {
  json config{{"model_type", type},     {"vocab_size", 100},        {"hidden_size", 16},
              {"num_hidden_layers", 2}, {"num_attention_heads", 4}, {"num_key_value_heads", 2},
              {"intermediate_size", 24}};
  config.update(changes);
  return config;
}

PretrainedConfig parse(const json& config, const ModelSettings& settings = {}) {
  auto parsed = parse_pretrained_config(config);
  apply_settings(parsed, settings);
  return parsed;
}

std::string error_for(const json& config, const ModelSettings& settings = {}) {
  return error_of([&] { parse(config, settings); });
}

TEST(PretrainedConfig, AbsentKeysTakeTransformersDefaults) {
  const auto llama = parse(config_of("llama"));
  EXPECT_EQ(llama.head_dim, 4);
  EXPECT_EQ(llama.rms_eps, 1e-6F);
  EXPECT_EQ(llama.max_positions, 2048);
  EXPECT_THAT(llama.inverse_frequencies, ElementsAre(1, 0.01F));  // theta 10,000
  EXPECT_FALSE(llama.qkv_bias || llama.output_bias || llama.mlp_bias || llama.qk_norm || llama.tied);
  EXPECT_FALSE(llama.sliding_window || llama.bos || llama.eos);
  EXPECT_EQ(llama.block_width, 512);
  EXPECT_EQ(llama.memory_blocks, 1);
  EXPECT_EQ(llama.attention_sinks, 4);
  EXPECT_EQ(llama.document_cache_tokens, 0);
  auto without_kv = config_of("llama");
  without_kv.erase("num_key_value_heads");
  EXPECT_EQ(parse(without_kv).kv_heads, 4);
  EXPECT_EQ(parse(config_of("mistral", {{"num_key_value_heads", nullptr}})).kv_heads, 4);
  EXPECT_EQ(parse(config_of("mistral")).sliding_window, 4096);
  EXPECT_EQ(parse(config_of("qwen3")).head_dim, 128);
}

TEST(PretrainedConfig, FamiliesDifferInBiasesAndNorms) {
  const auto qwen2 = parse(config_of("qwen2"));
  EXPECT_TRUE(qwen2.qkv_bias && !qwen2.output_bias && !qwen2.qk_norm);
  const auto qwen3 = parse(config_of("qwen3", {{"attention_bias", true}}));
  EXPECT_TRUE(qwen3.qkv_bias && qwen3.output_bias && qwen3.qk_norm && !qwen3.mlp_bias);
  const auto llama = parse(config_of("llama", {{"attention_bias", true}, {"mlp_bias", true}}));
  EXPECT_TRUE(llama.qkv_bias && llama.output_bias && llama.mlp_bias && !llama.qk_norm);
}

TEST(PretrainedConfig, TellsWhichFamiliesAreSupported) {
  EXPECT_THAT(error_for(config_of("gemma3")),
              AllOf(HasSubstr("\"gemma3\""), HasSubstr("llama, mistral, qwen2, qwen3"),
                    HasSubstr("block_recurrent_transformer")));
  EXPECT_THAT(error_for({{"vocab_size", 4}}), HasSubstr("is missing; supported are llama"));
  EXPECT_THAT(error_for(json::array()), HasSubstr("not a JSON object"));
}

TEST(PretrainedConfig, TakesRotaryScalingFromEitherForm) {
  const auto plain = parse(config_of("llama", {{"rope_theta", 100.0}}));
  EXPECT_THAT(plain.inverse_frequencies, ElementsAre(1, 0.1F));
  const auto linear = parse(
      config_of("llama", {{"rope_theta", 100.0}, {"rope_scaling", {{"type", "linear"}, {"factor", 4}}}}));
  EXPECT_THAT(linear.inverse_frequencies, ElementsAre(0.25F, 0.1F / 4));
  EXPECT_EQ(parse(config_of("llama", {{"rope_parameters",
                                       {{"rope_type", "linear"}, {"factor", 4}, {"rope_theta", 100.0}}}})),
            linear);
  EXPECT_EQ(parse(config_of("llama", {{"rope_scaling", nullptr}, {"rope_theta", 100.0}})), plain);
  EXPECT_EQ(
      parse(config_of("llama", {{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 100.0}}}})),
      plain);
}

/// Llama 3.2: the shortest waves unchanged, the longest 32 times longer, others in between.
TEST(PretrainedConfig, Llama3ScalingLeavesShortWavesAlone) {
  const json scaling{{"rope_type", "llama3"},
                     {"factor", 32.0},
                     {"low_freq_factor", 1.0},
                     {"high_freq_factor", 4.0},
                     {"original_max_position_embeddings", 8192}};
  const json changes{{"head_dim", 64}, {"rope_theta", 500000.0}};
  const auto plain = parse(config_of("llama", changes)).inverse_frequencies;
  auto with = changes;
  with["rope_scaling"] = scaling;
  const auto scaled = parse(config_of("llama", with)).inverse_frequencies;
  ASSERT_EQ(scaled.size(), 32);
  EXPECT_EQ(scaled[14], plain[14]);
  // As transformers computes them: _compute_llama3_parameters().
  EXPECT_NEAR(scaled[15], 1.2905e-3, 1e-7);
  EXPECT_NEAR(scaled[16], 4.2956e-4, 1e-8);
  EXPECT_EQ(scaled[20], plain[20] / 32);
  EXPECT_EQ(scaled[31], plain[31] / 32);
}

TEST(PretrainedConfig, RefusesOtherScalingByName) {
  for (const auto* type : {"yarn", "dynamic", "longrope"}) {
    EXPECT_THAT(error_for(config_of("llama", {{"rope_scaling", {{"rope_type", type}, {"factor", 2}}}})),
                AllOf(HasSubstr(type), HasSubstr("linear and llama3")));
  }
  EXPECT_THAT(error_for(config_of("llama", {{"rope_scaling", {{"type", "linear"}}}})), HasSubstr("factor"));
  EXPECT_THAT(error_for(config_of("llama", {{"rope_scaling", 3}})), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_for(config_of("llama", {{"partial_rotary_factor", 0.5}})),
              HasSubstr("partial_rotary_factor"));
}

TEST(PretrainedConfig, RefusesNumbersThatNoModelHas) {
  const json huge = std::uint64_t{1} << 40;
  for (const auto* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                          "num_key_value_heads", "intermediate_size", "head_dim"}) {
    for (const auto& value : {json(0), json(-1), huge, json(1.5), json("8")})
      EXPECT_THAT(error_for(config_of("llama", {{key, value}})), HasSubstr(key)) << key << value;
    auto missing = config_of("llama");
    missing.erase(key);
    if (key == std::string("num_key_value_heads") || key == std::string("head_dim")) continue;
    EXPECT_THAT(error_for(missing), AllOf(HasSubstr(key), HasSubstr("is missing")));
  }
  for (const auto* key : {"rms_norm_eps", "rope_theta"}) {
    for (const auto& value : {json(0), json(-1), json(1e300), json("x")})
      EXPECT_THAT(error_for(config_of("llama", {{key, value}})), HasSubstr(key)) << key << value;
  }
  EXPECT_THAT(error_for(config_of("llama", {{"num_key_value_heads", 3}})), HasSubstr("does not divide"));
  EXPECT_THAT(error_for(config_of("llama", {{"head_dim", 5}})), HasSubstr("odd"));
  EXPECT_THAT(error_for(config_of("llama", {{"num_attention_heads", 32}})),
              HasSubstr("more than hidden_size"));
  EXPECT_THAT(error_for(config_of("llama", {{"hidden_act", "gelu"}})), HasSubstr("hidden_act"));
  EXPECT_THAT(error_for(config_of("llama", {{"quantization_config", json::object()}})),
              HasSubstr("quantization_config"));
}

TEST(PretrainedConfig, TokensThatTheVocabularyLacksAreNone) {
  const auto config = parse(config_of("llama", {{"bos_token_id", 3}, {"eos_token_id", {5, 6}}}));
  EXPECT_EQ(config.bos, 3);
  EXPECT_EQ(config.eos, 5);
  EXPECT_EQ(parse(config_of("llama", {{"bos_token_id", 100}})).bos, std::nullopt);
}

TEST(PretrainedConfig, SettingsComeFromTheFileAndOverIt) {
  const auto file = config_of("llama", {{"unroll", {{"block_width", 64}, {"memory_blocks", 3}}}});
  EXPECT_EQ(parse(file).block_width, 64);
  const auto set =
      parse(file, {{"block_width", 128}, {"attention_sinks", 0}, {"document_cache_tokens", 1000}});
  EXPECT_EQ(set.block_width, 128);
  EXPECT_EQ(set.memory_blocks, 3);
  EXPECT_EQ(set.attention_sinks, 0);
  EXPECT_EQ(set.document_cache_tokens, 1000);
  EXPECT_EQ(set.memory_positions(), 384);
  EXPECT_THAT(error_for(file, {{"width", 3}}), AllOf(HasSubstr("\"width\""), HasSubstr("block_width")));
  EXPECT_THAT(error_for(file, {{"block_width", 0}}), HasSubstr("block_width"));
  EXPECT_THAT(error_for(file, {{"memory_blocks", 0}}), HasSubstr("memory_blocks"));
  EXPECT_THAT(error_for(file, {{"attention_sinks", 65}}), HasSubstr("first block"));
  EXPECT_THAT(error_for(file, {{"block_width", 16384}, {"memory_blocks", 1024}}), HasSubstr("memory_blocks"));
  EXPECT_THAT(error_for(config_of("llama", {{"unroll", {{"width", 64}}}})), HasSubstr("\"width\""));
  EXPECT_THAT(error_for(config_of("llama", {{"unroll", {{"block_width", 1e3}}}})), HasSubstr("block_width"));
}

/// A block's last position sees the sinks, the memories and the whole block.
TEST(PretrainedConfig, AWindowMustHoldWhatABlockSees) {
  const ModelSettings small{{"block_width", 8}};
  const auto window = [](std::int64_t size) { return config_of("mistral", {{"sliding_window", size}}); };
  EXPECT_EQ(parse(window(20), small).sliding_window, 20);
  EXPECT_THAT(error_for(window(19), small), AllOf(HasSubstr("sliding_window"), HasSubstr("20")));
  EXPECT_EQ(parse(config_of("mistral", {{"sliding_window", nullptr}})).sliding_window, std::nullopt);
  EXPECT_EQ(parse(config_of("llama", {{"sliding_window", 2}})).sliding_window, std::nullopt);
  // Qwen uses a window only if it is switched on, and only in layers from max_window_layers.
  const json qwen{{"sliding_window", 2}, {"use_sliding_window", true}, {"max_window_layers", 1}};
  EXPECT_THAT(error_for(config_of("qwen2", qwen)), HasSubstr("sliding_window"));
  auto off = qwen;
  off["use_sliding_window"] = false;
  EXPECT_EQ(parse(config_of("qwen2", off)).sliding_window, std::nullopt);
  off = qwen;
  off["max_window_layers"] = 2;
  EXPECT_EQ(parse(config_of("qwen2", off)).sliding_window, std::nullopt);
}

class GgufConfigTest : public testing::Test {
 protected:
  static GgufBytes minimal(const std::string& architecture = "llama") {
    return GgufBytes()
        .string("general.architecture", architecture)
        .integer(architecture + ".embedding_length", 16)
        .integer(architecture + ".block_count", 2)
        .integer(architecture + ".feed_forward_length", 24)
        .integer(architecture + ".attention.head_count", 4)
        .tensor("token_embd.weight", {16, 100}, 1, std::string(3200, '\0'));
  }
  PretrainedConfig load(const GgufBytes& bytes) {
    write_file(folder_ / "model.gguf", bytes.build());
    return load_pretrained_config(GgufFile(folder_ / "model.gguf"));
  }
  std::string error_for(const GgufBytes& bytes) {
    auto error = error_of([&] { load(bytes); });
    EXPECT_THAT(error, HasSubstr("model.gguf: "));
    return error;
  }

  TemporaryFolder folder_;
};

TEST_F(GgufConfigTest, AbsentKeysTakeLlamaCppsDefaults) {
  const auto config = load(minimal());
  EXPECT_EQ(config.vocabulary, 100);
  EXPECT_EQ(config.kv_heads, 4);
  EXPECT_EQ(config.head_dim, 4);
  EXPECT_THAT(config.inverse_frequencies, ElementsAre(1, 0.01F));
  EXPECT_TRUE(config.tied);
  EXPECT_EQ(load(minimal("qwen3")).head_dim, 4);
}

TEST_F(GgufConfigTest, TakesScaling) {
  EXPECT_THAT(load(minimal().string("llama.rope.scaling.type", "linear").real("llama.rope.scaling.factor", 2))
                  .inverse_frequencies,
              ElementsAre(0.5F, 0.01F / 2));
  EXPECT_THAT(error_for(minimal().string("llama.rope.scaling.type", "yarn")), HasSubstr("yarn"));
  const auto factors = GgufBytes::number(1.0F) + GgufBytes::number(8.0F);
  EXPECT_THAT(load(minimal().tensor("rope_freqs.weight", {2}, 0, factors)).inverse_frequencies,
              ElementsAre(1, 0.01F / 8));
  EXPECT_THAT(error_for(minimal().tensor("rope_freqs.weight", {1}, 0, factors)), HasSubstr("rope_freqs"));
  EXPECT_THAT(error_for(minimal().tensor("rope_freqs.weight", {2}, 0, std::string(8, '\0'))),
              HasSubstr("rope_freqs"));
}

TEST_F(GgufConfigTest, RefusesWhatItIsNot) {
  EXPECT_THAT(error_for(GgufBytes().string("general.architecture", "gemma3")),
              AllOf(HasSubstr("gemma3"), HasSubstr("llama (Mistral's, too), qwen2 and qwen3")));
  EXPECT_THAT(error_for(GgufBytes()), HasSubstr("no general.architecture"));
  EXPECT_THAT(error_for(GgufBytes().string("general.architecture", "llama")), HasSubstr("token_embd"));
  EXPECT_THAT(error_for(minimal().string("general.type", "adapter")), HasSubstr("adapter"));
  EXPECT_THAT(error_for(minimal().integer("split.count", 2)), HasSubstr("llama-gguf-split --merge"));
  EXPECT_THAT(error_for(minimal().integer("llama.expert_count", 8)), HasSubstr("experts"));
  EXPECT_THAT(error_for(minimal().integer("llama.attention.value_length", 8)), HasSubstr("value_length"));
  EXPECT_THAT(error_for(minimal().integer("llama.rope.dimension_count", 2)), HasSubstr("dimension_count"));
  EXPECT_THAT(error_for(minimal().integer("llama.attention.head_count_kv", 0)),
              HasSubstr("num_key_value_heads"));
  auto without = GgufBytes().string("general.architecture", "llama").integer("llama.embedding_length", 16);
  without.tensor("token_embd.weight", {16, 1}, 0, std::string(64, '\0'));
  EXPECT_THAT(error_for(without), HasSubstr("llama.block_count"));
}

}  // namespace
}  // namespace unroll
