#include "daemon/socket_file.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "protocol/protocol.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

constexpr int kBacklog = 4096;  // the kernel limits it to net.core.somaxconn
constexpr std::chrono::seconds kLockTime{2};
constexpr std::chrono::milliseconds kLockPause{20};

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw Error(ErrorCode::kInvalidParams, "socket '" + path.string() + "': " + what);
}

[[noreturn]] void refuse_errno(const fs::path& path, const std::string& what, int error = errno) {
  refuse(path, what + ": " + std::generic_category().message(error) +
                   "; name another with --socket or correct its permissions");
}

sockaddr_un address_of(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.string().size() + 1);
  return address;
}

void make_folder(const fs::path& folder) {
  if (folder.empty()) return;
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    refuse_errno(folder, "this folder cannot be created");
}

/// Prevents two daemons that start at once from both replacing the same stale socket. The lock is a separate
/// file that no other user may open, because any process that can open a file or folder can lock it.
UniqueFd lock(const fs::path& path) {
  const fs::path file = path.string() + ".lock";
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.get() < 0) refuse_errno(path, "its lock '" + file.string() + "' cannot be opened");
  const auto until = std::chrono::steady_clock::now() + kLockTime;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      refuse_errno(path, "its lock '" + file.string() + "' cannot be taken");
    if (std::chrono::steady_clock::now() >= until) {
      throw Error(ErrorCode::kDocumentState, "socket '" + path.string() +
                                                 "': another daemon is being started there ('" +
                                                 file.string() + "' is locked); name another with --socket");
    }
    std::this_thread::sleep_for(kLockPause);
  }
  return fd;
}

/// Removes a socket without a listener; throws if anything else is at the path.
void clear_path(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return;
    refuse_errno(path, "cannot be examined");
  }
  if (S_ISDIR(info.st_mode)) refuse(path, "is a folder; name a file in it with --socket");
  if (!S_ISSOCK(info.st_mode))
    refuse(path, "a file that is not a socket is in the way; remove it or name another with --socket");
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un address = address_of(path);
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN) {
    throw Error(ErrorCode::kDocumentState,
                "socket '" + path.string() +
                    "': another daemon listens there; stop it or name another with --socket");
  }
  if (errno != ECONNREFUSED) refuse_errno(path, "cannot be connected to");
  if (::unlink(path.c_str()) != 0) refuse_errno(path, "a stale socket cannot be removed");
}

void give_to_group(const fs::path& path, const std::string& name) {
  if (name.empty()) return;
  errno = 0;
  const group* entry = ::getgrnam(name.c_str());
  if (entry == nullptr) refuse(path, "there is no group '" + name + "'; correct socket.group");
  if (::chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
    refuse_errno(path, "cannot be given to group '" + name + "'");
  }
}

}  // namespace

PassedSockets PassedSockets::take() {
  PassedSockets passed;
  const int count = ::sd_listen_fds(1);
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
    UniqueFd& place = ::sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0 ? passed.local : passed.tcp;
    const bool is_known = &place == &passed.local || ::sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0 ||
                          ::sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0;
    if (place || !is_known) {
      throw Error(ErrorCode::kInvalidParams,
                  "systemd must hand over one listening Unix stream socket, and at most one of TCP; correct "
                  "unrolld.socket");
    }
    place.reset(fd);
  }
  if (passed.tcp && !passed.local)
    throw Error(ErrorCode::kInvalidParams,
                "systemd hands over a TCP socket and no Unix socket; correct unrolld.socket");
  return passed;
}

SocketFile SocketFile::open(const Config& config, UniqueFd passed) {
  if (!passed) return create(config);
  SocketFile socket;
  socket.fd_ = std::move(passed);
  socket.description_ = "a socket from systemd";
  return socket;
}

SocketFile SocketFile::create(const Config& config) {
  const fs::path path = config.socket_path;
  check_socket_path(path);
  make_folder(path.parent_path());
  const UniqueFd locked = lock(path);
  clear_path(path);
  SocketFile socket;
  socket.description_ = path.string();
  socket.fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  // No client may connect before the mode is set: the file is created without permissions.
  const mode_t before = ::umask(0777);
  const int bound = ::bind(socket.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(before);
  if (bound != 0) refuse_errno(path, "cannot be created", error);
  socket.path_ = path;
  give_to_group(path, config.socket_group);
  if (::chmod(path.c_str(), static_cast<mode_t>(std::stoul(config.socket_mode, nullptr, 8))) != 0 ||
      ::listen(socket.fd_.get(), kBacklog) != 0) {
    refuse_errno(path, "cannot be listened on");
  }
  return socket;
}

SocketFile::~SocketFile() {
  remove();
}

void SocketFile::remove() {
  if (!path_) return;
  std::error_code ignored;
  fs::remove(*path_, ignored);
  path_.reset();
}

}  // namespace unroll
