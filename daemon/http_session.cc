#include "daemon/http_session.h"

#include <cstdio>
#include <sstream>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "daemon/metrics.h"
#include "daemon/open_document.h"
#include "daemon/server_info.h"

namespace unroll {
namespace asio = boost::asio;
namespace http = boost::beast::http;

using nlohmann::json;

namespace {

constexpr std::uint32_t kMaxHeaderBytes = 16 * 1024;
constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr std::string_view kDocumentsPath = "/v1/documents";
constexpr std::string_view kPathsAdvice =
    "; there are PUT or POST /v1/PLUGIN, GET /v1/documents, GET /healthz and GET /metrics";

std::string header_text(http::response<http::empty_body>& response) {
  response.set(http::field::server, "unrolld/" UNROLL_VERSION);
  response.set(http::field::connection, "close");
  std::ostringstream text;
  text << response.base();
  return std::move(text).str();
}

}  // namespace

HttpSession::HttpSession(ServerContext& context, Socket socket, std::uint32_t owner)
    : Connection(context, std::move(socket), owner), buffer_(kBufferBytes) {
  parser_.header_limit(kMaxHeaderBytes);
  parser_.body_limit(static_cast<std::uint64_t>(context.config.max_document_bytes));
}

asio::awaitable<void> HttpSession::serve() {
  // Two statements: of `if (co_await read_header()) co_await route();` GCC 12 with -O3 makes an illegal
  // instruction.
  const bool found = co_await read_header();
  if (found) co_await route();
  if (is_open()) co_await finish();
}

asio::awaitable<bool> HttpSession::read_header() {
  // close() wakes the read with an error.
  asio::steady_timer timer(context_.io, std::chrono::milliseconds(context_.config.request_timeout_ms));
  timer.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    if (const auto self = weak.lock(); self && !cancelled) self->close();
  });
  boost::system::error_code error;
  co_await http::async_read_header(socket_, buffer_, parser_,
                                   asio::redirect_error(asio::use_awaitable, error));
  timer.cancel();
  if (!error) co_return true;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    respond_error({ErrorCode::kLimit, "the request's header is longer than " +
                                          std::to_string(kMaxHeaderBytes) + " bytes; send fewer fields"},
                  431);
  } else if (error == http::error::body_limit) {
    respond_error(LimitError("the document is too long", "limits.document_bytes",
                             static_cast<std::uint64_t>(context_.config.max_document_bytes), "split it"));
  } else if (error.category() == make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream) {
    respond_error({ErrorCode::kInvalidRequest,
                   "neither a line of JSON-RPC nor an HTTP/1.1 request (" + error.message() + ")"});
  }
  co_return false;
}

asio::awaitable<void> HttpSession::route() {
  const auto& request = parser_.get();
  chunked_ = request.version() >= 11;
  try {
    Target target = parse_target({request.target().data(), request.target().size()});
    const std::string& path = target.path;
    const std::string prefix = "/v1/";
    if (path == "/healthz") {
      if (require_method(path, http::verb::get)) respond(200, "text/plain; charset=utf-8", "ok\n");
    } else if (path == "/metrics") {
      if (require_method(path, http::verb::get))
        respond(200, "text/plain; version=0.0.4", metrics_text(context_));
    } else if (path == kDocumentsPath) {
      if (require_method(path, http::verb::get))
        respond_json(documents_to_json(context_.engine.list(owner_)));
    } else if (path.starts_with(prefix) && path.size() > prefix.size() &&
               path.find('/', prefix.size()) == std::string::npos) {
      if (request.method() == http::verb::post || require_method(path, http::verb::put)) {
        co_await serve_document(path.substr(prefix.size()), std::move(target.options));
      }
    } else {
      respond_error(
          {ErrorCode::kMethodNotFound, "no path '" + path.substr(0, 200) + "'" + std::string(kPathsAdvice)});
    }
  } catch (const Error& error) {
    respond_error(error);
  }
}

bool HttpSession::require_method(std::string_view path, http::verb method) {
  if (parser_.get().method() == method) return true;
  const std::string_view allow = method == http::verb::put ? "PUT, POST" : "GET";
  respond_error(
      {ErrorCode::kMethodNotFound, std::string(path.substr(0, 200)) + " takes " + std::string(allow)}, 405,
      allow);
  return false;
}

std::optional<std::uint64_t> HttpSession::content_length() const {
  const auto length = parser_.content_length();
  return length ? std::optional<std::uint64_t>(*length) : std::nullopt;
}

asio::awaitable<void> HttpSession::open(std::string plugin, json options) {
  DocumentRequest request;
  request.name = "http " + plugin;
  request.plugins.push_back({std::move(plugin), std::move(options)});
  request.owner = owner_;
  request.total_bytes = content_length();
  auto subscription = std::make_shared<Subscription>(
      context_.io, context_.engine, std::static_pointer_cast<HttpSession>(shared_from_this()), queued_);
  const Opened opened =
      co_await open_document(context_, std::move(request), subscription, asio::use_awaitable);
  document_ = opened.id;
  subscription_ = std::move(subscription);
  subscription_->start(opened.id, opened.next_sequence);
  if (!is_open()) abandon();  // the peer went away meanwhile
}

asio::awaitable<void> HttpSession::serve_document(std::string plugin, json options) {
  const auto& request = parser_.get();
  if (!request.chunked() && !content_length()) {
    throw Error(ErrorCode::kInvalidRequest,
                "the request has neither a Content-Length nor chunks; send the document as its body");
  }
  co_await open(std::move(plugin), std::move(options));
  if (boost::beast::iequals(request[http::field::expect], "100-continue"))
    send("HTTP/1.1 100 Continue\r\n\r\n");
  co_await read_body();
  while (is_open() && !finished_) co_await wait_for_signal();
}

