// What a plugin asks of the host while it is being destroyed, when nobody listens any more.
#pragma once

#include <string>

#include "plugins/library.h"

namespace unroll::check {

/// Makes an instance, gives it a block, destroys it. The host's functions that it then called and may not, by
/// name; empty where there are none.
std::string used_while_destroyed(const PluginLibrary::Plugin& plugin);

}  // namespace unroll::check
