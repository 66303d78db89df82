// plugins/check/: `unroll plugin check`. Tries every promise of plugin.h on synthetic documents, without a
// model; each check in a process of its own.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "plugins/check/report.h"

namespace unroll {

struct CheckOptions {
  std::chrono::milliseconds timeout{60'000};  ///< Of one check.
  std::string python = "python3";             ///< For plugins in Python.
};

/// Whether all passed. The caller has one thread: this forks.
bool check_plugin_library(const std::filesystem::path& file, const CheckOptions& options,
                          check::Report& report);

}  // namespace unroll
