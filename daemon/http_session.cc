#include "daemon/http_session.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include "daemon/metrics.h"
#include "daemon/open_document.h"
#include "daemon/openapi.h"
#include "daemon/params.h"
#include "daemon/server_info.h"

namespace unroll {
namespace asio = boost::asio;
namespace http = boost::beast::http;

using nlohmann::json;

namespace {

constexpr std::uint32_t kMaxHeaderBytes = 16 * 1024;
constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr unsigned kUnsupportedMediaType = 415, kHeaderTooLarge = 431, kMethodNotAllowed = 405,
                   kConflict = 409;
constexpr std::string_view kVersionPrefix = "/v1/";
constexpr std::string_view kPathsAdvice =
    "; there are PUT or POST /v1/PLUGIN, POST /v1/completions, /v1/embeddings and /tokenize, PUT, GET or "
    "DELETE "
    "/v1/snapshots/NAME, GET /v1/models, /v1/documents, /v1/snapshots, /healthz, /readyz, /metrics and "
    "/openapi.json";
constexpr std::string_view kSnapshotsPrefix = "/v1/snapshots/";

/// The request's body is not the document itself but an encoding of it.
struct EncodedBody : Error {
  explicit EncodedBody(const std::string& text) : Error(ErrorCode::kInvalidRequest, text) {}
};

}  // namespace

HttpSession::HttpSession(ServerContext& context, Socket socket, std::uint32_t owner)
    : Connection(context, std::move(socket), owner) {}

asio::awaitable<void> HttpSession::serve() {
  bool more = true;
  while (more && is_open() && !stopping_) {
    begin_request();
    // Two statements: GCC 12 with -O3 compiles `if (co_await a()) co_await b();` to an illegal instruction.
    const bool found = co_await read_header();
    if (!found) break;
    co_await wait_for_turn();
    co_await route();
    document_.reset();
    more = answer_.keep_alive && parser_->is_done();
    while (more && is_open() && !has_room()) co_await wait_for_signal();
  }
  if (is_open()) co_await finish();
}

void HttpSession::begin_request() {
  parser_.emplace();
  parser_->header_limit(kMaxHeaderBytes);
  parser_->body_limit(static_cast<std::uint64_t>(context_.config.max_document_bytes));
  answer_ = {};
}

/// Parses once, with more of the peer's bytes if it needs them. An end within the request is partial_message.
asio::awaitable<boost::system::error_code> HttpSession::parse_more(bool body) {
  boost::system::error_code error = http::error::need_more;
  while (error == http::error::need_more) {
    error = {};
    if (buffer_.size() > 0)
      buffer_.consume(parser_->put(buffer_.data(), error));
    else
      error = http::error::need_more;
    if (error != http::error::need_more) break;
    // What the parser leaves is incomplete: a header, a chunk's, or the fields after the last chunk.
    if (buffer_.size() > kMaxHeaderBytes) co_return http::error::buffer_overflow;
    // A header must come soon; a body may grow as slowly as a log.
    std::optional<std::chrono::milliseconds> time;
    if (!body) time = std::chrono::milliseconds(context_.config.request_timeout_ms);
    switch (co_await arrival(time)) {
      case Arrival::kBytes: {
        const auto room = buffer_.prepare(arrived().size());
        arrived().copy(static_cast<char*>(room.data()), arrived().size());
        buffer_.commit(arrived().size());
        break;
      }
      case Arrival::kInterrupted:
        co_return asio::error::operation_aborted;
      case Arrival::kDescriptors:  // not used by HTTP
      case Arrival::kTimeout:
        close();
        co_return asio::error::timed_out;
      case Arrival::kEnd:
        co_return parser_->got_some() ? http::error::partial_message : http::error::end_of_stream;
    }
  }
  co_return error;
}

asio::awaitable<bool> HttpSession::read_header() {
  const auto error = co_await parse_more(false);
  const auto& request = parser_->get();
  if (!error) {
    answer_.chunked = request.version() >= 11;
    // A proxy could see another end of a request whose encoding is not understood here.
    const auto transfer = request[http::field::transfer_encoding];
    const bool plain = transfer.empty() || boost::beast::iequals(transfer, "chunked");
    answer_.keep_alive = answer_.chunked && plain && parser_->keep_alive();
    co_return true;
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    refuse({ErrorCode::kLimit, "the request's header is longer than " + std::to_string(kMaxHeaderBytes) +
                                   " bytes; send fewer fields"},
           kHeaderTooLarge);
  } else if (error == http::error::body_limit) {
    refuse(LimitError("the document is too long", "limits.document_bytes",
                      static_cast<std::uint64_t>(context_.config.max_document_bytes), "split it"));
  } else if (error.category() == make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream) {
    refuse({ErrorCode::kInvalidRequest,
            "neither a line of JSON-RPC nor an HTTP/1.1 request (" + error.message() + ")"});
  }
  co_return false;
}

asio::awaitable<void> HttpSession::route() {
  const auto& request = parser_->get();
  try {
    Target target = parse_target({request.target().data(), request.target().size()});
    const std::string& path = target.path;
    if (is_api_path(path)) {
      if (require_method(path, http::verb::post)) co_await serve_api(path);
      co_return;
    }
    const bool plugin = path.starts_with(kVersionPrefix) && path.size() > kVersionPrefix.size() &&
                        path.find('/', kVersionPrefix.size()) == std::string::npos &&
                        path != "/v1/documents" && path != "/v1/models" && path != "/v1/snapshots";
    if (path.starts_with(kSnapshotsPrefix) && path.size() > kSnapshotsPrefix.size()) {
      std::string name = path.substr(kSnapshotsPrefix.size());
      co_await serve_snapshot(std::move(target), std::move(name));
    } else if (!plugin) {
      answer_get(target);
    } else if (request.method() == http::verb::post || require_method(path, http::verb::put)) {
      const std::string name = path.substr(kVersionPrefix.size());
      const std::string model = take(target, "model");
      DocumentRequest document;
      document.name = "http " + name;
      if (auto from = take(target, "from"); !from.empty()) document.from = std::move(from);
      document.plugins.push_back({name, options_of(target, options_schema(name))});
      co_await serve_document(std::move(document), model);
    }
  } catch (const EncodedBody& error) {
    refuse(error, kUnsupportedMediaType, "Accept-Encoding: identity\r\n");
  } catch (const OtherTokens& error) {
    refuse(error, kConflict);
  } catch (const Error& error) {
    refuse(error);
  }
}

/// Handles all requests except documents.
void HttpSession::answer_get(const Target& target) {
  constexpr std::string_view kText = "text/plain; charset=utf-8";
  const std::string& path = target.path;
  constexpr std::array<std::string_view, 7> kPaths = {
      "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/documents", "/v1/models", "/v1/snapshots"};
  const bool known = std::ranges::find(kPaths, path) != kPaths.end();
  if (!known) {
    return refuse(
        {ErrorCode::kMethodNotFound, "no path '" + path.substr(0, 200) + "'" + std::string(kPathsAdvice)});
  }
  if (!require_method(path, http::verb::get)) return;
  if (!parser_->is_done()) answer_.keep_alive = false;  // the body is not read
  if (path == "/openapi.json") {
    send(answer_.whole(200, "application/json", kOpenApi));
  } else if (path == "/v1/models") {
    send(answer_.whole(200, "application/json", dump_json(api_models(context_)) + "\n"));
  } else if (path == "/metrics") {
    send(answer_.whole(200, "text/plain; version=0.0.4", metrics_text(context_)));
  } else if (path == "/v1/documents") {
    const json options = options_of(target, "");
    const Params params("GET /v1/documents", options, {"limit"});
    const auto limit = params.optional_integer("limit", 1, kMaxListed).value_or(kDefaultListed);
    const json list = documents_to_json(
        context_.engine.list({.owner = owner(), .limit = static_cast<std::size_t>(limit)}), limit);
    send(answer_.whole(200, "application/json", dump_json(list) + "\n"));
  } else if (path == "/v1/snapshots") {
    const json options = options_of(target, "");
    const Params params("GET /v1/snapshots", options, {});
    const json list = snapshots_to_json(context_.engine.snapshots(owner()));
    send(answer_.whole(200, "application/json", dump_json(list) + "\n"));
  } else {
    const std::string fault = path == "/healthz" ? ill_health(context_) : unreadiness(context_);
    send(answer_.whole(fault.empty() ? 200 : 503, kText, fault.empty() ? "ok\n" : fault + "\n"));
  }
}

bool HttpSession::require_method(std::string_view path, http::verb method) {
  if (parser_->get().method() == method) return true;
  const std::string allow = method == http::verb::put       ? "PUT, POST"
                            : method == http::verb::post    ? "POST"
                            : method == http::verb::delete_ ? "PUT, GET, DELETE"
                                                            : "GET";
  refuse({ErrorCode::kMethodNotFound, std::string(path.substr(0, 200)) + " takes " + allow},
         kMethodNotAllowed, "Allow: " + allow + "\r\n");
  return false;
}

std::optional<std::uint64_t> HttpSession::content_length() const {
  const auto length = parser_->content_length();
  return length ? std::optional<std::uint64_t>(*length) : std::nullopt;
}

/// The plugin's JSON Schema; empty if there is no such plugin or it has none.
std::string HttpSession::options_schema(const std::string& plugin) const {
  const auto revision = context_.engine.revision();
  const PluginInfo* info = revision->plugins->find(plugin);
  return info == nullptr ? "" : info->options;
}

/// The body must be the document's bytes, not encoded.
void HttpSession::check_body_form() const {
  const auto& request = parser_->get();
  if (!request.chunked() && !content_length()) {
    throw Error(ErrorCode::kInvalidRequest,
                "the request has neither a Content-Length nor chunks; send the document as its body");
  }
  const auto encoding = request[http::field::content_encoding];
  if (!encoding.empty() && !boost::beast::iequals(encoding, "identity"))
    throw EncodedBody("the body has a Content-Encoding; send the document itself, decompressed");
  const auto transfer = request[http::field::transfer_encoding];
  if (!transfer.empty() && !boost::beast::iequals(transfer, "chunked"))
    throw EncodedBody("the body has a Transfer-Encoding other than chunked; send the document itself");
  constexpr boost::beast::string_view kMultipart = "multipart/";
  const auto type = request[http::field::content_type].substr(0, kMultipart.size());
  if (boost::beast::iequals(type, kMultipart))
    throw EncodedBody(
        "the body is a multipart form; send the document itself (curl: -T FILE, --data-binary @FILE)");
}

void HttpSession::continue_if_expected() {
  if (answer_.chunked && boost::beast::iequals(parser_->get()[http::field::expect], "100-continue"))
    send("HTTP/1.1 100 Continue\r\n\r\n");
}

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
  while (!*result) co_await wait_for_signal();
  const auto& [failure, opened] = **result;
  if (failure) std::rethrow_exception(failure);
  document_ = Document();
  document_->id = document_->progress.id = opened.id;
  document_->progress.total_bytes = content_length();
  document_->creates = creates;
  document_->subscription = subscription;
  subscription->start(opened.id, opened.next_sequence);
  if (!is_open()) on_gone();  // the peer has disconnected meanwhile
}

