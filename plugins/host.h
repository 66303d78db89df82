// plugins/: the C ABI (include/unroll/plugin.h), its C++ wrapper, the host that loads libraries and calls
// them, and the built-in plugins. The engine sees plugins through this header only; where an instance runs
// (in this process, in a worker of its own) is decided behind it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "unroll/plugin.h"

namespace unroll {

/// A plugin that cannot be loaded, refuses its options, or failed on a block; the text names the plugin.
class PluginError : public std::runtime_error {
 public:
  PluginError(unroll_status status, const std::string& text) : std::runtime_error(text), status(status) {}
  unroll_status status;
};

struct PluginInfo {
  std::string name, version, description;
  std::uint32_t wants = 0;  ///< UNROLL_WANT_*
  int top_k = 0;
  std::string options = {};       ///< JSON Schema of its options as text; empty where it tells none.
  std::uint32_t permissions = 0;  ///< That its manifest asks for: kMay... in plugins/worker/wire.h.
  std::filesystem::path library = {};
};

/// Where instances run, and within what limits.
struct PluginOptions {
  /// Each library in processes of its own, where what it does wrong fails one document and nothing else.
  bool workers = false;
  /// File names of libraries that are trusted with this process all the same; "*": all.
  std::vector<std::string> in_process = {};
  std::filesystem::path worker_program =
      {};                          ///< Empty: ../libexec/unroll/unroll-plugin-worker beside the binary.
  std::string python = "python3";  ///< For plugins in Python.
  /// A file that workers cannot read (but those that may write), nor those that its name begins: a journal.
  std::filesystem::path hidden = {};
  /// Hears of each worker that is lost: the plugin, why in a word ("crashed", "killed", "too_much"), and how,
  /// without what the worker said itself. From any thread.
  std::function<void(std::string_view plugin, std::string_view reason, std::string_view text)> lost = {};
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;  ///< Of one worker; 0: no limit.
  std::chrono::milliseconds deadline{10'000};           ///< Of one call of a plugin's function.
};

/// One plugin at work on one document. One thread at a time. Every call throws PluginError.
///
/// process() and finish() can be begun and ended apart, so that nobody has to wait for a slow plugin: what a
/// call emits, and how it fails, comes with its end(). Between the two nothing but wait() may be called.
class PluginInstance {
 public:
  virtual ~PluginInstance() = default;
  virtual const PluginInfo& info() const = 0;
  /// `block` is borrowed until this returns.
  virtual void begin_process(const unroll_block& block) = 0;
  virtual void begin_finish(std::uint64_t tokens, std::uint64_t bytes) = 0;
  /// Whether end() need not wait any more, after so long at most.
  virtual bool wait(std::chrono::milliseconds time) = 0;
  virtual void end() = 0;
  virtual std::vector<std::byte> save() = 0;
  virtual void load(std::span<const std::byte> state) = 0;

  void process(const unroll_block& block) {
    begin_process(block);
    end();
  }
  void finish(std::uint64_t tokens, std::uint64_t bytes) {
    begin_finish(tokens, bytes);
    end();
  }
};

/// Takes an output: compact JSON text, checked to be one JSON value. Called from inside end().
using EmitFunction = std::function<void(std::string json)>;

/// Takes a line of a plugin's log; level 0 debug, 1 info, 2 warning, 3 error. From any thread.
using PluginLogFunction = std::function<void(int level, std::string_view plugin, std::string_view text)>;

/// Of plugins' processes, since their libraries were loaded.
struct WorkerCounts {
  std::uint64_t started = 0;
  std::uint64_t lost = 0;  ///< Crashed, hung or took too much memory.
};

/// The libraries that were loaded; they stay loaded while the registry or an instance lives. Safe to share.
class PluginRegistry {
 public:
  explicit PluginRegistry(PluginOptions options = {});
  virtual ~PluginRegistry();
  /// What the model's ids stand for, by id; for instances created from now on.
  void set_vocabulary(const std::vector<std::string>& tokens);
  /// Where instances created from now on log to. Without it warnings and errors go to stderr.
  void set_log(PluginLogFunction log);
  /// Loads one library; what it may is said by NAME.manifest.json beside it. Throws PluginError (no such
  /// file, not a shared library, no entry symbol, other ABI version, an invalid name, a name that is taken).
  void load_library(const std::filesystem::path& file);
  /// Loads every *.so of a folder in order of name, and with workers every *.py; a missing folder is no
  /// error. Returns the errors, one each.
  std::vector<std::string> load_directory(const std::filesystem::path& directory);
  std::vector<PluginInfo> plugins() const;
  WorkerCounts worker_counts() const;
  /// Null where there is none of that name.
  const PluginInfo* find(std::string_view name) const;
  /// `options`: a JSON object as text. Throws PluginError.
  virtual std::unique_ptr<PluginInstance> create(std::string_view name, std::string_view options,
                                                 EmitFunction emit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Where the built-in plugins lie: $UNROLL_PLUGIN_PATH, else beside the binary (build tree), else the install
/// folder.
std::filesystem::path default_plugin_directory();

}  // namespace unroll
