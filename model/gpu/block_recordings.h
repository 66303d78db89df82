// A full block in the middle of documents is the same work every time: it is recorded once for each number of
// documents and played again, which on a GPU spares launching some hundred kernels one by one (a CUDA graph).
// Numbers of documents are rounded up to powers of two, so that there are few recordings; above the largest,
// launching is no matter.
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
  /// As Network::forward_block(), on the device, waiting for nothing.
  using Work = std::function<at::Tensor(const at::Tensor& tokens, Recurrence& recurrence)>;

  /// Both outlive this.
  BlockRecordings(RowMachine& machine, Work work) : machine_(machine), work_(std::move(work)) {}

  /// What work(tokens, recurrence) does, for a full block whose memories are full; `tokens` may be on the
  /// host. Nothing where there are too many documents, or recording has failed once.
  std::optional<at::Tensor> run(const at::Tensor& tokens, Recurrence& recurrence);
  /// Why there are no recordings any more; empty: there are.
  const std::string& failure() const { return failure_; }

 private:
  /// Of so many documents; those beyond the ones that are asked for hold what is left of others.
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
