#include "client/follow/file_generations.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/ascii.h"

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

/// Suffixes that log rotation appends: .1, .old, -20260131. Not any suffix: mail.err is not an earlier mail.
bool is_rotation(std::string_view ending) {
  constexpr std::array<std::string_view, 4> kWords = {"old", "bak", "prev", "save"};
  if (ending.size() < 2 || (ending[0] != '.' && ending[0] != '-')) return false;
  ending.remove_prefix(1);
  if (std::isdigit(static_cast<unsigned char>(ending[0])) != 0) return true;
  return std::find(kWords.begin(), kWords.end(), ending) != kWords.end();
}

/// The suffix of compression; empty if there is none.
std::string_view compression_of(const std::string& name) {
  const auto ending = std::find_if(kCompressed.begin(), kCompressed.end(),
                                   [&](std::string_view each) { return name.ends_with(each); });
  return ending == kCompressed.end() ? std::string_view() : *ending;
}

/// FILE.1; for a.log also a.1.log.
bool is_earlier_generation(const std::string& name, const fs::path& of) {
  const std::string whole = of.filename(), stem = of.stem(), extension = of.extension();
  if (name.starts_with(whole)) return is_rotation(std::string_view(name).substr(whole.size()));
  if (extension.empty() || !name.starts_with(stem) || !name.ends_with(extension)) return false;
  const std::size_t length = name.size() - std::min(name.size(), stem.size() + extension.size());
  return is_rotation(std::string_view(name).substr(stem.size(), length));
}

/// FILE.2 is older than FILE.1: orders files with equal creation times.
long age_of(const fs::path& path) {
  const std::string number = path.extension().string().erase(0, 1);
  const bool numeric = ascii::all_digits(number);
  return numeric ? std::strtol(number.c_str(), nullptr, 10) : 0;
}

void add_siblings(const fs::path& file, std::vector<Generation>& found) {
  std::error_code failed;
  for (auto entry = fs::directory_iterator(file.parent_path(), failed);
       !failed && entry != fs::directory_iterator(); entry.increment(failed)) {
    const std::string name = entry->path().filename();
    if (!compression_of(name).empty() || !is_earlier_generation(name, file)) continue;
    if (auto generation = generation_at(entry->path())) found.push_back(*std::move(generation));
  }
}

std::vector<Generation> list(const fs::path& file) {
  std::vector<Generation> found;
  add_siblings(file, found);
  // A symbolic link's earlier generations are beside its target.
  std::error_code failed;
  if (fs::is_symlink(file, failed)) add_siblings(fs::canonical(file, failed), found);
  const auto order = [](const Generation& generation) {
    return std::tuple(generation.identity.born, generation.modified, -age_of(generation.path));
  };
  std::sort(found.begin(), found.end(),
            [&](const Generation& a, const Generation& b) { return order(a) < order(b); });
  if (const auto current = generation_at(file)) {
    std::erase_if(found, [&](const Generation& other) { return other.identity == current->identity; });
    found.push_back(*current);
  }
  return found;
}

}  // namespace

std::vector<Generation> compressed_generations_of(const fs::path& file) {
  std::vector<Generation> found;
  std::error_code failed;
  const fs::path real = fs::is_symlink(file, failed) ? fs::canonical(file, failed) : file;
  for (auto entry = fs::directory_iterator(real.parent_path(), failed);
       !failed && entry != fs::directory_iterator(); entry.increment(failed)) {
    const std::string name = entry->path().filename();
    const std::string plain = name.substr(0, name.size() - compression_of(name).size());
    if (plain == name || (plain != real.filename() && !is_earlier_generation(plain, real))) continue;
    if (auto generation = generation_at(entry->path())) found.push_back(*std::move(generation));
    if (!found.empty()) found.back().compressed = true;
  }
  std::sort(found.begin(), found.end(),
            [](const Generation& a, const Generation& b) { return a.modified > b.modified; });
  return found;
}

bool is_generation(const fs::path& path, const fs::path& file) {
  const std::string name = path.filename();
  const std::string plain = name.substr(0, name.size() - compression_of(name).size());
  return path.parent_path() == file.parent_path() && is_earlier_generation(plain, file);
}

bool is_compressed_name(const fs::path& path) {
  return !compression_of(path.filename()).empty();
}

bool FileIdentity::operator==(const FileIdentity& other) const {
  // A device number may change at a reboot. Inodes are reused; creation times are not.
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
  // A rotation during the listing may hide a file.
  constexpr int kTries = 10;
  std::vector<Generation> found = list(file);
  for (int i = 1; i < kTries; ++i) {
    std::vector<Generation> again = list(file);
    const bool same = std::equal(found.begin(), found.end(), again.begin(), again.end(),
                                 [](const Generation& a, const Generation& b) {
                                   return a.path == b.path && a.identity == b.identity;
                                 });
    found = std::move(again);
    if (same) break;
  }
  return found;
}

}  // namespace unroll
