// Converts a GGUF file's metadata to the equivalent config.json, then to a PretrainedConfig.
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/gguf_file.h"
#include "base/strict_json.h"
#include "model/pretrained/config.h"

namespace unroll {
namespace {

std::string architecture_of(const GgufFile& file) {
  const auto architecture = file.string("general.architecture");
  if (architecture == "llama" || architecture == "qwen2" || architecture == "qwen3")
    return std::string(*architecture);
  file.fail("has " + (architecture ? "the architecture " + shown(*architecture) : "no general.architecture") +
            "; supported are llama (Mistral's, too), qwen2 and qwen3");
}

void check_kind(const GgufFile& file, const std::string& architecture) {
  const auto type = file.string("general.type");
  if (type && *type != "model")
    file.fail("is of the type " + shown(*type) + ", not a model; take the model's file");
  if (file.integer("split.count").value_or(1) > 1)
    file.fail("is one of several parts; join them with llama.cpp's llama-gguf-split --merge");
  if (file.integer(architecture + ".expert_count").value_or(0) > 0)
    file.fail("is a mixture of experts, which is not supported");
}

/// Metadata that has another name or form in config.json.
class Metadata {
 public:
  Metadata(const GgufFile& file, std::string architecture)
      : file_(file), prefix_(std::move(architecture) + ".") {}

  void require(const char* key, const char* name) {
    if (!take(key, name)) file_.fail("has no " + shown(prefix_ + key) + " in its metadata; export it again");
  }
  bool take(const char* key, const char* name) {
    const auto value = file_.integer(prefix_ + key);
    if (value) json_[name] = *value;
    return value.has_value();
  }
  void take_number(const char* key, const char* name) {
    if (const auto value = file_.number(prefix_ + key)) json_[name] = *value;
  }
  void take_token(const char* key, const char* name) {
    if (const auto value = file_.integer(key)) json_[name] = *value;
  }
  void take_scaling() {
    const auto type = file_.string(prefix_ + "rope.scaling.type");
    const auto factor = file_.number(prefix_ + "rope.scaling.factor");
    if (!type || *type == "none") return;
    json_["rope_scaling"] = {{"rope_type", std::string(*type)}};
    if (factor) json_["rope_scaling"]["factor"] = *factor;
  }
  std::optional<std::int64_t> integer(const char* key) const { return file_.integer(prefix_ + key); }

  nlohmann::json& json() { return json_; }

 private:
  const GgufFile& file_;
  std::string prefix_;
  nlohmann::json json_;
};

std::vector<float> rotary_factors(const GgufFile& file, std::int64_t head_dim) {
  const auto* tensor = file.find_tensor("rope_freqs.weight");
  if (!tensor) return {};
  if (tensor->type->name != "F32" || tensor->shape != std::vector{head_dim / 2})
    file.fail("tensor rope_freqs.weight is not F32 [" + std::to_string(head_dim / 2) + "]; export it again");
  std::vector<float> factors(static_cast<std::size_t>(head_dim / 2));
  std::memcpy(factors.data(), tensor->data.data(), tensor->data.size());
  for (const auto factor : factors) {
    if (!(factor >= 1e-6F && factor <= 1e6F)) file.fail("tensor rope_freqs.weight holds " + shown(factor));
  }
  return factors;
}

}  // namespace

PretrainedConfig load_pretrained_config(const GgufFile& file) {
  const auto architecture = architecture_of(file);
  check_kind(file, architecture);
  const auto has = [&](const char* name) { return file.find_tensor(name) != nullptr; };
  const auto* embedding = file.find_tensor("token_embd.weight");
  if (!embedding || embedding->shape.size() != 2)
    file.fail("has no matrix token_embd.weight; fetch or export it again");

  Metadata metadata(file, architecture);
  metadata.json() = {{"model_type", architecture},
                     {"vocab_size", embedding->shape[0]},
                     {"num_key_value_heads", nullptr},
                     {"tie_word_embeddings", !has("output.weight")}};
  metadata.require("embedding_length", "hidden_size");
  metadata.require("block_count", "num_hidden_layers");
  metadata.require("feed_forward_length", "intermediate_size");
  metadata.require("attention.head_count", "num_attention_heads");
  metadata.take("attention.head_count_kv", "num_key_value_heads");
  if (const auto heads = metadata.integer("attention.head_count").value_or(0); heads > 0)
    metadata.json()["head_dim"] = metadata.integer("embedding_length").value_or(0) / heads;
  metadata.take("attention.key_length", "head_dim");
  metadata.take("context_length", "max_position_embeddings");
  metadata.take_number("attention.layer_norm_rms_epsilon", "rms_norm_eps");
  metadata.take_number("rope.freq_base", "rope_theta");
  metadata.take_scaling();
  metadata.take_token("tokenizer.ggml.bos_token_id", "bos_token_id");
  metadata.take_token("tokenizer.ggml.eos_token_id", "eos_token_id");
  PretrainedConfig config;
  try {
    config = parse_pretrained_config(metadata.json());
  } catch (const std::runtime_error& error) {
    file.fail(std::string("its metadata, in config.json's words: ") + error.what());
  }
  for (const auto* key : {"attention.value_length", "rope.dimension_count"}) {
    if (metadata.integer(key).value_or(config.head_dim) != config.head_dim)
      file.fail("has " + std::string(key) + " " + std::to_string(*metadata.integer(key)) + " and heads of " +
                std::to_string(config.head_dim) + " dimensions, which is not supported");
  }
  if (const auto factors = rotary_factors(file, config.head_dim); !factors.empty())
    config.inverse_frequencies = inverse_frequencies(
        config.head_dim, static_cast<float>(metadata.json().value("rope_theta", kDefaultTheta)), factors);
  if (const auto window = metadata.integer("attention.sliding_window").value_or(0); window > 0)
    config.sliding_window = window;
  config.qkv_bias = has("blk.0.attn_q.bias");
  config.output_bias = has("blk.0.attn_output.bias");
  config.mlp_bias = has("blk.0.ffn_gate.bias");
  return config;
}

}  // namespace unroll
