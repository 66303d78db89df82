// Checks that a form of the network computes what the definition does on this machine. Used when loading a
// form that has code which no test runs.
#pragma once

#include <string>

#include "model/block_recurrent_transformer.h"
#include "model/network.h"

namespace unroll {

/// Runs some blocks of two documents through both, on their device. Returns why `form` must not be used;
/// empty if it may. `tolerance`: allowed root mean square difference, relative to the variation of the
/// numbers.
std::string self_check(const BlockRecurrentTransformer& definition, Network& form, double tolerance);

}  // namespace unroll
