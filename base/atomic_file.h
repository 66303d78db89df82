// Writes a file atomically: data go to a temporary file in the same folder, which is synced and renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include <sys/types.h>

namespace unroll {

/// Not thread-safe. Every function throws std::runtime_error, which names the file and the cause.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target, mode_t mode = 0666);  ///< `mode` is subject to the umask.
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();  ///< Without commit(): leaves the target unchanged and removes the temporary file.

  void write(const void* data, std::size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Makes the target the new file. When this returns, the change survives a power loss.
  void commit();

 private:
  [[noreturn]] void fail(int error) const;

  std::filesystem::path target_, temporary_;
  int descriptor_ = -1;
};

}  // namespace unroll
