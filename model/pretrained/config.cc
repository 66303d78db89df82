#include "model/pretrained/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include <ATen/ATen.h>

#include "model/config.h"
#include "model/config_keys.h"

namespace unroll {
namespace {

// Far above any model of these families, far below the point at which a product of a few of them overflows.
constexpr std::int64_t kMaxVocabulary = std::int64_t{1} << 24;
constexpr std::int64_t kMaxWidth = 1 << 16;  // of hidden states
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxHeads = 1024;
constexpr std::int64_t kMaxHeadDim = 1024;
constexpr std::int64_t kMaxIntermediate = 1 << 20;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 40;
constexpr std::int64_t kMaxMemoryPositions = 1 << 20;
constexpr double kMaxTheta = 1e15;
constexpr double kMaxFactor = 1e6;

/// The defaults of transformers for keys that a config.json may lack, and properties of the family without a
/// key.
struct Family {
  const char* name;
  std::int64_t kv_heads;  // 0: as many as heads
  std::int64_t head_dim;  // 0: hidden_size / heads
  std::int64_t max_positions;
  bool qkv_bias, qk_norm;
};
constexpr std::array kFamilies{
    Family{"llama", 0, 0, 2048, false, false},
    Family{"mistral", 8, 0, 131'072, false, false},
    Family{"qwen2", 32, 0, 32'768, true, false},
    Family{"qwen3", 32, 128, 32'768, false, true},
};
constexpr std::int64_t kDefaultWindow = 4096;

const Family& family_of(ConfigKeys& keys) {
  const auto* type = keys.find("model_type");
  std::string names;
  for (const auto& family : kFamilies) {
    if (type && *type == family.name) return family;
    names += std::string(family.name) + ", ";
  }
  fail_key("model_type", (type ? shown(*type) + " is not supported" : "is missing") + "; supported are " +
                             names + "and unroll's own " + std::string(kModelType));
}

double number(std::string_view key, const nlohmann::json& json, double least, double most) {
  const auto value = json.is_number() ? json.get<double>() : std::numeric_limits<double>::quiet_NaN();
  if (!(value >= least && value <= most))
    fail_key(key, shown(json) + " is not a number from " + shown(least) + " to " + shown(most));
  return value;
}

double number_or(ConfigKeys& keys, const char* key, double otherwise, double least, double most) {
  const auto* json = keys.find_value(key);
  return json ? number(key, *json, least, most) : otherwise;
}

std::int64_t integer_or(ConfigKeys& keys, const char* key, std::int64_t otherwise, std::int64_t least,
                        std::int64_t most) {
  const auto* json = keys.find_value(key);
  return json ? ConfigKeys::integer(key, *json, least, most) : otherwise;
}

bool flag_or(ConfigKeys& keys, const char* key, bool otherwise) {
  if (keys.find_value(key)) keys.take(key, otherwise);
  return otherwise;
}

/// An id, or the first of a list; none if the vocabulary lacks it, as in tiny copies of models.
std::optional<std::int32_t> token(ConfigKeys& keys, const char* key, std::int64_t vocabulary) {
  const auto* json = keys.find_value(key);
  if (json && json->is_array()) json = json->empty() ? nullptr : &json->front();
  if (!json || !json->is_number_integer()) return std::nullopt;
  const auto id = json->get<std::int64_t>();
  return id >= 0 && id < vocabulary ? std::optional(static_cast<std::int32_t>(id)) : std::nullopt;
}

at::Tensor unscaled_frequencies(std::int64_t head_dim, float theta) {
  // Not std::pow(): LibTorch's result may differ from it in the last bit.
  return at::pow(theta, at::arange(0, head_dim, 2, at::kFloat) / head_dim).reciprocal();
}

/// As llama.cpp's convert_hf_to_gguf.py computes rope_freqs, so that both forms give the same bits.
std::vector<float> llama3_factors(std::int64_t head_dim, float theta, float factor, float low, float high,
                                  float original) {
  const auto frequencies = unscaled_frequencies(head_dim, theta);
  std::vector<float> factors;
  for (std::int64_t i = 0; i < head_dim / 2; ++i) {
    const float wavelength = 1 / frequencies.const_data_ptr<float>()[i] * (2 * std::numbers::pi_v<float>);
    if (wavelength < original / high) {
      factors.push_back(1);
    } else if (wavelength > original / low) {
      factors.push_back(factor);
    } else {
      const float smooth = (1 / wavelength * original - low) / (high - low);
      factors.push_back(1 / ((1 - smooth) / factor + smooth));
    }
  }
  return factors;
}

[[noreturn]] void fail_scaling(std::string_view key, const std::string& type) {
  fail_key(key, "rotary scaling of the type " + type + " is not supported; supported are linear and llama3");
}

void take_rotary(ConfigKeys& keys, PretrainedConfig& config) {
  const bool together = keys.find_value("rope_parameters") != nullptr;  // since transformers 5
  const char* key = together ? "rope_parameters" : "rope_scaling";
  const nlohmann::json none = nlohmann::json::object();
  const auto* scaling = keys.find_value(key);
  ConfigKeys within(scaling ? *scaling : none);
  const auto theta = static_cast<float>(number_or(together && within.find_value("rope_theta") ? within : keys,
                                                  "rope_theta", kDefaultTheta, 1, kMaxTheta));
  if (number_or(within, "partial_rotary_factor", number_or(keys, "partial_rotary_factor", 1, 0, 1), 0, 1) !=
      1)
    fail_key("partial_rotary_factor", "a part of a head that is not rotated is not supported");
  const auto* type = within.find_value("rope_type");
  if (!type) type = within.find_value("type");
  std::vector<float> factors;
  const auto factor = [&] {
    if (!within.find_value("factor")) fail_key(key, "has no \"factor\"");
    return static_cast<float>(number_or(within, "factor", 1, 1, kMaxFactor));
  };
  if (!type || *type == "default") {
  } else if (*type == "linear") {
    factors.assign(static_cast<std::size_t>(config.head_dim / 2), factor());
  } else if (*type == "llama3") {
    const auto low = static_cast<float>(number_or(within, "low_freq_factor", 1, 1e-3, kMaxFactor));
    const auto high = static_cast<float>(number_or(within, "high_freq_factor", 4, 1e-3, kMaxFactor));
    if (high <= low) fail_key(key, "its \"high_freq_factor\" is not above its \"low_freq_factor\"");
    const auto original =
        integer_or(within, "original_max_position_embeddings", config.max_positions, 1, kMaxPositions);
    factors = llama3_factors(config.head_dim, theta, factor(), low, high, static_cast<float>(original));
  } else {
    fail_scaling(key, shown(*type));
  }
  config.inverse_frequencies = inverse_frequencies(config.head_dim, theta, factors);
}

void take_window(ConfigKeys& keys, PretrainedConfig& config) {
  const bool qwen = config.model_type.starts_with("qwen");
  if (!qwen && config.model_type != "mistral") return;
  if (qwen && !flag_or(keys, "use_sliding_window", false)) return;
  if (qwen && integer_or(keys, "max_window_layers", 28, 0, kMaxPositions) >= config.layers) return;
  const auto* window = keys.find("sliding_window");
  if (window && window->is_null()) return;
  config.sliding_window =
      window ? ConfigKeys::integer("sliding_window", *window, 1, kMaxPositions) : kDefaultWindow;
}

/// Sets each within its own bounds.
void set_settings(PretrainedConfig& config, const ModelSettings& settings) {
  for (const auto& [key, value] : settings) {
    if (key == "block_width") {
      config.block_width = ConfigKeys::integer(key, value, 1, kMaxBlockWidth);
    } else if (key == "memory_blocks") {
      config.memory_blocks = ConfigKeys::integer(key, value, 1, kMaxMemoryBlocks);
    } else if (key == "attention_sinks") {
      config.attention_sinks = ConfigKeys::integer(key, value, 0, kMaxBlockWidth);
    } else if (key == "document_cache_tokens") {
      config.document_cache_tokens = ConfigKeys::integer(key, value, 0, kMaxCacheTokens);
    } else {
      fail_key(
          key,
          "is not a setting of this kind of model, which has block_width, memory_blocks, attention_sinks "
          "and document_cache_tokens");
    }
  }
}

void take_unroll(ConfigKeys& keys, PretrainedConfig& config) {
  const auto* json = keys.find_value("unroll");
  if (!json) return;
  if (!json->is_object()) fail_key("unroll", shown(*json) + " is not a JSON object");
  ModelSettings settings;
  for (const auto& [key, value] : json->items())
    settings[key] = ConfigKeys::integer(key, value, 0, std::numeric_limits<std::int64_t>::max());
  set_settings(config, settings);
}

void check_heads(const PretrainedConfig& config) {
  if (config.head_dim < 1)
    fail_key("num_attention_heads", std::to_string(config.heads) + " is more than hidden_size, " +
                                        std::to_string(config.hidden_size));
  if (config.heads % config.kv_heads != 0)
    fail_key("num_key_value_heads", std::to_string(config.kv_heads) +
                                        " does not divide num_attention_heads, " +
                                        std::to_string(config.heads));
  if (config.head_dim % 2 != 0)
    fail_key("head_dim", std::to_string(config.head_dim) + " is odd; rotary embedding needs an even one");
}

}  // namespace

std::vector<float> inverse_frequencies(std::int64_t head_dim, float theta,
                                       const std::vector<float>& factors) {
  auto frequencies = unscaled_frequencies(head_dim, theta);
  if (!factors.empty()) frequencies = frequencies / at::tensor(factors);
  const auto* begin = frequencies.const_data_ptr<float>();
  return {begin, begin + frequencies.numel()};
}

PretrainedConfig parse_pretrained_config(const nlohmann::json& json) {
  ConfigKeys keys(json);
  const auto& family = family_of(keys);
  PretrainedConfig config;
  config.model_type = family.name;
  keys.require("vocab_size", config.vocabulary, 1, kMaxVocabulary);
  keys.require("hidden_size", config.hidden_size, 1, kMaxWidth);
  keys.require("num_hidden_layers", config.layers, 1, kMaxLayers);
  keys.require("num_attention_heads", config.heads, 1, kMaxHeads);
  keys.require("intermediate_size", config.intermediate_size, 1, kMaxIntermediate);
  // Null means one per head; a missing key means the family's default.
  const bool each = keys.find("num_key_value_heads") || family.kv_heads == 0;
  config.kv_heads =
      integer_or(keys, "num_key_value_heads", each ? config.heads : family.kv_heads, 1, kMaxHeads);
  config.head_dim =
      integer_or(keys, "head_dim", family.head_dim > 0 ? family.head_dim : config.hidden_size / config.heads,
                 1, kMaxHeadDim);
  check_heads(config);
  config.rms_eps = static_cast<float>(number_or(keys, "rms_norm_eps", 1e-6, 1e-30, 1));
  config.max_positions = integer_or(keys, "max_position_embeddings", family.max_positions, 1, kMaxPositions);
  take_rotary(keys, config);
  take_window(keys, config);
  const bool llama = config.model_type == "llama";
  const bool attention_bias =
      (llama || config.model_type == "qwen3") && flag_or(keys, "attention_bias", false);
  config.qkv_bias = family.qkv_bias || attention_bias;
  config.output_bias = attention_bias;
  config.mlp_bias = llama && flag_or(keys, "mlp_bias", false);
  config.qk_norm = family.qk_norm;
  config.tied = flag_or(keys, "tie_word_embeddings", false);
  const auto* activation = keys.find_value("hidden_act");
  if (activation && *activation != "silu" && *activation != "swish")
    fail_key("hidden_act", shown(*activation) + " is not supported; supported is \"silu\"");
  if (const auto* quantization = keys.find_value("quantization_config"); quantization)
    fail_key("quantization_config",
             "weights quantised by this method are not supported; take the model's "
             "unquantised weights, or a GGUF file");
  config.bos = token(keys, "bos_token_id", config.vocabulary);
  config.eos = token(keys, "eos_token_id", config.vocabulary);
  take_unroll(keys, config);
  return config;
}

void apply_settings(PretrainedConfig& config, const ModelSettings& settings) {
  set_settings(config, settings);
  if (config.attention_sinks > config.block_width)
    fail_key("attention_sinks", std::to_string(config.attention_sinks) + " is more than block_width, " +
                                    std::to_string(config.block_width) +
                                    "; sinks must lie in the first block");
  if (config.memory_positions() > kMaxMemoryPositions)
    fail_key("memory_blocks", "a document would keep " + std::to_string(config.memory_positions()) +
                                  " positions, more than the " + std::to_string(kMaxMemoryPositions) +
                                  " allowed; lower memory_blocks or block_width");
  const auto seen = config.memory_positions() + config.block_width;
  if (config.sliding_window && seen > *config.sliding_window)
    fail_key("sliding_window", "the model was trained to see " + std::to_string(*config.sliding_window) +
                                   " positions, and a block would see " + std::to_string(seen) +
                                   "; lower block_width or memory_blocks with --set");
}

nlohmann::json to_json(const PretrainedConfig& config) {
  nlohmann::json json{{"model_type", config.model_type},
                      {"vocab_size", config.vocabulary},
                      {"hidden_size", config.hidden_size},
                      {"num_hidden_layers", config.layers},
                      {"num_attention_heads", config.heads},
                      {"num_key_value_heads", config.kv_heads},
                      {"head_dim", config.head_dim},
                      {"intermediate_size", config.intermediate_size},
                      {"rms_norm_eps", config.rms_eps},
                      {"inverse_frequencies", config.inverse_frequencies},
                      {"qkv_bias", config.qkv_bias},
                      {"output_bias", config.output_bias},
                      {"mlp_bias", config.mlp_bias},
                      {"qk_norm", config.qk_norm},
                      {"tie_word_embeddings", config.tied},
                      {"max_position_embeddings", config.max_positions},
                      {"unroll",
                       {{"block_width", config.block_width},
                        {"memory_blocks", config.memory_blocks},
                        {"attention_sinks", config.attention_sinks},
                        {"document_cache_tokens", config.document_cache_tokens}}}};
  if (config.sliding_window) json["sliding_window"] = *config.sliding_window;
  if (config.bos) json["bos_token_id"] = *config.bos;
  if (config.eos) json["eos_token_id"] = *config.eos;
  return json;
}

std::map<std::string, std::vector<std::int64_t>> expected_tensors(const PretrainedConfig& config) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  const auto add = [&](const std::string& name, std::int64_t outputs, std::int64_t inputs, bool bias) {
    shapes[name + ".weight"] = {outputs, inputs};
    if (bias) shapes[name + ".bias"] = {outputs};
  };
  const auto hidden = config.hidden_size;
  shapes["model.embed_tokens.weight"] = {config.vocabulary, hidden};
  shapes["model.norm.weight"] = {hidden};
  if (!config.tied) shapes["lm_head.weight"] = {config.vocabulary, hidden};
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const auto prefix = "model.layers." + std::to_string(layer) + ".";
    shapes[prefix + "input_layernorm.weight"] = shapes[prefix + "post_attention_layernorm.weight"] = {hidden};
    add(prefix + "self_attn.q_proj", config.inner_dim(), hidden, config.qkv_bias);
    add(prefix + "self_attn.k_proj", config.kv_dim(), hidden, config.qkv_bias);
    add(prefix + "self_attn.v_proj", config.kv_dim(), hidden, config.qkv_bias);
    add(prefix + "self_attn.o_proj", hidden, config.inner_dim(), config.output_bias);
    if (config.qk_norm)
      shapes[prefix + "self_attn.q_norm.weight"] =
          shapes[prefix + "self_attn.k_norm.weight"] = {config.head_dim};
    add(prefix + "mlp.gate_proj", config.intermediate_size, hidden, config.mlp_bias);
    add(prefix + "mlp.up_proj", config.intermediate_size, hidden, config.mlp_bias);
    add(prefix + "mlp.down_proj", hidden, config.intermediate_size, config.mlp_bias);
  }
  return shapes;
}

PretrainedConfig load_pretrained_config(const std::filesystem::path& file) {
  try {
    return parse_pretrained_config(read_config_json(file));
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

}  // namespace unroll
