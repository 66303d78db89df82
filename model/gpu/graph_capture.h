// How work is captured as a CUDA graph, apart from CUDA itself: cuda_machine.cc supplies the steps for a GPU;
// the tests supply steps that fail.
#pragma once

#include <functional>
#include <mutex>

namespace unroll {

/// One capture, into a graph whose memory comes from a pool of its own. Any step may throw.
class CaptureSteps {
 public:
  virtual ~CaptureSteps() = default;
  /// Waits for what this thread has launched so far, and for nothing else: another thread may be using the
  /// device.
  virtual void wait() = 0;
  /// Directs this thread's allocations to the pool, then begins to record its launches.
  virtual void begin() = 0;
  /// Undoes both and makes the graph playable.
  virtual void end() = 0;
  /// Destroys what there is of the graph, which ends its use of the pool if it was complete.
  virtual void reset() = 0;

  enum class Memory { kDevice, kPinned };
  /// Ends the direction of allocations to the pool; throws if there is none.
  virtual void end_allocation(Memory memory) = 0;
  /// Whether the allocators still count a use of the pool. They do so together.
  virtual bool holds_pool() = 0;
  virtual void release_pool(Memory memory) = 0;
};

namespace graph_capture {

template <typename Step>
void attempt(Step&& step) noexcept {
  try {
    step();
  } catch (...) {  // this step had not been reached, or the library has undone it
  }
}

/// LibTorch 2.11 does not undo a capture that failed: its allocators stay in capture mode, with a filter that
/// refers to the graph, and keep the pool (pytorch issues 180395 and 190348). Later versions undo a part.
inline void undo(CaptureSteps& steps, bool end_reached) noexcept {
  using enum CaptureSteps::Memory;
  if (!end_reached) attempt([&] { steps.end(); });
  for (const auto memory : {kDevice, kPinned}) attempt([&] { steps.end_allocation(memory); });
  attempt([&] { steps.reset(); });
  attempt([&] {
    if (!steps.holds_pool()) return;  // a second release would corrupt the count
    for (const auto memory : {kDevice, kPinned}) attempt([&] { steps.release_pool(memory); });
  });
}

}  // namespace graph_capture

/// Captures `work`, which runs twice. If anything fails, undoes everything and throws the first error. One
/// thread of the process captures at a time; others wait.
inline void capture(CaptureSteps& steps, const std::function<void()>& work) {
  static std::mutex capturing;
  const std::lock_guard lock(capturing);
  work();  // libraries create handles and workspaces on first use, which a capture does not allow
  steps.wait();
  bool end_reached = false;
  try {
    steps.begin();
    work();
    end_reached = true;
    steps.end();
  } catch (...) {
    graph_capture::undo(steps, end_reached);
    throw;
  }
}

}  // namespace unroll
