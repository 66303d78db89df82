// The paths of openai_api.h: reads a request of JSON, and answers with one.
#include <utility>

#include "daemon/http_session.h"
#include "daemon/refusals.h"

namespace unroll {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMostBytes = std::size_t{4} << 20;  // of a request
/// A smaller result is sent when it is complete, so that an error has its status, or at least a body of its
/// own.
constexpr std::size_t kHeldBack = std::size_t{256} << 10;

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

/// While the result is made, spaces are sent, which JSON allows between values: many clients give up after
/// some seconds of silence. The result is sent as it is made if it is large; a failure then cuts it off.
asio::awaitable<void> HttpSession::serve_api(std::string path) {
  check_body_form();
  continue_if_expected();
  auto body = co_await read_whole_body();
  if (!is_open()) co_return;
  api_.emplace();
  call_ = std::make_shared<ApiCall>(
      context_, owner(),  // its end drops these functions
      ApiCall::Callbacks{[this] { return has_room(); }, [this](const std::string& text) { send_piece(text); },
                         [this](std::exception_ptr failure) {
                           api_->done = true;
                           api_->failure = std::move(failure);
                           signal();
                         }});
  call_->start(std::move(path), std::move(body));
  keep_api_awake();
  watch_for_hangup();
  while (is_open() && !api_->done) co_await wait_for_signal();
  awake_.cancel();
  if (!api_->done) call_->abandon({ErrorCode::kPeerGone, "its client disconnected"});
  call_.reset();
  if (!is_open() || !api_->done) co_return;
  end_api();
  while (is_open() && !has_room()) co_await wait_for_signal();
}

void HttpSession::begin_api() {
  if (!std::exchange(api_->begun, true)) send(answer_.head("", "application/json"));
}

void HttpSession::keep_api_awake() {
  api_->silent = true;
  awake_.expires_after(api_->begun ? kSilence : kFirstSilence);
  awake_.async_wait([weak = weak_from_this(), this](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (!self || cancelled || !call_) return;
    if (api_->silent && has_room()) {
      begin_api();
      send(answer_.line(" "));
    }
    keep_api_awake();
  });
}

void HttpSession::send_piece(const std::string& text) {
  api_->held += text;
  if (!api_->sent && api_->held.size() < kHeldBack) return;
  begin_api();
  api_->sent = true;
  api_->silent = false;
  if (!api_->held.empty()) send(answer_.line(std::exchange(api_->held, {})));
}

/// Throws Error if nothing of the response was sent yet.
void HttpSession::end_api() {
  if (!api_->begun && api_->failure) std::rethrow_exception(api_->failure);
  if (!api_->begun) return send(answer_.whole(200, "application/json", api_->held));
  if (!api_->failure) {
    if (!api_->held.empty()) send(answer_.line(api_->held));
    return send(answer_.end());
  }
  answer_.keep_alive = false;
  try {
    std::rethrow_exception(api_->failure);
  } catch (const Error& error) {
    count_refusal(context_.events, error, owner());
    send(answer_.line((api_->sent ? "\n" : "") + dump_json({{"error", error_to_json(error)}}) + "\n"));
  }
  if (!api_->sent) send(answer_.end());  // else the response stays incomplete, which its reader notices
}

}  // namespace unroll
