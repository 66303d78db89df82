#include "model/pretrained/load_pretrained.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "model/hash.h"
#include "model/int8_rows.h"
#include "model/load_transformer.h"
#include "model/plain_network.h"
#include "model/pretrained/packed_pretrained.h"

namespace unroll {
namespace {

/// Rounds a matrix for products in int8: each row to the nearest int8 numbers with one scale.
at::Tensor rounded_to_int8(const at::Tensor& matrix) {
  const auto rows = int8_rows(matrix);
  return rows.numbers.mul(rows.scale.unsqueeze(1));
}

/// Takes each of a checkpoint's tensors once.
class WeightsReader {
 public:
  WeightsReader(PretrainedCheckpoint& checkpoint, at::Device device, const std::string& dtype)
      : checkpoint_(checkpoint), config_(checkpoint.config()), device_(device), dtype_(dtype) {}

  PretrainedWeights read() {
    auto weights = without_layers();
    for (std::size_t i = 0; i < static_cast<std::size_t>(config_.layers); ++i)
      weights.layers.push_back(layer(i));
    return weights;
  }
  PretrainedWeights without_layers() {
    PretrainedWeights weights;
    const auto embedding = checkpoint_.tensor("model.embed_tokens.weight");
    weights.embedding = embedding.to(device_, type());
    weights.norm = vector("model.norm.weight");
    weights.output = !config_.tied      ? matrix("lm_head.weight")
                     : dtype_ == "int8" ? rounded_to_int8(embedding).to(device_)
                                        : weights.embedding;
    return weights;
  }
  PretrainedLayer layer(std::size_t index) {
    const auto prefix = "model.layers." + std::to_string(index) + ".";
    PretrainedLayer layer;
    const auto attention = prefix + "self_attn.", feed_forward = prefix + "mlp.";
    layer.attention_norm = vector(prefix + "input_layernorm.weight");
    layer.q = linear(attention + "q_proj", config_.qkv_bias);
    layer.k = linear(attention + "k_proj", config_.qkv_bias);
    layer.v = linear(attention + "v_proj", config_.qkv_bias);
    layer.o = linear(attention + "o_proj", config_.output_bias);
    if (config_.qk_norm) {
      layer.q_norm = vector(attention + "q_norm.weight");
      layer.k_norm = vector(attention + "k_norm.weight");
    }
    layer.feed_forward_norm = vector(prefix + "post_attention_layernorm.weight");
    layer.gate = linear(feed_forward + "gate_proj", config_.mlp_bias);
    layer.up = linear(feed_forward + "up_proj", config_.mlp_bias);
    layer.down = linear(feed_forward + "down_proj", config_.mlp_bias);
    return layer;
  }

 private:
  at::ScalarType type() const { return dtype_ == "bf16" ? at::kBFloat16 : at::kFloat; }
  at::Tensor vector(const std::string& name) { return checkpoint_.tensor(name).to(device_); }
  at::Tensor matrix(const std::string& name) {
    auto stored = checkpoint_.tensor(name);
    if (dtype_ == "int8") stored = rounded_to_int8(stored);
    return stored.to(device_, type());
  }
  PretrainedLinear linear(const std::string& name, bool bias) {
    return {matrix(name + ".weight"), bias ? vector(name + ".bias") : at::Tensor()};
  }
  PretrainedCheckpoint& checkpoint_;
  const PretrainedConfig& config_;
  const at::Device device_;
  const std::string dtype_;
};

/// LibTorch's products are fastest in fp32 on a CPU and in bf16 on a GPU.
std::string dtype_of(const ModelOptions& options, at::Device device) {
  if (options.dtype == "auto") return device.is_cpu() ? "fp32" : "bf16";
  return choose_dtype(options);
}

PretrainedCheckpoint open(const std::filesystem::path& path, const ModelOptions& options) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  PretrainedCheckpoint checkpoint(path, options.settings);
  if (!options.first_input && !checkpoint.config().bos && !checkpoint.config().eos)
    throw std::runtime_error(path.string() +
                             ": names neither bos_token_id nor eos_token_id; add the token that precedes a "
                             "text to config.json");
  return checkpoint;
}

/// Null if the CPU cannot compute in `dtype`.
std::unique_ptr<Network> packed_network(PretrainedCheckpoint& checkpoint, const std::string& dtype) {
  const auto arithmetic = arithmetic_of(dtype);
  if (!cpu_supports(arithmetic)) return nullptr;
  WeightsReader weights(checkpoint, at::kCPU, dtype == "bf16" ? dtype : "fp32");
  const PretrainedTransformer definition(checkpoint.config(), weights.without_layers(),
                                         pretrained_memory_type(dtype));
  return std::make_unique<PackedPretrained>(definition, arithmetic,
                                            [&](std::size_t index) { return weights.layer(index); });
}

}  // namespace

std::uint64_t pretrained_fingerprint(std::uint64_t checkpoint, const std::string& dtype) {
  Hash hash;
  hash.add(&checkpoint, sizeof checkpoint);
  hash.add(dtype.data(), dtype.size());
  return hash.value();
}

at::ScalarType pretrained_memory_type(const std::string& dtype) {
  return dtype == "fp32" ? at::kFloat : at::kBFloat16;
}

LoadedPretrained load_pretrained(const std::filesystem::path& path, const ModelOptions& options) {
  const auto device = choose_device(options.device);
  const auto dtype = dtype_of(options, device);
  auto checkpoint = open(path, options);
  auto weights = WeightsReader(checkpoint, device, dtype).read();
  const auto hash = checkpoint.fingerprint();
  return {{checkpoint.config(), std::move(weights), pretrained_memory_type(dtype)},
          dtype,
          checkpoint.parameters(),
          hash,
          pretrained_fingerprint(hash, dtype)};
}

LoadedNetwork load_pretrained_network(const std::filesystem::path& path, const ModelOptions& options) {
  LoadedNetwork network;
  if (choose_device(options.device).is_cpu()) {
    auto checkpoint = open(path, options);
    // Weights of 8 bits or fewer lose little more in int8.
    network.dtype = choose_dtype(options, checkpoint.stored_type().starts_with("Q"));
    network.network = packed_network(checkpoint, network.dtype);
    if (network.network) {
      network.form = "packed";
      const auto& config = checkpoint.config();
      network.parameters = checkpoint.parameters();
      // Of int8 the embedding is in bf16; a tied output matrix is packed besides.
      const auto embedding = config.vocabulary * config.hidden_size, width = bytes_of(network.dtype);
      const auto of_embedding = network.dtype == "fp32" ? width : bytes_of("bf16");
      network.weight_bytes = static_cast<std::uint64_t>(
          network.parameters * width + embedding * (config.tied ? of_embedding : of_embedding - width));
      network.checkpoint = checkpoint.fingerprint();
      network.fingerprint = pretrained_fingerprint(network.checkpoint, network.dtype);
      return network;
    }
  }
  auto loaded = load_pretrained(path, options);
  network.dtype = loaded.dtype;
  network.parameters = loaded.parameters;
  network.weight_bytes = static_cast<std::uint64_t>(
      loaded.parameters * (loaded.dtype == "bf16" ? bytes_of("bf16") : bytes_of("fp32")));
  network.checkpoint = loaded.checkpoint;
  network.fingerprint = loaded.fingerprint;
  network.rows_are_independent = false;  // LibTorch's products split sums by the number of rows
  const auto shape = loaded.transformer.shape();
  network.network =
      std::make_unique<PlainNetwork<PretrainedTransformer>>(std::move(loaded.transformer), shape);
  return network;
}

}  // namespace unroll
