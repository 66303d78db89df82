// Loads and tests a revision: the model, its vocabulary and the plugins that the configuration names.
#pragma once

#include "config/config.h"
#include "daemon/events.h"
#include "engine/engine.h"

namespace unroll {

/// Throws Error(kModel), which names the folder and says how to choose another one, or Error(kPluginFailed)
/// if a default plugin cannot be loaded or self_test() fails. Other plugins that cannot be loaded are left
/// out and logged. `events` must outlive the revision: its plugins report lost workers there.
Revision load_revision(const Config& config, Events& events);

}  // namespace unroll
