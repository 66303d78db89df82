// Configuration of a pretrained transformer of the Llama family, from a Hugging Face config.json or from a
// GGUF file's metadata. Both forms of one model give the same PretrainedConfig, except that GGUF calls a
// Mistral a llama and does not give its window.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "model/settings.h"

namespace unroll {

class GgufFile;

struct PretrainedConfig {
  std::string model_type;  ///< llama, mistral, qwen2 or qwen3.
  std::int64_t vocabulary = 0, hidden_size = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t intermediate_size = 0;
  float rms_eps = 1e-6F;
  /// [head_dim / 2] radians per position: pair i is dimensions i and i + head_dim / 2 of a head. Includes
  /// scaling (linear, llama3).
  std::vector<float> inverse_frequencies;
  bool qkv_bias = false;           ///< q_proj, k_proj and v_proj have biases.
  bool output_bias = false;        ///< o_proj has one.
  bool mlp_bias = false;           ///< gate_proj, up_proj and down_proj have biases.
  bool qk_norm = false;            ///< RMSNorm of each head's query and key, before rotation.
  bool tied = false;               ///< The output matrix is the embedding.
  std::int64_t max_positions = 0;  ///< Length that it was trained for.
  /// Number of positions, its own included, that a query was trained to see; absent: all. Settings under
  /// which blocks would see more are refused, so the network needs no mask for the window.
  std::optional<std::int64_t> sliding_window;
  std::optional<std::int32_t> bos, eos;

  // Reading as a stream: "unroll" in config.json, or --set KEY=VALUE.
  std::int64_t block_width = 512;
  std::int64_t memory_blocks = 1;
  std::int64_t attention_sinks = 4;
  std::int64_t document_cache_tokens = 0;  ///< Length of the document cache; 0: no cache.

  std::int64_t inner_dim() const { return heads * head_dim; }
  std::int64_t kv_dim() const { return kv_heads * head_dim; }
  /// Positions whose keys and values a document keeps.
  std::int64_t memory_positions() const { return attention_sinks + memory_blocks * block_width; }

  bool operator==(const PretrainedConfig&) const = default;
};

/// These check every number and throw std::runtime_error that names the key, its value and the allowed
/// values, or for another family lists the supported ones. Call apply_settings() afterwards.
PretrainedConfig parse_pretrained_config(const nlohmann::json& json);
/// As parse_pretrained_config(), for a config.json, with the file's name in the error.
PretrainedConfig load_pretrained_config(const std::filesystem::path& file);
PretrainedConfig load_pretrained_config(const GgufFile& file);
nlohmann::json to_json(const PretrainedConfig& config);

/// Sets block_width, memory_blocks, attention_sinks and document_cache_tokens, and checks that the model can
/// be read with them.
void apply_settings(PretrainedConfig& config, const ModelSettings& settings);

inline constexpr double kDefaultTheta = 10'000;  ///< Of rotary embedding, if the configuration has none.

/// Radians per position of head_dim / 2 pairs, as transformers computes them, divided by `factors` (one per
/// pair) if there are any.
std::vector<float> inverse_frequencies(std::int64_t head_dim, float theta, const std::vector<float>& factors);

/// Hugging Face's name and the shape of every tensor of the model.
std::map<std::string, std::vector<std::int64_t>> expected_tensors(const PretrainedConfig& config);

}  // namespace unroll
