#include "plugins/worker/worker_pool.h"

#include <algorithm>
#include <bit>
#include <system_error>
#include <utility>

#include "plugins/library.h"

namespace unroll {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{50};  // wait for a busy worker before starting another
constexpr milliseconds kLongPatience{200};
constexpr std::size_t kLeastArena = 64 * 1024;
// A worker whose memory keeps growing is replaced between two calls, before it fails a document.
constexpr std::uint64_t kOftenUsed = 64;

[[noreturn]] void fail(const WorkerSpec& spec, const std::string& what) {
  throw PluginError(UNROLL_ERROR_INTERNAL, "plugin library " + spec.library.string() + ": " + what);
}

PluginInfo info_of(const nlohmann::json& said, const WorkerSpec& spec) {
  PluginInfo info;
  constexpr std::size_t kMaxText = 1024;
  info.name = said.at("name").get<std::string>();
  info.version = printable(said.at("version").get<std::string>(), kMaxText);
  info.description = printable(said.at("description").get<std::string>(), kMaxText);
  info.wants = said.at("wants").get<std::uint32_t>();
  info.top_k = said.at("top_k").get<int>();
  info.options = said.value("options", "");
  info.forks = said.value("forks", false);
  info.permissions = spec.permissions;
  info.library = spec.library;
  check_plugin_info(info, spec.library);
  return info;
}

}  // namespace

WorkerPool::WorkerPool(WorkerSpec spec) : spec_(std::move(spec)) {
  free_.push_back(start());
  try {  // early, so that no document fails later for lack of a descriptor
    arenas_.push_back(std::make_shared<const SharedMemory>(kLeastArena));
  } catch (const std::system_error& error) {
    fail(spec_, error.what());
  }
}

std::vector<PluginInfo> WorkerPool::greet() {
  Worker& worker = *free_.front();
  std::vector<PluginInfo> infos;
  try {
    const auto frame = worker.process.receive(kStartTime, "loading it");
    if (!frame) throw worker.process.hang("loading it");
    if (frame->type == "refused")
      throw PluginError(UNROLL_ERROR_INTERNAL, printable(frame->text("error"), 4096));
    if (frame->type != "hello") throw wire::Error("a frame of the type " + printable(frame->type, 32));
    if (frame->number("abi") != UNROLL_ABI_VERSION) {
      fail(spec_, "its worker speaks plugin ABI " + std::to_string(frame->number("abi")) +
                      ", this program has " + std::to_string(UNROLL_ABI_VERSION));
    }
    for (const auto& said : frame->head.at("plugins")) {
      infos.push_back(info_of(said, spec_));
      const bool saves = said.at("saves").get<bool>();
      if (!plugins_.emplace(infos.back().name, Plugin{infos.back(), saves}).second) {
        fail(spec_, "it has two plugins named " + infos.back().name);
      }
    }
    if (infos.empty() || infos.size() > kMaxPluginsInLibrary) {
      fail(spec_, "it names " + std::to_string(infos.size()) + " plugins; 1 to " +
                      std::to_string(kMaxPluginsInLibrary) + " are allowed");
    }
    hello_ = frame->head.dump();
    worker.greeted = true;
  } catch (const WorkerLost& lost) {
    fail(spec_, std::string("its worker ") + lost.what() + lost.last_words);
  } catch (const wire::Error& error) {
    fail(spec_, std::string("its worker sent an invalid message (") + error.what() + ")");
  } catch (const nlohmann::json::exception& error) {
    fail(spec_, std::string("its worker sent an invalid message (") + error.what() + ")");
  }
  return infos;
}

void WorkerPool::check_hello(const wire::Frame& frame) const {
  if (frame.type == "refused") throw PluginError(UNROLL_ERROR_INTERNAL, printable(frame.text("error"), 4096));
  if (frame.type != "hello" || frame.head.dump() != hello_) {
    fail(spec_, "it has changed since it was loaded; restart unroll to load it");
  }
}

std::unique_ptr<Worker> WorkerPool::start() {
  std::erase_if(undead_, [](const auto& worker) { return worker->process.has_ended(); });
  if (undead_.size() >= kMostUndead) {
    fail(spec_,
         std::to_string(undead_.size()) +
             " of its workers were killed and do not end, because they hang in the kernel; make the file "
             "system that they read from answer, or unmount it");
  }
  auto worker = std::make_unique<Worker>(spec_, ++last_serial_);
  ++spec_.counts->started;
  ++alive_;
  return worker;
}

