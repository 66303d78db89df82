// The models that documents can ask for by name. The first is always loaded; each other one is loaded when a
// document asks for it, on a thread of its own, and unloaded when no document has used it for a while, or
// when another one needs its memory.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace unroll {

/// A model of the configuration.
struct ModelSource {
  std::string name;
  std::string family = {};       ///< As its files say; empty: they cannot be read, and load() will say why.
  std::int64_t parameters = 0;   ///< The same.
  std::uint64_t file_bytes = 0;  ///< What it is taken to need before it is loaded for the first time.
  std::function<Revision()> load = {};  ///< Throws.
};

/// Thread-safe.
class Models {
 public:
  using Clock = std::chrono::steady_clock;
  using RevisionPtr = std::shared_ptr<const Revision>;
  /// The model, or why there is none.
  using Ready = std::function<void(std::exception_ptr failure, RevisionPtr revision)>;
  /// A model that could not be loaded is not tried again before.
  static constexpr std::chrono::seconds kRetry{10};

  struct Limits {
    std::uint64_t bytes = 0;            ///< Of all weights; 0: half of the machine's memory.
    std::chrono::milliseconds idle{0};  ///< How long an unused model stays loaded.
  };
  struct Listed {
    std::string name, family;
    std::int64_t parameters = 0;
    bool loaded = false;
    std::uint64_t bytes = 0;  ///< Of weights in memory.
    std::uint64_t loads = 0;
    double load_seconds = 0;  ///< Of all of them.
  };

  /// `on_failure` is called on the loader's thread for each load that failed.
  using OnFailure = std::function<void(const std::string& name, const Error& error)>;
  explicit Models(Limits limits, OnFailure on_failure = {});
  ~Models() { stop(); }
  Models(const Models&) = delete;
  Models& operator=(const Models&) = delete;

  /// Sets the list, of different names; `first` is the loaded revision of the first. What was loaded before
  /// is freed when no document uses it; requests that wait are served from the new list.
  void set(std::vector<ModelSource> sources, RevisionPtr first);
  /// Calls `ready` once: before it returns if the model is loaded or will not be, else on the loader's
  /// thread. An empty name is the first model's. Failures are Error: kModelUnknown names those that there
  /// are, kLimit if the models in use leave no memory for this one, kModel if it cannot be loaded.
  void ask(const std::string& name, Ready ready);
  bool has(const std::string& name) const;
  bool is_loaded(const std::string& name) const;
  std::vector<Listed> list() const;
  /// Waits for the current load, and drops the requests that wait.
  void stop();

 private:
  struct Entry;
  using EntryPtr = std::shared_ptr<Entry>;
  struct Retired {
    std::weak_ptr<const Revision> revision;
    std::uint64_t bytes;
  };
  using Freed = std::vector<RevisionPtr>;

  // With mutex_ held.
  EntryPtr find(const std::string& name) const;
  Error unknown(const std::string& name) const;
  EntryPtr next_to_load() const;
  bool make_room(const Entry& entry, std::uint64_t bytes, Freed& freed);
  void unload(Entry& entry, std::string_view why, Freed& freed);
  std::uint64_t bytes_in_memory() const;

  void run();
  void load(const EntryPtr& entry, std::unique_lock<std::mutex>& lock);
  void unload_idle(std::unique_lock<std::mutex>& lock);

  const Limits limits_;
  const OnFailure on_failure_;
  mutable std::mutex mutex_;  ///< Guards what follows.
  std::condition_variable changed_;
  std::vector<EntryPtr> entries_;
  std::vector<Retired> retired_;  ///< Loaded, and on the list no more; some are still in use.
  bool stopping_ = false;
  std::thread loader_;  ///< Begins with the first load.
};

}  // namespace unroll
