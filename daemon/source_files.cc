#include "daemon/source_files.h"

#include <array>
#include <cerrno>
#include <climits>
#include <system_error>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"

namespace unroll {
namespace {

std::string path_of_descriptor(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

/// The location of a regular file without path and generation. `path` may be empty: `fd` itself.
std::optional<FileLocation> look_at(int fd, const char* path) {
  struct statx info {};
  if (::statx(fd, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO | STATX_BTIME, &info) !=
      0) {
    return std::nullopt;
  }
  if ((info.stx_mask & STATX_BTIME) == 0 || !S_ISREG(info.stx_mode)) return std::nullopt;
  return FileLocation{.path = {},
                      .device = ::makedev(info.stx_dev_major, info.stx_dev_minor),
                      .inode = info.stx_ino,
                      .birth = info.stx_btime.tv_sec * 1'000'000'000 + info.stx_btime.tv_nsec};
}

std::uint32_t generation_of(int fd) {
  long generation = 0;  // NOLINT(google-runtime-int): the kernel's type
  return ::ioctl(fd, FS_IOC_GETVERSION, &generation) == 0 ? static_cast<std::uint32_t>(generation) : 0;
}

bool same_file(const FileLocation& a, const FileLocation& b) {
  return a.device == b.device && a.inode == b.inode && a.birth == b.birth;
}

[[noreturn]] void refuse(const std::string& path, int error) {
  if (error == EMFILE || error == ENFILE) throw Error(ErrorCode::kLimit, too_many_files());
  throw Error(ErrorCode::kSource,
              "'" + path + "' cannot be opened again: " + std::generic_category().message(error));
}

}  // namespace

std::string too_many_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return "the daemon has too many files open (RLIMIT_NOFILE is " + std::to_string(limit.rlim_cur) +
         "); try again later, or raise it (LimitNOFILE= in its unit)";
}

std::optional<FileLocation> FileLocation::of(int fd) {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = ::readlink(path_of_descriptor(fd).c_str(), path.data(), path.size() - 1);
  if (length <= 0) return std::nullopt;
  auto location = look_at(fd, "");
  const auto found = look_at(AT_FDCWD, path.data());
  if (!location || !found || !same_file(*location, *found)) return std::nullopt;
  if (::faccessat(AT_FDCWD, path.data(), R_OK, AT_EACCESS) != 0) return std::nullopt;
  location->generation = generation_of(fd);
  location->path.assign(path.data(), static_cast<std::size_t>(length));
  return location;
}

UniqueFd FileLocation::open() const {
  // First with O_PATH: opening a device or a pipe that is now at the path could have side
  // effects.
  const UniqueFd place(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place) refuse(path, errno);
  const auto refuse_another = [this] {
    throw Error(ErrorCode::kSource, "'" + path + "' is another file now");
  };
  if (const auto found = look_at(place.get(), ""); !found || !same_file(*found, *this)) refuse_another();
  UniqueFd file(
      ::open(path_of_descriptor(place.get()).c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) refuse(path, errno);
  if (generation_of(file.get()) != generation) refuse_another();
  return file;
}

SourceFiles::FilePtr SourceFiles::add(UniqueFd fd) {
  auto file = std::make_shared<File>();
  file->descriptor = std::make_shared<const UniqueFd>(std::move(fd));
  const std::lock_guard lock(mutex_);
  used_locked(file);
  return file;
}

std::shared_ptr<const UniqueFd> SourceFiles::open(const FilePtr& file) {
  const std::lock_guard lock(mutex_);
  if (!file->descriptor) file->descriptor = std::make_shared<const UniqueFd>(file->location.open());
  auto descriptor = file->descriptor;  // before it may be closed to open another one
  used_locked(file);
  return descriptor;
}

void SourceFiles::used_locked(const FilePtr& file) {
  if (file->stays_open) return;
  recent_.remove_if([&](const auto& entry) { return entry.expired() || entry.lock() == file; });
  recent_.push_front(file);
  while (recent_.size() > most_open_) {
    const FilePtr oldest = recent_.back().lock();
    recent_.pop_back();
    if (!oldest) continue;
    // Only now: it may have been renamed, and its current name is known while it is open.
    if (auto location = FileLocation::of(oldest->descriptor->get())) {
      oldest->location = *std::move(location);
      oldest->descriptor.reset();
    } else {
      oldest->stays_open = true;
    }
  }
}

}  // namespace unroll
