// A file that appears whole or not at all: written beside its place under another name, synced, renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include <sys/types.h>

namespace unroll {

/// Not for sharing between threads. Everything throws std::runtime_error that names the file and the cause.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target, mode_t mode = 0666);  ///< Less the umask.
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();  ///< Without commit(): the target stays as it was and nothing else is left.

  void write(const void* data, std::size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// After this the target is the new file, also after a loss of power.
  void commit();

 private:
  [[noreturn]] void fail(int error) const;

  std::filesystem::path target_, temporary_;
  int descriptor_ = -1;
};

}  // namespace unroll
