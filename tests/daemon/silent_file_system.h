// A user's file system (FUSE) that never answers one kind of request.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <sys/types.h>

#include "base/unique_fd.h"

namespace unroll::test {

/// Requests that it may leave unanswered, by their numbers in the kernel's protocol.
enum class FuseRequest : std::uint32_t { kLookup = 1, kGetattr = 3, kRead = 15, kFlush = 25 };

/// Such a file system with one file, FOLDER/file. For root.
class SilentFileSystem {
 public:
  /// Mounts it in another process, which serves it, opens the file, and calls `then` with it.
  SilentFileSystem(std::string folder, FuseRequest silent_to, const std::string& content,
                   const std::function<void(const UniqueFd& file)>& then = {});
  /// Unmounts it, which ends the processes that hang in it: killing its server is not enough, because that
  /// holds a file of it.
  ~SilentFileSystem();
  SilentFileSystem(const SilentFileSystem&) = delete;
  SilentFileSystem& operator=(const SilentFileSystem&) = delete;
  /// False: there is no FUSE here, or `then` failed.
  bool good() const { return good_; }

 private:
  const std::string folder_;
  pid_t server_ = -1;
  bool good_ = false;
};

}  // namespace unroll::test
