// The install prefix: the folder that holds bin/, lib/ and libexec/, in an installation or a build tree.
#pragma once

#include <filesystem>

namespace unroll {

/// The prefix of the running program: PREFIX/bin/PROGRAM or PREFIX/libexec/unroll/PROGRAM. Throws
/// std::filesystem::filesystem_error if /proc is not mounted.
inline std::filesystem::path program_prefix() {
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const bool private_program = folder.parent_path().filename() == "libexec";
  return private_program ? folder.parent_path().parent_path() : folder.parent_path();
}

}  // namespace unroll
