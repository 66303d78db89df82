// Training processes that share a run: each takes some of the lanes, and gradients are summed over all
// (LibTorch's c10d with Gloo). torchrun, mpirun, Slurm or a shell starts them, each with the same command;
// the environment says who is who.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

namespace unroll {

/// Calls are collective: each process makes the same ones in the same order. All throw std::runtime_error if
/// another process is gone.
class WorkerGroup {
 public:
  /// By MASTER_ADDR, MASTER_PORT, and RANK and WORLD_SIZE (or Open MPI's or Slurm's names for them): returns
  /// once all processes are there. Null without MASTER_ADDR, or if there is one process alone. Throws
  /// std::runtime_error.
  static std::unique_ptr<WorkerGroup> from_environment();
  ~WorkerGroup();

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool leads() const { return rank_ == 0; }  ///< Who writes, validates and reports.

  /// Sums contiguous fp32 tensors over all processes, in place; the same bits for each.
  void sum(const std::vector<at::Tensor>& tensors);
  double sum(double value);
  /// The leader's.
  double broadcast(double value);
  void barrier();
  /// The processes' tensors, of equal shapes, joined along `dimension` in order of rank; for the leader
  /// alone.
  at::Tensor gather(const at::Tensor& tensor, std::int64_t dimension);

 private:
  struct Connection;
  WorkerGroup(int rank, int size, std::unique_ptr<Connection> connection);

  int rank_, size_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace unroll
