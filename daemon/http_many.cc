// POST /v1/score_many: reads lines of JSON, and answers with a row for each while it reads.
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>

#include "base/ascii.h"
#include "daemon/http_session.h"
#include "daemon/refusals.h"

namespace unroll {
namespace asio = boost::asio;
namespace http = boost::beast::http;

asio::awaitable<void> HttpSession::serve_many(Target target) {
  check_body_form();
  auto model = take(target, "model");
  if (!target.query.empty())
    throw Error(ErrorCode::kInvalidParams,
                "/v1/score_many has no option '" + target.query.front().first + "'");
  co_await wait_for_model(model);
  continue_if_expected();
  const auto self = std::static_pointer_cast<HttpSession>(shared_from_this());
  many_ =
      std::make_shared<ScoreMany>(context_, owner(), std::move(model),
                                  ScoreMany::Callbacks{[weak = std::weak_ptr(self)](const std::string& row) {
                                                         if (const auto session = weak.lock()) {
                                                           session->many_silent_ = false;
                                                           session->send(session->answer_.line(row + "\n"));
                                                         }
                                                       },
                                                       [weak = std::weak_ptr(self)] {
                                                         if (const auto session = weak.lock())
                                                           session->signal();
                                                       }});
  send(answer_.head(""));
  keep_many_awake();
  watch_for_hangup();
  std::exception_ptr failure;
  try {
    co_await read_lines();
    while (is_open() && !many_->idle()) co_await wait_for_signal();
  } catch (const Error&) {
    failure = std::current_exception();
  }
  awake_.cancel();
  if (!is_open()) co_return;  // on_gone() has abandoned it
  if (failure) {
    answer_.keep_alive = false;
    try {
      std::rethrow_exception(failure);
    } catch (const Error& error) {
      count_refusal(context_.events, error, owner());
      many_->abandon(error);
      send(answer_.line(dump_json({{"failed", error_to_json(error)}}) + "\n"));
    }
  }
  many_.reset();
  send(answer_.end());
}

/// Sends spaces while there is no row: they are white space before the next one.
void HttpSession::keep_many_awake() {
  many_silent_ = true;
  awake_.expires_after(kSilence);
  awake_.async_wait([weak = weak_from_this(), this](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (!self || cancelled || !many_) return;
    if (many_silent_ && has_room()) send(answer_.line(" "));
    keep_many_awake();
  });
}

/// Throws Error if there is no such model, or it cannot be loaded.
asio::awaitable<void> HttpSession::wait_for_model(const std::string& model) {
  const auto result = std::make_shared<std::optional<std::exception_ptr>>();
  context_.models.ask(model, [&io = context_.io, self = shared_from_this(), result](
                                 const std::exception_ptr& failure, const Models::RevisionPtr&) {
    asio::post(io, [self, result, failure] {
      result->emplace(failure);
      self->signal();
    });
  });
  while (!*result) co_await wait_for_signal();
  if (**result) std::rethrow_exception(**result);
}

/// Waits for the peer to take rows before it reads more.
asio::awaitable<void> HttpSession::read_lines() {
  std::string rest, piece;
  while (is_open() && !parser_->is_done()) {
    const auto error = co_await read_piece(piece);
    if (!is_open()) co_return;
    if (error == http::error::body_limit)
      throw LimitError("the request is too long", "limits.document_bytes",
                       static_cast<std::uint64_t>(context_.config.max_document_bytes), "send it in parts");
    if (error)
      throw Error(ErrorCode::kInvalidRequest, "the request's body is invalid (" + error.message() + ")");
    const auto searched = rest.size();
    rest += piece;
    std::size_t begin = 0;
    for (auto end = rest.find('\n', searched); end != std::string::npos; end = rest.find('\n', begin)) {
      std::string line = rest.substr(begin, end - begin);
      begin = end + 1;
      co_await add_line(std::move(line));
    }
    rest.erase(0, begin);
    if (rest.size() > ScoreMany::kMostLineBytes)
      throw Error(ErrorCode::kLimit, "a line has more than " +
                                         std::to_string(ScoreMany::kMostLineBytes >> 20) +
                                         " MiB; send long documents to /v1/PLUGIN");
  }
  co_await add_line(std::move(rest));
}

asio::awaitable<void> HttpSession::add_line(std::string line) {
  if (ascii::is_blank(line)) co_return;
  while (is_open() && !(many_->has_room() && has_room())) co_await wait_for_signal();
  if (is_open()) many_->add(std::move(line));
}

}  // namespace unroll
