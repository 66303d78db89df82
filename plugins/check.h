// `unroll plugin check`: loads a library and tries every promise of plugin.h on synthetic documents, without
// a model.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace unroll {

/// Writes a report that a person can read, one line a check, and returns whether all passed. Never throws for
/// anything that the library did; a library that crashes takes this process down.
bool check_plugin_library(const std::filesystem::path& file, std::ostream& report);

}  // namespace unroll
