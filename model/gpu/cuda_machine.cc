// libunroll_cuda.so: RowMachine for NVIDIA GPUs. Compiled and linked, but never run.
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "model/gpu/cuda_programs.h"
#include "model/gpu/graph_capture.h"
#include "model/gpu/row_machine.h"

namespace unroll {
namespace {

class Graph final : public Recording {
 public:
  at::cuda::CUDAGraph& graph() { return graph_; }
  void play() override { graph_.replay(); }

 private:
  at::cuda::CUDAGraph graph_;
};

/// Captures what this thread launches in its current stream, which must not be the default one.
class GraphCapture final : public CaptureSteps {
 public:
  explicit GraphCapture(at::cuda::CUDAGraph& graph) : graph_(graph) {}
  void wait() override { c10::cuda::getCurrentCUDAStream().synchronize(); }
  void begin() override { graph_.capture_begin(pool_, cudaStreamCaptureModeThreadLocal); }
  void end() override { graph_.capture_end(); }
  void reset() override { graph_.reset(); }
  void end_allocation(Memory memory) override {
    if (memory == Memory::kPinned) return pinned().end_allocate_to_pool(pool_);
    c10::cuda::CUDACachingAllocator::endAllocateToPool(device_, pool_);
  }
  bool holds_pool() override { return c10::cuda::CUDACachingAllocator::getPoolUseCount(device_, pool_) > 0; }
  void release_pool(Memory memory) override {
    if (memory == Memory::kPinned) return pinned().release_pool(pool_);
    c10::cuda::CUDACachingAllocator::releasePool(device_, pool_);
  }

 private:
  static at::HostAllocator& pinned() { return *at::getHostAllocator(at::kCUDA); }

  at::cuda::CUDAGraph& graph_;
  c10::DeviceIndex device_ = c10::cuda::current_device();
  c10::MempoolId_t pool_ = at::cuda::graph_pool_handle();
};

class CudaMachine final : public RowMachine {
 public:
  std::function<void()> mark() override {
    auto event = std::make_shared<at::cuda::CUDAEvent>();
    event->record();
    return [event] { event->synchronize(); };
  }

  void run(const RowProgram& program, std::int64_t rows) override {
    const auto stream = c10::cuda::getCurrentCUDAStream();
    std::visit([&](const auto& each) { launch_rows(each, rows, stream.stream()); }, program);
  }

  std::unique_ptr<Recording> record(std::function<void()> work) override {
    // The default stream cannot be captured.
    const auto aside = c10::cuda::getStreamFromPool();
    at::cuda::CUDAEvent before;
    before.record();
    before.block(aside);
    const c10::cuda::CUDAStreamGuard guard(aside);
    auto recorded = std::make_unique<Graph>();
    GraphCapture steps(recorded->graph());
    capture(steps, work);
    return recorded;
  }

  std::string lost() override {
    // Errors of single calls are returned once; an error that ended the context is returned by each call.
    const auto stream = c10::cuda::getCurrentCUDAStream().stream();
    cudaStreamSynchronize(stream);
    cudaGetLastError();
    const auto error = cudaStreamSynchronize(stream);
    return error == cudaSuccess ? "" : cudaGetErrorString(error);
  }
};

}  // namespace
}  // namespace unroll

/// cuda_library.cc loads this function by name. The caller owns the result; null if there is not enough
/// memory.
extern "C" __attribute__((visibility("default"))) unroll::RowMachine* unroll_cuda_machine() noexcept {
  try {
    return std::make_unique<unroll::CudaMachine>().release();
  } catch (const std::exception&) {
    return nullptr;
  }
}
