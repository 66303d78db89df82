#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/strict_json.h"
#include "model/config_keys.h"

namespace unroll {
namespace {

// Far above any model that fits a machine, far below the point at which a product of two of them overflows.
constexpr std::int64_t kMaxTokens = std::int64_t{1} << 24;
constexpr std::int64_t kMaxDim = 1 << 16;
constexpr std::int64_t kMaxDepth = 1024;
constexpr std::int64_t kMaxDimHead = 1024;
constexpr std::int64_t kMaxHeads = 1024;
constexpr std::int64_t kMaxSequence = std::int64_t{1} << 30;
constexpr std::int64_t kMaxStateVectors = 1 << 16;
constexpr std::int64_t kMaxCompression = 1 << 14;
constexpr std::int64_t kMaxGenerations = 16;
constexpr double kMaxFeedForward = 64;

const Choices<StateGateKind> kStateGates{{"fixed", StateGateKind::kFixed},
                                         {"lstm", StateGateKind::kLstm},
                                         {"memformer", StateGateKind::kMemformer}};
const Choices<StateCell> kStateCells{
    {"skip", StateCell::kSkip}, {"single", StateCell::kSingle}, {"dual", StateCell::kDual}};
const Choices<CompressionMethod> kCompressionMethods{{"convolution", CompressionMethod::kConvolution},
                                                     {"mean", CompressionMethod::kMean},
                                                     {"max", CompressionMethod::kMax}};
const Choices<std::string> kRoutedDtypes{{"bf16", "bf16"}, {"int8", "int8"}};

template <typename Value>
const char* name_of(const Choices<Value>& choices, const Value& value) {
  return std::ranges::find(choices, value, &std::pair<const char*, Value>::second)->first;
}

void check_model_type(ConfigKeys& keys) {
  const auto* type = keys.find("model_type");
  if (!type) fail_key("model_type", "is missing; it must be \"" + std::string(kModelType) + "\"");
  if (*type != kModelType)
    fail_key("model_type", shown(*type) + " is not a model that this program runs; it must be \"" +
                               std::string(kModelType) + "\"");
}

void take_ff_mult(ConfigKeys& keys, ModelConfig& config) {
  if (const auto* json = keys.find("ff_mult")) {
    if (!json->is_number()) fail_key("ff_mult", shown(*json) + " is not a number");
    config.ff_mult = json->get<double>();
    if (!(config.ff_mult > 0 && config.ff_mult <= kMaxFeedForward))
      fail_key("ff_mult", shown(*json) + " is not above 0 and at most 64");
  }
  if (config.ff_inner_dim() < 1)
    fail_key("ff_mult", "leaves the feed-forward layers no width: dim * ff_mult * 2 / 3 is below 1");
}

void take_layer_lists(ConfigKeys& keys, ModelConfig& config) {
  if (!keys.take_layers("recurrent_layers", config.recurrent_layers, config.depth)) {
    config.recurrent_layers = {config.depth / 2};
    if (config.depth < 2)
      fail_key("recurrent_layers",
               "the default, depth / 2, is not a layer of a model of depth 1; set [1] or []");
  }
  if (!keys.take_layers("read_recurrent_layers", config.read_recurrent_layers, config.depth))
    config.read_recurrent_layers = config.recurrent_layers;

  const auto& write = config.recurrent_layers;
  const auto& read = config.read_recurrent_layers;
  if (std::set(write.begin(), write.end()).size() != write.size())
    fail_key("recurrent_layers", "names a layer twice");
  if (read.size() != write.size())
    fail_key("read_recurrent_layers", "has " + std::to_string(read.size()) +
                                          " layers, recurrent_layers has " + std::to_string(write.size()) +
                                          "; they pair up one to one");
  for (std::size_t i = 0; i < write.size(); ++i) {
    if (read[i] > write[i])
      fail_key("read_recurrent_layers", "layer " + std::to_string(read[i]) + " reads the states that layer " +
                                            std::to_string(write[i]) +
                                            " writes; it must be that layer or one before it");
  }
}

void take_states(ConfigKeys& keys, ModelConfig& config) {
  keys.take("state_gate", config.state_gate, kStateGates);
  keys.take("state_cell", config.state_cell, kStateCells);
  if (config.state_gate != StateGateKind::kMemformer) return;
  if (config.state_cell != StateCell::kSkip)
    fail_key("state_cell", "is not used by Memformer's update; remove it, or choose another state_gate");
  if (config.dim % config.heads != 0)
    fail_key("state_gate",
             "\"memformer\" divides a slot's channels among the heads: dim must be a multiple of heads");
}

void take_memories(ConfigKeys& keys, ModelConfig& config) {
  keys.take("use_memories", config.use_memories);
  keys.take("use_compressed_mem", config.use_compressed_mem);
  keys.take("compressed_mem_factor", config.compressed_mem_factor, 1, kMaxCompression);
  keys.take("compressed_mem_method", config.compressed_mem_method, kCompressionMethods);
  keys.take("compressed_mem_generations", config.compressed_mem_generations, 1, kMaxGenerations);
  keys.take("enhanced_recurrence", config.enhanced_recurrence);
  keys.take("memory_blocks", config.memory_blocks, 1, kMaxMemoryBlocks);
  if (config.use_compressed_mem && config.block_width < 2)
    fail_key("use_compressed_mem",
             "needs a block_width of 2 or more; half of it is the compressed memory's length");
  if (config.use_memories) return;
  const std::pair<const char*, bool> need_memories[]{{"use_compressed_mem", config.use_compressed_mem},
                                                     {"enhanced_recurrence", config.enhanced_recurrence},
                                                     {"memory_blocks", config.memory_blocks > 1}};
  for (const auto& [key, wanted] : need_memories) {
    if (wanted) fail_key(key, "needs memories, but use_memories is false; change one of them");
  }
}

void take_routed_memory(ConfigKeys& keys, ModelConfig& config) {
  keys.take("routed_memory_layer", config.routed_memory_layer, 0, config.depth);
  keys.take("routed_memory_tokens", config.routed_memory_tokens, 1, kMaxCacheTokens);
  keys.take("routed_memory_segment", config.routed_memory_segment, 1, kMaxBlockWidth);
  keys.take("routed_memory_top", config.routed_memory_top, 1, kMaxBlockWidth);
  keys.take("routed_memory_dim", config.routed_memory_dim, 1, kMaxDimHead);
  keys.take("routed_memory_dtype", config.routed_memory_dtype, kRoutedDtypes);
  if (config.routed_memory_layer > 0 && config.block_width % config.routed_memory_segment != 0)
    fail_key("routed_memory_segment", std::to_string(config.routed_memory_segment) +
                                          " does not divide block_width, " +
                                          std::to_string(config.block_width));
}

}  // namespace

bool ModelConfig::is_recurrent(std::int64_t layer) const {
  return std::ranges::find(recurrent_layers, layer) != recurrent_layers.end();
}

std::vector<std::int64_t> ModelConfig::states_read_at(std::int64_t layer) const {
  std::vector<std::int64_t> result;
  for (std::size_t i = 0; i < recurrent_layers.size(); ++i) {
    if (read_recurrent_layers.at(i) == layer) result.push_back(recurrent_layers[i]);
  }
  return result;
}

ModelConfig parse_model_config(const nlohmann::json& json) {
  ConfigKeys keys(json);
  ModelConfig config;
  check_model_type(keys);
  keys.require("num_tokens", config.num_tokens, 1, kMaxTokens);
  keys.require("dim", config.dim, 1, kMaxDim);
  keys.require("depth", config.depth, 1, kMaxDepth);
  keys.take("dim_head", config.dim_head, 2, kMaxDimHead);
  if (config.dim_head % 2 != 0)
    fail_key("dim_head", std::to_string(config.dim_head) + " is odd; rotary embedding needs an even one");
  keys.take("heads", config.heads, 1, kMaxHeads);
  keys.take("all_layers_qk_rmsnorm", config.all_layers_qk_rmsnorm);
  take_ff_mult(keys, config);
  keys.take("block_width", config.block_width, 1, kMaxBlockWidth);
  keys.take("max_seq_len", config.max_seq_len, 1, kMaxSequence);
  if (config.max_seq_len % config.block_width != 0)
    fail_key("max_seq_len", std::to_string(config.max_seq_len) + " is not a multiple of block_width, " +
                                std::to_string(config.block_width));
  take_layer_lists(keys, config);
  config.num_state_vectors = config.block_width;
  if (const auto* count = keys.find("num_state_vectors"); count && !count->is_null())
    keys.take("num_state_vectors", config.num_state_vectors, 1, kMaxStateVectors);
  keys.take("ignore_index", config.ignore_index, std::numeric_limits<std::int32_t>::min(),
            std::numeric_limits<std::int32_t>::max());
  keys.take("use_flash_attn", config.use_flash_attn);
  take_memories(keys, config);
  take_states(keys, config);
  take_routed_memory(keys, config);
  keys.take("apply_qk_rmsnorm_scale", config.apply_qk_rmsnorm_scale);
  keys.take("dynamic_position_bias", config.dynamic_position_bias);
  keys.take("multi_query", config.multi_query);
  keys.take("gate_residuals", config.gate_residuals);
  keys.take("document_cache_tokens", config.document_cache_tokens, 0, kMaxCacheTokens);
  keys.reject_unknown();
  return config;
}

namespace {

/// The reference's constructor lacks these arguments and takes all others unchanged.
void add_extensions(nlohmann::json& json, const ModelConfig& config) {
  const ModelConfig off;
  const auto add = [&](const char* key, const auto member) {
    if (config.*member != off.*member) json[key] = config.*member;
  };
  const auto add_choice = [&](const char* key, const auto member, const auto& choices) {
    if (config.*member != off.*member) json[key] = name_of(choices, config.*member);
  };
  add("apply_qk_rmsnorm_scale", &ModelConfig::apply_qk_rmsnorm_scale);
  add("use_memories", &ModelConfig::use_memories);
  add("multi_query", &ModelConfig::multi_query);
  add("gate_residuals", &ModelConfig::gate_residuals);
  add("document_cache_tokens", &ModelConfig::document_cache_tokens);
  add("dynamic_position_bias", &ModelConfig::dynamic_position_bias);
  add("enhanced_recurrence", &ModelConfig::enhanced_recurrence);
  add("memory_blocks", &ModelConfig::memory_blocks);
  add_choice("state_gate", &ModelConfig::state_gate, kStateGates);
  add_choice("state_cell", &ModelConfig::state_cell, kStateCells);
  add_choice("compressed_mem_method", &ModelConfig::compressed_mem_method, kCompressionMethods);
  add("compressed_mem_generations", &ModelConfig::compressed_mem_generations);
  add("routed_memory_layer", &ModelConfig::routed_memory_layer);
  add("routed_memory_tokens", &ModelConfig::routed_memory_tokens);
  add("routed_memory_segment", &ModelConfig::routed_memory_segment);
  add("routed_memory_top", &ModelConfig::routed_memory_top);
  add("routed_memory_dim", &ModelConfig::routed_memory_dim);
  add("routed_memory_dtype", &ModelConfig::routed_memory_dtype);
}

}  // namespace

nlohmann::json to_json(const ModelConfig& config) {
  nlohmann::json json{{"model_type", kModelType},
                      {"num_tokens", config.num_tokens},
                      {"dim", config.dim},
                      {"depth", config.depth},
                      {"dim_head", config.dim_head},
                      {"heads", config.heads},
                      {"all_layers_qk_rmsnorm", config.all_layers_qk_rmsnorm},
                      {"ff_mult", config.ff_mult},
                      {"max_seq_len", config.max_seq_len},
                      {"block_width", config.block_width},
                      {"recurrent_layers", config.recurrent_layers},
                      {"read_recurrent_layers", config.read_recurrent_layers},
                      {"num_state_vectors", config.num_state_vectors},
                      {"ignore_index", config.ignore_index},
                      {"use_flash_attn", config.use_flash_attn},
                      {"use_compressed_mem", config.use_compressed_mem},
                      {"compressed_mem_factor", config.compressed_mem_factor}};
  add_extensions(json, config);
  if (config.ff_mult == std::floor(config.ff_mult))
    json["ff_mult"] = static_cast<std::int64_t>(config.ff_mult);
  return json;
}

ModelConfig load_model_config(const std::filesystem::path& file) {
  try {
    return parse_model_config(read_config_json(file));
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

void apply_settings(ModelConfig& config, const ModelSettings& settings) {
  for (const auto& [key, value] : settings) {
    if (key != "document_cache_tokens")
      fail_key(key, "is not a setting of this kind of model, which has only document_cache_tokens");
    config.document_cache_tokens = ConfigKeys::integer(key, value, 0, kMaxCacheTokens);
  }
}

}  // namespace unroll
