#include "daemon/http_session.h"

#include <iterator>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include "daemon/http_pages.h"
#include "daemon/peer_uid.h"
#include "daemon/refusals.h"

namespace unroll {
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr unsigned kUnauthorized = 401, kUnsupportedMediaType = 415, kHeaderTooLarge = 431,
                   kMethodNotAllowed = 405, kConflict = 409, kTooLarge = 413;
constexpr std::string_view kVersionPrefix = "/v1/";
constexpr std::string_view kPathsAdvice =
    "; there are PUT or POST /v1/PLUGIN, POST /v1/score_many, /v1/completions, /v1/embeddings and /tokenize, "
    "GET or DELETE /v1/documents/ID, POST /v1/documents/ID/cancel, GET /v1/documents/ID/events, "
    "PUT, GET or DELETE /v1/snapshots/NAME, GET /v1/models, /v1/documents, /v1/snapshots, /healthz, /readyz, "
    "/metrics and /openapi.json";
constexpr std::string_view kDocumentsPrefix = "/v1/documents/";
constexpr std::string_view kScoreMany = "/v1/score_many";
constexpr std::string_view kSnapshotsPrefix = "/v1/snapshots/";

/// The request's body is not the document itself but an encoding of it.
struct EncodedBody : Error {
  explicit EncodedBody(const std::string& text) : Error(ErrorCode::kInvalidRequest, text) {}
};

}  // namespace

HttpSession::HttpSession(ServerContext& context, Socket socket, std::uint32_t owner, Access access)
    : Connection(context, std::move(socket), owner), access_(access) {}

asio::awaitable<void> HttpSession::serve() {
  bool more = true;
  while (more && is_open() && !stopping_) {
    begin_request();
    // Two statements: GCC 12 with -O3 compiles `if (co_await a()) co_await b();` to an illegal instruction.
    const bool found = co_await read_header();
    if (!found || !is_admitted()) break;
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

/// Sets the request's owner by its token. False: a refusal was sent. The body is not looked at before.
bool HttpSession::is_admitted() {
  if (access_ == Access::kUid) return true;
  const auto& request = parser_->get();
  const std::string_view target(request.target().data(), request.target().size());
  if (const auto* page = find_page(target.substr(0, target.find('?'))); page && page->is_public) return true;
  const auto fields = request.equal_range(http::field::authorization);
  const auto count = std::distance(fields.first, fields.second);
  grant_.reset();
  if (count == 1)
    grant_ = context_.tokens->find({fields.first->value().data(), fields.first->value().size()});
  owner_ = grant_ ? grant_->owner : kUnknownOwner;
  try {
    if (grant_) context_.check_connections(owner_);
  } catch (const LimitError& error) {
    refuse(error);
    return false;
  }
  if (grant_) return true;
  context_.events.no_token(peer_address(socket_.native_handle()));
  refuse({ErrorCode::kPermission, count == 0 ? "the request has no token; send 'Authorization: Bearer TOKEN'"
                                             : "the request's token is not valid"},
         kUnauthorized,
         std::string("WWW-Authenticate: Bearer realm=\"unroll\"") +
             (count == 0 ? "\r\n" : ", error=\"invalid_token\"\r\n"));
  return false;
}

void HttpSession::close_if_revoked() {
  if (grant_ && !context_.tokens->has(*grant_)) close();
}

asio::awaitable<void> HttpSession::route() {
  const auto& request = parser_->get();
  try {
    Target target = parse_target({request.target().data(), request.target().size()});
    const std::string& path = target.path;
    if (is_api_path(path)) {
      if (require_method(path, "POST")) co_await serve_api(path);
      co_return;
    }
    if (path == kScoreMany) {
      if (require_method(path, "POST")) co_await serve_many(std::move(target));
      co_return;
    }
    const bool plugin = path.starts_with(kVersionPrefix) && path.size() > kVersionPrefix.size() &&
                        path.find('/', kVersionPrefix.size()) == std::string::npos &&
                        find_page(path) == nullptr;
    if (path.starts_with(kDocumentsPrefix) && path.size() > kDocumentsPrefix.size()) {
      co_await serve_kept(std::move(target));
    } else if (path.starts_with(kSnapshotsPrefix) && path.size() > kSnapshotsPrefix.size()) {
      std::string name = path.substr(kSnapshotsPrefix.size());
      co_await serve_snapshot(std::move(target), std::move(name));
    } else if (!plugin) {
      co_await answer_get(std::move(target));
    } else if (require_method(path, "PUT, POST")) {
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
  } catch (const TooLarge& error) {
    refuse(error, kTooLarge);
  } catch (const Error& error) {
    refuse(error);
  }
}

Error HttpSession::no_path(std::string_view path) {
  return {ErrorCode::kMethodNotFound,
          "no path '" + std::string(path.substr(0, 200)) + "'" + std::string(kPathsAdvice)};
}

/// All paths of http_pages.h.
asio::awaitable<void> HttpSession::answer_get(Target target) {
  const Page* page = find_page(target.path);
  if (page == nullptr) throw no_path(target.path);
  if (!require_method(target.path, "GET")) co_return;
  if (!parser_->is_done()) answer_.keep_alive = false;  // the body is not read
  PageContent content;
  if (page->takes_long) {
    // No temporary in the call: GCC 12 destroys its captures twice then.
    const auto work = [page, &context = context_, owner = owner(), target] {
      return page->make(context, owner, target);
    };
    content = co_await done_by_another(context_.parsers, work);
  } else {
    content = page->make(context_, owner(), target);
  }
  send(answer_.whole(content.status, content.type, content.body));
}

bool HttpSession::require_method(std::string_view path, std::string_view allowed) {
  const auto method = parser_->get().method_string();
  const auto listed = ", " + std::string(allowed) + ",";
  if (listed.find(", " + std::string(method.data(), method.size()) + ",") != std::string::npos) return true;
  refuse({ErrorCode::kMethodNotFound, std::string(path.substr(0, 200)) + " takes " + std::string(allowed)},
         kMethodNotAllowed, "Allow: " + std::string(allowed) + "\r\n");
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

/// HTTP clients cannot attach again, so reading stops when the peer is gone.
void HttpSession::watch_for_hangup() {
  if (std::exchange(watching_, true)) return;
  socket_.async_wait(Socket::wait_error,
                     [self = shared_from_this(), this](const boost::system::error_code& error) {
                       watching_ = false;
                       if (!error) return close();
                       if (is_open() && (document_ || call_ || many_))
                         watch_for_hangup();  // interrupt() was for the reader
                     });
}

void HttpSession::refuse(const Error& error, std::optional<unsigned> status, std::string_view fields) {
  count_refusal(context_.events, error, owner());
  answer_.keep_alive = false;
  send(answer_.error(error, status, fields));
}

void HttpSession::shut_down() {
  stopping_ = true;
  const Error stopped(ErrorCode::kShuttingDown, "the daemon stopped");
  if (call_) call_->abandon(stopped);
  if (many_) many_->abandon(stopped);
  if (opening_) return;                                // again when it is open
  if (!document_ || document_->taken) return close();  // nobody waits for an answer
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
