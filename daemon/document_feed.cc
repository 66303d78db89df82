#include "daemon/document_feed.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <sys/stat.h>

namespace unroll {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kChunkBytes = 64 * 1024;
constexpr std::chrono::milliseconds kPause{100};

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// A regular file: read by a thread that may wait for the disk, and open only while it is its turn.
class FileFeed : public DocumentFeed, public std::enable_shared_from_this<FileFeed> {
 public:
  FileFeed(ServerContext& context, UniqueFd fd, DocumentId id, std::uint64_t offset)
      : context_(context.shared_from_this()),
        file_(context.files.add(std::move(fd))),
        id_(std::move(id)),
        offset_(offset) {}

  void next() {
    asio::post(context_->readers, [self = shared_from_this()] { self->read(); });
  }
  void stop() override { stopped_ = true; }

 private:
  void read() {
    if (stopped_) return;
    std::string bytes(kChunkBytes, '\0');
    ssize_t count = 0;
    int failure = 0;
    try {
      const auto descriptor = context_->files.open(file_);
      count = ::pread(descriptor->get(), bytes.data(), bytes.size(), static_cast<off_t>(offset_));
      failure = errno;  // before anything is closed
    } catch (const Error& error) {
      return error.code == ErrorCode::kLimit ? next_later() : fail(context_->engine, id_, error.what());
    }
    if (count < 0) return failure == EINTR ? next() : fail(context_->engine, id_, reason(failure));
    if (count == 0) return end(context_->engine, id_);
    bytes.resize(static_cast<std::size_t>(count));
    offset_ += bytes.size();
    append(context_->engine, id_, std::move(bytes), [self = shared_from_this()] { self->next(); });
  }

  /// Too many files are open just now, of this process or of the machine.
  void next_later() {
    const auto timer = std::make_shared<asio::steady_timer>(context_->io, kPause);
    timer->async_wait([self = shared_from_this(), timer](const boost::system::error_code& cancelled) {
      if (!cancelled) self->next();
    });
  }

  const std::shared_ptr<ServerContext> context_;
  const SourceFiles::FilePtr file_;
  const DocumentId id_;
  std::uint64_t offset_;  // one read at a time
  std::atomic<bool> stopped_{false};
};

/// A pipe or a socket: read on the I/O thread whenever something is there.
class PipeFeed : public DocumentFeed, public std::enable_shared_from_this<PipeFeed> {
 public:
  PipeFeed(ServerContext& context, UniqueFd fd, DocumentId id, std::uint64_t skip)
      : engine_(context.engine),
        io_(context.io),
        pipe_(context.io, fd.release()),
        id_(std::move(id)),
        skip_(skip) {
    pipe_.non_blocking(true);
  }

  void next() {
    if (!pipe_.is_open()) return;
    pipe_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (!error) self->read();
                     });
  }
  void stop() override {
    boost::system::error_code ignored;
    pipe_.close(ignored);
  }

 private:
  void read() {
    if (!pipe_.is_open()) return;
    std::string bytes(kChunkBytes, '\0');
    const ssize_t count = ::read(pipe_.native_handle(), bytes.data(), bytes.size());
    if (count < 0) {
      return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK ? next()
                                                                       : fail(engine_, id_, reason(errno));
    }
    if (count == 0) {
      stop();
      return end(engine_, id_);
    }
    bytes.resize(static_cast<std::size_t>(count));
    const std::size_t skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
    skip_ -= skipped;
    bytes.erase(0, skipped);
    if (bytes.empty()) return next();
    const bool taken = append(engine_, id_, std::move(bytes), [self = shared_from_this()] {
      asio::post(self->io_, [self] { self->next(); });
    });
    if (!taken) stop();
  }

  Engine& engine_;
  asio::io_context& io_;
  asio::posix::stream_descriptor pipe_;
  const DocumentId id_;
  std::uint64_t skip_;
};

}  // namespace

DocumentSource check_source(UniqueFd fd) {
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    throw Error(ErrorCode::kSource,
                "the descriptor cannot be looked at; send that of a file, a pipe or a socket");
  }
  if (S_ISDIR(info.st_mode)) {
    throw Error(ErrorCode::kSource, "the descriptor is a folder; send that of a file in it");
  }
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode) && !S_ISSOCK(info.st_mode)) {
    throw Error(ErrorCode::kSource, "the descriptor is a device; send that of a file, a pipe or a socket");
  }
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY) {
    throw Error(ErrorCode::kSource,
                "the descriptor is not open for reading; open the file or the pipe's other end");
  }
  DocumentSource source{std::move(fd), S_ISREG(info.st_mode), std::nullopt, std::nullopt};
  // Files of /proc and /sys say 0 and have bytes all the same.
  if (source.is_file && info.st_size > 0) source.bytes = static_cast<std::uint64_t>(info.st_size);
  if (source.is_file) source.location = FileLocation::of(source.fd.get());
  return source;
}

std::shared_ptr<DocumentFeed> DocumentFeed::start(ServerContext& context, DocumentSource source,
                                                  DocumentId id, std::uint64_t offset) {
  if (source.is_file) {
    if (offset > source.bytes.value_or(0)) {
      throw Error(ErrorCode::kSource, "document " + id + ": the file is shorter than what was read before, " +
                                          std::to_string(offset) + " bytes; send the same file");
    }
    auto feed = std::make_shared<FileFeed>(context, std::move(source.fd), std::move(id), offset);
    feed->next();
    return feed;
  }
  try {
    auto feed = std::make_shared<PipeFeed>(context, std::move(source.fd), std::move(id), offset);
    feed->next();
    return feed;
  } catch (const boost::system::system_error& error) {
    throw Error(ErrorCode::kSource, "the descriptor cannot be waited for: " + error.code().message() +
                                        "; send that of a file, a pipe or a socket");
  }
}

bool DocumentFeed::append(Engine& engine, const DocumentId& id, std::string bytes,
                          std::function<void()> next) {
  try {
    engine.append(id, std::move(bytes), std::move(next));
    return true;
  } catch (const Error&) {
    return false;  // it failed or was cancelled: its listener is told
  }
}

void DocumentFeed::end(Engine& engine, const DocumentId& id) {
  complete_ = true;
  try {
    engine.end(id);
  } catch (const Error&) {
    // As above.
  }
}

void DocumentFeed::fail(Engine& engine, const DocumentId& id, const std::string& reason) {
  engine.cancel(
      id, Error(ErrorCode::kSource, "document " + id + " could not be read: " + reason + "; check the file"));
}

}  // namespace unroll