asio::awaitable<void> HttpSession::read_body() {
  while (is_open() && !finished_ && !parser_.is_done()) {
    auto& body = parser_.get().body();
    std::string bytes(kBufferBytes, '\0');
    body.data = bytes.data();
    body.size = bytes.size();
    boost::system::error_code error;
    co_await http::async_read_some(socket_, buffer_, parser_,
                                   asio::redirect_error(asio::use_awaitable, error));
    if (error == http::error::need_buffer) error = {};
    if (finished_) co_return;
    if (error) {
      const bool gone =
          error == http::error::partial_message || error.category() == boost::system::system_category();
      const Error reason =
          error == http::error::body_limit
              ? Error(ErrorCode::kLimit, "document " + document_ + " is longer than the limit of " +
                                             std::to_string(context_.config.max_document_bytes) +
                                             " bytes (limits.document_bytes)")
          : gone
              ? Error(ErrorCode::kPeerGone,
                      "the client of document " + document_ + " went away before its end")
              : Error(ErrorCode::kInvalidRequest, "the request's body is broken (" + error.message() + ")");
      context_.engine.cancel(document_, reason);
      co_return;
    }
    bytes.resize(bytes.size() - parser_.get().body().size);
    if (!bytes.empty()) co_await append(std::move(bytes));
  }
  if (!is_open() || finished_) co_return;
  input_complete_ = true;
  try {
    context_.engine.end(document_);
  } catch (const Error&) {
    // It failed meanwhile: on_finished() tells why.
  }
}

/// Returns when the engine has room for more, or when the document is over.
asio::awaitable<void> HttpSession::append(std::string bytes) {
  has_room_in_engine_ = false;
  try {
    std::weak_ptr<HttpSession> weak = std::static_pointer_cast<HttpSession>(shared_from_this());
    context_.engine.append(document_, std::move(bytes), [&io = context_.io, weak] {
      asio::post(io, [weak] {
        if (const auto self = weak.lock()) {
          self->has_room_in_engine_ = true;
          self->signal();
        }
      });
    });
  } catch (const Error&) {
    // It failed: on_finished() tells why, and ends the wait.
  }
  while (is_open() && !finished_ && !has_room_in_engine_) co_await wait_for_signal();
}

void HttpSession::on_output(const DocumentId&, const Output& output) {
  send_line(output.json + "\n");
}

void HttpSession::on_progress(const DocumentStatus&) {}

void HttpSession::on_finished(const DocumentStatus& status) {
  const bool failed = status.phase == DocumentPhase::kFailed;
  const ErrorCode code = status.error_code.value_or(ErrorCode::kInternal);
  if (failed && !answering_) {
    respond_error({code, status.error});
  } else {
    json last = failed ? json{{"failed", error_to_json(code, status.error)}}
                       : json{{"done", summary_to_json(status)}};
    (failed ? last["failed"] : last["done"])["document"] = status.id;
    send_line(dump_json(last) + "\n");
    end_lines();
  }
  finished_ = true;
  if (!input_complete_) interrupt();
  signal();
}

void HttpSession::send_line(std::string line) {
  if (!std::exchange(answering_, true)) {
    http::response<http::empty_body> response(http::status::ok, chunked_ ? 11 : 10);
    response.set(http::field::content_type, "application/x-ndjson");
    response.set("X-Unroll-Document", document_);
    if (chunked_) response.chunked(true);
    send(header_text(response));
  }
  if (!chunked_) return send(line);
  std::array<char, 24> size{};
  const int digits = std::snprintf(size.data(), size.size(), "%zx\r\n", line.size());
  send(std::string(size.data(), static_cast<std::size_t>(digits)) + line + "\r\n");
}

void HttpSession::end_lines() {
  if (chunked_) send("0\r\n\r\n");
}

void HttpSession::respond(unsigned status, std::string_view content_type, std::string body,
                          std::string_view allow) {
  http::response<http::empty_body> response;
  response.version(chunked_ ? 11 : 10);
  response.result(status);
  // Beast does not know nginx's 499.
  if (response.reason().empty() || status == 499) response.reason("Client Closed Request");
  response.set(http::field::content_type, {content_type.data(), content_type.size()});
  if (!allow.empty()) response.set(http::field::allow, {allow.data(), allow.size()});
  response.content_length(body.size());
  send(header_text(response) + body);
}

void HttpSession::respond_json(const json& body) {
  respond(200, "application/json", dump_json(body) + "\n");
}

void HttpSession::respond_error(const Error& error, std::optional<unsigned> status, std::string_view allow) {
  respond(status.value_or(static_cast<unsigned>(error_entry(error.code).http_status)), "application/json",
          dump_json({{"error", error_to_json(error)}}) + "\n", allow);
}

void HttpSession::on_room() {
  if (subscription_) subscription_->pump();
}

void HttpSession::on_gone() {
  if (subscription_) abandon();
}

void HttpSession::abandon() {
  subscription_->detach();
  if (finished_ || input_complete_) return;
  context_.engine.cancel(document_, Error(ErrorCode::kPeerGone, "the client of document " + document_ +
                                                                    " went away before its end"));
}

void HttpSession::shut_down() {
  if (subscription_ && !finished_) {
    subscription_->pump();
    subscription_->detach();
    DocumentStatus status;
    status.id = document_;
    status.phase = DocumentPhase::kFailed;
    status.error_code = ErrorCode::kShuttingDown;
    status.error =
        "the daemon stopped before the end of document " + document_ + "; it is committed: resume it";
    if (!finished_) on_finished(status);
  } else if (!subscription_) {
    close();  // it has not asked for anything that takes time
  }
}

}  // namespace unroll
