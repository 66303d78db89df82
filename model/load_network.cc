#include "model/load_network.h"

#include <future>
#include <memory>
#include <stdexcept>
#include <string>
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

/// Sets loaded.network to the form for GPUs, or loaded.form_problem to the reason why there is none.
void load_gpu_form(const BlockRecurrentTransformer& definition, const ModelOptions& options,
                   LoadedNetwork& loaded) {
  if (!GpuTransformer::computes(definition.config())) {
    loaded.form_problem = "the checkpoint has options that the kernels do not compute";
    return;
  }
  auto [machine, missing] = load_cuda_kernels();
  if (machine)
    use_gpu_form(definition, std::move(machine), options.gpu_graphs, loaded);
  else
    loaded.form_problem = missing;
  const auto& problem = loaded.form_problem;
  if (problem.empty()) return;
  const char* consequence =
      loaded.network ? "blocks are launched kernel by kernel, because no graph was captured: "
                     : "the GPU computes with LibTorch's operators, not with this program's kernels: ";
  TORCH_WARN(consequence, problem);
}

}  // namespace

std::unique_ptr<Network> plain_network(BlockRecurrentTransformer definition) {
  const auto shape = shape_of(definition.config());
  return std::make_unique<PlainNetwork<BlockRecurrentTransformer>>(std::move(definition), shape);
}

void use_gpu_form(const BlockRecurrentTransformer& definition, std::unique_ptr<RowMachine> machine,
                  bool graphs, LoadedNetwork& loaded) {
  const bool bf16 = loaded.dtype == "bf16";
  auto form = std::make_unique<GpuTransformer>(definition, std::move(machine),
                                               bf16 ? at::kBFloat16 : at::kFloat, graphs);
  loaded.form_problem = self_check(definition, *form, recorded_batches()).problem(check_tolerance(bf16));
  if (loaded.form_problem.empty()) {
    loaded.form_problem = form->recording_failure();
    loaded.form = graphs && loaded.form_problem.empty() ? "kernels+graphs" : "kernels";
    loaded.network = std::move(form);
  } else if (const auto lost = form->device_lost(); !lost.empty()) {
    throw std::runtime_error(
        "the GPU failed (" + lost +
        ") while this program's kernels were checked, and this process can no longer use "
        "it; start again with device cuda-plain, which uses LibTorch's operators alone. " +
        "The check: " + loaded.form_problem);
  }
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
  if (!packed && loaded.dtype == "int8")
    throw std::runtime_error("this model cannot be computed in int8; use --dtype fp32 or bf16");
  auto definition = load_transformer(model, options);
  for (const auto& [name, tensor] : definition.parameters()) {
    if (BlockRecurrentTransformer::is_trainable(name)) loaded.parameters += tensor.numel();
  }
  const auto& shape = definition.config();  // embeddings stay in fp32
  const auto embedding = shape.num_tokens * shape.dim, width = bytes_of(loaded.dtype);
  loaded.weight_bytes =
      static_cast<std::uint64_t>(loaded.parameters * width + embedding * (bytes_of("fp32") - width));
  // Of the weights in fp32, so that whatever computes in this dtype can continue the states. Reads every
  // weight, as packing does: run both in parallel.
  auto of_weights = std::async(std::launch::async, [&] {
    return fingerprint(to_json(definition.config()).dump(), definition.parameters(), loaded.dtype);
  });
  if (packed) {
    loaded.network = std::make_unique<PackedTransformer>(definition, arithmetic_of(loaded.dtype));
    loaded.form = "packed";
  }
  loaded.fingerprint = of_weights.get();
  if (packed) return loaded;

  definition = {shape, cast_for_products(definition.parameters(), loaded.dtype)};
  if (device.is_cuda()) {
    at::globalContext().setAllowBF16ReductionCuBLAS(false);  // partial sums are added in fp32
    if (options.device != "cuda-plain") load_gpu_form(definition, options, loaded);
  }
  if (!loaded.network) loaded.network = plain_network(std::move(definition));
  return loaded;
}

}  // namespace unroll
