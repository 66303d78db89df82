#include "client/follow/spool.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/atomic_file.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".json";
constexpr std::size_t kMostWaiting = 100'000;  // about 400 MiB on disk

void make_private_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    throw std::system_error(errno, std::generic_category(), "cannot make the folder " + folder.string());
}

}  // namespace

Spool::Spool(fs::path folder) : folder_(std::move(folder)) {
  make_private_folder(folder_);
}

void Spool::put(const std::string& id, std::string_view event) const {
  AtomicFile file(folder_ / (id + kExtension), 0600);
  file.write(event);
  file.commit();
}

void Spool::lock() {
  lock_ = UniqueFd(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int result = 0;
  do {
    result = lock_ ? ::flock(lock_.get(), LOCK_EX) : -1;
  } while (result != 0 && errno == EINTR);
  if (result != 0) throw std::system_error(errno, std::generic_category(), "cannot lock " + folder_.string());
}

std::vector<fs::path> Spool::waiting(std::size_t& dropped) const {
  std::vector<std::pair<fs::file_time_type, fs::path>> found;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    std::error_code gone;
    if (entry.path().extension() == kExtension) found.emplace_back(entry.last_write_time(gone), entry.path());
  }
  std::sort(found.begin(), found.end());
  dropped = found.size() - std::min(found.size(), kMostWaiting);
  for (std::size_t i = 0; i < dropped; ++i) fs::remove(found[i].second);
  std::vector<fs::path> paths;
  for (std::size_t i = dropped; i < found.size(); ++i) paths.push_back(std::move(found[i].second));
  return paths;
}

void Spool::refuse(const fs::path& event) const {
  make_private_folder(folder_ / "refused");
  fs::rename(event, folder_ / "refused" / event.filename());
}

}  // namespace unroll