std::unique_ptr<Worker> WorkerPool::take(const WorkerHome& home, Clock::time_point since,
                                         Clock::time_point until) {
  std::unique_lock lock(mutex_);
  for (;;) {
    while (!free_.empty()) {
      auto it = std::ranges::find(free_, home.worker, [](const auto& worker) { return worker->serial; });
      if (it == free_.end()) it = free_.end() - 1;  // the most recently used: its caches are warm
      auto worker = std::move(*it);
      free_.erase(it);
      if (!worker->greeted || worker->process.is_quiet()) return taken(std::move(worker));
      --alive_;  // it ended while idle, which is harmless
    }
    // The time to wait for a busy worker before starting another. All workers may be held by finished calls
    // of the waiting caller itself; one worker above the maximum resolves this.
    const milliseconds patience = alive_ == 0             ? milliseconds(0)
                                  : alive_ < kMaxWorkers  ? kPatience
                                  : alive_ == kMaxWorkers ? kLongPatience
                                                          : std::chrono::hours(24);
    const auto now = Clock::now();
    if (now - since >= patience) return taken(start());
    if (now >= until) return nullptr;
    freed_.wait_until(lock, std::min(until, since + patience));
  }
}

std::unique_ptr<Worker> WorkerPool::take_new() {
  const std::lock_guard lock(mutex_);
  return taken(start());
}

std::unique_ptr<Worker> WorkerPool::taken(std::unique_ptr<Worker> worker) {
  forgotten_[worker->serial];
  return worker;
}

void WorkerPool::give_back(std::unique_ptr<Worker> worker) {
  const bool grown = worker->calls >= kOftenUsed && spec_.memory_bytes != 0 &&
                     worker->process.resident_bytes() > spec_.memory_bytes / 2;
  if (grown) return retire(std::move(worker));
  bool surplus = false;
  {
    const std::lock_guard lock(mutex_);
    surplus = alive_ > kMaxWorkers;
    if (!surplus) {
      const auto forgotten = forgotten_.extract(worker->serial);
      for (const auto instance : forgotten.mapped()) destroy(*worker, instance);
      free_.push_back(std::move(worker));
    }
  }
  if (surplus) return retire(std::move(worker));
  freed_.notify_one();
}

void WorkerPool::drop(std::unique_ptr<Worker> worker) {
  ++spec_.counts->lost;
  retire(std::move(worker));
}

void WorkerPool::retire(std::unique_ptr<Worker> worker) {
  worker->process.kill();
  {
    const std::lock_guard lock(mutex_);
    forgotten_.erase(worker->serial);
    --alive_;
    if (!worker->process.has_ended()) undead_.push_back(std::move(worker));
  }
  freed_.notify_one();
}

void WorkerPool::destroy(Worker& worker, std::uint64_t instance) {
  if (std::erase(worker.instances, instance) == 0) return;
  worker.process.send(wire::encode({{"type", "destroy"}, {"instance", instance}}));
}

void WorkerPool::forget(const WorkerHome& home) {
  const std::lock_guard lock(mutex_);
  const auto free = std::ranges::find(free_, home.worker, [](const auto& worker) { return worker->serial; });
  if (free != free_.end()) return destroy(**free, home.instance);
  const auto taken = forgotten_.find(home.worker);  // else the worker and the object are gone
  if (taken != forgotten_.end()) taken->second.push_back(home.instance);
}

std::uint64_t WorkerPool::new_instance() {
  const std::lock_guard lock(mutex_);
  return ++last_instance_;
}

std::shared_ptr<const SharedMemory> WorkerPool::take_arena(std::size_t bytes, const Worker* worker) {
  {
    const std::lock_guard lock(mutex_);
    auto found = std::ranges::find_if(arenas_, [&](const auto& arena) {
      return worker && arena == worker->arena && arena->size() >= bytes;
    });
    if (found == arenas_.end()) {
      found = std::ranges::find_if(arenas_, [&](const auto& arena) { return arena->size() >= bytes; });
    }
    if (found != arenas_.end()) {
      auto arena = std::move(*found);
      arenas_.erase(found);
      return arena;
    }
  }
  return std::make_shared<const SharedMemory>(std::bit_ceil(std::max(bytes, kLeastArena)));
}

void WorkerPool::give_back(std::shared_ptr<const SharedMemory> arena) {
  const std::lock_guard lock(mutex_);
  arenas_.push_back(std::move(arena));
  if (arenas_.size() > kMaxWorkers) arenas_.erase(arenas_.begin());
}

void WorkerPool::set_vocabulary(std::shared_ptr<const PluginVocabulary> vocabulary) {
  const std::lock_guard lock(mutex_);
  vocabulary_ = std::move(vocabulary);
}

std::shared_ptr<const PluginVocabulary> WorkerPool::vocabulary() const {
  const std::lock_guard lock(mutex_);
  return vocabulary_;
}

}  // namespace unroll
