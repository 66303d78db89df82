// A document that is a request's body: reads it, and answers with its outputs as they come.
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>

#include "daemon/http_session.h"
#include "daemon/open_document.h"

namespace unroll {
namespace asio = boost::asio;
namespace http = boost::beast::http;

using nlohmann::json;

asio::awaitable<void> HttpSession::serve_document(DocumentRequest request, std::string model) {
  check_body_form();
  co_await open(std::move(request), std::move(model));
  continue_if_expected();
  keep_awake();
  watch_for_hangup();
  co_await read_body();
  while (is_open() && !document_->finished) co_await wait_for_signal();
  awake_.cancel();
  if (!document_->finished) on_gone();
}

asio::awaitable<void> HttpSession::open(DocumentRequest request, std::string model) {
  request.owner = owner();
  request.total_bytes = content_length();
  const bool creates = request.snapshot.has_value();
  auto subscription = std::make_shared<Subscription>(
      context_.surroundings(), std::static_pointer_cast<HttpSession>(shared_from_this()), owner(), queued_);
  const auto result = std::make_shared<std::optional<std::pair<std::exception_ptr, Opened>>>();
  open_document(context_, model, std::move(request), subscription,
                [self = shared_from_this(), result](const std::exception_ptr& failure, const Opened& opened) {
                  result->emplace(failure, opened);
                  self->signal();
                });
  opening_ = true;
  while (!*result) co_await wait_for_signal();
  opening_ = false;
  const auto& [failure, opened] = **result;
  if (failure) std::rethrow_exception(failure);
  document_ = Document();
  document_->id = document_->progress.id = opened.id;
  document_->progress.total_bytes = content_length();
  document_->creates = creates;
  document_->subscription = subscription;
  subscription->start(opened.id, opened.next_sequence);
  if (!is_open()) on_gone();  // the peer has disconnected meanwhile
  if (stopping_) shut_down();
}

asio::awaitable<void> HttpSession::read_body() {
  while (is_open() && !document_->finished && !parser_->is_done()) {
    std::string bytes;
    const auto error = co_await read_piece(bytes);
    if (!is_open() || document_->finished) co_return;
    if (error) {
      const std::string document = "document " + document_->id;
      co_return cancel_document(
          error == http::error::body_limit
              ? Error(ErrorCode::kLimit, document + " is longer than the limit of " +
                                             std::to_string(context_.config.max_document_bytes) +
                                             " bytes (limits.document_bytes)")
          : error == http::error::header_limit || error == http::error::buffer_overflow
              ? Error(ErrorCode::kLimit,
                      document +
                          ": a chunk's extensions, or the fields after the last chunk, are "
                          "longer than " +
                          std::to_string(kMaxHeaderBytes) + " bytes; send fewer")
          : error == http::error::partial_message
              ? Error(ErrorCode::kPeerGone, "the client of " + document + " disconnected before its end")
              : Error(ErrorCode::kInvalidRequest, "the request's body is invalid (" + error.message() + ")"));
    }
    if (!bytes.empty()) co_await append(std::move(bytes));
  }
  while (is_open() && !document_->finished && !(document_->has_room && document_->ahead.empty()))
    co_await wait_for_signal();
  if (!is_open() || document_->finished) co_return;
  try {
    context_.engine.end(document_->id);
  } catch (const Error&) {
    // It failed meanwhile: on_finished() gives the reason.
  }
  if (document_->taken) document_->finished = true;  // another connection gets the document's end
}

/// Returns when more may be read, or when the document has ended.
asio::awaitable<void> HttpSession::append(std::string bytes) {
  document_->bytes_ahead += bytes.size();
  document_->ahead.push_back({std::move(bytes), nullptr});
  feed();
  while (is_open() && !document_->finished && !may_read_ahead()) co_await wait_for_signal();
}

bool HttpSession::may_read_ahead() {
  if (document_->ahead.empty()) return true;
  if (document_->bytes_ahead >= kMostAhead) return false;
  auto& last = document_->ahead.back();
  try {
    if (!last.charge) last.charge = context_.engine.charge_buffered(owner(), last.bytes.size());
  } catch (const LimitError&) {
    return false;
  }
  return true;
}

/// Gives the engine the next piece, if it has room.
void HttpSession::feed() {
  if (!document_->has_room || document_->ahead.empty() || document_->finished) return;
  document_->has_room = false;
  auto bytes = std::move(document_->ahead.front().bytes);
  document_->ahead.pop_front();
  document_->bytes_ahead -= bytes.size();
  try {
    std::weak_ptr<HttpSession> weak = std::static_pointer_cast<HttpSession>(shared_from_this());
    context_.engine.append(document_->id, std::move(bytes), [&io = context_.io, weak, id = document_->id] {
      asio::post(io, [weak, id] {
        const auto self = weak.lock();
        if (!self || !self->document_ || self->document_->id != id) return;
        self->document_->has_room = true;
        self->feed();
        self->signal();
      });
    });
  } catch (const Error&) {
    // It failed: on_finished() gives the reason and ends the wait, unless another connection took the
    // document.
    if (document_->taken) document_->finished = true;
  }
}

/// What it is cancelled for is the answer: no progress line begins another one before.
void HttpSession::cancel_document(const Error& reason) {
  awake_.cancel();
  context_.engine.cancel(document_->id, reason);
  if (document_->taken) document_->finished = true;
}

/// Begins the response and sends progress lines while there is no output.
void HttpSession::keep_awake() {
  awake_.expires_after(document_->answering ? kSilence : kFirstSilence);
  awake_.async_wait([weak = weak_from_this(), this](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (!self || cancelled || !document_ || document_->finished || document_->taken) return;
    if (document_->silent && has_room())
      send_line(dump_json({{"progress", progress_to_json(document_->progress)}}));
    document_->silent = true;
    keep_awake();
  });
}

void HttpSession::on_output(const DocumentId&, const Output& output) {
  if (document_->creates) return;
  if (!document_->attached) return send_line(output.json);
  send_line(R"({"output":{"plugin":)" + dump_json(output.plugin) + R"(,"sequence":)" +
            std::to_string(output.sequence) + R"(,"data":)" + output.json + "}}");
}

void HttpSession::on_progress(const DocumentStatus& status) {
  document_->progress = status;
}

void HttpSession::on_finished(const DocumentStatus& status) {
  const bool failed = status.phase == DocumentPhase::kFailed;
  const Error error(status.error_code.value_or(ErrorCode::kInternal), status.error);
  if (failed && !document_->answering) {
    refuse(error);
  } else {
    json last = failed ? error_to_json(error) : summary_to_json(status);
    last["document"] = status.id;
    send_line(dump_json({{failed ? "failed" : "done", std::move(last)}}));
    send(answer_.end());
  }
  // Another connection has attached to it: the rest of its bytes still comes from here.
  document_->taken =
      !document_->attached && error.code == ErrorCode::kDocumentState && failed && !parser_->is_done();
  if (!document_->taken) {
    document_->finished = true;
    if (!parser_->is_done()) interrupt();
  }
  signal();
}

void HttpSession::begin_lines() {
  document_->answering = true;
  send(answer_.head("X-Unroll-Document: " + document_->id + "\r\n"));
}

void HttpSession::send_line(const std::string& line) {
  if (!document_->answering) begin_lines();
  document_->silent = false;
  send(answer_.line(line + "\n"));
}

void HttpSession::on_room() {
  if (document_) document_->subscription->pump();
  if (call_) call_->pump();
}

void HttpSession::on_gone() {
  const Error gone(ErrorCode::kPeerGone, "its client disconnected");
  if (call_) call_->abandon(gone);
  if (many_) std::exchange(many_, nullptr)->abandon(gone);
  if (!document_ || document_->finished) return;
  document_->finished = true;
  document_->subscription->detach();
  if (document_->attached || (document_->subscription->ended() && !document_->taken)) return;
  cancel_document(
      {ErrorCode::kPeerGone, "the client of document " + document_->id + " disconnected before its end"});
}

}  // namespace unroll
