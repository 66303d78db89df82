#include "model/load_transformer.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/choices.h"
#include "model/checkpoint.h"
#include "model/cpu/fastest_arithmetic.h"
#include "model/cpu/packed_transformer.h"
#include "model/cuda_library.h"

namespace unroll {

at::Device choose_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (std::ranges::find(kDevices, name) == kDevices.end())
    throw std::runtime_error("unknown device '" + name + "': use " + in_words(kDevices));
  const auto reason = load_cuda();
  if (reason.empty()) return at::kCUDA;
  if (name == "auto") return at::kCPU;
  throw std::runtime_error("device " + name + ": " + reason + "; use --device cpu");
}

std::string choose_dtype(const ModelOptions& options, bool stored_in_int8) {
  const auto& name = options.dtype;
  if (name == "auto") {
    const auto fastest = fastest_arithmetic(arithmetic_speeds(options.speeds_file), stored_in_int8);
    return fastest == Arithmetic::kInt8 ? "int8" : fastest == Arithmetic::kBf16 ? "bf16" : "fp32";
  }
  if (std::ranges::find(kDtypes, name) == kDtypes.end())
    throw std::runtime_error("unknown dtype '" + name + "': use " + in_words(kDtypes));
  if (name == "int8" && !cpu_supports(Arithmetic::kInt8))
    throw std::runtime_error("dtype int8 needs a CPU with AVX-512 VNNI, which this one lacks; use auto");
  return name;
}

Arithmetic arithmetic_of(const std::string& dtype) {
  return dtype == "int8" ? Arithmetic::kInt8 : dtype == "bf16" ? Arithmetic::kBf16 : Arithmetic::kFp32;
}

BlockRecurrentTransformer load_transformer(const std::filesystem::path& directory,
                                           const ModelOptions& options) {
  const auto device = choose_device(options.device);
  if (options.threads > 0) at::set_num_threads(options.threads);
  auto config = load_model_config(directory / "config.json");
  apply_settings(config, options.settings);
  auto parameters = load_parameters(directory, config);
  for (auto& [name, tensor] : parameters) tensor = tensor.to(device);
  return {std::move(config), std::move(parameters)};
}

}  // namespace unroll
