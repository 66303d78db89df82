#include "daemon/models.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <malloc.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

/// jemalloc's; null in a program that is linked without it.
extern "C" int mallctl(const char* name, void* old, std::size_t* old_size, void* fresh,
                       std::size_t fresh_size) __attribute__((weak));

namespace unroll {
namespace {

/// jemalloc keeps freed pages until the thread that freed them allocates again.
void give_back_memory() {
  constexpr auto kPurgeAllArenas = "arena.4096.purge";
  if (mallctl != nullptr) {
    mallctl(kPurgeAllArenas, nullptr, nullptr, nullptr, 0);
  } else {
    ::malloc_trim(0);
  }
}

constexpr std::chrono::milliseconds kLeastTick{10}, kTick{1000};

std::uint64_t half_of_memory() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 2;
}

std::uint64_t bytes_of(const Revision& revision) {
  return revision.model->info().weight_bytes;
}

}  // namespace

struct Models::Entry {
  explicit Entry(ModelSource its_source) : source(std::move(its_source)), bytes(source.file_bytes) {}

  const ModelSource source;
  RevisionPtr revision;   ///< Null: not loaded.
  bool is_first = false;  ///< Stays loaded.
  std::uint64_t bytes;    ///< That it needs, as far as is known.
  Clock::time_point used{};
  std::vector<Ready> waiting;
  std::exception_ptr failure;  ///< Of the last load.
  Clock::time_point failed{};
  std::uint64_t loads = 0;
  double load_seconds = 0;

  /// No document uses it: only this object can hand it out, with the lock held.
  bool is_idle() const { return revision && !is_first && revision.use_count() == 1; }
};

Models::Models(Limits limits, OnFailure on_failure)
    : limits_{limits.bytes > 0 ? limits.bytes : half_of_memory(), limits.idle},
      on_failure_(std::move(on_failure)) {}

void Models::set(std::vector<ModelSource> sources, RevisionPtr first) {
  std::vector<std::pair<std::string, Ready>> waiting;
  std::vector<EntryPtr> before;
  {
    const std::lock_guard lock(mutex_);
    before = std::exchange(entries_, {});
    for (auto& source : sources) entries_.push_back(std::make_shared<Entry>(std::move(source)));
    if (!entries_.empty()) {
      entries_.front()->is_first = true;
      entries_.front()->loads = 1;
      entries_.front()->load_seconds = first->load_seconds;
      entries_.front()->bytes = bytes_of(*first);
      entries_.front()->revision = std::move(first);
    }
    for (const auto& entry : before) {
      if (const auto now = find(entry->source.name)) {
        now->loads += entry->loads;
        now->load_seconds += entry->load_seconds;
      }
      if (entry->revision) retired_.push_back({entry->revision, entry->bytes});
      for (auto& ready : std::exchange(entry->waiting, {}))
        waiting.emplace_back(entry->source.name, std::move(ready));
    }
  }
  before.clear();  // frees models, without the lock
  for (auto& [name, ready] : waiting) ask(name, std::move(ready));
}

void Models::ask(const std::string& name, Ready ready) {
  std::exception_ptr failure;
  RevisionPtr revision;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = find(name);
    if (stopping_) {
      failure = std::make_exception_ptr(Error(ErrorCode::kShuttingDown, "the daemon is stopping"));
    } else if (!entry) {
      failure = std::make_exception_ptr(unknown(name));
    } else if (entry->failure && Clock::now() < entry->failed + kRetry) {
      failure = entry->failure;
    } else if (!entry->revision) {
      entry->waiting.push_back(std::move(ready));
      if (!loader_.joinable()) loader_ = std::thread([this] { run(); });
      changed_.notify_all();
      return;
    }
    if (!failure) {
      entry->used = Clock::now();
      revision = entry->revision;
    }
  }
  ready(failure, std::move(revision));
}

bool Models::has(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return find(name) != nullptr;
}

bool Models::is_loaded(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto entry = find(name);
  return entry && entry->revision;
}

std::vector<Models::Listed> Models::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Listed> list;
  for (const auto& entry : entries_) {
    const auto& source = entry->source;
    const bool loaded = entry->revision != nullptr;
    list.push_back({source.name, source.family, source.parameters, loaded, loaded ? entry->bytes : 0,
                    entry->loads, entry->load_seconds});
  }
  return list;
}

void Models::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (loader_.joinable()) loader_.join();
  std::vector<Ready> waiting;  // dropped without the lock
  const std::lock_guard lock(mutex_);
  for (const auto& entry : entries_) {
    std::ranges::move(entry->waiting, std::back_inserter(waiting));
    entry->waiting.clear();
  }
}

Models::EntryPtr Models::find(const std::string& name) const {
  if (name.empty() && !entries_.empty()) return entries_.front();
  const auto found = std::ranges::find(entries_, name, [](const auto& entry) { return entry->source.name; });
  return found == entries_.end() ? nullptr : *found;
}

