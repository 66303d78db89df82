// How the models of the configuration are loaded, each with its vocabulary and plugins of its own.
#pragma once

#include <vector>

#include "config/config.h"
#include "daemon/events.h"
#include "daemon/models.h"

namespace unroll {

/// The models of a configuration whose defaults are resolved. One whose files cannot be read is logged and
/// listed all the same.
///
/// Their load() loads and tests a model, its vocabulary and the plugins. It throws Error(kModel), which names
/// the folder and says how to choose another one, or Error(kPluginFailed) if a default plugin cannot be
/// loaded or self_test() fails. Other plugins that cannot be loaded are left out and logged. `events` must
/// outlive what is loaded: its plugins report lost workers there.
std::vector<ModelSource> model_sources(const Config& config, Events& events);

}  // namespace unroll
