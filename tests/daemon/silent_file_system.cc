#include "tests/daemon/silent_file_system.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace unroll::test {
namespace {

constexpr std::uint64_t kFile = 2;

class Server {
 public:
  Server(int device, FuseRequest silent_to, std::string content)
      : device_(device), silent_to_(silent_to), content_(std::move(content)) {}

  void run() {
    std::vector<char> bytes(1 << 20);
    for (;;) {
      const auto count = ::read(device_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < static_cast<ssize_t>(sizeof(fuse_in_header))) return;
      fuse_in_header head{};
      std::memcpy(&head, bytes.data(), sizeof head);
      if (opened_ && head.opcode == static_cast<std::uint32_t>(silent_to_)) continue;
      serve(head, bytes.data() + sizeof head);
    }
  }

 private:
  template <class Body>
  void answer(const fuse_in_header& head, const Body& body) {
    answer(head, &body, sizeof body, 0);
  }
  void answer(const fuse_in_header& head, const void* body, std::size_t bytes, int error) {
    fuse_out_header out{static_cast<std::uint32_t>(sizeof out + bytes), -error, head.unique};
    std::string message(reinterpret_cast<const char*>(&out), sizeof out);
    message.append(static_cast<const char*>(body), bytes);
    if (::write(device_, message.data(), message.size()) < 0) return;
  }
  fuse_attr attributes(std::uint64_t node) const {
    fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == kFile ? S_IFREG | 0644 : S_IFDIR | 0755;
    attr.size = node == kFile ? content_.size() : 0;
    attr.nlink = 1;
    attr.blksize = 4096;
    return attr;
  }
  void serve(const fuse_in_header& head, const char* body) {
    switch (head.opcode) {
      case FUSE_INIT: {
        fuse_init_out out{};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = 31;
        out.max_write = 65536;
        out.max_background = 12;
        out.congestion_threshold = 10;
        return answer(head, out);
      }
      case FUSE_LOOKUP: {
        fuse_entry_out out{};
        out.nodeid = kFile;
        out.attr = attributes(kFile);
        return answer(head, out);
      }
      case FUSE_GETATTR: {
        fuse_attr_out out{};
        out.attr = attributes(head.nodeid);
        return answer(head, out);
      }
      case FUSE_OPEN: {
        opened_ = true;
        fuse_open_out out{};
        out.fh = 1;
        out.open_flags = FOPEN_DIRECT_IO;
        return answer(head, out);
      }
      case FUSE_READ: {
        fuse_read_in in{};
        std::memcpy(&in, body, sizeof in);
        const std::string part = in.offset < content_.size() ? content_.substr(in.offset, in.size) : "";
        return answer(head, part.data(), part.size(), 0);
      }
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT:
        return;
      case FUSE_FLUSH:
      case FUSE_RELEASE:
        return answer(head, nullptr, 0, 0);
      default:
        return answer(head, nullptr, 0, ENOSYS);
    }
  }

  const int device_;
  const FuseRequest silent_to_;
  const std::string content_;
  bool opened_ = false;
};

/// Mounts it; a thread serves it for the lifetime of the process. Opens its file. Throws std::runtime_error.
UniqueFd mount_and_open(const std::string& folder, FuseRequest silent_to, const std::string& content) {
  const int device = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  const std::string options = "fd=" + std::to_string(device) +
                              ",rootmode=40000,user_id=" + std::to_string(::getuid()) +
                              ",group_id=" + std::to_string(::getgid());
  if (device < 0 || ::mount("silent", folder.c_str(), "fuse", 0, options.c_str()) != 0)
    throw std::runtime_error("no FUSE here: " + std::string(std::strerror(errno)));
  std::thread([server = Server(device, silent_to, content)]() mutable { server.run(); }).detach();
  UniqueFd file(::open((folder + "/file").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw std::runtime_error("no file in it: " + std::string(std::strerror(errno)));
  return file;
}

}  // namespace

SilentFileSystem::SilentFileSystem(std::string folder, FuseRequest silent_to, const std::string& content,
                                   const std::function<void(const UniqueFd& file)>& then)
    : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const UniqueFd told(ends[0]);
  UniqueFd telling(ends[1]);
  server_ = ::fork();
  if (server_ == 0) {
    try {
      const UniqueFd file = mount_and_open(folder_, silent_to, content);
      if (then) then(file);
      const char good = 'y';
      if (::write(telling.get(), &good, 1) != 1) ::_exit(1);
      for (;;) ::pause();
    } catch (const std::exception&) {
      ::_exit(1);
    }
  }
  telling.reset();
  char result = 'n';
  good_ = ::read(told.get(), &result, 1) == 1 && result == 'y';
}

SilentFileSystem::~SilentFileSystem() {
  ::umount2(folder_.c_str(), MNT_FORCE | MNT_DETACH);
  ::kill(server_, SIGKILL);
  ::waitpid(server_, nullptr, 0);
}

}  // namespace unroll::test
