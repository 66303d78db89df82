// The checks that `unroll plugin check` runs on one plugin.
#pragma once

#include <span>
#include <string>

#include "plugins/check/isolated.h"
#include "plugins/host.h"

namespace unroll::check {

class PluginCheck;

struct Check {
  const char* name;
  std::string (PluginCheck::*body)();  ///< Returns the text of the result, or throws.
  bool alone = false;                  ///< Skip the other checks if this fails.
  bool looks_inside = false;           ///< Only for plugins in this process, not in Python.
  Ending ending = Ending::kAtOnce;
};

std::span<const Check> all_checks();

/// Runs the check in this process; call it through isolated(). Throws what `body` throws.
void run_check(const Check& check, const PluginRegistry& registry, const PluginInfo& info, const Say& say);

}  // namespace unroll::check
