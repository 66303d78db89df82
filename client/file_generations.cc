#include "client/file_generations.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 6> kCompressed = {".gz", ".xz", ".zst", ".bz2", ".lz4", ".Z"};

std::uint64_t nanoseconds(const struct statx_timestamp& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

std::optional<Generation> look(int folder, const char* path, int flags) {
  struct statx status {};
  if (::statx(folder, path, flags, STATX_BASIC_STATS | STATX_BTIME, &status) != 0) return std::nullopt;
  if (!S_ISREG(status.stx_mode)) return std::nullopt;
  Generation found;
  found.path = path;
  found.identity.device = ::makedev(status.stx_dev_major, status.stx_dev_minor);
  found.identity.inode = status.stx_ino;
  if ((status.stx_mask & STATX_BTIME) != 0) found.identity.born = nanoseconds(status.stx_btime);
  found.size = status.stx_size;
  found.modified = nanoseconds(status.stx_mtime);
  return found;
}

bool is_earlier_generation(const std::string& name, const std::string& of) {
  if (!name.starts_with(of) || name.size() <= of.size() + 1) return false;
  if (name[of.size()] != '.' && name[of.size()] != '-') return false;
  return std::none_of(kCompressed.begin(), kCompressed.end(),
                      [&](std::string_view ending) { return name.ends_with(ending); });
}

}  // namespace

bool FileIdentity::operator==(const FileIdentity& other) const {
  // A device may have another number after a restart of the machine; inodes are used again, births are not.
  if (born != 0 && other.born != 0) return inode == other.inode && born == other.born;
  return inode == other.inode && device == other.device;
}

std::optional<Generation> generation_at(const fs::path& path) {
  return look(AT_FDCWD, path.c_str(), 0);
}

std::optional<Generation> generation_of(int file) {
  return look(file, "", AT_EMPTY_PATH);
}

std::vector<Generation> generations_of(const fs::path& file) {
  std::vector<Generation> found;
  std::error_code failed;
  const auto current = generation_at(file);
  for (auto entry = fs::directory_iterator(file.parent_path(), failed);
       !failed && entry != fs::directory_iterator(); entry.increment(failed)) {
    if (!is_earlier_generation(entry->path().filename(), file.filename())) continue;
    if (auto generation = generation_at(entry->path())) {
      if (!current || !(generation->identity == current->identity)) found.push_back(*std::move(generation));
    }
  }
  std::sort(found.begin(), found.end(), [](const Generation& a, const Generation& b) {
    return std::tie(a.identity.born, a.modified) < std::tie(b.identity.born, b.modified);
  });
  if (current) found.push_back(*current);
  return found;
}

}  // namespace unroll