/// The body's next bytes.
asio::awaitable<boost::system::error_code> HttpSession::read_piece(std::string& bytes) {
  auto& body = parser_->get().body();
  bytes.assign(kBufferBytes, '\0');
  body.data = bytes.data();
  body.size = bytes.size();
  auto error = co_await parse_more(true);
  if (error == http::error::need_buffer) error = {};
  bytes.resize(bytes.size() - parser_->get().body().size);
  co_return error;
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
  if (!is_open() || document_->finished) co_return;
  try {
    context_.engine.end(document_->id);
  } catch (const Error&) {
    // It failed meanwhile: on_finished() gives the reason.
  }
}

/// Returns when the engine has room for more, or when the document has ended.
asio::awaitable<void> HttpSession::append(std::string bytes) {
  document_->has_room = false;
  try {
    std::weak_ptr<HttpSession> weak = std::static_pointer_cast<HttpSession>(shared_from_this());
    context_.engine.append(document_->id, std::move(bytes), [&io = context_.io, weak] {
      asio::post(io, [weak] {
        const auto self = weak.lock();
        if (!self || !self->document_) return;
        self->document_->has_room = true;
        self->signal();
      });
    });
  } catch (const Error&) {
    // It failed: on_finished() gives the reason and ends the wait.
  }
  while (is_open() && !document_->finished && !document_->has_room) co_await wait_for_signal();
}

