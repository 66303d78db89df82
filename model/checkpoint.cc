#include "model/checkpoint.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/strict_json.h"
#include "model/finite.h"
#include "model/int8_rows.h"
#include "model/problems.h"

namespace unroll {
namespace {

constexpr const char* kScaleSuffix = ".scale";

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

void add_norm(Shapes& shapes, const std::string& prefix, const ModelConfig& config) {
  shapes[prefix + "gamma"] = {config.dim};
  shapes[prefix + "beta"] = {config.dim};
}

void add_attention(Shapes& shapes, const std::string& prefix, const ModelConfig& config, bool qk_rmsnorm) {
  if (!qk_rmsnorm) return;
  shapes[prefix + "q_scale"] = {config.dim_head};
  shapes[prefix + "k_scale"] = {config.dim_head};
}

void add_gate(Shapes& shapes, const std::string& gate, const std::string& beta, const ModelConfig& config,
              std::int64_t inputs) {
  const bool fixed = config.state_gate == StateGateKind::kFixed;
  const auto outputs = fixed ? config.dim : 3 * config.dim;
  shapes[gate + ".weight"] = {outputs, inputs};
  shapes[gate + ".bias"] = {outputs};
  if (fixed) shapes[beta] = {config.dim};
}

void add_state_container(Shapes& shapes, const std::string& prefix, const ModelConfig& config,
                         bool qk_rmsnorm) {
  const auto dim = config.dim, inner = config.inner_dim(), ff_inner = config.ff_inner_dim();
  const std::vector<std::int64_t> slots{config.num_state_vectors, dim};
  add_norm(shapes, prefix + "state_norm.", config);
  for (const auto* name : {"q_to_state", "state_to_q"}) shapes[prefix + name + ".weight"] = {inner, dim};
  shapes[prefix + "state_to_kv.weight"] = {2 * config.kv_dim(), dim};
  shapes[prefix + "state_pos_ids"] = slots;
  for (const auto* name : {"to_state_cross_attn.", "from_state_cross_attn."})
    add_attention(shapes, prefix + name, config, qk_rmsnorm);
  if (config.state_gate == StateGateKind::kMemformer) {
    shapes[prefix + "to_state_out.weight"] = {dim, inner};
    shapes[prefix + "forget_bias"] = slots;
    return;
  }
  shapes[prefix + "q_from_state.weight"] = {inner, dim};
  shapes[prefix + "init_state"] = slots;
  add_attention(shapes, prefix + "state_self_attn.", config, qk_rmsnorm);
  const bool single = config.state_cell == StateCell::kSingle;
  add_gate(shapes, prefix + "state_out_to_gate", prefix + "learned_ema_beta", config,
           single ? ff_inner : dim);
  if (!single) shapes[prefix + "to_state_out.weight"] = {dim, 2 * inner};
  if (config.state_cell == StateCell::kSkip) return;
  shapes[prefix + "state_ff_in.weight"] = {2 * ff_inner, single ? 2 * inner : dim};
  if (single) return;
  add_norm(shapes, prefix + "state_ff_norm.", config);
  add_gate(shapes, prefix + "state_ff_to_gate", prefix + "learned_ff_beta", config, ff_inner);
}

void add_routed_memory(Shapes& shapes, const std::string& prefix, const ModelConfig& config) {
  shapes[prefix + "to_q.weight"] = {config.inner_dim(), config.dim};
  for (const auto* name : {"to_route_q.weight", "to_route_k.weight"})
    shapes[prefix + name] = {config.routed_memory_dim, config.dim};
}

void add_position_bias(Shapes& shapes, const ModelConfig& config) {
  const std::string prefix = "dynamic_position_bias.";
  const auto width = std::max<std::int64_t>(config.dim / 4, 8);
  shapes[prefix + "0.weight"] = {width, 1};
  shapes[prefix + "2.weight"] = {width, width};
  shapes[prefix + "4.weight"] = {config.heads, width};
  shapes[prefix + "0.bias"] = shapes[prefix + "2.bias"] = {width};
  shapes[prefix + "4.bias"] = {config.heads};
}

void add_layer(Shapes& shapes, std::int64_t layer, const ModelConfig& config) {
  const auto prefix = "layers." + std::to_string(layer - 1) + ".";
  const auto dim = config.dim, inner = config.inner_dim(), ff_inner = config.ff_inner_dim();
  const bool qk_rmsnorm = config.has_qk_rmsnorm(layer);
  const bool routed = config.routed_memory_layer == layer;
  const auto reads = static_cast<std::int64_t>(config.states_read_at(layer).size()) + (routed ? 1 : 0);
  add_norm(shapes, prefix + "0.norm.", config);
  shapes[prefix + "0.to_q.weight"] = {inner, dim};
  shapes[prefix + "0.to_kv.weight"] = {2 * config.kv_dim(), dim};
  shapes[prefix + "0.to_out.weight"] = {dim, inner * (1 + reads)};
  add_attention(shapes, prefix + "0.attn.", config, qk_rmsnorm);
  if (config.is_recurrent(layer))
    add_state_container(shapes, prefix + "0.state_container.", config, qk_rmsnorm);
  if (routed) add_routed_memory(shapes, prefix + "0.routed_memory.", config);
  add_norm(shapes, prefix + "1.0.", config);
  shapes[prefix + "1.1.weight"] = {2 * ff_inner, dim};
  shapes[prefix + "1.3.weight"] = {dim, ff_inner};
  if (config.gate_residuals) {
    for (const auto* branch : {"0.", "1."}) shapes[prefix + branch + "residual_gate"] = {dim};
  }
  if (config.convolves_memories()) {
    const auto conv = "mem_manager.layers." + std::to_string(layer - 1) + ".1.1.";
    shapes[conv + "weight"] = {2 * config.kv_dim(), config.kv_dim(), config.compressed_mem_factor};
    shapes[conv + "bias"] = {2 * config.kv_dim()};
  }
}

void check_names_and_shapes(const TensorMap& stored, const Shapes& expected) {
  Problems missing("missing"), unknown("unknown"), wrong("of another shape than config.json gives");
  for (const auto& [name, shape] : expected) {
    const auto found = stored.find(name);
    if (found == stored.end()) {
      missing.add(name);
    } else if (found->second.sizes() != at::IntArrayRef(shape)) {
      wrong.add(name + " " + shape_text(found->second.sizes().vec()) + " instead of " + shape_text(shape));
    } else if (found->second.scalar_type() == at::kChar && !stored.contains(name + kScaleSuffix)) {
      missing.add(name + kScaleSuffix);
    }
  }
  for (const auto& [name, tensor] : stored) {
    if (expected.contains(name)) continue;
    const auto of =
        name.ends_with(kScaleSuffix) ? stored.find(name.substr(0, name.size() - 6)) : stored.end();
    if (of == stored.end() || of->second.scalar_type() != at::kChar || !expected.contains(of->first))
      unknown.add(shown(name));
  }
  const auto text = missing.text() + unknown.text() + wrong.text();
  if (!text.empty())
    throw std::runtime_error("does not hold the tensors of the model that config.json describes: " + text +
                             "use the config.json that belongs to it");
}

at::Tensor dequantize(const std::string& name, const at::Tensor& stored, const at::Tensor& scale) {
  if (stored.dim() != 2) throw std::runtime_error("tensor " + name + " is I8, but only matrices may be");
  if (scale.scalar_type() != at::kFloat || scale.dim() != 1 || scale.size(0) != stored.size(0))
    throw std::runtime_error("tensor " + name + kScaleSuffix + " is not F32 [" +
                             std::to_string(stored.size(0)) + "], one scale for each row of " + name);
  return stored.to(at::kFloat).mul_(scale.unsqueeze(1));
}

at::Tensor to_fp32(const std::string& name, const TensorMap& stored) {
  const auto& tensor = stored.at(name);
  at::Tensor result;
  switch (tensor.scalar_type()) {
    case at::kFloat:
      result = tensor.clone();
      break;
    case at::kBFloat16:
    case at::kHalf:
      result = tensor.to(at::kFloat);
      break;
    case at::kChar:
      result = dequantize(name, tensor, stored.at(name + kScaleSuffix));
      break;
    default:
      throw std::runtime_error("tensor " + name + " has the type " + c10::toString(tensor.scalar_type()) +
                               "; parameters are F32, BF16, F16 or I8");
  }
  if (!all_finite(result))
    throw std::runtime_error(
        "tensor " + name +
        " holds values that are not finite numbers; the file is damaged or its training diverged");
  return result;
}

void quantize(const std::string& name, const at::Tensor& tensor, TensorMap& stored) {
  const auto rows = int8_rows(tensor.to(at::kFloat));
  stored[name] = rows.numbers.to(at::kChar);
  stored[name + kScaleSuffix] = rows.scale;
}

TensorMap convert(const TensorMap& parameters, const std::string& dtype) {
  if (dtype != "fp32" && dtype != "bf16" && dtype != "int8")
    throw std::runtime_error("cannot be stored as " + shown(dtype) + ": use fp32, bf16 or int8");
  TensorMap stored;
  for (const auto& [name, parameter] : parameters) {
    const auto tensor = parameter.detach();
    if (dtype == "int8" && tensor.dim() == 2 && name.ends_with(".weight") && tensor.numel() > 0) {
      quantize(name, tensor, stored);
    } else {
      stored[name] = tensor.to(dtype == "fp32" ? at::kFloat : at::kBFloat16);
    }
  }
  return stored;
}

}  // namespace

Shapes expected_parameters(const ModelConfig& config) {
  Shapes shapes;
  shapes["token_emb.weight"] = {config.num_tokens, config.dim};
  for (std::int64_t layer = 1; layer <= config.depth; ++layer) add_layer(shapes, layer, config);
  if (config.dynamic_position_bias) add_position_bias(shapes, config);
  add_norm(shapes, "to_logits.0.", config);
  shapes["to_logits.1.weight"] = {config.num_tokens, config.dim};
  return shapes;
}

TensorMap load_parameters(const std::filesystem::path& directory, const ModelConfig& config) {
  const auto file = directory / "model.safetensors";
  const auto stored = read_safetensors(file);
  try {
    const auto expected = expected_parameters(config);
    check_names_and_shapes(stored, expected);
    TensorMap parameters;
    for (const auto& [name, shape] : expected) parameters.emplace(name, to_fp32(name, stored));
    return parameters;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

std::string storage_dtype(const std::filesystem::path& directory) {
  const auto stored = read_safetensors(directory / "model.safetensors");
  const auto matrix = stored.find("to_logits.1.weight");
  if (matrix == stored.end()) return "fp32";
  const auto type = matrix->second.scalar_type();
  return type == at::kChar ? "int8" : type == at::kBFloat16 ? "bf16" : "fp32";
}

TensorMap cast_for_products(TensorMap parameters, const std::string& dtype) {
  if (dtype == "fp32") return parameters;
  for (auto& [name, tensor] : parameters) {
    if (name.ends_with(".weight") && tensor.dim() == 2 && name != "token_emb.weight")
      tensor = tensor.to(at::kBFloat16);
  }
  return parameters;
}

void save_checkpoint(const std::filesystem::path& directory, const ModelConfig& config,
                     const TensorMap& parameters, const std::string& dtype) {
  const auto file = directory / "model.safetensors";
  TensorMap stored;
  nlohmann::json json = to_json(config);
  try {
    parse_model_config(json);  // throws if the result could not be loaded again
    check_names_and_shapes(parameters, expected_parameters(config));
    stored = convert(parameters, dtype);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(file.string() + ": not written: " + error.what());
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw std::runtime_error(directory.string() + ": cannot be made: " + error.message());
  AtomicFile config_file(directory / "config.json");
  config_file.write(json.dump(2) + "\n");
  write_safetensors(file, stored, {{"format", "pt"}});
  config_file.commit();
}

}  // namespace unroll
