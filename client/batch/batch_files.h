// Lists a batch's files and hashes their contents.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace unroll {

struct BatchFile {
  std::filesystem::path path;  ///< Below the batch's folder.
  std::uint64_t size = 0;      ///< When it was listed.
  std::string problem;         ///< Why it cannot be read, if already known.
};

/// All files below `folder`, ordered by path, except those in `out`. Symbolic links to folders are not
/// followed. Unreadable entries are listed with their problem. Throws CommandError if `folder` is not a
/// folder.
std::vector<BatchFile> list_batch_files(const std::filesystem::path& folder,
                                        const std::filesystem::path& out);

/// XXH3-128 of the file's first `size` bytes, as 32 hexadecimal digits. `name` is used in errors; `beat` is
/// called regularly and may throw to stop. Throws CommandError, also if the file is
/// shorter than `size`.
std::string content_hash(int file, std::uint64_t size, const std::string& name,
                         const std::function<void()>& beat);

}  // namespace unroll
