#include "model/pretrained/checkpoint.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <set>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>

#include "base/gguf_file.h"
#include "base/strict_json.h"
#include "model/config.h"
#include "model/config_keys.h"
#include "model/finite.h"
#include "model/hash.h"
#include "model/pretrained/decode.h"
#include "model/problems.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kOutput = "lm_head.weight";
constexpr std::string_view kLayer = "blk.";

using Names = std::pair<std::string_view, std::string_view>;  // GGUF's, Hugging Face's

constexpr std::array kNames{
    Names{"token_embd.weight", "model.embed_tokens.weight"},
    Names{"output_norm.weight", "model.norm.weight"},
    Names{"output.weight", kOutput},
};
constexpr std::array kLayerNames{
    Names{"attn_norm", "input_layernorm"},    Names{"ffn_norm", "post_attention_layernorm"},
    Names{"attn_q", "self_attn.q_proj"},      Names{"attn_k", "self_attn.k_proj"},
    Names{"attn_v", "self_attn.v_proj"},      Names{"attn_output", "self_attn.o_proj"},
    Names{"attn_q_norm", "self_attn.q_norm"}, Names{"attn_k_norm", "self_attn.k_norm"},
    Names{"ffn_gate", "mlp.gate_proj"},       Names{"ffn_up", "mlp.up_proj"},
    Names{"ffn_down", "mlp.down_proj"},
};

/// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight". Unknown names are returned unchanged.
std::string hugging_face_name(std::string_view name) {
  for (const auto& [gguf, hugging_face] : kNames) {
    if (name == gguf) return std::string(hugging_face);
  }
  if (!name.starts_with(kLayer)) return std::string(name);
  const auto dot = name.find('.', kLayer.size()), last = name.rfind('.');
  if (dot == std::string_view::npos || last == dot) return std::string(name);
  const auto layer = name.substr(kLayer.size(), dot - kLayer.size()),
             part = name.substr(dot + 1, last - dot - 1);
  const auto known = std::ranges::find(kLayerNames, part, &Names::first);
  if (known == kLayerNames.end()) return std::string(name);
  return "model.layers." + std::string(layer) + "." + std::string(known->second) +
         std::string(name.substr(last));
}

/// Tables that old exports store although they follow from the configuration.
bool is_superfluous(const std::string& name, const PretrainedConfig& config) {
  return name.ends_with(".rotary_emb.inv_freq") || name == "rope_freqs.weight" ||
         (config.tied && name == kOutput);
}

