// Maps a whole file into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace unroll {

/// Mapped copy-on-write: a write to the memory never reaches the file. If another process truncates the file,
/// an access beyond its new end raises SIGBUS.
class MappedFile {
 public:
  /// Throws std::runtime_error, which names the file.
  explicit MappedFile(const std::filesystem::path& file);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  char* data() const { return data_; }
  std::uint64_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace unroll
