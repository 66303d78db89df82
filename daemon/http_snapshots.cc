// /v1/snapshots/NAME: makes, imports, exports and deletes a snapshot.
#include <utility>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include "daemon/http_session.h"
#include "daemon/import_snapshot.h"
#include "daemon/read_params.h"

namespace unroll {
namespace asio = boost::asio;
namespace http = boost::beast::http;

using nlohmann::json;

namespace {

/// ?plugins=score,anomaly, or the list of document.open.
void name_plugins(json& options) {
  const auto found = options.find("plugins");
  if (found == options.end() || !found->is_string()) return;
  const auto text = found->get<std::string>();
  if (text.starts_with('[')) {
    *found = parse_json(text);
    return;
  }
  *found = json::array();
  for (std::size_t from = 0; from <= text.size();) {
    const auto to = std::min(text.find(',', from), text.size());
    found->push_back({{"name", text.substr(from, to - from)}});
    from = to + 1;
  }
}

}  // namespace

asio::awaitable<void> HttpSession::serve_snapshot(Target target, std::string name) {
  const auto method = parser_->get().method();
  const std::string path = target.path;
  if (method != http::verb::put) {
    if (!require_method(path, "PUT, GET, DELETE")) co_return;
    if (!parser_->is_done()) answer_.keep_alive = false;  // the body is not read
    const json options = options_of(target, "");
    const Params none(method == http::verb::get ? "GET /v1/snapshots" : "DELETE /v1/snapshots", options, {});
    if (method == http::verb::get) co_return co_await export_snapshot(std::move(name));
    co_return co_await delete_snapshot(std::move(name));
  }
  std::string model = take(target, "model");
  json options = options_of(target, R"({"properties": {"plugins": {"type": "string"}}})");
  name_plugins(options);
  const auto type = parser_->get()[http::field::content_type];
  const bool is_file = std::string_view(type.data(), type.size()) == kSnapshotMediaType;
  if (is_file) {
    if (options.contains("plugins"))
      throw Error(ErrorCode::kDocumentState,
                  "PUT /v1/snapshots: a snapshot's file has its own plugins; leave out 'plugins'");
    const Params params("PUT /v1/snapshots", options, {"expires_s"});
    co_return co_await import_snapshot(std::move(name), params, std::move(model));
  }
  const Params params("PUT /v1/snapshots", options, {"plugins", "expires_s"});
  DocumentRequest document;
  document.name = "http snapshot " + name;
  document.plugins = read_plugins(params, false);
  document.snapshot = SnapshotRequest{std::move(name), read_expiry(params)};
  co_await serve_document(std::move(document), std::move(model));
}

asio::awaitable<void> HttpSession::import_snapshot(std::string name, const Params& params,
                                                   std::string model) {
  check_body_form();
  SnapshotUpload upload{std::move(name), {}, {}};
  const auto expires = read_expiry(params);
  continue_if_expected();
  while (is_open() && !parser_->is_done()) {
    std::string bytes;
    const auto error = co_await read_piece(bytes);
    if (!is_open()) co_return;
    if (error)
      throw Error(ErrorCode::kInvalidRequest, "the request's body is invalid (" + error.message() + ")");
    upload.add(context_.engine, owner(), bytes);
  }
  const auto result = std::make_shared<std::optional<std::pair<std::exception_ptr, SnapshotInfo>>>();
  ::unroll::import_snapshot(
      context_, owner(), std::move(upload), expires, std::move(model),
      [self = shared_from_this(), result](const std::exception_ptr& failure, const SnapshotInfo& info) {
        result->emplace(failure, info);
        self->signal();
      });
  while (!*result) co_await wait_for_signal();
  const auto& [failure, info] = **result;
  if (failure) std::rethrow_exception(failure);
  send(answer_.whole(200, "application/json", dump_json(snapshot_to_json(info)) + "\n"));
}

// The work is no temporary in the call: GCC 12 destroys its captures twice then.

asio::awaitable<void> HttpSession::export_snapshot(std::string name) {
  const auto work = [&engine = context_.engine, owner = owner(), name] {
    return engine.export_snapshot(owner, name);
  };
  const std::string file = co_await done_by_another(context_.journal_jobs, work);
  const auto charge = context_.engine.charge_buffered(owner(), file.size());  // until the peer has read it
  send(answer_.whole(200, kSnapshotMediaType, file));
  while (is_open() && !has_room()) co_await wait_for_signal();
}

asio::awaitable<void> HttpSession::delete_snapshot(std::string name) {
  const auto work = [&engine = context_.engine, owner = owner(), name] {
    engine.remove_snapshot(owner, name);
    return true;
  };
  co_await done_by_another(context_.journal_jobs, work);
  send(answer_.whole(200, "application/json", "{}\n"));
}

}  // namespace unroll
