// The self-test: a revision is used only after it has read a test document.
#pragma once

#include <array>
#include <filesystem>
#include <string_view>

#include "engine/engine.h"

namespace unroll {

/// The plugins that come with unroll. If the library of one is in the plugin folder and cannot be loaded, the
/// daemon does not start; other plugins that cannot be loaded are left out.
inline constexpr std::array<std::string_view, 6> kDefaultPlugins = {"anomaly", "embed",     "logprobs",
                                                                    "score",   "summarize", "words"};

/// Loads every library of `folder`; a missing folder is not an error. Returns the errors of plugins that were
/// left out. Throws Error(kPluginFailed) if a default plugin exists and cannot be loaded.
std::vector<std::string> load_plugin_folder(const std::filesystem::path& folder, PluginRegistry& plugins);

/// Reads a built-in line with the revision's model and default plugins, in a separate engine with a journal
/// in memory. Returns when all plugins have given results; throws Error, which names the part that failed.
void self_test(const Revision& revision);

}  // namespace unroll
