// The files of a batch, and what is in them.
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
  std::string problem;         ///< Why it cannot be read, where that is known already.
};

/// Everything below `folder`, in order of path, without what lies in `out`; links to folders are not
/// followed. What is there and cannot be read is listed with its problem. Throws CommandError where `folder`
/// is none.
std::vector<BatchFile> list_batch_files(const std::filesystem::path& folder,
                                        const std::filesystem::path& out);

/// XXH3 of the file's first `size` bytes, 32 hexadecimal digits: changes when they do. `name`: for errors;
/// `beat` is called now and then, and what it throws ends it. Throws CommandError, also where the file is
/// shorter.
std::string content_hash(int file, std::uint64_t size, const std::string& name,
                         const std::function<void()>& beat);

}  // namespace unroll
