#include "daemon/source_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor_passing.h"
#include "base/error.h"
#include "base/program_prefix.h"
#include "plugins/worker/spawn.h"

namespace unroll {
namespace asio = boost::asio;

using source_wire::Operation;
using source_wire::Reply;
using source_wire::Request;

namespace {

constexpr std::size_t kMaxMessage = sizeof(Reply) + source_wire::kChunkBytes + 16 * 1024;

[[noreturn]] void fail_to_start(const std::string& why) {
  throw Error(ErrorCode::kInternal, "the process that reads from descriptors cannot be started: " + why);
}

std::vector<std::string> environment() {
  std::vector<std::string> list;
  for (const char* name : {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) list.push_back(std::string(name) + "=" + value);
  }
  return list;
}

SourceReader::Answer lost_answer() {
  SourceReader::Answer answer;
  answer.lost = true;
  return answer;
}

}  // namespace

std::string SourceReader::Answer::why() const {
  return lost ? "its file system or socket does not answer, and the process that had it open was abandoned"
              : text;
}

std::optional<FileLocation> SourceReader::Answer::location() const {
  if (reply.has_location == 0) return std::nullopt;
  const source_wire::Location& at = reply.location;
  return FileLocation{path, at.device, at.inode, at.birth, at.generation};
}

SourceReader::SourceReader(asio::io_context& io, const Settings& settings, OnEnd on_end)
    : io_(io), settings_(settings), on_end_(std::move(on_end)), control_(io), watch_(io) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    fail_to_start(std::generic_category().message(errno));
  control_.assign(ends[0]);
  const UniqueFd theirs(ends[1]);
  try {
    const auto program = program_prefix() / "libexec/unroll/unroll-source-reader";
    pid_ = spawn({program.string(), std::to_string(settings.most_descriptors)}, environment(), STDERR_FILENO,
                 theirs.get());
  } catch (const std::exception& error) {
    fail_to_start(error.what());
  }
}

SourceReader::~SourceReader() {
  if (!lost_) end(false);
}

void SourceReader::end(bool lost) {
  ::kill(pid_, SIGKILL);
  on_end_(pid_, lost);
}

void SourceReader::start() {
  wait_for_answers();
}

void SourceReader::ask(Request request, std::string_view path, int descriptor, Done done) {
  last_used_ = Clock::now();
  if (lost_) {
    asio::post(io_, [done = std::move(done)] { done(lost_answer()); });
    return;
  }
  request.ticket = ++last_ticket_;
  const bool reads = request.operation == Operation::kRead || request.operation == Operation::kDigest;
  const bool prompt = !reads || request.offset != source_wire::kNextBytes;
  if (prompt && prompt_++ == 0) progress_ = last_used_;
  pending_.emplace(request.ticket, Pending{std::move(done), prompt});
  std::string bytes(reinterpret_cast<const char*>(&request), sizeof request);
  bytes += path;
  if (!waiting_.empty() || !send(bytes, descriptor)) {
    UniqueFd copy(descriptor < 0 ? -1 : ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
    waiting_.push_back({std::move(bytes), std::move(copy)});
    if (waiting_.size() == 1) send_waiting();
  }
  watch();
}

void SourceReader::close(std::uint64_t source) {
  if (lost_) return;
  if (sources_ > 0) --sources_;
  Request request;
  request.operation = Operation::kClose;
  request.source = source;
  ask(request, {}, -1, [](const Answer&) {});
}

/// False: the socket's buffer is full.
bool SourceReader::send(const std::string& bytes, int descriptor) {
  const std::span<const int> descriptors(&descriptor, descriptor < 0 ? 0 : 1);
  // Other errors end the socket, which receive() notices, or lead to a timeout.
  return send_with_descriptors(control_.native_handle(), bytes, descriptors, MSG_DONTWAIT) >= 0 ||
         (errno != EAGAIN && errno != EINTR);
}

void SourceReader::send_waiting() {
  control_.async_wait(
      asio::posix::stream_descriptor::wait_write,
      [weak = weak_from_this()](const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (!self || error || self->lost_) return;
        auto& waiting = self->waiting_;
        while (!waiting.empty() && self->send(waiting.front().bytes, waiting.front().descriptor.get())) {
          waiting.pop_front();
        }
        if (!waiting.empty()) self->send_waiting();
      });
}

void SourceReader::wait_for_answers() {
  control_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [weak = weak_from_this()](const boost::system::error_code& error) {
                        const auto self = weak.lock();
                        if (!self || error || self->lost_) return;
                        self->receive();
                        if (!self->lost_) self->wait_for_answers();
                      });
}