void HttpSession::cancel_document(const Error& reason) {
  context_.engine.cancel(document_->id, reason);
}

/// Begins the response and sends progress lines while there is no output.
void HttpSession::keep_awake() {
  awake_.expires_after(document_->answering ? kSilence : kFirstSilence);
  awake_.async_wait([weak = weak_from_this(), this](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (!self || cancelled || !document_ || document_->finished) return;
    if (document_->silent && has_room())
      send_line(dump_json({{"progress", progress_to_json(document_->progress)}}));
    document_->silent = true;
    keep_awake();
  });
}

/// HTTP clients cannot attach again, so reading stops when the peer is gone.
void HttpSession::watch_for_hangup() {
  if (std::exchange(watching_, true)) return;
  socket_.async_wait(Socket::wait_error,
                     [self = shared_from_this(), this](const boost::system::error_code& error) {
                       watching_ = false;
                       if (!error) return close();
                       if (is_open() && (document_ || call_))
                         watch_for_hangup();  // interrupt() was for the reader
                     });
}

void HttpSession::on_output(const DocumentId&, const Output& output) {
  if (!document_->creates) send_line(output.json);
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
  document_->finished = true;
  if (!parser_->is_done()) interrupt();
  signal();
}

void HttpSession::send_line(const std::string& line) {
  if (!std::exchange(document_->answering, true))
    send(answer_.head("X-Unroll-Document: " + document_->id + "\r\n"));
  document_->silent = false;
  send(answer_.line(line + "\n"));
}

