// plugins/check/: `unroll plugin check`. Checks the rules of plugin.h on synthetic documents, without a
// model; each check runs in a process of its own.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "plugins/check/report.h"

namespace unroll {

struct CheckOptions {
  std::chrono::milliseconds timeout{60'000};  ///< For one check.
  std::string python = "python3";             ///< For plugins in Python.
};

/// Returns whether all checks passed. Forks; the caller must have only one thread.
bool check_plugin_library(const std::filesystem::path& file, const CheckOptions& options,
                          check::Report& report);

}  // namespace unroll
