// An instance that runs in this process: its library's functions are called directly.
#pragma once

#include <memory>
#include <string_view>

#include "plugins/host.h"
#include "plugins/library.h"

namespace unroll {

inline constexpr std::size_t kMaxStateBytes = 64u << 20;    ///< Of what one save() writes.
inline constexpr std::size_t kMaxEmittedBytes = 64u << 20;  ///< Of what one process() or finish() emits.

/// `plugin` is one of `library`'s. `options`: a JSON object as text. Throws PluginError.
std::unique_ptr<PluginInstance> create_in_process(std::shared_ptr<const PluginLibrary> library,
                                                  const PluginLibrary::Plugin& plugin,
                                                  std::string_view options, EmitFunction emit,
                                                  PluginLogFunction log);

}  // namespace unroll
