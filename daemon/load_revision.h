// What the configuration names, loaded: the model, its vocabulary, the plugins.
#pragma once

#include "config/config.h"
#include "engine/engine.h"

namespace unroll {

/// Throws Error(kModel) that names the folder and says how to choose another. A plugin that can't be loaded
/// is left out and told in the log.
Revision load_revision(const Config& config);

}  // namespace unroll
