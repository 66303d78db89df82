// Finds calls of host functions that a plugin makes in destroy, where they are not allowed.
#pragma once

#include <string>

#include "plugins/library.h"

namespace unroll::check {

/// Creates an instance, passes it a block, destroys it. Returns the names of the forbidden host functions
/// that it called in destroy; empty if none.
std::string used_while_destroyed(const PluginLibrary::Plugin& plugin);

}  // namespace unroll::check
