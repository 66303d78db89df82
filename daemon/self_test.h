// Readiness: a revision serves documents only after it has read one.
#pragma once

#include <array>
#include <filesystem>
#include <string_view>

#include "engine/engine.h"

namespace unroll {

/// The plugins that come with unroll. The daemon does not start without those of them whose library is in its
/// folder; any other plugin that cannot be loaded is left out.
inline constexpr std::array<std::string_view, 4> kDefaultPlugins = {"anomaly", "embed", "score", "summarize"};

/// Loads every library of `folder`; a missing folder is no error. Returns the errors of plugins that were
/// left out. Throws Error(kPluginFailed) if a default plugin is there and cannot be loaded.
std::vector<std::string> load_plugin_folder(const std::filesystem::path& folder, PluginRegistry& plugins);

/// Reads a built-in line with the revision's model and its default plugins, through an engine of its own with
/// a journal in memory. Returns when all of them have given their results; throws Error that says which part
/// failed.
void self_test(const Revision& revision);

}  // namespace unroll
