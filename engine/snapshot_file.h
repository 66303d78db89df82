// A snapshot as a file, to be kept or moved to another machine. docs/snapshots.md describes the format.
#pragma once

#include <string>
#include <string_view>

#include "engine/journal.h"

namespace unroll {

/// The same bytes for the same snapshot. `snapshot` has its model's state.
std::string write_snapshot_file(const Snapshot& snapshot);

/// Throws Error(kInvalidParams) if it is not a whole, unchanged file of a known version. The states are
/// checked by those who load them.
Snapshot read_snapshot_file(std::string_view file);

/// The name of the model that has read it, where it was made. Throws as read_snapshot_file().
std::string model_of_snapshot_file(std::string_view file);

}  // namespace unroll
