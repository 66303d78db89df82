// An instance that runs in this process: its library's functions are called directly.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "plugins/host.h"
#include "plugins/library.h"

namespace unroll {

class PluginVocabulary;

inline constexpr std::size_t kMaxStateBytes = 64u << 20;    ///< Of what one save() writes.
inline constexpr std::size_t kMaxEmittedBytes = 64u << 20;  ///< Of what one process() or finish() emits.

/// `plugin` is one of `library`'s. `options`: a JSON object as text. `vocabulary` may be null. Throws
/// PluginError.
std::unique_ptr<PluginInstance> create_in_process(std::shared_ptr<const PluginLibrary> library,
                                                  const PluginLibrary::Plugin& plugin,
                                                  std::string_view options, EmitFunction emit,
                                                  PluginLogFunction log,
                                                  std::shared_ptr<const PluginVocabulary> vocabulary);

enum class InstanceStage { kFresh, kRunning, kFinished, kFailed };
/// For either kind of instance: throws PluginError where `function` is not called in its order.
void expect_order(bool right, const PluginInfo& info, const char* function, InstanceStage stage);

/// What a plugin's status means where it did not say more.
std::string status_text(unroll_status status);

}  // namespace unroll
