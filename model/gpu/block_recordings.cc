#include "model/gpu/block_recordings.h"

#include <bit>
#include <exception>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

namespace unroll {
namespace {

constexpr std::int64_t kMemoryBatch = 1, kStateBatch = 0;  // dimensions

/// Views of the first `batch` documents of all tensors.
std::vector<at::Tensor> tensors_of(const Recurrence& recurrence, std::int64_t batch) {
  std::vector<at::Tensor> tensors;
  for (const auto& memory : recurrence.memories) tensors.push_back(memory.narrow(kMemoryBatch, 0, batch));
  for (const auto& state : recurrence.states) tensors.push_back(state.narrow(kStateBatch, 0, batch));
  return tensors;
}

/// Zeros for `batch` documents, which follow each other in memory: those of the first few are dense, too.
std::vector<at::Tensor> widened(const std::vector<at::Tensor>& tensors, std::int64_t dimension,
                                std::int64_t batch) {
  std::vector<at::Tensor> result;
  for (const auto& tensor : tensors) {
    auto sizes = tensor.transpose(0, dimension).sizes().vec();
    sizes.front() = batch;
    result.push_back(at::zeros(sizes, tensor.options()).transpose(0, dimension));
  }
  return result;
}

/// Copies with the same strides: then a GPU makes all in one launch.
std::vector<at::Tensor> copies_of(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> copies;
  for (const auto& tensor : tensors) copies.push_back(empty_copy_of(tensor));
  if (!copies.empty()) at::_foreach_copy_(copies, tensors);
  return copies;
}

}  // namespace

BlockRecordings::Block& BlockRecordings::block_for(const at::Tensor& tokens, const Recurrence& recurrence) {
  const auto batch = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(tokens.size(0))));
  auto& block = blocks_[batch];
  if (block.tokens.defined()) return block;
  const auto& any = recurrence.states.empty() ? recurrence.memories : recurrence.states;
  block.tokens = at::zeros({batch, tokens.size(1)}, any.front().options().dtype(at::kLong));
  block.before.memories = widened(recurrence.memories, kMemoryBatch, batch);
  block.before.states = widened(recurrence.states, kStateBatch, batch);
  return block;
}

std::optional<at::Tensor> BlockRecordings::run(const at::Tensor& tokens, Recurrence& recurrence) {
  const auto batch = tokens.size(0);
  if (!failure_.empty() || batch > kMostDocuments ||
      (recurrence.memories.empty() && recurrence.states.empty()))
    return std::nullopt;
  auto& block = block_for(tokens, recurrence);
  block.tokens.narrow(0, 0, batch).copy_(tokens, true);
  at::_foreach_copy_(tensors_of(block.before, batch), tensors_of(recurrence, batch));
  if (!block.recording) {
    try {
      block.recording = machine_.record([this, &block] {
        block.after = block.before;
        block.hidden = work_(block.tokens, block.after);
      });
    } catch (const std::exception& error) {
      failure_ = error.what();
      blocks_.clear();
      return std::nullopt;
    }
  }
  block.recording->play();
  // Copies, because the next block of any document overwrites these results.
  auto results = tensors_of(block.after, batch);
  results.push_back(block.hidden.narrow(0, 0, batch));
  results = copies_of(results);
  for (std::size_t i = 0; i < recurrence.memories.size(); ++i) recurrence.memories[i] = results[i];
  for (std::size_t i = 0; i < recurrence.states.size(); ++i)
    recurrence.states[i] = results[recurrence.memories.size() + i];
  return results.back();
}

}  // namespace unroll
