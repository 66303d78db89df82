// A file that is rotated, and what became of its earlier generations.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

namespace unroll {

/// Which file it is, whatever its name is now.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0;
  std::uint64_t born = 0;  ///< In nanoseconds; 0 where the file system does not know.

  bool operator==(const FileIdentity& other) const;
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FileIdentity, device, inode, born)

struct Generation {
  std::filesystem::path path;
  FileIdentity identity;
  std::uint64_t size = 0;
  std::uint64_t modified = 0;  ///< In nanoseconds.
};

/// nullopt where nothing is there, or no regular file.
std::optional<Generation> generation_at(const std::filesystem::path& path);
std::optional<Generation> generation_of(int file);

/// FILE's siblings as rotation names them (FILE.1, FILE-20260131, FILE.old), oldest first, and last FILE
/// itself where it is there; compressed ones cannot be gone on with and are left out.
std::vector<Generation> generations_of(const std::filesystem::path& file);

}  // namespace unroll
