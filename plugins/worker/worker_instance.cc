#include "plugins/worker/worker_instance.h"

#include <exception>
#include <optional>
#include <utility>

#include "plugins/in_process.h"
#include "plugins/json_border.h"
#include "plugins/library.h"

namespace unroll {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMaxErrorBytes = 4096;
constexpr int kTriesAfterOutside = 5;  // retries if workers are killed from outside
constexpr int kWarning = 2;

/// A call in progress: the function, the last of its steps, and the results so
/// far.
struct Call {
  enum class Step { kWorker, kHello, kCreate, kLoad, kItself };

  std::string function;
  nlohmann::json frame;  // for kItself; null if the call only creates or loads
  std::string data;      // of that frame
  std::shared_ptr<const SharedMemory> arena;
  Clock::time_point begun = Clock::now(), deadline{};
  Step step = Step::kWorker;
  std::unique_ptr<Worker> worker;
  std::uint64_t calls_before = 0;  // the worker's calls before this one
  int tries = 0;
  std::vector<std::string> outputs;
  std::size_t emitted_bytes = 0;
  std::string fault;  // a violation that the host detected
  bool over = false;
  std::exception_ptr failure;
};

std::string_view reason_of(WorkerLost::Cause cause) {
  switch (cause) {
    case WorkerLost::Cause::kOutside:
      return "killed";
    case WorkerLost::Cause::kHung:
      return "hung";
    case WorkerLost::Cause::kMemory:
      return "memory";
    case WorkerLost::Cause::kItself:
      break;
  }
  return "crashed";
}

class WorkerInstance final : public PluginInstance {
 public:
  WorkerInstance(std::shared_ptr<WorkerPool> pool, const std::string& name, std::string_view options,
                 EmitFunction emit, PluginLogFunction log)
      : pool_(std::move(pool)),
        info_(pool_->plugin(name).info),
        saves_(pool_->plugin(name).saves),
        options_(options),
        emit_(std::move(emit)),
        log_(std::move(log)) {}
  ~WorkerInstance() override { release(); }
  WorkerInstance(const WorkerInstance&) = delete;
  WorkerInstance& operator=(const WorkerInstance&) = delete;

  /// Creates it in a worker, as every call does if it is not there.
  void create() {
    begin("create", nullptr);
    end();
  }
  /// The state in which the first call will find it.
  void restore(std::span<const std::byte> state) {
    check_saves(state);
    if (saves_) keep(state);
  }

  const PluginInfo& info() const override { return info_; }

  void begin_process(const unroll_block& block) override {
    expect(stage_ == Stage::kFresh || stage_ == Stage::kRunning, "process");
    stage_ = Stage::kRunning;
    begin("process", &block);
  }
  void begin_finish(const unroll_document_end& end) override {
    expect(stage_ == Stage::kFresh || stage_ == Stage::kRunning, "finish");
    stage_ = Stage::kFinished;
    begin("finish", nullptr,
          {{"type", "finish"}, {"tokens", end.tokens}, {"bytes", end.bytes}, {"word_end", end.word_end}});
  }

  bool wait(milliseconds time) override {
    const auto until = Clock::now() + time;
    while (!call_->over) {
      if (!advance(until)) return false;
    }
    return true;
  }

  void end() override {
    constexpr std::chrono::hours kAsLongAsItTakes{1};
    while (!wait(kAsLongAsItTakes)) {
    }
    const Call call = *std::exchange(call_, std::nullopt);
    if (call.failure) stage_ = Stage::kFailed;
    if (call.failure) std::rethrow_exception(call.failure);
    try {
      for (const auto& output : call.outputs) emit_(output);
    } catch (...) {
      stage_ = Stage::kFailed;
      throw;
    }
  }

  std::vector<std::byte> save() override {
    expect(stage_ != Stage::kFailed, "save");
    if (saves_ && !state_) create();  // restored without a state and not called since
    if (!state_) return {};
    const auto bytes = std::as_bytes(std::span(*state_));
    return {bytes.begin(), bytes.end()};
  }

  void load(std::span<const std::byte> state) override {
    expect(stage_ == Stage::kFresh, "load");
    check_saves(state);
    if (!saves_) return;
    pool_->forget(std::exchange(home_, {}));
    keep(state);
    begin("load", nullptr);
    end();
  }

  void fork(const unroll_fork_point& point) override {
    expect(stage_ == Stage::kFresh || stage_ == Stage::kRunning, "fork");
    if (!info_.forks) throw cannot_fork(info_);
    stage_ = Stage::kRunning;
    if (!saves_) return;
    const bool wants_text = (info_.wants & UNROLL_WANT_TEXT) != 0 && point.head != nullptr;
    begin("fork", nullptr, {{"type", "fork"}, {"tokens", point.tokens}, {"bytes", point.bytes}},
          wants_text ? std::string(point.head, point.head_bytes) : std::string());
    end();
  }

 private:
  using Stage = InstanceStage;
  using Step = Call::Step;

