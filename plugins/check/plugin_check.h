// plugins/check/: `unroll plugin check`. Tries every promise of plugin.h on synthetic documents, without a
// model; each check in a process of its own.
#pragma once

#include <chrono>
#include <filesystem>

#include "plugins/check/report.h"

namespace unroll {

/// Whether all passed. The caller has one thread: this forks.
bool check_plugin_library(const std::filesystem::path& file, std::chrono::milliseconds deadline,
                          check::Report& report);

}  // namespace unroll
