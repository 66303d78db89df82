// Training processes that share a run: each takes some of the lanes, and gradients are summed over all
// (LibTorch's c10d with Gloo). torchrun, mpirun, Slurm or a shell starts them, each with the same command;
// the environment gives each its rank.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

namespace unroll {

/// Calls are collective: each process must make the same ones in the same order. All throw std::runtime_error
/// if another process is gone.
class WorkerGroup {
 public:
  /// Uses MASTER_ADDR, MASTER_PORT, and RANK and WORLD_SIZE (or Open MPI's or Slurm's names for them).
  /// Returns when all processes have joined; null without MASTER_ADDR or with only one process. Throws
  /// std::runtime_error.
  static std::unique_ptr<WorkerGroup> from_environment();
  ~WorkerGroup();

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool leads() const { return rank_ == 0; }  ///< The leader writes, validates and reports.

  /// Sums contiguous fp32 tensors over all processes in place; bitwise equal in all of them.
  void sum(const std::vector<at::Tensor>& tensors);
  double sum(double value);
  /// Returns the leader's value.
  double broadcast(double value);
  void barrier();
  /// The processes' tensors, of equal shapes, concatenated along `dimension` in order of rank; only for the
  /// leader.
  at::Tensor gather(const at::Tensor& tensor, std::int64_t dimension);

 private:
  struct Connection;
  WorkerGroup(int rank, int size, std::unique_ptr<Connection> connection);

  int rank_, size_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace unroll
