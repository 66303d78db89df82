// An HTTP/1.1 connection: requests and responses, one after the other. A thin layer over the protocol for
// curl and Prometheus. docs/protocol.md lists the paths. http_session.cc reads requests and routes them;
// http_document.cc, http_kept.cc, http_many.cc, http_api.cc and http_snapshots.cc serve documents, those of
// earlier requests, many small ones, openai_api.h and snapshots.
#pragma once

#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "daemon/api_call.h"
#include "daemon/connection.h"
#include "daemon/http_answer.h"
#include "daemon/http_query.h"
#include "daemon/params.h"
#include "daemon/score_many.h"
#include "protocol/protocol.h"

namespace unroll {

/// For the I/O thread only.
class HttpSession : public Connection {
 public:
  enum class Access {
    kUid,    ///< The peer is its uid.
    kToken,  ///< Each request has a token of context.tokens, except those for public pages.
  };
  HttpSession(ServerContext& context, Socket socket, std::uint32_t owner, Access access = Access::kUid);

  /// After context.tokens has changed.
  void close_if_revoked();

  void on_output(const DocumentId& id, const Output& output) override;
  void on_progress(const DocumentStatus& status) override;
  void on_finished(const DocumentStatus& status) override;
  void shut_down() override;

 private:
  /// After this long without output, the response begins or a progress line is sent: clients and proxies time
  /// out if a server is silent for long.
  static constexpr std::chrono::milliseconds kFirstSilence{250}, kSilence{1000};
  static constexpr std::uint32_t kMaxHeaderBytes = 16 * 1024;
  using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
  /// This much of a body is read before the engine has room for it, if the user's memory allows: many clients
  /// give up if they cannot send for some seconds, and a model may need longer for what the engine buffers.
  static constexpr std::size_t kMostAhead = std::size_t{4} << 20;
  struct Piece {
    std::string bytes;
    std::shared_ptr<void> charge;  ///< To its user.
  };
  /// The document that the current request sends or listens to.
  struct Document {
    DocumentId id;
    std::shared_ptr<Subscription> subscription;
    DocumentStatus progress;  ///< The latest.
    bool answering = false;   ///< The header of the response was sent; lines follow.
    bool silent = true;       ///< No line since the last check.
    bool finished = false;
    bool has_room = true;         ///< The engine accepts more bytes.
    std::deque<Piece> ahead;      ///< Of the body, for the engine.
    std::size_t bytes_ahead = 0;  ///< In `ahead`.
    bool creates = false;         ///< A snapshot; the outputs are not sent.
    bool attached = false;        ///< It came by another request: this one only listens.
    bool taken = false;           ///< Another connection listens now; this one still sends bytes.
  };
  /// The response to a request of openai_api.h.
  struct Api {
    std::string held;     ///< Of the result, not sent yet.
    bool begun = false;   ///< The header of the response was sent,
    bool sent = false;    ///< and a part of the result.
    bool silent = false;  ///< Nothing was sent since the last look.
    bool done = false;
    std::exception_ptr failure;  ///< Why there is no result.
  };

  boost::asio::awaitable<void> serve() override;
  void on_room() override;
  void on_gone() override;

  void begin_request();
  /// False if there was no valid request: an error was sent, or the peer is gone.
  boost::asio::awaitable<bool> read_header();
  boost::asio::awaitable<boost::system::error_code> parse_more(bool body);
  boost::asio::awaitable<void> route();
  boost::asio::awaitable<void> answer_get(Target target);
  boost::asio::awaitable<boost::system::error_code> read_piece(std::string& bytes);
  void check_body_form() const;
  std::string options_schema(const std::string& plugin) const;
  void watch_for_hangup();
  void continue_if_expected();
  static Error no_path(std::string_view path);
  bool is_admitted();
  /// `allowed`: "PUT, POST".
  bool require_method(std::string_view path, std::string_view allowed);
  std::optional<std::uint64_t> content_length() const;
  /// The result of `work`, which another thread does.
  template <class Work>
  boost::asio::awaitable<std::invoke_result_t<Work>> done_by_another(FairPool& pool, Work work) {
    struct Done {
      std::optional<std::invoke_result_t<Work>> result;
      std::exception_ptr failure;
    };
    const auto done = std::make_shared<std::optional<Done>>();
    // The connection must not end on the other thread, so the job gives up its share of it.
    pool.post(owner(), [&io = context_.io, self = shared_from_this(), done, work]() mutable {
      Done doing;
      try {
        doing.result = work();
      } catch (...) {
        doing.failure = std::current_exception();
      }
      boost::asio::post(io, [self = std::move(self), done, doing = std::move(doing)]() mutable {
        done->emplace(std::move(doing));
        self->signal();
      });
    });
    while (!*done) co_await wait_for_signal();
    if ((*done)->failure) std::rethrow_exception((*done)->failure);
    co_return *std::move((*done)->result);
  }

  // http_document.cc
  boost::asio::awaitable<void> serve_document(DocumentRequest request, std::string model);
  boost::asio::awaitable<void> open(DocumentRequest request, std::string model);
  boost::asio::awaitable<void> read_body();
  boost::asio::awaitable<void> append(std::string bytes);
  bool may_read_ahead();
  void feed();
  void cancel_document(const Error& reason);
  void keep_awake();
  void begin_lines();
  void send_line(const std::string& line);

  // http_kept.cc
  boost::asio::awaitable<void> serve_kept(Target target);
  boost::asio::awaitable<void> cancel_kept(DocumentId id);
  boost::asio::awaitable<void> delete_kept(DocumentId id);
  boost::asio::awaitable<void> serve_events(DocumentId id, std::uint64_t from);

  // http_api.cc
  boost::asio::awaitable<void> serve_api(std::string path);
  void begin_api();
  void keep_api_awake();
  void send_piece(const std::string& text);
  void end_api();
  boost::asio::awaitable<std::string> read_whole_body();

  // http_many.cc
  boost::asio::awaitable<void> serve_many(Target target);
  boost::asio::awaitable<void> wait_for_model(const std::string& model);
  void keep_many_awake();
  boost::asio::awaitable<void> read_lines();
  boost::asio::awaitable<void> add_line(std::string line);

  // http_snapshots.cc
  boost::asio::awaitable<void> serve_snapshot(Target target, std::string name);
  boost::asio::awaitable<void> import_snapshot(std::string name, const Params& params, std::string model);
  boost::asio::awaitable<void> export_snapshot(std::string name);
  boost::asio::awaitable<void> delete_snapshot(std::string name);

  void refuse(const Error& error, std::optional<unsigned> status = {}, std::string_view fields = {});

  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  HttpAnswer answer_;
  std::optional<Document> document_;
  std::optional<Api> api_;
  std::shared_ptr<ApiCall> call_;    ///< The current request, if it is one of openai_api.h.
  std::shared_ptr<ScoreMany> many_;  ///< The current request, if it is /v1/score_many.
  bool many_silent_ = false;         ///< No row since the last look.
  boost::asio::steady_timer awake_{context_.io};
  const Access access_;
  std::optional<HttpTokens::Grant> grant_;  ///< Of the last request's token.
  bool watching_ = false;
  bool stopping_ = false;
  bool opening_ = false;  ///< The engine may have the document already; document_ is not set yet.
};

}  // namespace unroll
