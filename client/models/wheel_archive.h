// A file inside a wheel, which is a zip archive.
#pragma once

#include <filesystem>
#include <string>

namespace unroll {

/// Writes the archive's member to `target`, atomically. Throws std::runtime_error that names the archive.
void extract_member(const std::filesystem::path& archive, const std::string& member,
                    const std::filesystem::path& target);

}  // namespace unroll
