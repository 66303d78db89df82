// unroll-source-reader: holds the descriptors that one user sent, so that unrolld does not. Examining,
// reading or closing a descriptor may block forever if its file system does not answer (FUSE, NFS) or if it
// is a lingering socket. A process in such a call cannot always be killed and keeps its descriptors open, so
// it must hold only one user's. unrolld starts it and communicates by source_wire.h.
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/descriptor_passing.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/unique_fd.h"
#include "daemon/source_files.h"
#include "daemon/source_wire.h"

namespace unroll {
namespace {

using source_wire::kChunkBytes;
using source_wire::Operation;
using source_wire::Outcome;
using source_wire::Reply;
using source_wire::Request;

constexpr std::size_t kMostOpenFiles = 64;
constexpr std::size_t kMostPathBytes = 8192;

std::string reason(int error) {
  return std::generic_category().message(error);
}

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ErrorCode::kSource, text);
}

/// Whether it is a peer's end of a connection to unrolld. As a document's source it would keep that
/// connection, possibly the document's own, open after the peer is gone.
bool is_end_of(int descriptor, int connection) {
  sockaddr_un ours{}, theirs{};
  socklen_t our_size = sizeof ours, their_size = sizeof theirs;
  return ::getsockname(connection, reinterpret_cast<sockaddr*>(&ours), &our_size) == 0 &&
         ::getpeername(descriptor, reinterpret_cast<sockaddr*>(&theirs), &their_size) == 0 &&
         our_size > sizeof(sa_family_t) && our_size == their_size &&
         std::memcmp(&ours, &theirs, our_size) == 0;
}

/// The kind of a descriptor that a document can be read from. Throws Error(kSource) for any other.
struct stat check_source(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0)
    refuse("the descriptor cannot be examined; send that of a file, a pipe or a socket");
  if (S_ISDIR(info.st_mode)) refuse("the descriptor is a folder; send that of a file in it");
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode) && !S_ISSOCK(info.st_mode))
    refuse("the descriptor is a device; send that of a file, a pipe or a socket");
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY)
    refuse("the descriptor is not open for reading; open the file or the pipe's other end");
  return info;
}

struct Answer {
  Reply reply;
  std::string path, text, data;
};