/// Reads the index of shards: which shard holds which tensor.
std::map<std::string, std::string> read_index(const fs::path& file) {
  try {
    const auto json = read_config_json(file);
    const auto map = json.find("weight_map");
    if (map == json.end() || !map->is_object()) throw std::runtime_error("has no object \"weight_map\"");
    std::map<std::string, std::string> shards;
    for (const auto& [tensor, shard] : map->items()) {
      const auto name = shard.is_string() ? shard.get<std::string>() : "";
      if (name.empty() || name.find('/') != std::string::npos || !name.ends_with(".safetensors"))
        throw std::runtime_error("says that tensor " + shown(tensor) + " is in " + shown(shard) +
                                 ", which is not a safetensors file of the same folder");
      shards[tensor] = name;
    }
    return shards;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

std::int64_t numel(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

/// Reorders each head's rows from interleaved pairs, which rotate together, to halves.
at::Tensor in_halves(const at::Tensor& rows, std::int64_t heads) {
  const auto shape = rows.sizes().vec();
  return rows.view({heads, shape[0] / heads / 2, 2, -1}).transpose(1, 2).reshape(shape);
}

}  // namespace

PretrainedCheckpoint::PretrainedCheckpoint(const fs::path& path, const ModelSettings& settings) {
  const auto gguf = find_gguf(path);
  if (gguf) {
    open_gguf(*gguf);
  } else {
    open_folder(path);
  }
  try {
    apply_settings(config_, settings);
    check_tensors();
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(gguf.value_or(path).string() + ": " + error.what());
  }
}

void PretrainedCheckpoint::open_gguf(const fs::path& file) {
  const auto gguf = std::make_shared<const GgufFile>(file);
  config_ = load_pretrained_config(*gguf);
  // For this architecture llama.cpp rotates neighbours, for all others halves.
  const bool interleaved = config_.model_type == "llama";
  for (const auto& tensor : gguf->tensors()) {
    const auto name = hugging_face_name(tensor.name);
    Weights weights{
        {std::string(tensor.name), tensor.type->name, tensor.shape, tensor.data.data(), tensor.data.size()},
        file,
        0,
        {}};
    if (interleaved && name.find(".q_proj.") != std::string::npos) weights.interleaved_heads = config_.heads;
    if (interleaved && name.find(".k_proj.") != std::string::npos)
      weights.interleaved_heads = config_.kv_heads;
    if (!weights_.emplace(name, std::move(weights)).second)
      gguf->fail("tensor " + shown(name) + " occurs twice");
  }
  maps_.push_back(gguf);
}

void PretrainedCheckpoint::open_folder(const fs::path& folder) {
  config_ = load_pretrained_config(folder / "config.json");
  std::error_code failed;
  if (fs::exists(folder / kWeights, failed)) {
    add_safetensors(folder / kWeights, nullptr);
  } else if (fs::exists(folder / kIndex, failed)) {
    const auto shards = read_index(folder / kIndex);
    std::set<std::string> files;
    for (const auto& [tensor, file] : shards) files.insert(file);
    for (const auto& file : files) add_safetensors(folder / file, &shards);
  } else {
    const bool pickle = fs::exists(folder / "pytorch_model.bin", failed) ||
                        fs::exists(folder / "pytorch_model.bin.index.json", failed);
    throw std::runtime_error(
        folder.string() + ": has neither " + kWeights + " nor " + kIndex +
        (pickle ? "; weights in pytorch_model.bin are not read: save the model as safetensors"
                : "; fetch the weights, too"));
  }
}

void PretrainedCheckpoint::add_safetensors(const fs::path& file,
                                           const std::map<std::string, std::string>* shards) {
  auto mapped = map_safetensors(file);
  for (auto& tensor : mapped.tensors) {
    auto name = tensor.name;
    if (shards) {
      const auto listed = shards->find(name);
      if (listed == shards->end() || listed->second != file.filename())
        throw std::runtime_error(file.string() + ": holds tensor " + shown(name) + ", which " + kIndex +
                                 " does not list for it; fetch both again");
    }
    weights_.emplace(std::move(name), Weights{std::move(tensor), file, 0, {}});
  }
  maps_.push_back(std::move(mapped.map));
}

void PretrainedCheckpoint::check_tensors() {
  std::erase_if(weights_, [&](const auto& each) { return is_superfluous(each.first, config_); });
  const auto expected = expected_tensors(config_);
  Problems missing("missing"), unknown("unknown"), shape("of another shape than the configuration gives"),
      type("of a type that is not supported (supported are " + decodable_types() + ")");
  for (const auto& [name, sizes] : expected) {
    const auto found = weights_.find(name);
    if (found == weights_.end()) {
      missing.add(name);
      continue;
    }
    const auto& stored = found->second.stored;
    if (stored.shape != sizes)
      shape.add(shown(stored.name) + " " + shape_text(stored.shape) + " instead of " + shape_text(sizes));
    if (!can_decode(stored.dtype)) type.add(shown(stored.name) + " " + std::string(stored.dtype));
  }
  for (const auto& [name, weights] : weights_) {
    if (!expected.contains(name)) unknown.add(shown(weights.stored.name));
  }
  const auto text = missing.text() + unknown.text() + shape.text() + type.text();
  if (!text.empty())
    throw std::runtime_error("does not hold the tensors of the " + config_.model_type +
                             " model that its configuration describes: " + text + "fetch or export it again");
}

at::Tensor PretrainedCheckpoint::tensor(const std::string& name) {
  auto& weights = weights_.at(name);
  hash(weights);
  auto result = decode(weights.stored);
  if (!all_finite(result))
    throw std::runtime_error(
        weights.file.string() + ": tensor " + weights.stored.name +
        " holds values that are not finite numbers; the file is damaged: fetch it again");
  return weights.interleaved_heads > 0 ? in_halves(result, weights.interleaved_heads) : result;
}

std::string PretrainedCheckpoint::stored_type() const {
  std::map<std::string_view, std::int64_t> numbers;
  for (const auto& [name, weights] : weights_) numbers[weights.stored.dtype] += numel(weights.stored.shape);
  return std::string(
      std::ranges::max_element(numbers, {}, [](const auto& each) { return each.second; })->first);
}

std::int64_t PretrainedCheckpoint::parameters() const {
  std::int64_t sum = 0;
  for (const auto& [name, weights] : weights_) sum += numel(weights.stored.shape);
  return sum;
}

std::uint64_t PretrainedCheckpoint::hash(Weights& weights) {
  if (!weights.hash) {
    Hash hash;
    hash.add(weights.stored.data, weights.stored.size);
    weights.hash = hash.value();
  }
  return *weights.hash;
}

std::uint64_t PretrainedCheckpoint::fingerprint() {
  Hash all;
  const auto text = to_json(config_).dump();
  all.add(text.data(), text.size());
  for (auto& [name, weights] : weights_) {
    const auto value = hash(weights);
    all.add(name.data(), name.size());
    all.add(weights.stored.dtype.data(), weights.stored.dtype.size());
    all.add(&value, sizeof value);
  }
  return all.value();
}

bool is_pretrained(const fs::path& path) {
  if (find_gguf(path)) return true;
  const auto file = path / "config.json";
  std::error_code failed;
  if (!fs::exists(file, failed)) return false;
  try {
    const auto json = read_config_json(file);
    return json.is_object() && json.contains("model_type") && json["model_type"] != kModelType;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

}  // namespace unroll
