// plugins/: the C ABI (include/unroll/plugin.h), its C++ wrapper, the host that loads libraries and calls
// them, and the built-in plugins. The engine uses plugins only through this header, which hides whether an
// instance runs in this process or in a worker.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "unroll/plugin.h"

namespace unroll {

/// A plugin cannot be loaded, refused its options, or failed on a block. The text names the plugin.
class PluginError : public std::runtime_error {
 public:
  PluginError(unroll_status status, const std::string& text) : std::runtime_error(text), status(status) {}
  unroll_status status;
};

struct PluginInfo {
  std::string name, version, description;
  std::uint32_t wants = 0;  ///< UNROLL_WANT_*
  int top_k = 0;
  std::string options = {};       ///< JSON Schema of its options as text; empty if it has none.
  bool forks = false;             ///< An instance can go on with a new document.
  std::uint32_t permissions = 0;  ///< From its manifest: kMay... in plugins/worker/wire.h.
  std::filesystem::path library = {};
};

/// Counts worker processes. Thread-safe.
struct WorkerCounts {
  std::atomic<std::uint64_t> started = 0;
  std::atomic<std::uint64_t> lost = 0;  ///< Crashed, hung, took too much memory or were stopped.
};

/// Where instances run, and within what limits.
struct PluginOptions {
  /// Run each library in processes of its own, in which a fault fails only one document.
  bool workers = false;
  /// File names of trusted libraries that run in this process even so; "*": all.
  std::vector<std::string> in_process = {};
  std::filesystem::path worker_program =
      {};                          ///< Empty: ../libexec/unroll/unroll-plugin-worker beside the binary.
  std::string python = "python3";  ///< For plugins in Python.
  /// The journal: workers cannot read it or files whose names begin with its name, unless they may write.
  std::filesystem::path hidden = {};
  /// Called for each lost worker: the plugin, the reason ("crashed", "killed", "hung", "memory") and a text
  /// without the worker's own output. From any thread.
  std::function<void(std::string_view plugin, std::string_view reason, std::string_view text)> lost = {};
  /// Registries that share it are counted together. Not null.
  std::shared_ptr<WorkerCounts> counts = std::make_shared<WorkerCounts>();
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;  ///< Per worker; 0: no limit.
  std::chrono::milliseconds deadline{10'000};           ///< For one call of a plugin's function.
};

/// A plugin's instance for one document. One thread at a time. Every call throws PluginError.
///
/// process() and finish() can be split into begin_...() and end(), so that the caller need not block on a
/// slow plugin. end() emits the call's outputs and throws its error. In between only wait() may be called.
class PluginInstance {
 public:
  virtual ~PluginInstance() = default;
  virtual const PluginInfo& info() const = 0;
  /// `block` is borrowed until this returns.
  virtual void begin_process(const unroll_block& block) = 0;
  virtual void begin_finish(const unroll_document_end& end) = 0;
  /// Waits up to `time`; returns whether end() will not block.
  virtual bool wait(std::chrono::milliseconds time) = 0;
  virtual void end() = 0;
  virtual std::vector<std::byte> save() = 0;
  virtual void load(std::span<const std::byte> state) = 0;
  /// Goes on with a new document, before the first block or between two. Waits for the plugin.
  virtual void fork(const unroll_fork_point& point) = 0;

  void process(const unroll_block& block) {
    begin_process(block);
    end();
  }
  void finish(std::uint64_t tokens, std::uint64_t bytes, float word_end = 0) {
    begin_finish({sizeof(unroll_document_end), tokens, bytes, word_end});
    end();
  }
};

/// Receives an output: compact JSON text, checked to be one JSON value. Called from end().
using EmitFunction = std::function<void(std::string json)>;

/// Receives a log line of a plugin; level 0 debug, 1 info, 2 warning, 3 error. Called from any thread.
using PluginLogFunction = std::function<void(int level, std::string_view plugin, std::string_view text)>;

/// Loaded libraries; they stay loaded while the registry or an instance exists. Thread-safe.
class PluginRegistry {
 public:
  explicit PluginRegistry(PluginOptions options = {});
  virtual ~PluginRegistry();
  /// Sets the bytes of each token id, for instances created from now on.
  void set_vocabulary(const std::vector<std::string>& tokens);
  /// Sets the log of instances created from now on. The default writes warnings and errors to stderr.
  void set_log(PluginLogFunction log);
  /// Loads one library. NAME.manifest.json beside it grants permissions. Throws PluginError (no such file,
  /// not a shared library, no entry symbol, other ABI version, invalid or duplicate plugin name).
  void load_library(const std::filesystem::path& file);
  /// Loads every *.so of a folder in order of name, and with workers every *.py. A missing folder is not an
  /// error. Returns the errors of the libraries that failed.
  std::vector<std::string> load_directory(const std::filesystem::path& directory);
  std::vector<PluginInfo> plugins() const;
  /// Null if no plugin has that name.
  const PluginInfo* find(std::string_view name) const;
  /// `options`: a JSON object as text. Throws PluginError.
  virtual std::unique_ptr<PluginInstance> create(std::string_view name, std::string_view options,
                                                 EmitFunction emit) const;
  /// One that goes on from a saved state (nullopt: none was saved), without waiting for a worker: an instance
  /// in a worker is created and loaded there by the first call that needs it, which throws what fails.
  std::unique_ptr<PluginInstance> restore(std::string_view name, std::string_view options,
                                          std::optional<std::span<const std::byte>> state,
                                          EmitFunction emit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The folder of the built-in plugins: $UNROLL_PLUGIN_PATH, else beside the binary (build tree), else in the
/// installation.
std::filesystem::path default_plugin_directory();

}  // namespace unroll
