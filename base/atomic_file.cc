#include "base/atomic_file.h"

#include <algorithm>
#include <cerrno>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace unroll {
namespace {

constexpr int kNameAttempts = 100;
constexpr std::size_t kLargestWrite = std::size_t{1} << 30;  // bytes; Linux takes no more than 2 GiB at once

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path target, mode_t mode) : target_(std::move(target)) {
  std::random_device random;
  for (int attempt = 0; attempt < kNameAttempts && descriptor_ < 0; ++attempt) {
    auto name = target_.filename().string();
    name.insert(0, 1, '.').append(".").append(std::to_string(random())).append(".tmp");
    temporary_ = folder_of(target_) / name;
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (descriptor_ < 0 && errno != EEXIST) break;
  }
  if (descriptor_ < 0) fail(errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const auto written = ::write(descriptor_, bytes, std::min(size, kLargestWrite));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail(errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
  ::close(std::exchange(descriptor_, -1));
  // The rename is on disk once the folder is synced. File systems that cannot sync a folder do not need
  // it.
  const int folder = ::open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  ::fsync(folder);
  ::close(folder);
}

void AtomicFile::fail(int error) const {
  std::string advice;
  if (error == ENOSPC || error == EDQUOT) advice = "; make room or write elsewhere";
  throw std::runtime_error(target_.string() +
                           ": cannot be written: " + std::generic_category().message(error) + advice);
}

}  // namespace unroll
