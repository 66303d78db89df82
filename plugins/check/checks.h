// What `unroll plugin check` tries with one plugin.
#pragma once

#include <span>
#include <string>

#include "plugins/check/isolated.h"
#include "plugins/host.h"

namespace unroll::check {

class PluginCheck;

struct Check {
  const char* name;
  std::string (PluginCheck::*body)();  ///< Returns what is well, or throws.
  bool alone = false;                  ///< The others mean nothing where this fails.
  bool looks_inside = false;           ///< Only where the plugin runs in this process: not in Python.
  Ending ending = Ending::kAtOnce;
};

std::span<const Check> all_checks();

/// Throws what `body` throws. In a process of its own: see isolated().
void run_check(const Check& check, const PluginRegistry& registry, const PluginInfo& info, const Say& say);

}  // namespace unroll::check
