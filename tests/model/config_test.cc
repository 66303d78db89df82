#include "model/config.h"

#include <nlohmann/json.hpp>

#include "tests/model/testing.h"

namespace unroll {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

json minimal() {
  return {{"model_type", "block_recurrent_transformer"}, {"num_tokens", 40}, {"dim", 16}, {"depth", 4}};
}

json with(const json& changes) {
  auto result = minimal();
  result.update(changes);
  return result;
}

TEST(Config, AbsentKeysTakeTheReferencesDefaults) {
  const auto config = parse_model_config(minimal());
  EXPECT_EQ(config.dim_head, 64);
  EXPECT_EQ(config.heads, 8);
  EXPECT_EQ(config.ff_mult, 4);
  EXPECT_EQ(config.max_seq_len, 1024);
  EXPECT_EQ(config.block_width, 512);
  EXPECT_EQ(config.recurrent_layers, std::vector<std::int64_t>{2});
  EXPECT_EQ(config.read_recurrent_layers, std::vector<std::int64_t>{2});
  EXPECT_EQ(config.num_state_vectors, 512);
  EXPECT_EQ(config.ignore_index, -100);
  EXPECT_EQ(config.compressed_mem_factor, 4);
  EXPECT_FALSE(config.use_compressed_mem || config.use_flash_attn || config.all_layers_qk_rmsnorm ||
               config.apply_qk_rmsnorm_scale || config.gate_residuals);
  EXPECT_TRUE(config.use_memories && config.multi_query);
}

TEST(Config, NullMeansDefault) {
  const auto config = parse_model_config(with(
      {{"recurrent_layers", nullptr}, {"read_recurrent_layers", nullptr}, {"num_state_vectors", nullptr}}));
  EXPECT_EQ(config, parse_model_config(minimal()));
}

TEST(Config, EveryValueSurvivesWritingAndReading) {
  const auto config = parse_model_config(with({{"dim_head", 8},
                                               {"heads", 3},
                                               {"all_layers_qk_rmsnorm", true},
                                               {"ff_mult", 2.7},
                                               {"max_seq_len", 48},
                                               {"block_width", 16},
                                               {"recurrent_layers", {3, 4}},
                                               {"read_recurrent_layers", {1, 4}},
                                               {"num_state_vectors", 5},
                                               {"ignore_index", 0},
                                               {"use_flash_attn", true},
                                               {"use_compressed_mem", true},
                                               {"compressed_mem_factor", 2},
                                               {"apply_qk_rmsnorm_scale", true},
                                               {"multi_query", false},
                                               {"gate_residuals", true},
                                               {"document_cache_tokens", 4096}}));
  EXPECT_NE(config, parse_model_config(minimal()));
  EXPECT_EQ(parse_model_config(to_json(config)), config);
  const auto forgetful = parse_model_config(with({{"use_memories", false}}));
  EXPECT_NE(forgetful, parse_model_config(minimal()));
  EXPECT_EQ(parse_model_config(to_json(forgetful)), forgetful);
}

TEST(Config, WritesNoKeyThatTheReferenceLacksUnlessItIsInUse) {
  for (const auto* key :
       {"apply_qk_rmsnorm_scale", "use_memories", "multi_query", "gate_residuals", "document_cache_tokens"}) {
    EXPECT_FALSE(to_json(parse_model_config(minimal())).contains(key)) << key;
  }
}

TEST(Config, ReadsAtAndRecurrent) {
  const auto config =
      parse_model_config(with({{"recurrent_layers", {4, 2}}, {"read_recurrent_layers", {1, 1}}}));
  EXPECT_TRUE(config.is_recurrent(2) && config.is_recurrent(4));
  EXPECT_FALSE(config.is_recurrent(1) || config.is_recurrent(3));
  EXPECT_EQ(config.states_read_at(1).size(), 2u);
  EXPECT_TRUE(config.states_read_at(4).empty());
}

TEST(Config, FeedForwardWidthIsRoundedDown) {
  EXPECT_EQ(parse_model_config(with({{"dim", 20}, {"ff_mult", 2.7}})).ff_inner_dim(), 36);
  EXPECT_EQ(parse_model_config(minimal()).ff_inner_dim(), 42);
}

struct BadConfig {
  json changes;
  std::string expected;  // in the error
};

TEST(Config, WhatIsWrongIsNamed) {
  const std::vector<BadConfig> cases{
      {{{"model_type", "gpt2"}}, "\"gpt2\""},
      {{{"model_type", 3}}, "model_type"},
      {{{"dim", 0}}, "\"dim\": 0 is not between 1 and"},
      {{{"dim", -4}}, "-4"},
      {{{"dim", 4.0}}, "4.0 is not a whole number"},
      {{{"dim", "4"}}, "\"4\" is not a whole number"},
      {{{"dim", true}}, "true is not a whole number"},
      {{{"dim", nullptr}}, "null is not a whole number"},
      {{{"dim", UINT64_MAX}}, "18446744073709551615 is not between"},
      {{{"dim", INT64_MAX}}, "9223372036854775807 is not between"},
      {{{"num_tokens", 1LL << 40}}, "num_tokens"},
      {{{"depth", 1 << 30}}, "depth"},
      {{{"depth", 1}}, "recurrent_layers"},
      {{{"heads", 0}}, "heads"},
      {{{"dim_head", 7}}, "odd"},
      {{{"ff_mult", 0}}, "ff_mult"},
      {{{"ff_mult", -1.5}}, "ff_mult"},
      {{{"ff_mult", 1e300}}, "ff_mult"},
      {{{"ff_mult", "4"}}, "ff_mult"},
      {{{"ff_mult", 0.01}}, "no width"},
      {{{"block_width", 500}}, "1024 is not a multiple of block_width, 500"},
      {{{"block_width", 2048}}, "not a multiple"},
      {{{"recurrent_layers", 2}}, "not a list"},
      {{{"recurrent_layers", {0}}}, "0 is not between 1 and 4"},
      {{{"recurrent_layers", {5}}}, "5 is not between 1 and 4"},
      {{{"recurrent_layers", {2.0}}}, "2.0 is not a whole number"},
      {{{"recurrent_layers", {2, 2}}}, "twice"},
      {{{"recurrent_layers", {2, 3}}, {"read_recurrent_layers", {2}}}, "one to one"},
      {{{"read_recurrent_layers", {3}}}, "layer 3 reads the states that layer 2 writes"},
      {{{"num_state_vectors", 0}}, "num_state_vectors"},
      {{{"ignore_index", 1LL << 40}}, "ignore_index"},
      {{{"use_flash_attn", 1}}, "1 is not true or false"},
      {{{"use_compressed_mem", "no"}}, "use_compressed_mem"},
      {{{"compressed_mem_factor", 0}}, "compressed_mem_factor"},
      {{{"use_compressed_mem", true}, {"block_width", 1}}, "use_compressed_mem"},
      {{{"use_compressed_mem", true}, {"use_memories", false}}, "needs memories"},
      {{{"memory_blocks", 2}, {"use_memories", false}}, "needs memories"},
      {{{"state_gate", "gru"}}, "none of \"fixed\", \"lstm\", \"memformer\""},
      {{{"state_gate", "memformer"}, {"state_cell", "dual"}}, "not used by Memformer"},
      {{{"routed_memory_layer", 1}, {"routed_memory_segment", 3}}, "does not divide block_width"},
      {{{"num_state_vector", 4}}, "\"num_state_vector\" (the nearest known one is \"num_state_vectors\")"},
      {{{"Depth", 4}, {"headz", 2}}, "\"Depth\" (the nearest known one is \"depth\"), \"headz\""},
      {{{std::string(5000, 'x'), 4}}, "unknown key \"xxx"},
      {{{"bad\xff", 4}}, "unknown key"},
  };
  for (const auto& [changes, expected] : cases) {
    const auto error = error_of([&, &changes = changes] { parse_model_config(with(changes)); });
    EXPECT_THAT(error, HasSubstr(expected));
    EXPECT_LT(error.size(), 500u);
  }
}

TEST(Config, RequiredKeys) {
  for (const auto* key : {"model_type", "num_tokens", "dim", "depth"}) {
    auto config = minimal();
    config.erase(key);
    EXPECT_THAT(error_of([&] { parse_model_config(config); }),
                AllOf(HasSubstr("\"" + std::string(key) + "\""), HasSubstr("missing")));
  }
}

TEST(Config, FilesThatAreNone) {
  const TemporaryFolder folder;
  const auto file = folder / "config.json";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"[1]", "not a JSON object"},
      {"{\"dim\": 1, \"dim\": 2}", "duplicate key \"dim\""},
      {std::string(100'000, '['), "nested deeper"},
      {"{\"dim\": [" + std::string(20'000, '1') + "", "not valid JSON"},
      {std::string(2 << 20, ' '), "larger than 1 MiB"},
      {"{\"\xff\": 1}", "not valid JSON"},
  };
  for (const auto& [text, expected] : cases) {
    write_file(file, text);
    EXPECT_THAT(error_of([&] { load_model_config(file); }),
                AllOf(HasSubstr(file.string()), HasSubstr(expected)));
  }
  EXPECT_THAT(error_of([&] { load_model_config(folder / "none.json"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of([&] { load_model_config(folder.path()); }), HasSubstr("directory"));
  write_file(file, minimal().dump());
  EXPECT_EQ(load_model_config(file), parse_model_config(minimal()));
}

}  // namespace
}  // namespace unroll