  PluginError error(unroll_status status, const std::string& text) const {
    const std::string prefix = "plugin " + info_.name + ": ";
    return {status, text.starts_with(prefix) ? text : prefix + text};
  }
  void check_saves(std::span<const std::byte> state) const {
    if (saves_ || state.empty()) return;
    throw error(UNROLL_ERROR_STATE, "a state of " + std::to_string(state.size()) +
                                        " bytes is to be loaded, but this version of it keeps none");
  }
  void keep(std::span<const std::byte> state) {
    state_.emplace(reinterpret_cast<const char*>(state.data()), state.size());
  }
  void expect(bool right, const char* function) const { expect_order(right, info_, function, stage_); }

  void begin(const char* function, const unroll_block* block, nlohmann::json frame = nullptr,
             std::string data = {}) {
    Call& call = call_.emplace();
    call.function = function;
    call.data = std::move(data);
    try {
      call.worker = pool_->take(home_, call.begun, call.begun);
      if (block != nullptr) {  // borrowed: copy it now, with or without a worker
        call.arena = pool_->take_arena(block_bytes(*block, info_.wants, info_.top_k), call.worker.get());
        frame = write_block(*block, info_.wants, info_.top_k, *call.arena);
      }
      call.frame = std::move(frame);
      if (call.worker) enter();
    } catch (...) {
      give_up();
    }
  }

  /// Makes one step; false if nothing arrived until then.
  bool advance(Clock::time_point until) {
    Call& call = *call_;
    try {
      if (!call.worker) {
        call.worker = pool_->take(home_, call.begun, until);
        if (!call.worker) return false;
        enter();
      }
      const auto left = std::min(until, call.deadline) - Clock::now();
      const auto frame = call.worker->process.receive(std::chrono::ceil<milliseconds>(left), step_name());
      if (!frame && Clock::now() < call.deadline) return false;
      if (!frame) throw call.worker->process.hang(step_name());
      take(*frame);
    } catch (...) {
      give_up();
    }
    return true;
  }

  std::string step_name() const {
    switch (call_->step) {
      case Step::kHello:
        return "loading it";
      case Step::kCreate:
        return "create";
      case Step::kLoad:
        return "load";
      default:
        return call_->function;
    }
  }

  // --- sending

  void enter() {
    Call& call = *call_;
    call.calls_before = call.worker->calls;
    if (call.worker->greeted) return enter_greeted();
    call.step = Step::kHello;
    call.deadline = Clock::now() + WorkerPool::kStartTime;
  }

  void enter_greeted() {
    Worker& worker = *call_->worker;
    if (const auto vocabulary = pool_->vocabulary(); vocabulary && !worker.knows_vocabulary) {
      worker.process.send(wire::encode({{"type", "vocabulary"}, {"count", vocabulary->count()}}),
                          vocabulary->descriptor());
      worker.knows_vocabulary = true;
    }
    if (home_.worker == worker.serial && worker.holds(home_.instance)) {
      worker.instances.remove(home_.instance);
      worker.instances.push_back(home_.instance);
      return send_itself();
    }
    pool_->forget(home_);
    if (worker.instances.size() == WorkerPool::kMaxInstances) {
      worker.process.send(wire::encode({{"type", "destroy"}, {"instance", worker.instances.front()}}));
      worker.instances.pop_front();
    }
    home_ = {worker.serial, pool_->new_instance()};
    worker.instances.push_back(home_.instance);
    send(Step::kCreate,
         {{"type", "create"}, {"instance", home_.instance}, {"plugin", info_.name}, {"options", options_}});
  }

  void send_itself() {
    Call& call = *call_;
    if (call.frame.is_null()) return close(nullptr);
    if (call.arena && call.worker->arena != call.arena) {
      call.worker->process.send(wire::encode({{"type", "arena"}, {"bytes", call.arena->size()}}),
                                call.arena->descriptor());
      call.worker->arena = call.arena;
    }
    call.frame["instance"] = home_.instance;
    send(Step::kItself, call.frame, call.data);
  }

  void send(Step step, const nlohmann::json& frame, std::string_view data = {}) {
    call_->step = step;
    call_->deadline = Clock::now() + pool_->spec().deadline;
    call_->worker->process.send(wire::encode(frame, data));
  }

  // --- receiving

  void take(const wire::Frame& frame) {
    Call& call = *call_;
    if (call.step == Step::kHello) {
      pool_->check_hello(frame);
      call.worker->greeted = true;
      enter_greeted();
    } else if (frame.type == "log") {
      if (log_)
        log_(static_cast<int>(frame.number("level")), info_.name, printable(frame.data, kMaxErrorBytes));
    } else if (frame.type == "output" && call.step == Step::kItself) {
      take_output(frame.data);
    } else if (frame.type == "done") {
      take_done(frame);
    } else {
      throw wire::Error("a frame of the type " + printable(frame.type, 32));
    }
  }

  void take_output(const std::string& json) {
    Call& call = *call_;
    if (!call.fault.empty()) return;
    if (auto why = output_fault(json); !why.empty()) {
      call.fault = "it emitted " + why;
    } else if (json.size() > kMaxEmittedBytes - call.emitted_bytes) {
      call.fault =
          "it emitted more than the " + std::to_string(kMaxEmittedBytes) + " bytes that one call may";
    } else {
      call.outputs.push_back(without_line_ends(json));
      call.emitted_bytes += json.size();
    }
  }

