#include "daemon/rpc_session.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

namespace unroll {
namespace asio = boost::asio;

asio::awaitable<void> RpcSession::serve() {
  bool more = true;
  while (more && is_open() && !stopping_) {
    if (must_wait()) {
      co_await wait_for_signal();
    } else if (auto line = next_line()) {
      handle(*line);
    } else if (too_long_) {
      send(error_line(nullptr,
                      {ErrorCode::kLimit, "a line is longer than " + std::to_string(kMaxLineBytes) +
                                              " bytes; send long documents as a stream or as a descriptor"}));
      abandon_unfinished();
      co_return co_await finish();
    } else {
      drop_stray_descriptors();
      boost::system::error_code error;
      co_await socket_.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
      more = !error && receive();
    }
  }
  co_await serve_half_closed();
}

/// The peer sends no more. It may still listen.
asio::awaitable<void> RpcSession::serve_half_closed() {
  if (!is_open() || peer_hung_up()) co_return;
  if (stopping_) co_return co_await finish();
  if (!buffer_.empty()) handle(std::exchange(buffer_, {}));  // a last line without a newline
  abandon_unfinished();
  socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->close();
  });
  while (is_open() && !stopping_ && (answering_ || !(documents_.empty() && tickets_.empty())))
    co_await wait_for_signal();
  if (is_open()) co_await finish();
}

bool RpcSession::peer_hung_up() {
  pollfd entry{socket_.native_handle(), 0, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR)) != 0;
}

/// Reads once what is there. False at the end.
bool RpcSession::receive() {
  iovec part{context_.scratch.data(), context_.scratch.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  take_descriptors(message);
  buffer_.append(context_.scratch.data(), static_cast<std::size_t>(count));
  return count > 0;
}

/// One whose line is not handled in time is closed: it may be the peer's own end of this very connection,
/// which would not end as long as we hold it.
void RpcSession::take_descriptors(msghdr& message) {
  const bool none = descriptors_.empty();
  for (cmsghdr* entry = CMSG_FIRSTHDR(&message); entry != nullptr; entry = CMSG_NXTHDR(&message, entry)) {
    if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t fds = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < fds; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(entry) + i * sizeof(int), sizeof(int));
      descriptors_.emplace_back(fd);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) descriptors_cut_ = true;
  // A peer that trickles descriptors without ever ending its line keeps no more than a handful open.
  if (descriptors_.size() > 2 * kMaxDescriptors) {
    descriptors_.clear();
    descriptors_cut_ = true;
  }
  if (!none || descriptors_.empty()) return;
  descriptors_timer_.expires_after(std::chrono::milliseconds(context_.config.request_timeout_ms));
  descriptors_timer_.async_wait([weak = weak_from_this(), this](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (self && !cancelled) descriptors_.clear();
  });
}

std::optional<std::string> RpcSession::next_line() {
  const std::size_t newline = buffer_.find('\n', scanned_);
  if (newline == std::string::npos) {
    scanned_ = buffer_.size();
    too_long_ = buffer_.size() > kMaxLineBytes;
    return std::nullopt;
  }
  if (newline > kMaxLineBytes) {
    too_long_ = true;
    return std::nullopt;
  }
  std::string line = buffer_.substr(0, newline);
  buffer_.erase(0, newline + 1);
  if (buffer_.empty()) buffer_.shrink_to_fit();
  scanned_ = 0;
  return line;
}

/// A descriptor belongs to a line of the same read; one that nobody claimed is closed when all of them are
/// handled.
void RpcSession::drop_stray_descriptors() {
  if (!buffer_.empty()) return;
  descriptors_.clear();
  descriptors_cut_ = false;
}

void RpcSession::handle(std::string_view line) {
  if (line.find_first_not_of(" \t\r\n") == std::string_view::npos) return;
  auto parsed = parse_request(line);
  if (const auto* bad = std::get_if<BadRequest>(&parsed)) {
    send(error_line(bad->id, bad->error));
  } else {
    const auto& request = std::get<Request>(parsed);
    answer(request, [&] { return call(request); });
  }
}

/// Nullopt: the answer comes later.
std::optional<nlohmann::json> RpcSession::call(const Request& request) {
  const auto known = methods();
  const auto method = std::ranges::find(known, request.method, &Method::name);
  if (method == known.end()) {
    std::string names;
    for (const Method& entry : known) names.append(names.empty() ? "" : ", ").append(entry.name);
    throw Error(ErrorCode::kMethodNotFound,
                "no method '" + request.method.substr(0, 100) + "'; there are " + names);
  }
  return (this->*method->handler)(request);
}

void RpcSession::release(const std::shared_ptr<Ticket>& ticket) {
  if (tickets_.erase(ticket) == 0) return;
  if (ticket->answer) send(result_line(ticket->request_id, nlohmann::json::object()));
  signal();
}

void RpcSession::on_output(const DocumentId& id, const Output& output) {
  send(output_line(id, output));
}
void RpcSession::on_progress(const DocumentStatus& status) {
  send(progress_line(status));
}

void RpcSession::on_finished(const DocumentStatus& status) {
  // Whoever waits for room in a document that is over waits for nothing.
  std::vector<std::shared_ptr<Ticket>> waiting;
  std::ranges::copy_if(tickets_, std::back_inserter(waiting),
                       [&](const auto& ticket) { return ticket->document == status.id; });
  for (const auto& ticket : waiting) release(ticket);
  send(finished_line(status));
  if (const auto found = documents_.find(status.id); found != documents_.end()) {
    if (found->second.feed) found->second.feed->stop();
    documents_.erase(found);
  }
  signal();
}

void RpcSession::on_room() {
  // A document's end takes it out of the map: iterate over copies.
  std::vector<std::shared_ptr<Subscription>> subscriptions;
  for (const auto& [id, document] : documents_) subscriptions.push_back(document.subscription);
  for (const auto& subscription : subscriptions) subscription->pump();
}

/// Documents whose bytes can no longer come fail; the others go on, and can be attached to.
void RpcSession::abandon_unfinished() {
  for (auto& [id, document] : documents_) {
    const bool stream = !document.feed;
    if (!document.owned || document.input_complete() || (is_open() && !stream)) continue;
    if (document.feed) document.feed->stop();
    context_.engine.cancel(
        id, Error(ErrorCode::kPeerGone,
                  "the client of document " + id + " went away before its end; resume it to go on"));
  }
}

void RpcSession::on_gone() {
  abandon_unfinished();
  for (auto& [id, document] : documents_) document.subscription->detach();
  documents_.clear();
  tickets_.clear();
  descriptors_.clear();
}

void RpcSession::shut_down() {
  on_room();
  for (auto& [id, document] : documents_) {
    document.subscription->detach();
    send(notification_line(notification::kFailed,
                           {{"document", id},
                            {"error", error_to_json(ErrorCode::kShuttingDown,
                                                    "the daemon stopped before the end of document " + id +
                                                        "; it is committed: when the daemon is back, resume "
                                                        "it, or attach to it where it is a file")}}));
  }
  documents_.clear();
  stopping_ = true;
  interrupt();
  signal();
}

}  // namespace unroll
