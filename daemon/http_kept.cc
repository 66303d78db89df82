// /v1/documents/ID: the status, the end and the events of a document that another request or connection
// opened.
#include <cstdint>
#include <string_view>
#include <utility>

#include "daemon/http_session.h"
#include "daemon/own_documents.h"

namespace unroll {
namespace asio = boost::asio;
namespace http = boost::beast::http;

asio::awaitable<void> HttpSession::serve_kept(Target target) {
  const auto path = target.path;
  const auto rest = std::string_view(path).substr(std::string_view("/v1/documents/").size());
  DocumentId id(rest.substr(0, rest.find('/')));
  const auto action = rest.substr(id.size());
  if (action != "" && action != "/cancel" && action != "/events") throw no_path(path);
  if (!require_method(path, action == "/cancel" ? "POST" : action == "/events" ? "GET" : "GET, DELETE"))
    co_return;
  if (!parser_->is_done()) answer_.keep_alive = false;  // the body is not read
  const auto options = options_of(target, "");
  const auto params = action == "/events" ? Params(path, options, {"from"}) : Params(path, options, {});
  const auto from = static_cast<std::uint64_t>(params.optional_integer("from", 0, INT64_MAX).value_or(0));
  check_owner(context_.engine, id, owner());
  if (action == "/events") co_return co_await serve_events(std::move(id), from);
  if (action == "/cancel") co_return co_await cancel_kept(std::move(id));
  if (parser_->get().method() == http::verb::delete_) co_return co_await delete_kept(std::move(id));
  send(answer_.whole(200, "application/json", dump_json(status_of(context_.engine, id)) + "\n"));
}

// The work is no temporary in the call: GCC 12 destroys its captures twice then.

asio::awaitable<void> HttpSession::cancel_kept(DocumentId id) {
  const auto work = [&engine = context_.engine, id] {
    cancel_any(engine, id);
    return true;
  };
  co_await done_by_another(context_.journal_jobs, work);
  send(answer_.whole(200, "application/json", "{}\n"));
}

asio::awaitable<void> HttpSession::delete_kept(DocumentId id) {
  const auto work = [&engine = context_.engine, id] {
    engine.remove(id);
    return true;
  };
  co_await done_by_another(context_.journal_jobs, work);
  send(answer_.whole(200, "application/json", "{}\n"));
}

asio::awaitable<void> HttpSession::serve_events(DocumentId id, std::uint64_t from) {
  auto subscription = attach_to(context_, std::static_pointer_cast<HttpSession>(shared_from_this()), owner(),
                                queued_, id, from);
  document_ = Document();
  document_->id = document_->progress.id = id;
  document_->attached = true;
  document_->subscription = std::move(subscription);
  begin_lines();
  keep_awake();
  watch_for_hangup();
  while (is_open() && !document_->finished) co_await wait_for_signal();
  awake_.cancel();
  if (!document_->finished) on_gone();
}

}  // namespace unroll