  void take_done(const wire::Frame& frame) {
    Call& call = *call_;
    const auto status = frame.head.at("status").get<unroll_status>();
    ++call.worker->calls;
    call.worker->process.check_memory(step_name());
    if (status != UNROLL_OK) {
      const auto said = printable(frame.text("error"), kMaxErrorBytes);
      if (call.step == Step::kCreate) std::erase(call.worker->instances, home_.instance);  // not created
      throw error(status, (said.empty() ? status_text(status) : said) + call.worker->process.memory_words());
    }
    if (!call.fault.empty()) throw error(UNROLL_ERROR_INTERNAL, call.fault);
    if (call.step == Step::kCreate && state_) {
      return send(Step::kLoad, {{"type", "load"}, {"instance", home_.instance}}, *state_);
    }
    if (saves_) state_ = frame.data;
    if (call.step == Step::kItself) return close(nullptr);
    send_itself();
  }

  // --- ending

  void close(std::exception_ptr failure) {
    Call& call = *call_;
    call.over = true;
    call.failure = std::move(failure);
    if (call.failure) call.outputs.clear();
    if (call.worker && !call.worker->greeted) {
      pool_->drop(std::move(call.worker));
    } else if (call.worker) {
      pool_->give_back(std::move(call.worker));
    }
    if (call.arena) pool_->give_back(std::move(call.arena));
    if (call.failure) pool_->forget(std::exchange(home_, {}));
  }

  /// Called in an exception handler: replaces a lost worker if a retry makes sense; else the call fails.
  void give_up() {
    Call& call = *call_;
    try {
      try {
        throw;
      } catch (const wire::Error& error) {
        throw call.worker->process.garbage(error.what(), step_name());
      } catch (const nlohmann::json::exception& error) {
        throw call.worker->process.garbage(error.what(), step_name());
      }
    } catch (const WorkerLost& lost) {
      lose(lost);
    } catch (const PluginError& failure) {
      close(std::make_exception_ptr(error(failure.status, failure.what())));
    } catch (const std::exception& failure) {  // in the host: no shared memory, no descriptor
      close(std::make_exception_ptr(error(UNROLL_ERROR_INTERNAL, failure.what())));
    }
  }

  void lose(const WorkerLost& lost) {
    Call& call = *call_;
    pool_->drop(std::move(call.worker));
    if (const auto& report = pool_->spec().lost) report(info_.name, reason_of(lost.cause), lost.what());
    home_ = {};
    call.outputs.clear();
    call.emitted_bytes = 0;
    call.fault.clear();
    ++call.tries;
    const bool again =
        lost.cause == WorkerLost::Cause::kOutside
            ? call.tries < kTriesAfterOutside
            : lost.cause == WorkerLost::Cause::kItself && call.calls_before > 0 && call.tries == 1;
    if (!again) {
      return close(std::make_exception_ptr(
          error(UNROLL_ERROR_INTERNAL, std::string("its worker ") + lost.what() + lost.last_words)));
    }
    if (log_ && !pool_->spec().lost)
      log_(kWarning, info_.name, std::string("its worker ") + lost.what() + "; retrying in a new one");
    try {
      call.worker = pool_->take_new();
      enter();
    } catch (const PluginError&) {
      close(std::current_exception());
    }
  }

  void release() noexcept {
    if (call_ && call_->worker) {
      pool_->drop(std::move(call_->worker));  // in the middle of a call
    } else {
      pool_->forget(home_);
    }
    if (call_ && call_->arena) pool_->give_back(std::move(call_->arena));
  }

  const std::shared_ptr<WorkerPool> pool_;
  const PluginInfo& info_;  // pool_'s
  const bool saves_;
  const std::string options_;
  EmitFunction emit_;
  PluginLogFunction log_;
  Stage stage_ = Stage::kFresh;
  std::optional<std::string> state_;  // after the last successful call; nullopt: stateless or new
  WorkerHome home_;
  std::optional<Call> call_;  // in progress
};

}  // namespace

std::unique_ptr<PluginInstance> create_in_worker(std::shared_ptr<WorkerPool> pool, const std::string& name,
                                                 std::string_view options, EmitFunction emit,
                                                 PluginLogFunction log) {
  auto instance =
      std::make_unique<WorkerInstance>(std::move(pool), name, options, std::move(emit), std::move(log));
  instance->create();
  return instance;
}

std::unique_ptr<PluginInstance> restore_in_worker(std::shared_ptr<WorkerPool> pool, const std::string& name,
                                                  std::string_view options,
                                                  std::optional<std::span<const std::byte>> state,
                                                  EmitFunction emit, PluginLogFunction log) {
  auto instance =
      std::make_unique<WorkerInstance>(std::move(pool), name, options, std::move(emit), std::move(log));
  if (state) instance->restore(*state);
  return instance;
}

}  // namespace unroll
