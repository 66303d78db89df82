// Where unroll lies: the folder that has bin/, lib/ and libexec/, installed or as built.
#pragma once

#include <filesystem>

namespace unroll {

/// Of the program that runs: PREFIX/bin/PROGRAM or PREFIX/libexec/unroll/PROGRAM. Throws
/// std::filesystem::filesystem_error where there is no /proc.
inline std::filesystem::path program_prefix() {
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const bool private_program = folder.parent_path().filename() == "libexec";
  return private_program ? folder.parent_path().parent_path() : folder.parent_path();
}

}  // namespace unroll
