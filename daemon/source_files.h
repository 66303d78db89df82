// The files that documents are read from: identifies each so that it can be opened again, and keeps only a
// few open at a time, so that thousands of documents do not need thousands of descriptors.
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

/// Path and identity of a regular file, so that another file of the same name is detected. An inode number
/// may be reused within one tick of the clock for creation times; the generation then distinguishes the
/// files.
struct FileLocation {
  std::string path;
  std::uint64_t device = 0, inode = 0;
  std::int64_t birth = 0;        ///< Nanoseconds since 1970.
  std::uint32_t generation = 0;  ///< 0 if the file system keeps none.

  /// Of an open file. Nullopt if it cannot be opened again: it has no name any more, this process may not
  /// open it, or its file system does not record creation times.
  static std::optional<FileLocation> of(int fd);
  /// Opens it for reading. Throws Error: kSource if the file is gone or another one has its name, kLimit if
  /// this process has too many files open.
  UniqueFd open() const;
};

/// The error text of a process that has too many files open.
std::string too_many_files();

/// Thread-safe.
class SourceFiles {
 public:
  explicit SourceFiles(std::size_t most_open) : most_open_(most_open) {}

  /// A file that is being read. Closed with its last reference.
  class File {
    friend SourceFiles;
    std::shared_ptr<const UniqueFd> descriptor;  ///< Null: closed, and to be opened at `location`.
    FileLocation location;
    bool stays_open = false;  ///< It could not be opened again.
  };
  using FilePtr = std::shared_ptr<File>;

  FilePtr add(UniqueFd fd);
  /// The file stays open while the result is held. Throws as FileLocation::open().
  std::shared_ptr<const UniqueFd> open(const FilePtr& file);

 private:
  void used_locked(const FilePtr& file);

  const std::size_t most_open_;
  std::mutex mutex_;                       // guards the members below, and every File
  std::list<std::weak_ptr<File>> recent_;  ///< Open files, most recently used first.
};

}  // namespace unroll