Error Models::unknown(const std::string& name) const {
  std::string known;
  for (const auto& entry : entries_) known += (known.empty() ? "" : ", ") + entry->source.name;
  return {ErrorCode::kModelUnknown, "no model '" + name.substr(0, 100) + "'; there are: " + known};
}

Models::EntryPtr Models::next_to_load() const {
  const auto next = std::ranges::find_if(
      entries_, [](const auto& entry) { return !entry->revision && !entry->waiting.empty(); });
  return next == entries_.end() ? nullptr : *next;
}

std::uint64_t Models::bytes_in_memory() const {
  std::uint64_t bytes = 0;
  for (const auto& entry : entries_) bytes += entry->revision ? entry->bytes : 0;
  for (const auto& retired : retired_) bytes += retired.revision.expired() ? 0 : retired.bytes;
  return bytes;
}

void Models::unload(Entry& entry, std::string_view why, Freed& freed) {
  spdlog::info("model {}: unloaded, {}", entry.source.name, why);
  freed.push_back(std::exchange(entry.revision, nullptr));
}

/// Unloads idle models, those that were used the longest ago first, until `bytes` more fit in. False: they do
/// not.
bool Models::make_room(const Entry& entry, std::uint64_t bytes, Freed& freed) {
  std::erase_if(retired_, [](const auto& retired) { return retired.revision.expired(); });
  while (bytes_in_memory() + bytes > limits_.bytes) {
    Entry* oldest = nullptr;
    for (const auto& other : entries_) {
      if (other.get() != &entry && other->is_idle() && (oldest == nullptr || other->used < oldest->used))
        oldest = other.get();
    }
    if (oldest == nullptr) return false;
    unload(*oldest, "as model " + entry.source.name + " needs its memory", freed);
  }
  return true;
}

void Models::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (const auto entry = next_to_load()) {
      load(entry, lock);
      continue;
    }
    unload_idle(lock);
    const auto is_due = [&] { return stopping_ || next_to_load(); };
    const bool may_unload =
        std::ranges::any_of(entries_, [](const auto& entry) { return entry->revision && !entry->is_first; });
    if (may_unload) {
      changed_.wait_for(lock, std::clamp(limits_.idle, kLeastTick, kTick), is_due);
    } else {
      changed_.wait(lock, is_due);
    }
  }
}

void Models::load(const EntryPtr& entry, std::unique_lock<std::mutex>& lock) {
  const auto& name = entry->source.name;
  const LimitError no_room("model '" + name + "' does not fit beside those in use",
                           "limits.model_memory_bytes", limits_.bytes,
                           "wait until their documents are done, or raise the limit");
  RevisionPtr revision;
  std::exception_ptr failure;
  Freed freed;
  const bool fits = make_room(*entry, entry->bytes, freed);
  lock.unlock();
  freed.clear();
  if (fits) {
    const auto fail = [&](const Error& error) {
      failure = std::make_exception_ptr(error);
      if (on_failure_) on_failure_(name, error);
    };
    try {
      spdlog::info("model {}: loading", name);
      revision = std::make_shared<const Revision>(entry->source.load());
    } catch (const Error& error) {
      fail(error);
    } catch (const std::exception& error) {
      fail(Error(ErrorCode::kModel, error.what()));
    }
  }
  lock.lock();
  if (revision) {
    entry->bytes = bytes_of(*revision);  // it may be more than its files
    if (!make_room(*entry, entry->bytes, freed)) freed.push_back(std::exchange(revision, nullptr));
  }
  entry->used = entry->failed = Clock::now();
  entry->failure = failure;
  if (revision) {
    const auto& info = revision->model->info();
    spdlog::info("model {}: loaded in {:.2f} s: {} parameters, {}, {}, {} MiB", name, revision->load_seconds,
                 info.parameters, info.device, info.dtype, entry->bytes >> 20);
    ++entry->loads;
    entry->load_seconds += revision->load_seconds;
    if (std::ranges::find(entries_, entry) != entries_.end()) {
      entry->revision = revision;
    } else {
      retired_.push_back({revision, entry->bytes});  // the list has changed meanwhile
    }
  } else if (!failure) {
    failure = std::make_exception_ptr(no_room);
  }
  const auto waiting = std::exchange(entry->waiting, {});
  lock.unlock();
  freed.clear();
  give_back_memory();  // of loading, too
  for (const auto& ready : waiting) ready(failure, revision);
  revision.reset();
  lock.lock();
}

void Models::unload_idle(std::unique_lock<std::mutex>& lock) {
  const auto now = Clock::now();
  Freed freed;
  for (const auto& entry : entries_) {
    if (!entry->is_idle()) {
      entry->used = now;
    } else if (now >= entry->used + limits_.idle) {
      unload(*entry, "as no document uses it", freed);
    }
  }
  if (freed.empty()) return;
  lock.unlock();
  freed.clear();
  give_back_memory();
  lock.lock();
}

}  // namespace unroll