void HttpSession::refuse(const Error& error, std::optional<unsigned> status, std::string_view fields) {
  if (error.code == ErrorCode::kLimit || error.code == ErrorCode::kJournal)
    context_.events.refused(error, owner());
  answer_.keep_alive = false;
  send(answer_.error(error, status, fields));
}

void HttpSession::on_room() {
  if (document_) document_->subscription->pump();
}

void HttpSession::on_gone() {
  if (call_) call_->abandon({ErrorCode::kPeerGone, "its client disconnected"});
  if (!document_ || document_->finished) return;
  document_->finished = true;
  document_->subscription->detach();
  cancel_document(
      {ErrorCode::kPeerGone, "the client of document " + document_->id + " disconnected before its end"});
}

void HttpSession::shut_down() {
  stopping_ = true;
  if (call_) call_->abandon({ErrorCode::kShuttingDown, "the daemon stopped"});
  if (!document_) return close();  // no request is in progress
  document_->subscription->pump_all();
  document_->subscription->detach();
  if (document_->finished) return;
  DocumentStatus status;
  status.id = document_->id;
  status.phase = DocumentPhase::kFailed;
  status.error_code = ErrorCode::kShuttingDown;
  status.error =
      "the daemon stopped before the end of document " + document_->id + "; it is committed: resume it";
  on_finished(status);
}

}  // namespace unroll
