// The steps that compare results.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "bench/model/logprobs.h"
#include "bench/model/steps.h"
#include "model/block_recurrent_transformer.h"
#include "model/cuda_library.h"
#include "model/gpu/gpu_transformer.h"
#include "model/gpu/self_check.h"
#include "model/load_transformer.h"

namespace unroll {
namespace {

std::unique_ptr<RowMachine> machine_for(const std::string& device) {
  if (device == "cpu") return std::make_unique<SerialMachine>();
  auto [machine, problem] = load_cuda_kernels();
  if (!machine) throw std::runtime_error("no kernels: " + problem);
  return std::move(machine);
}

/// A row for each number of documents and block: the largest difference, and of which tensor.
void print_differences(const SelfCheck& check) {
  std::map<std::pair<std::int64_t, std::int64_t>, const SelfCheck::Difference*> worst;
  for (const auto& each : check.differences) {
    auto& found = worst[{each.documents, each.block}];
    if (!found || each.value > found->value) found = &each;
  }
  std::printf("| documents | block | largest difference | of |\n|---|---|---|---|\n");
  for (const auto& [place, found] : worst)
    std::printf("| %ld | %ld | %.2e | %s |\n", static_cast<long>(place.first),
                static_cast<long>(place.second), found->value, found->tensor.c_str());
}

/// All of them, if one is too large: what differs first says most.
void print_all(const SelfCheck& check) {
  std::printf("\n| documents | block | tensor | difference |\n|---|---|---|---|\n");
  for (const auto& [documents, block, tensor, value] : check.differences)
    std::printf("| %ld | %ld | %s | %.2e |\n", static_cast<long>(documents), static_cast<long>(block),
                tensor.c_str(), value);
}

void check_form(const Bench& bench, const ModelConfig& config, bool bf16, bool graphs) {
  const auto device = choose_device(bench.device);
  auto parameters = random_parameters(config);
  for (auto& [name, tensor] : parameters) {
    const bool matrix = name.ends_with(".weight") && tensor.dim() == 2 && name != "token_emb.weight";
    tensor = tensor.to(device, bf16 && matrix ? at::kBFloat16 : at::kFloat);
  }
  const BlockRecurrentTransformer definition(config, std::move(parameters));
  GpuTransformer form(definition, machine_for(bench.device), bf16 ? at::kBFloat16 : at::kFloat, graphs);
  const auto check = self_check(definition, form, recorded_batches());
  std::printf("\n%s, %s, memory of %ld blocks:\n", bf16 ? "bf16" : "fp32", graphs ? "graphs" : "no graphs",
              static_cast<long>(config.memory_blocks));
  print_differences(check);
  auto problem = check.problem(check_tolerance(bf16));
  if (!problem.empty()) print_all(check);
  if (problem.empty()) problem = form.recording_failure();
  if (const auto lost = form.device_lost(); !lost.empty()) problem += "; the GPU is lost: " + lost;
  std::fflush(stdout);
  if (!problem.empty()) throw std::runtime_error(problem);
}

void check_forms(const Bench& bench, bool graphs) {
  auto config = readme_config();
  if (bench.device == "cpu") {  // only to try the steps: one thread runs all rows
    config.num_tokens = 1000;
    config.dim = 128;
    config.depth = 3;
    config.num_state_vectors = config.block_width = 64;
    config.recurrent_layers = config.read_recurrent_layers = {2};
  }
  for (const bool bf16 : {false, true})
    for (const std::int64_t blocks : {1, 3}) {
      config.memory_blocks = blocks;
      check_form(bench, config, bf16, graphs);
    }
}

}  // namespace

void check_programs(const Bench& bench) {
  check_forms(bench, false);
}

void check_graphs(const Bench& bench) {
  check_forms(bench, true);
}

void check_agreement(const Bench& bench) {
  const auto wanted = logprobs_of(*load_block_model(bench.checkpoint, {.device = "cpu", .dtype = "fp32"}));
  std::printf(
      "| numbers | by | log-probabilities differ by, mean | at most | alone and among %zu "
      "|\n|---|---|---|---|---|\n",
      kAgreementDocuments);
  for (const bool bf16 : {false, true})
    for (const bool graphs : {false, true}) {
      if (bench.device == "cpu" && graphs) continue;
      const auto model = load_block_model(
          bench.checkpoint, {.device = bench.device, .dtype = bf16 ? "bf16" : "fp32", .gpu_graphs = graphs});
      const auto found = compare_logprobs(*model, wanted);
      std::printf("| %s | %s | %.2e | %.2e | %s |\n", bf16 ? "bf16" : "fp32", model->info().form.c_str(),
                  found.mean, found.most, found.same_alone ? "same bits" : "different bits");
      std::fflush(stdout);
      if (!(found.mean <= (bf16 ? 0.05 : 1e-3)))
        throw std::runtime_error("log-probabilities differ from the CPU's by more than rounding explains");
    }
}

}  // namespace unroll
