#include "client/follow/follow_memory.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <optional>
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

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FollowState, file, document, next_output, bytes, pieces,
                                                printed, alerts)

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::hours kKeptWhenGone{7 * 24};

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

/// Locks the file; none if another process has it. Whoever forgets a source removes its file: then a new one
/// is locked.
UniqueFd lock_file(const fs::path& path) {
  for (;;) {
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file) {
      throw CommandError(system_message("cannot write " + path.string(), errno) +
                         "; name a writable folder with --state");
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return UniqueFd();
    struct stat locked {
    }, named{};
    if (::fstat(file.get(), &locked) == 0 && ::stat(path.c_str(), &named) == 0 &&
        locked.st_ino == named.st_ino)
      return file;
  }
}

UniqueFd lock_of(const FollowFiles& files, const std::string& name) {
  make_private_folder(files.state.parent_path());
  UniqueFd lock = lock_file(files.lock());
  if (!lock) {
    throw CommandError(name +
                       " is already followed by another process; stop that process, or give this one a "
                       "--state of its own");
  }
  return lock;
}

/// All that is kept of a source; empty if an event waits.
std::vector<fs::path> all_files(const FollowFiles& files) {
  std::vector<fs::path> all;
  std::error_code failed;
  const std::string state = files.state.filename();
  for (const auto& entry : fs::directory_iterator(files.state.parent_path(), failed)) {
    const std::string name = entry.path().filename();
    if (name != state && !name.starts_with(state + ".")) continue;
    if (entry.is_directory(failed) && !fs::is_empty(entry.path(), failed)) return {};
    if (entry.path() != files.lock()) all.push_back(entry.path());
  }
  all.push_back(files.lock());  // the last
  return all;
}

/// The file that a state belongs to, if it is gone for long enough.
std::optional<fs::path> gone_file(const fs::path& state) {
  std::error_code failed;
  const auto changed = fs::last_write_time(state, failed);
  if (failed || fs::file_time_type::clock::now() - changed < kKeptWhenGone) return std::nullopt;
  std::ifstream in(state);
  const auto read = nlohmann::json::parse(in, nullptr, false);
  const std::string file = read.is_object() ? read.value("file", "") : "";
  const bool is_gone = !file.empty() && !fs::exists(file, failed) && !failed;
  return is_gone ? std::optional<fs::path>(file) : std::nullopt;
}

}  // namespace

fs::path default_follow_folder() {
  return default_journal_path().parent_path() / "follow";
}

FollowFiles FollowFiles::of(const fs::path& folder, const std::string& name, const std::string& what) {
  return {folder / file_name(name, what)};
}

std::vector<fs::path> forget_gone_files(const fs::path& folder) {
  std::vector<fs::path> locks, forgotten;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    if (entry.path().extension() == ".lock") locks.push_back(entry.path());
  }
  for (fs::path path : locks) {
    const FollowFiles files{path.replace_extension()};
    const auto file = gone_file(files.state);
    if (!file) continue;
    const UniqueFd lock = lock_file(files.lock());
    if (!lock || !gone_file(files.state)) continue;
    const auto all = all_files(files);
    for (const fs::path& each : all) fs::remove(each, failed);
    if (!all.empty()) forgotten.push_back(*file);
  }
  return forgotten;
}

FollowMemory::FollowMemory(FollowFiles files, const std::string& name)
    : files_(std::move(files)), lock_(lock_of(files_, name)) {
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
