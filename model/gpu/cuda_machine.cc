// libunroll_cuda.so: RowMachine for NVIDIA GPUs. Compiled and linked, but never run.
#include <exception>
#include <utility>

#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "model/gpu/cuda_programs.h"
#include "model/gpu/row_machine.h"

namespace unroll {
namespace {

class Graph final : public Recording {
 public:
  /// During its lifetime, work for this stream is recorded instead of executed. Other threads are not
  /// affected.
  class Capture {
   public:
    explicit Capture(at::cuda::CUDAGraph& graph) : graph_(graph) {
      graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    }
    ~Capture() {
      if (ended_) return;
      try {
        graph_.capture_end();
      } catch (const std::exception&) {  // the work's own error is being thrown and says more
      }
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    void end() {
      ended_ = true;
      graph_.capture_end();
    }

   private:
    at::cuda::CUDAGraph& graph_;
    bool ended_ = false;
  };

  at::cuda::CUDAGraph& graph() { return graph_; }
  void play() override { graph_.replay(); }

 private:
  at::cuda::CUDAGraph graph_;
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
    // The default stream cannot be recorded. Libraries create handles and workspaces on first use, which a
    // recording does not allow, so run once first.
    c10::cuda::device_synchronize();
    const c10::cuda::CUDAStreamGuard aside(c10::cuda::getStreamFromPool());
    work();
    c10::cuda::device_synchronize();
    auto recorded = std::make_unique<Graph>();
    Graph::Capture capture(recorded->graph());
    work();
    capture.end();
    c10::cuda::device_synchronize();
    return recorded;
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
