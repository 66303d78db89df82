// A full block in the middle of documents is the same work every time. It is recorded once for each number of
// documents and replayed, which on a GPU saves launching hundreds of kernels one by one (a CUDA graph).
// Numbers of documents are rounded up to powers of two, so that there are few recordings; above the largest,
// the cost of launching is negligible.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "model/gpu/row_machine.h"
#include "model/recurrence.h"

namespace unroll {

class BlockRecordings {
 public:
  static constexpr std::int64_t kMostDocuments = 8;
  /// As Network::forward_block(), on the device, without waiting.
  using Work = std::function<at::Tensor(const at::Tensor& tokens, Recurrence& recurrence)>;

  /// `machine` must outlive this.
  BlockRecordings(RowMachine& machine, Work work) : machine_(machine), work_(std::move(work)) {}

  /// Does the same as work(tokens, recurrence), for a full block whose memories are full; `tokens` may be on
  /// the host. Returns nothing if there are too many documents, or after recording has failed once.
  std::optional<at::Tensor> run(const at::Tensor& tokens, Recurrence& recurrence);
  /// Why recording has failed; empty if it has not.
  const std::string& failure() const { return failure_; }

 private:
  /// Recorded tensors for a fixed number of documents; unused rows hold data of other documents.
  struct Block {
    at::Tensor tokens, hidden;
    Recurrence before, after;
    std::unique_ptr<Recording> recording;
  };
  Block& block_for(const at::Tensor& tokens, const Recurrence& recurrence);

  RowMachine& machine_;
  Work work_;
  std::string failure_;
  std::map<std::int64_t, Block> blocks_;  // by number of documents
};

}  // namespace unroll
