// The paths of openai_api.h: reads a request of JSON, and answers with one.
#include <utility>

#include "daemon/http_session.h"
#include "daemon/refusals.h"

namespace unroll {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMostBytes = std::size_t{4} << 20;  // of a request

}  // namespace

/// The body, which is a request itself, not a document.
asio::awaitable<std::string> HttpSession::read_whole_body() {
  std::string whole, piece;
  while (is_open() && !parser_->is_done()) {
    const auto error = co_await read_piece(piece);
    if (!is_open()) break;
    if (error)
      throw Error(ErrorCode::kInvalidRequest, "the request's body is invalid (" + error.message() + ")");
    whole += piece;
    if (whole.size() > kMostBytes) {
      throw Error(ErrorCode::kLimit, "the request has more than " + std::to_string(kMostBytes >> 20) +
                                         " MiB; send it in parts, or send documents to /v1/PLUGIN");
    }
  }
  co_return whole;
}

/// While the result is made, spaces are sent, which JSON allows before it: many clients give up after some
/// seconds of silence.
asio::awaitable<void> HttpSession::serve_api(std::string path) {
  check_body_form();
  continue_if_expected();
  auto body = co_await read_whole_body();
  if (!is_open()) co_return;
  const auto self = std::static_pointer_cast<HttpSession>(shared_from_this());
  struct Result {
    bool done = false;
    std::exception_ptr failure;
    std::string text;
  };
  const auto result = std::make_shared<Result>();
  call_ = std::make_shared<ApiCall>(context_, owner(),
                                    [self, result](std::exception_ptr failure, std::string text) {
                                      *result = {true, std::move(failure), std::move(text)};
                                      self->signal();
                                    });
  call_->start(std::move(path), std::move(body));
  watch_for_hangup();
  bool begun = false;
  auto silence = kFirstSilence;
  while (is_open() && !result->done) {
    awake_.expires_after(silence);
    awake_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
      const auto self = weak.lock();
      if (self && !cancelled) self->signal();
    });
    co_await wait_for_signal();
    if (!is_open() || result->done || awake_.expiry() > std::chrono::steady_clock::now()) continue;
    if (!std::exchange(begun, true)) send(answer_.head("", "application/json"));
    if (has_room()) send(answer_.line(" "));
    silence = kSilence;
  }
  awake_.cancel();
  if (!result->done) call_->abandon({ErrorCode::kPeerGone, "its client disconnected"});
  call_.reset();
  if (!is_open() || !result->done) co_return;
  std::shared_ptr<void> charge;  // until the peer has read it
  try {
    if (!result->failure) charge = context_.engine.charge_buffered(owner(), result->text.size());
  } catch (const Error&) {
    result->failure = std::current_exception();
  }
  if (result->failure && !begun) std::rethrow_exception(result->failure);
  if (!begun) {
    send(answer_.whole(200, "application/json", result->text));
    while (is_open() && !has_room()) co_await wait_for_signal();
    co_return;
  }
  if (result->failure) {
    answer_.keep_alive = false;
    try {
      std::rethrow_exception(result->failure);
    } catch (const Error& error) {
      count_refusal(context_.events, error, owner());
      result->text = dump_json({{"error", error_to_json(error)}}) + "\n";
    }
  }
  send(answer_.line(result->text));
  send(answer_.end());
  while (is_open() && !has_room()) co_await wait_for_signal();
}

}  // namespace unroll
