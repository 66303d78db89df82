// Whether a form of the network computes, on this machine, what the definition does: asked when a form is
// loaded whose code has parts that no test runs.
#pragma once

#include <string>

#include "model/block_recurrent_transformer.h"
#include "model/network.h"

namespace unroll {

/// Runs some blocks of two documents through both, on their device. Why `form` is not to be used; empty: it
/// may be. `tolerance`: by how much of what numbers vary by they may differ, root mean square.
std::string self_check(const BlockRecurrentTransformer& definition, Network& form, double tolerance);

}  // namespace unroll
