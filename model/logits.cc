#include "model/logits.h"

#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "model/load_network.h"
#include "model/safetensors.h"

namespace unroll {
namespace {

constexpr std::int64_t kMaxLogits = std::int64_t{1} << 31;  // values, 8 GiB: all are held at once

at::Tensor read_tokens(const std::filesystem::path& file, std::int64_t num_tokens) {
  const auto tensors = read_safetensors(file);
  const auto fail = [&](const std::string& problem) {
    throw std::runtime_error(file.string() + ": " + problem);
  };
  const auto found = tensors.find("tokens");
  if (found == tensors.end()) fail("has no tensor named tokens; it must be int64 [batch, length]");
  const auto& tokens = found->second;
  if (tokens.scalar_type() != at::kLong || tokens.dim() != 2)
    fail(std::string("tokens is ") + c10::toString(tokens.scalar_type()) + " of " +
         std::to_string(tokens.dim()) + " dimensions; it must be int64 [batch, length]");
  if (tokens.numel() == 0) fail("tokens is empty");
  if (tokens.numel() > kMaxLogits / num_tokens)
    fail("the logits of " + std::to_string(tokens.numel()) +
         " tokens would take more than 8 GiB; give at most " + std::to_string(kMaxLogits / num_tokens));
  const auto* ids = tokens.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < tokens.numel(); ++i) {
    if (ids[i] < 0 || ids[i] >= num_tokens)
      fail("token " + std::to_string(ids[i]) + " at [" + std::to_string(i / tokens.size(1)) + ", " +
           std::to_string(i % tokens.size(1)) + "] is not in the model's vocabulary of " +
           std::to_string(num_tokens));
  }
  return tokens;
}

}  // namespace

void write_logits(const std::filesystem::path& model, const std::filesystem::path& tokens_file,
                  const std::filesystem::path& out_file, const ModelOptions& options) {
  const c10::InferenceMode guard;
  const auto network = load_network(model, options).network;
  const auto& shape = network->shape();
  const auto tokens = read_tokens(tokens_file, shape.num_tokens);

  std::vector<at::Tensor> logits;
  Recurrence recurrence, after_full;
  for (const auto& block : tokens.split(shape.block_width, 1)) {
    const auto hidden = network->forward_block(block, recurrence);
    logits.push_back(network->logits(hidden.flatten(0, 1)).unflatten(0, {block.size(0), block.size(1)}));
    if (block.size(1) == shape.block_width) after_full = recurrence;
  }

  TensorMap out{{"logits", at::cat(logits, 1)}};
  for (std::size_t i = 0; i < after_full.memories.size(); ++i)
    out["memories." + std::to_string(i)] = after_full.memories[i];
  for (std::size_t i = 0; i < after_full.states.size(); ++i)
    out["states." + std::to_string(i)] = after_full.states[i];
  write_safetensors(out_file, out);
}

}  // namespace unroll
