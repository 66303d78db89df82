#include "daemon/rpc_session.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include "base/ascii.h"

namespace unroll {
namespace asio = boost::asio;
namespace {

/// A connection's own buffer; a longer line takes a share of its user's budget.
constexpr std::size_t kSmallLineBytes = 64 * 1024;
/// Lines up to this length are parsed faster than they could be handed to another thread.
constexpr std::size_t kParsedAtOnceBytes = 4 * 1024;

}  // namespace

asio::awaitable<void> RpcSession::serve() {
  bool more = true;
  while (more && is_open() && !stopping_) {
    if (must_wait()) {
      co_await wait_for_signal();
    } else if (auto line = next_line()) {
      co_await handle(*std::move(line));
    } else if (too_long_) {
      const Error error(ErrorCode::kLimit, "a line is longer than " + std::to_string(kMaxLineBytes) +
                                               " bytes; send long documents as a stream or as a descriptor");
      co_return co_await refuse(error);
    } else if (!has_share_of_memory()) {
      co_await wait_for_signal();
    } else {
      more = co_await receive();
    }
  }
  co_await serve_half_closed();
}

/// Sends the last message of this connection.
asio::awaitable<void> RpcSession::refuse(const Error& error) {
  context_.events.refused(error, owner());
  send(error_line(nullptr, error));
  abandon_unfinished();
  co_await finish();
}

/// The peer has shut down sending. It may still receive.
asio::awaitable<void> RpcSession::serve_half_closed() {
  if (!is_open() || peer_hung_up()) co_return;
  if (stopping_) co_return co_await finish();
  if (!buffer_.empty()) co_await handle(std::exchange(buffer_, {}));  // a last line without a newline
  abandon_unfinished();
  socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->close();
  });
  while (is_open() && !stopping_ &&
         (answering_ || !opening_.empty() || !(documents_.empty() && tickets_.empty())))
    co_await wait_for_signal();
  if (is_open()) co_await finish();
}

bool RpcSession::peer_hung_up() {
  pollfd entry{socket_.native_handle(), 0, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR)) != 0;
}

/// How long the peer may be silent: within a line, or without a document on this connection.
std::optional<std::chrono::milliseconds> RpcSession::patience() const {
  if (!buffer_.empty()) return std::chrono::milliseconds(context_.config.request_timeout_ms);
  if (!documents_.empty() || !tickets_.empty()) return std::nullopt;
  return std::chrono::milliseconds(context_.config.idle_timeout_ms);
}

/// Receives once. Returns false at the end of the connection.
asio::awaitable<bool> RpcSession::receive() {
  if (buffer_.empty()) attachment_ = {};  // earlier lines are handled
  switch (co_await arrival(patience())) {
    case Arrival::kBytes:
      buffer_ += arrived();
      co_return true;
    case Arrival::kDescriptors:
      co_return co_await receive_descriptors(arrived_bytes());
    case Arrival::kInterrupted:
      co_return true;
    case Arrival::kTimeout:
      if (!buffer_.empty()) {
        const LimitError error("timeout while waiting for the rest of a line", "limits.request_timeout_ms",
                               static_cast<std::uint64_t>(context_.config.request_timeout_ms),
                               "end each line with a newline");
        co_await refuse(error);
      }
      co_return false;
    case Arrival::kEnd:
      co_return false;
  }
  co_return false;
}

/// The source reader of this user receives the descriptors and the bytes with them: in this process even
/// closing them could block.
asio::awaitable<bool> RpcSession::receive_descriptors(std::size_t bytes) {
  source_wire::Request request;
  request.operation = source_wire::Operation::kTake;
  request.bytes = static_cast<std::uint32_t>(bytes);
  received_.reset();
  const auto take = [weak = weak_from_this(), this](SourceReader::Answer answer) {
    const auto self = weak.lock();
    if (!self) return;
    received_ = std::move(answer);
    signal();
  };
  std::shared_ptr<SourceReader> reader;
  try {
    reader = context_.sources.of(owner());
    reader->ask(request, {}, socket_.native_handle(), take);
  } catch (const Error& error) {
    attachment_.error = std::make_exception_ptr(error);
    context_.sources.discard(socket_.native_handle(), bytes, take);
  }
  while (is_open() && !received_) co_await wait_for_signal();
  if (!received_ || received_->data.empty()) co_return false;
  buffer_ += received_->data;
  if (reader) attach(reader, *received_);
  received_.reset();
  co_return true;
}

void RpcSession::attach(const std::shared_ptr<SourceReader>& reader, const SourceReader::Answer& answer) {
  std::optional<DocumentSource> source;
  if (answer.reply.source != 0) source = DocumentSource::of(context_, reader, answer);
  attachment_.descriptors += std::max(answer.reply.descriptors, 1u);
  if (answer.reply.outcome == source_wire::Outcome::kTooMany) {
    attachment_.error = std::make_exception_ptr(
        LimitError("too many of your descriptors are open here", "limits.descriptors_per_user",
                   static_cast<std::uint64_t>(context_.config.max_descriptors_per_user),
                   "wait until documents that are pipes or sockets are done"));
  } else if (answer.failed()) {
    attachment_.error = std::make_exception_ptr(Error(ErrorCode::kSource, answer.why()));
  }
  attachment_.source = attachment_.descriptors == 1 ? std::move(source) : std::nullopt;
}

