// The files that documents are read from: where each can be found again as the same file, and a few of them
// open at a time, so that thousands of documents need no thousands of descriptors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace unroll {

/// Where a regular file is, and what it is known by: another file that takes its name is not taken for it. An
/// inode's number is used again, and may be within a tick of the clock that tells the time of birth; then its
/// generation tells them apart.
struct FileLocation {
  std::string path;
  std::uint64_t device = 0, inode = 0;
  std::int64_t birth = 0;        ///< Nanoseconds since 1970.
  std::uint32_t generation = 0;  ///< 0 if the file system keeps none.

  /// Of an open file. Nullopt if it cannot be opened again: it has no name any more, this process may not
  /// open it, or its file system does not know when it was made.
  static std::optional<FileLocation> of(int fd);
  /// For reading. Throws Error: kSource if the file is gone or another one has its name, kLimit where this
  /// process has too many files open.
  UniqueFd open() const;
};

/// What a process that has too many files open tells of it.
std::string too_many_files();

/// Any thread may call.
class SourceFiles {
 public:
  explicit SourceFiles(std::size_t most_open) : most_open_(most_open) {}

  /// One file that is being read. Closed when nobody holds it any more.
  class File {
    friend SourceFiles;
    std::shared_ptr<const UniqueFd> descriptor;  ///< Null: closed, and to be opened at `location`.
    FileLocation location;
    bool stays_open = false;  ///< It could not be opened again.
  };
  using FilePtr = std::shared_ptr<File>;

  FilePtr add(UniqueFd fd);
  /// Open as long as the result is held. Throws as FileLocation::open().
  std::shared_ptr<const UniqueFd> open(const FilePtr& file);

 private:
  void used_locked(const FilePtr& file);

  const std::size_t most_open_;
  std::mutex mutex_;                       // guards what follows, and every File
  std::list<std::weak_ptr<File>> recent_;  ///< Open ones, the one used last first.
};

}  // namespace unroll
