// Home folders that a systemd unit hides from its service.
#pragma once

#include <filesystem>
#include <string>

namespace unroll {

/// Text to append to the error about a missing path; empty unless ProtectHome= hides the path's home folder
/// from this process.
std::string hidden_home_advice(const std::filesystem::path& path);

}  // namespace unroll
