// Plugin instances in this process: the library's functions are called directly.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "plugins/host.h"
#include "plugins/library.h"

namespace unroll {

class PluginVocabulary;

inline constexpr std::size_t kMaxStateBytes = 64u << 20;    ///< Written by one save().
inline constexpr std::size_t kMaxEmittedBytes = 64u << 20;  ///< Emitted by one process() or finish().

/// `plugin` is one of `library`'s. `options`: a JSON object as text. `vocabulary` may be null. Throws
/// PluginError.
std::unique_ptr<PluginInstance> create_in_process(std::shared_ptr<const PluginLibrary> library,
                                                  const PluginLibrary::Plugin& plugin,
                                                  std::string_view options, EmitFunction emit,
                                                  PluginLogFunction log,
                                                  std::shared_ptr<const PluginVocabulary> vocabulary);

enum class InstanceStage { kFresh, kRunning, kFinished, kFailed };
/// For both kinds of instances: throws PluginError if `function` is called out of order (`right` is false).
void expect_order(bool right, const PluginInfo& info, const char* function, InstanceStage stage);

/// Of a plugin that cannot go on with a new document.
PluginError cannot_fork(const PluginInfo& info);

/// The text for a status if the plugin gave no reason.
std::string status_text(unroll_status status);

}  // namespace unroll
