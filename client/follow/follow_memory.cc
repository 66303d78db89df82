#include "client/follow/follow_memory.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/hash.h"
#include "base/hex.h"
#include "client/cli/command_error.h"
#include "config/config.h"

namespace unroll {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FollowState, document, next_output, bytes, pieces, printed,
                                                alerts)

namespace {

namespace fs = std::filesystem;

std::string file_name(std::string name, const std::string& what) {
  constexpr std::size_t kLongest = 100;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '-'; },
      '_');
  return name.substr(0, kLongest) + "-" + to_hex(fnv1a(what));
}

void make_private_folder(const fs::path& folder) {
  std::error_code failed;
  if (fs::is_directory(folder, failed)) return;
  fs::create_directories(folder.parent_path(), failed);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    throw CommandError(system_message("cannot make the folder " + folder.string(), errno) +
                       "; name a writable folder with --state");
  }
}

}  // namespace

fs::path default_follow_folder() {
  return default_journal_path().parent_path() / "follow";
}

FollowFiles FollowFiles::of(const fs::path& folder, const std::string& name, const std::string& what) {
  return {folder / file_name(name, what)};
}

FollowMemory::FollowMemory(FollowFiles files, const std::string& name) : files_(std::move(files)) {
  make_private_folder(files_.state.parent_path());
  const std::string lock = files_.lock();
  lock_ = UniqueFd(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_) {
    throw CommandError(system_message("cannot write " + lock, errno) +
                       "; name a writable folder with --state");
  }
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    throw CommandError(name +
                       " is already followed by another process; stop that process, or give this one a "
                       "--state of its own");
  }
  load();
}

void FollowMemory::load() {
  std::ifstream in(files_.state);
  if (!in) return;
  try {
    nlohmann::json::parse(in).get_to(state_);
  } catch (const nlohmann::json::exception&) {
    throw CommandError(files_.state.string() +
                       " is damaged and does not say how far the log was read; remove it to begin again");
  }
}

FollowState FollowMemory::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void FollowMemory::update(const std::function<void(FollowState&)>& change) {
  const std::lock_guard lock(mutex_);
  change(state_);
  AtomicFile file(files_.state, 0600);
  file.write(nlohmann::json(state_).dump());
  file.commit();
}

}  // namespace unroll
