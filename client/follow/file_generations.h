// A rotated file and its earlier generations.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

namespace unroll {

/// Identifies a file independently of its name.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0;
  std::uint64_t born = 0;  ///< In nanoseconds; 0 if the file system does not know.

  bool operator==(const FileIdentity& other) const;
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FileIdentity, device, inode, born)

struct Generation {
  std::filesystem::path path;
  FileIdentity identity;
  std::uint64_t size = 0;
  std::uint64_t modified = 0;  ///< In nanoseconds.
  bool compressed = false;
};

/// nullopt if there is no regular file at `path`.
std::optional<Generation> generation_at(const std::filesystem::path& path);
std::optional<Generation> generation_of(int file);

/// Whether rotation names FILE's earlier generations so: FILE.1, FILE-20260131, also compressed.
bool is_generation(const std::filesystem::path& path, const std::filesystem::path& file);
/// Whether the name ends as that of a compressed file.
bool is_compressed_name(const std::filesystem::path& path);

/// FILE's siblings as rotation names them (FILE.1, FILE-20260131, FILE.old), oldest first, then FILE itself
/// if it exists. Not those that are compressed.
std::vector<Generation> generations_of(const std::filesystem::path& file);

/// FILE's siblings as rotation names and compresses them (FILE.1.gz), the newest first.
std::vector<Generation> compressed_generations_of(const std::filesystem::path& file);

}  // namespace unroll