/// A long line takes a share of its user's budget before it is received.
bool RpcSession::has_share_of_memory() {
  if (buffer_.size() <= kSmallLineBytes || share_) return true;
  share_ = context_.lines->ask(owner(), shared_from_this());
  return static_cast<bool>(share_);
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

asio::awaitable<void> RpcSession::handle(std::string line) {
  if (ascii::is_blank(line)) co_return;
  co_await wait_for_turn();
  const auto parsed = co_await parse(std::move(line));
  if (const auto* bad = std::get_if<BadRequest>(&parsed)) {
    send(error_line(bad->id, bad->error));
  } else {
    const auto& request = std::get<Request>(parsed);
    const bool opens_text = request.method == method::kOpen && request.params.contains("text");
    // Responses are sent in the order of the requests.
    while (is_open() && !opens_text && !opening_.empty()) co_await wait_for_signal();
    answer(request, [&] { return call(request); });
  }
  if (!answering_) share_.reset();
}

/// Long lines are parsed by another thread.
asio::awaitable<std::variant<Request, BadRequest>> RpcSession::parse(std::string line) {
  if (line.size() <= kParsedAtOnceBytes) co_return parse_request(line);
  parsed_.reset();
  context_.parsers.post(owner(), [weak = weak_from_this(), this, &io = context_.io, line = std::move(line)] {
    auto parsed = std::make_shared<std::variant<Request, BadRequest>>(parse_request(line));
    asio::post(io, [weak, this, parsed] {
      const auto self = weak.lock();
      if (!self) return;
      parsed_ = std::move(*parsed);
      signal();
    });
  });
  while (!parsed_) co_await wait_for_signal();
  co_return *std::exchange(parsed_, std::nullopt);
}

/// Nullopt: the response is sent later.
std::optional<nlohmann::json> RpcSession::call(const Request& request) {
  const auto known = methods();
  const auto method = std::ranges::find(known, request.method, &Method::name);
  if (method == known.end()) {
    std::string names;
    for (const Method& entry : known) names.append(names.empty() ? "" : ", ").append(entry.name);
    throw Error(ErrorCode::kMethodNotFound,
                "no method '" + request.method.substr(0, 100) + "'; known: " + names);
  }
  return (this->*method->handler)(request);
}

void RpcSession::release(const std::shared_ptr<Ticket>& ticket) {
  if (tickets_.erase(ticket) == 0) return;
  if (ticket->answer) send(result_line(ticket->request_id, nlohmann::json::object()));
  signal();
}

bool RpcSession::creates_snapshot(const DocumentId& id) const {
  const auto found = documents_.find(id);
  return found != documents_.end() && found->second.creates;
}

void RpcSession::on_output(const DocumentId& id, const Output& output) {
  if (!creates_snapshot(id)) send(output_line(id, output));
}
void RpcSession::on_progress(const DocumentStatus& status) {
  if (!creates_snapshot(status.id)) send(progress_line(status));
}

void RpcSession::on_finished(const DocumentStatus& status) {
  // The document has ended: answer appends that wait for room.
  std::vector<std::shared_ptr<Ticket>> waiting;
  std::ranges::copy_if(tickets_, std::back_inserter(waiting),
                       [&](const auto& ticket) { return ticket->document == status.id; });
  for (const auto& ticket : waiting) release(ticket);
  const auto found = documents_.find(status.id);
  if (creates_snapshot(status.id)) {
    answer_created(*found->second.creates, status);
  } else {
    send(finished_line(status));
  }
  if (found != documents_.end()) {
    if (found->second.feed) found->second.feed->stop();
    documents_.erase(found);
  }
  if (documents_.empty()) interrupt();  // the timeout of patience() applies again
  signal();
}

/// A document's end erases it from the map: iterate over copies.
std::vector<std::shared_ptr<Subscription>> RpcSession::subscriptions() const {
  std::vector<std::shared_ptr<Subscription>> list;
  for (const auto& [id, document] : documents_) list.push_back(document.subscription);
  return list;
}

void RpcSession::on_room() {
  for (const auto& subscription : subscriptions()) subscription->pump();
}

/// Documents that still need bytes from this peer fail; the others continue, and can be attached to.
void RpcSession::abandon_unfinished() {
  for (auto& [id, document] : documents_) {
    const bool stream = !document.feed;
    if (!document.owned || document.input_complete() || (is_open() && !stream)) continue;
    if (document.subscription->ended()) continue;  // it may be open again, on another connection
    if (document.feed) document.feed->stop();
    context_.engine.cancel(
        id, Error(ErrorCode::kPeerGone,
                  "the client of document " + id + " disconnected before its end; resume it to continue"));
  }
}

void RpcSession::on_gone() {
  abandon_unfinished();
  for (auto& [id, document] : documents_) document.subscription->detach();
  documents_.clear();
  tickets_.clear();
  upload_.reset();
  attachment_ = {};
  share_.reset();
}

void RpcSession::shut_down() {
  for (const auto& subscription : subscriptions()) subscription->pump_all();
  for (auto& [id, document] : documents_) {
    document.subscription->detach();
    const Error error(ErrorCode::kShuttingDown, "the daemon stopped before the end of document " + id +
                                                    "; it is committed: after the restart, resume it, or "
                                                    "attach to it if it is a file");
    if (document.creates) {
      if (document.creates->has_id) send(error_line(document.creates->id, error));
    } else {
      send(notification_line(notification::kFailed, {{"document", id}, {"error", error_to_json(error)}}));
    }
  }
  documents_.clear();
  stopping_ = true;
  interrupt();
  signal();
}

}  // namespace unroll
