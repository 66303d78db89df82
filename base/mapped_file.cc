#include "base/mapped_file.h"

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/unique_fd.h"

namespace unroll {

MappedFile::MappedFile(const std::filesystem::path& file) {
  const auto fail = [&](int error) {
    throw std::runtime_error(file.string() + ": cannot be read: " + std::generic_category().message(error));
  };
  const UniqueFd descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO would wait
  if (!descriptor) fail(errno);
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) fail(errno);
  if (S_ISDIR(status.st_mode)) fail(EISDIR);
  if (!S_ISREG(status.st_mode)) fail(ENODEV);
  if (status.st_size == 0) return;
  void* data = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_NORESERVE, descriptor.get(), 0);
  if (data == MAP_FAILED) fail(errno);
  data_ = static_cast<char*>(data);
  size_ = static_cast<std::uint64_t>(status.st_size);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(data_, size_);
}

}  // namespace unroll
