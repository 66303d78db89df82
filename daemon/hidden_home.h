// Home folders that a systemd unit hides from its service.
#pragma once

#include <filesystem>
#include <string>

namespace unroll {

/// What to add to the error about a path that is not there; empty unless the path is in a home folder that
/// ProtectHome= hides from this process.
std::string hidden_home_advice(const std::filesystem::path& path);

}  // namespace unroll