class Reader {
 public:
  explicit Reader(std::uint64_t most_streams) : most_streams_(most_streams) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    between_out_.reset(ends[0]);
    between_in_.reset(ends[1]);
  }

  /// Serves until unrolld closes its end.
  void run() {
    while (poll_once()) {
    }
  }

 private:
  struct Source {
    UniqueFd stream;  ///< A pipe or a socket; else `file`.
    SourceFiles::FilePtr file;
    bool is_socket = false;
    std::optional<Request> waiting;  ///< A kRead or kDigest that nothing was there for.
    Sha256 digest;                   ///< Of what kDigest read.
  };

  bool poll_once() {
    std::vector<pollfd> polled = {{source_wire::kControl, POLLIN, 0}};
    std::vector<std::uint64_t> sources;
    for (const auto& [id, source] : sources_) {
      if (!source.waiting) continue;
      polled.push_back({source.stream.get(), POLLIN, 0});
      sources.push_back(id);
    }
    if (::poll(polled.data(), polled.size(), -1) < 0) return errno == EINTR;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (polled[i + 1].revents != 0) read_stream(sources_.at(sources[i]));
    }
    return polled[0].revents == 0 || serve();
  }

  bool serve() {
    std::string path(sizeof(Request) + kMostPathBytes, '\0');
    ReceivedDescriptors received;
    const ssize_t count = receive_with_descriptors(source_wire::kControl, path, 0, received);
    if (count < 0 && errno == EINTR) return true;
    Request request;
    if (count < static_cast<ssize_t>(sizeof request)) return false;
    std::memcpy(&request, path.data(), sizeof request);
    path.resize(static_cast<std::size_t>(count));
    path.erase(0, sizeof request);
    UniqueFd connection;
    if (!received.descriptors.empty()) connection = std::move(received.descriptors.front());
    if (request.operation == Operation::kRead || request.operation == Operation::kDigest)
      return start_read(request), true;
    Answer answer;
    answer.reply.ticket = request.ticket;
    try {
      carry_out(request, path, std::move(connection), answer);
    } catch (const Error& error) {
      answer.reply.outcome = error.code == ErrorCode::kLimit ? Outcome::kTooMany : Outcome::kFailed;
      answer.text = error.what();
    }
    send(std::move(answer));
    return true;
  }

  void carry_out(const Request& request, const std::string& path, UniqueFd connection, Answer& answer) {
    switch (request.operation) {
      case Operation::kTake:
        return take(request, connection.get(), answer);
      case Operation::kDiscard:
        answer.data.resize(std::min<std::size_t>(request.bytes, kChunkBytes));
        return keep(::recv(connection.get(), answer.data.data(), answer.data.size(), MSG_DONTWAIT), answer);
      case Operation::kOpen: {
        const FileLocation location{path, request.location.device, request.location.inode,
                                    request.location.birth, request.location.generation};
        return adopt(location.open(), answer);
      }
      case Operation::kClose:
        sources_.erase(request.source);
        return;
      case Operation::kWrite:
        return write(request, connection.get(), answer);
      case Operation::kCloseConnection:  // closed at the end of the scope
      case Operation::kRead:
      case Operation::kDigest:
        return;
    }
  }

  static void keep(ssize_t count, Answer& answer) {
    answer.data.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  }

  void take(const Request& request, int connection, Answer& answer) {
    answer.data.resize(std::min<std::size_t>(request.bytes, kChunkBytes));
    ReceivedDescriptors received;
    keep(receive_with_descriptors(connection, answer.data, MSG_DONTWAIT, received), answer);
    auto& descriptors = received.descriptors;
    answer.reply.descriptors = static_cast<std::uint32_t>(descriptors.size());
    if (received.cut && descriptors.empty()) throw Error(ErrorCode::kLimit, "out of descriptors");
    if (received.cut || descriptors.size() > 1) ++answer.reply.descriptors;  // more than one, however many
    if (descriptors.size() != 1 || received.cut) return;
    if (is_end_of(descriptors.front().get(), connection)) {
      refuse("the descriptor is a connection to this daemon; send that of a file, a pipe or another socket");
    }
    adopt(std::move(descriptors.front()), answer);
  }

  /// Copies a part of `content` to the file, which is emptied before its first byte is written.
  void write(const Request& request, int content, Answer& answer) {
    const auto found = sources_.find(request.source);
    if (found == sources_.end() || !found->second.file) refuse("the descriptor is no regular file");
    const auto file = files_.open(found->second.file);
    if ((::fcntl(file->get(), F_GETFL) & O_ACCMODE) != O_RDWR)
      refuse("the descriptor is not open for reading and writing");
    if (request.offset == 0 && ::ftruncate(file->get(), 0) != 0) refuse(reason(errno));
    std::vector<char> bytes(kChunkBytes);
    auto& written = answer.reply.processed;
    while (written < request.bytes) {
      const auto at = static_cast<off_t>(request.offset + written);
      const auto most = std::min<std::size_t>(bytes.size(), request.bytes - written);
      auto count = ::pread(content, bytes.data(), most, at);
      if (count > 0) count = ::pwrite(file->get(), bytes.data(), static_cast<std::size_t>(count), at);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) refuse(reason(errno));
      if (count == 0) return;
      written += static_cast<std::uint64_t>(count);
    }
  }

  void adopt(UniqueFd fd, Answer& answer) {
    const struct stat info = check_source(fd.get());
    Source source;
    answer.reply.is_file = S_ISREG(info.st_mode) ? 1 : 0;
    if (S_ISREG(info.st_mode)) {
      // Files in /proc and /sys have size 0 but are not empty.
      answer.reply.file_bytes = static_cast<std::uint64_t>(std::max<off_t>(info.st_size, 0));
      if (auto location = FileLocation::of(fd.get())) {
        answer.reply.has_location = 1;
        answer.reply.location = {location->device, location->inode, location->birth, location->generation};
        answer.path = std::move(location->path);
      }
      source.file = files_.add(std::move(fd));
    } else {
      const auto streams =
          std::ranges::count_if(sources_, [](const auto& entry) { return !entry.second.file; });
      if (static_cast<std::uint64_t>(streams) >= most_streams_) throw Error(ErrorCode::kLimit, "the maximum");
      source.is_socket = S_ISSOCK(info.st_mode);
      source.stream = std::move(fd);
    }
    answer.reply.source = ++last_;
    sources_.emplace(last_, std::move(source));
  }

  void start_read(const Request& request) {
    const auto found = sources_.find(request.source);
    if (found == sources_.end()) return fail(request.ticket, "it is closed");
    Source& source = found->second;
    if (source.file) return read_file(source, request);
    source.waiting = request;
    read_stream(source);
  }

  static std::size_t most_bytes(const Request& request) {
    return request.operation == Operation::kDigest
               ? std::min<std::size_t>(request.bytes, source_wire::kDigestBytes)
               : kChunkBytes;
  }

  /// `answer` has the bytes that were read.
  static void finish_read(Source& source, const Request& request, Answer answer) {
    if (request.operation == Operation::kDigest) {
      answer.reply.processed = answer.data.size();
      source.digest.add(answer.data);
      const auto digest = source.digest.digest();
      answer.data.assign(reinterpret_cast<const char*>(digest.data()), digest.size());
    }
    send(std::move(answer));
  }

  void read_file(Source& source, const Request& request) {
    Answer answer;
    answer.reply.ticket = request.ticket;
    answer.data.resize(most_bytes(request));
    try {
      const auto descriptor = files_.open(source.file);
      ssize_t count = -1;
      do {
        count = ::pread(descriptor->get(), answer.data.data(), answer.data.size(),
                        static_cast<off_t>(request.offset));
      } while (count < 0 && errno == EINTR);
      if (count < 0) return fail(request.ticket, reason(errno));
      keep(count, answer);
      finish_read(source, request, std::move(answer));
    } catch (const Error& error) {
      fail(request.ticket, error.what(),
           error.code == ErrorCode::kLimit ? Outcome::kTooMany : Outcome::kFailed);
    }
  }

  /// Reads without blocking and without O_NONBLOCK, which would also affect the user's own descriptor.
  void read_stream(Source& source) {
    const Request request = *source.waiting;
    Answer answer;
    answer.reply.ticket = request.ticket;
    answer.data.resize(most_bytes(request));
    ssize_t count = -1;
    if (source.is_socket) {
      count = ::recv(source.stream.get(), answer.data.data(), answer.data.size(), MSG_DONTWAIT);
    } else {
      count = ::splice(source.stream.get(), nullptr, between_in_.get(), nullptr,
                       std::min(answer.data.size(), kChunkBytes), SPLICE_F_NONBLOCK);
      if (count > 0) count = ::read(between_out_.get(), answer.data.data(), static_cast<std::size_t>(count));
    }
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    source.waiting.reset();
    if (count < 0) return fail(request.ticket, reason(errno));
    keep(count, answer);
    finish_read(source, request, std::move(answer));
  }

  void fail(std::uint64_t ticket, const std::string& why, Outcome outcome = Outcome::kFailed) {
    Answer answer;
    answer.reply.ticket = ticket;
    answer.reply.outcome = outcome;
    answer.text = why;
    send(std::move(answer));
  }

  static void send(Answer answer) {
    answer.reply.path_bytes = static_cast<std::uint32_t>(answer.path.size());
    answer.reply.text_bytes = static_cast<std::uint32_t>(answer.text.size());
    answer.reply.data_bytes = static_cast<std::uint32_t>(answer.data.size());
    std::array<iovec, 4> parts{{{&answer.reply, sizeof answer.reply},
                                {answer.path.data(), answer.path.size()},
                                {answer.text.data(), answer.text.size()},
                                {answer.data.data(), answer.data.size()}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    while (::sendmsg(source_wire::kControl, &message, MSG_NOSIGNAL) < 0) {
      if (errno != EINTR) std::_Exit(0);  // unrolld is gone
    }
  }

  const std::uint64_t most_streams_;
  UniqueFd between_in_, between_out_;  ///< Its own pipe: splice() can read another one without blocking.
  SourceFiles files_{kMostOpenFiles};
  std::map<std::uint64_t, Source> sources_;
  std::uint64_t last_ = 0;
};

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  using namespace unroll;
  if (argc != 2) return 2;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 0);
  ::signal(SIGXFSZ, SIG_IGN);  // a write that is too large fails instead
  const std::uint64_t most = std::strtoull(argv[1], nullptr, 10);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur =
      std::min<rlim_t>(descriptors.rlim_max, most + kMostOpenFiles + source_wire::kOwnDescriptors);
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
  try {
    Reader(most).run();
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}
