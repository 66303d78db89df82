// config.json of a checkpoint: the constructor arguments of the reference's BlockRecurrentTransformer (PyPI
// block-recurrent-transformer-pytorch 0.4.4), with the same names and defaults.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "model/settings.h"

namespace unroll {

/// Value of "model_type" for this kind of checkpoint.
inline constexpr std::string_view kModelType = "block_recurrent_transformer";

/// Options of the recurrent cell: Hutchins et al. 2022, section 3.2, and Memformer's update
/// (state_container.h).
enum class StateGateKind { kFixed, kLstm, kMemformer };
enum class StateCell { kSkip, kSingle, kDual };
enum class CompressionMethod { kConvolution, kMean, kMax };

struct ModelConfig {
  std::int64_t num_tokens = 0;  ///< Required, as are dim and depth.
  std::int64_t dim = 0;
  std::int64_t depth = 0;
  std::int64_t dim_head = 64;
  std::int64_t heads = 8;
  bool all_layers_qk_rmsnorm = false;
  double ff_mult = 4;
  std::int64_t max_seq_len = 1024;
  std::int64_t block_width = 512;
  std::vector<std::int64_t> recurrent_layers;       ///< Counted from 1; absent in JSON: {depth / 2}.
  std::vector<std::int64_t> read_recurrent_layers;  ///< Absent in JSON: recurrent_layers.
  std::int64_t num_state_vectors = 0;               ///< Absent in JSON: block_width.
  std::int64_t ignore_index = -100;
  bool use_flash_attn = false;
  bool use_compressed_mem = false;
  std::int64_t compressed_mem_factor = 4;

  /// Extension, off for parity: layers with qk_rmsnorm scale their attention by the 8 that the reference
  /// computes and never uses, instead of 1/sqrt(dim_head).
  bool apply_qk_rmsnorm_scale = false;
  /// Extensions for ablations; the defaults are the reference: whether blocks leave memories; whether all
  /// heads share one key and value; whether the states' fixed gate replaces every residual sum.
  bool use_memories = true;
  bool multi_query = true;
  bool gate_residuals = false;
  /// Extensions, off for parity. docs/model.md describes each and what it gains.
  StateGateKind state_gate = StateGateKind::kFixed;
  StateCell state_cell = StateCell::kSkip;
  bool dynamic_position_bias = false;  ///< Replaces xpos.
  bool enhanced_recurrence = false;    ///< A layer reads the memory of the layer above it.
  std::int64_t memory_blocks = 1;      ///< How many blocks memories hold uncompressed.
  CompressionMethod compressed_mem_method = CompressionMethod::kConvolution;
  std::int64_t compressed_mem_generations = 1;
  std::int64_t routed_memory_layer = 0;         ///< Counted from 1; 0: no routed memory.
  std::int64_t routed_memory_tokens = 262'144;  ///< Reach in tokens, rounded up to whole blocks.
  std::int64_t routed_memory_segment = 8;       ///< Tokens that are found together.
  std::int64_t routed_memory_top = 4;           ///< Segments that a position attends to.
  std::int64_t routed_memory_dim = 32;          ///< Size of route keys and queries.
  std::string routed_memory_dtype = "bf16";     ///< bf16 or int8: storage type in inference.
  /// Extension, off for parity: number of tokens in the document cache (document_cache.h); 0: no cache.
  /// Training and `unroll logits` do not use it.
  std::int64_t document_cache_tokens = 0;

  std::int64_t inner_dim() const { return dim_head * heads; }
  /// Size of a position's keys, and of its values.
  std::int64_t kv_dim() const { return multi_query ? dim_head : inner_dim(); }
  std::int64_t ff_inner_dim() const {
    return static_cast<std::int64_t>(static_cast<double>(dim) * ff_mult * 2 / 3);
  }
  std::int64_t routed_blocks() const { return (routed_memory_tokens + block_width - 1) / block_width; }
  bool convolves_memories() const {
    return use_compressed_mem && compressed_mem_factor > 1 &&
           compressed_mem_method == CompressionMethod::kConvolution;
  }
  bool is_recurrent(std::int64_t layer) const;  ///< Layers count from 1.
  bool has_qk_rmsnorm(std::int64_t layer) const { return all_layers_qk_rmsnorm || is_recurrent(layer); }
  /// The recurrent (write) layers whose states this layer reads, in the order of recurrent_layers.
  std::vector<std::int64_t> states_read_at(std::int64_t layer) const;

  bool operator==(const ModelConfig&) const = default;
};

/// Checks every key and value; throws std::runtime_error that names the key, its value and the allowed
/// values.
ModelConfig parse_model_config(const nlohmann::json& json);
nlohmann::json to_json(const ModelConfig& config);
/// As parse_model_config(), with the file's name in the error.
ModelConfig load_model_config(const std::filesystem::path& file);
/// Applies document_cache_tokens, the only setting. Throws std::runtime_error that names any other key.
void apply_settings(ModelConfig& config, const ModelSettings& settings);

}  // namespace unroll
