// What the configuration names, loaded and tested: the model, its vocabulary, the plugins.
#pragma once

#include "config/config.h"
#include "daemon/events.h"
#include "engine/engine.h"

namespace unroll {

/// Throws Error(kModel) that names the folder and says how to choose another, or Error(kPluginFailed) if a
/// default plugin cannot be loaded or the revision fails its self_test(). Any other plugin that cannot be
/// loaded is left out and named in the log. `events` outlives the revision: its plugins report the workers
/// that they lose.
Revision load_revision(const Config& config, Events& events);

}  // namespace unroll