/// Receives all available messages.
void SourceReader::receive() {
  std::string message(kMaxMessage, '\0');
  while (!lost_) {
    const ssize_t count = ::recv(control_.native_handle(), message.data(), message.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < static_cast<ssize_t>(sizeof(Reply))) {
      spdlog::debug("source reader {} ended ({})", pid_,
                    count < 0 ? std::strerror(errno) : "end of its socket");
      return lose();
    }
    take(std::string_view(message).substr(0, static_cast<std::size_t>(count)));
  }
}

void SourceReader::take(std::string_view message) {
  Answer answer;
  std::memcpy(&answer.reply, message.data(), sizeof(Reply));
  message.remove_prefix(sizeof(Reply));
  const Reply& reply = answer.reply;
  const auto found = pending_.find(reply.ticket);
  const std::uint64_t texts = std::uint64_t{reply.path_bytes} + reply.text_bytes + reply.data_bytes;
  if (found == pending_.end() || texts != message.size()) return lose();
  answer.path = message.substr(0, reply.path_bytes);
  answer.text = message.substr(reply.path_bytes, reply.text_bytes);
  answer.data = message.substr(reply.path_bytes + reply.text_bytes);
  if (reply.source != 0) ++sources_;
  progress_ = last_used_ = Clock::now();
  if (found->second.prompt) --prompt_;
  const Done done = std::move(found->second.done);
  pending_.erase(found);
  done(std::move(answer));
}

/// Runs while an answer is pending.
void SourceReader::watch() {
  if (watching_ || lost_ || prompt_ == 0) return;
  watching_ = true;
  watch_.expires_at(progress_ + settings_.patience);
  watch_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (!self || cancelled) return;
    self->watching_ = false;
    self->receive();  // the delay may have been in this process
    if (self->lost_) return;
    if (self->prompt_ > 0 && Clock::now() >= self->progress_ + self->settings_.patience) return self->lose();
    self->watch();
  });
}

void SourceReader::lose() {
  if (std::exchange(lost_, true)) return;
  boost::system::error_code ignored;
  control_.close(ignored);
  watch_.cancel();
  waiting_.clear();
  prompt_ = sources_ = 0;
  for (auto& [ticket, pending] : std::exchange(pending_, {})) {
    asio::post(io_, [done = std::move(pending.done)] { done(lost_answer()); });
  }
  end(true);
}

ForeignSource::~ForeignSource() {
  asio::post(io_, [reader = std::move(reader_), id = id_] { reader->close(id); });
}

void ForeignSource::digest(std::uint64_t offset, std::uint64_t bytes, SourceReader::Done done) {
  Request request;
  request.operation = Operation::kDigest;
  request.source = id_;
  request.offset = offset;
  request.bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, source_wire::kDigestBytes));
  reader_->ask(request, {}, -1, std::move(done));
}

void ForeignSource::write(std::uint64_t offset, int content, SourceReader::Done done) {
  Request request;
  request.operation = Operation::kWrite;
  request.source = id_;
  request.offset = offset;
  request.bytes = source_wire::kWriteBytes;
  reader_->ask(request, {}, content, std::move(done));
}

void ForeignSource::read(std::uint64_t offset, SourceReader::Done done) {
  Request request;
  request.operation = Operation::kRead;
  request.source = id_;
  request.offset = offset;
  reader_->ask(request, {}, -1, std::move(done));
}

}  // namespace unroll
