#include "model/load_network.h"

#include <future>
#include <utility>

#include <ATen/ATen.h>

#include "model/block_state.h"
#include "model/checkpoint.h"
#include "model/cpu/packed_transformer.h"
#include "model/cuda_library.h"
#include "model/gpu/gpu_transformer.h"
#include "model/gpu/self_check.h"
#include "model/load_transformer.h"
#include "model/plain_network.h"
#include "model/pretrained/load_pretrained.h"

namespace unroll {
namespace {

// Differences that rounding to bf16, or another order of sums in fp32, causes between two correct results.
constexpr double kBf16Tolerance = 0.05, kFp32Tolerance = 1e-3;

/// The form for GPUs; null if there is none for this network, or if it failed its self-check. Then a warning
/// gives the reason.
std::unique_ptr<Network> gpu_form(const BlockRecurrentTransformer& definition, const ModelOptions& options,
                                  const std::string& dtype) {
  if (!options.gpu_kernels || !GpuTransformer::computes(definition.config())) return nullptr;
  auto [machine, problem] = load_cuda_kernels();
  if (machine) {
    at::globalContext().setAllowBF16ReductionCuBLAS(false);  // partial sums are added in fp32
    const auto numbers = dtype == "bf16" ? at::kBFloat16 : at::kFloat;
    auto form = std::make_unique<GpuTransformer>(definition, std::move(machine), numbers, options.gpu_graphs);
    problem = self_check(definition, *form, numbers == at::kBFloat16 ? kBf16Tolerance : kFp32Tolerance);
    if (problem.empty()) {
      const auto failure = form->recording_failure();
      if (!failure.empty())
        TORCH_WARN("blocks are launched kernel by kernel, because no graph was captured: ", failure);
      return form;
    }
  }
  TORCH_WARN("the GPU computes with LibTorch's operators, not with this program's kernels: ", problem);
  return nullptr;
}

}  // namespace

std::unique_ptr<Network> plain_network(BlockRecurrentTransformer definition) {
  const auto shape = shape_of(definition.config());
  return std::make_unique<PlainNetwork<BlockRecurrentTransformer>>(std::move(definition), shape);
}

LoadedNetwork load_network(const std::filesystem::path& model, const ModelOptions& options) {
  if (is_pretrained(model)) return load_pretrained_network(model, options);
  LoadedNetwork loaded;
  const auto device = choose_device(options.device);
  const bool packs = PackedTransformer::computes(load_model_config(model / "config.json"));
  loaded.dtype = device.is_cpu()           ? choose_dtype(options, packs && options.dtype == "auto" &&
                                                                       storage_dtype(model) == "int8")
                 : options.dtype == "auto" ? "bf16"
                                           : options.dtype;
  const bool packed = packs && device.is_cpu() && cpu_supports(arithmetic_of(loaded.dtype));
  auto plain = options;
  plain.dtype = packed ? "fp32" : loaded.dtype;
  auto definition = load_transformer(model, plain);
  for (const auto& [name, tensor] : definition.parameters()) {
    if (BlockRecurrentTransformer::is_trainable(name)) loaded.parameters += tensor.numel();
  }
  const auto& shape = definition.config();  // embeddings stay in fp32
  const auto embedding = shape.num_tokens * shape.dim, width = bytes_of(loaded.dtype);
  loaded.weight_bytes =
      static_cast<std::uint64_t>(loaded.parameters * width + embedding * (bytes_of("fp32") - width));
  // Reads every weight, as packing does: run both in parallel.
  auto of_weights = std::async(std::launch::async, [&] {
    return fingerprint(to_json(definition.config()).dump(), definition.parameters(), loaded.dtype);
  });
  if (packed) {
    loaded.network = std::make_unique<PackedTransformer>(definition, arithmetic_of(loaded.dtype));
  } else if (device.is_cuda()) {
    loaded.network = gpu_form(definition, options, loaded.dtype);
  }
  loaded.fingerprint = of_weights.get();
  if (!loaded.network) loaded.network = plain_network(std::move(definition));
  return loaded;
}

}  // namespace unroll
