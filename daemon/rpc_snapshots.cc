// The methods of snapshots.
#include <algorithm>
#include <utility>

#include "base/base64.h"
#include "base/sha256.h"
#include "daemon/open_document.h"
#include "daemon/read_params.h"
#include "daemon/rpc_session.h"

namespace unroll {
namespace asio = boost::asio;

using nlohmann::json;

/// Answers when the snapshot is in the journal.
std::optional<json> RpcSession::create_snapshot(const Request& request) {
  const Params params(method::kSnapshotCreate, request.params,
                      {"document", "text", "fd", "plugins", "model", "name", "expires_s"});
  auto wanted = read_snapshot_request(params);
  const auto id = params.optional_string("document");
  if (!id) {
    Opening opening;
    opening.creates = true;
    opening.document.plugins = read_plugins(params, false);
    opening.document.name = wanted.name;
    opening.document.owner = owner_;
    opening.document.snapshot = std::move(wanted);
    opening.model = params.optional_string("model").value_or("");
    read_source(params, opening);
    check_documents();
    begin_opening(request, std::move(opening));
    return std::nullopt;
  }
  for (const auto* other : {"text", "fd", "plugins", "model"}) {
    if (params.has(other)) params.refuse(other, "left out if 'document' is given, whose bytes it is of");
  }
  check_owner(*id);
  context_.engine.snapshot(
      *id, std::move(wanted),
      [&io = context_.io, weak = weak_from_this(), this, asked = without_params(request)](
          const std::exception_ptr& failure, const SnapshotInfo& info) {
        asio::post(io, [weak, this, asked, failure, info] {
          const auto self = weak.lock();
          if (!self) return;
          answer_later(asked, [&] {
            if (failure) std::rethrow_exception(failure);
            return snapshot_to_json(info);
          });
        });
      });
  answering_ = true;
  return std::nullopt;
}

/// The document that was read for it has ended.
void RpcSession::answer_created(const Request& request, const DocumentStatus& status) {
  answer(request, [&] {
    if (status.phase == DocumentPhase::kFailed)
      throw Error(status.error_code.value_or(ErrorCode::kInternal), status.error);
    return snapshot_to_json(context_.engine.find_snapshot(owner_, status.name));  // its document's name
  });
}

std::optional<json> RpcSession::list_snapshots(const Request& request) {
  const Params params(method::kSnapshotList, request.params, {});
  return snapshots_to_json(context_.engine.snapshots(owner_));
}

std::optional<json> RpcSession::delete_snapshot(const Request& request) {
  const Params params(method::kSnapshotDelete, request.params, {"name"});
  answer_after(request, [&engine = context_.engine, owner = owner_, name = params.string("name")] {
    engine.remove_snapshot(owner, name);
    return json::object();
  });
  return std::nullopt;
}

/// A piece of the file. The pieces of one file have the same `sha256`.
std::optional<json> RpcSession::export_snapshot(const Request& request) {
  const Params params(method::kSnapshotExport, request.params, {"name", "offset"});
  const auto offset = static_cast<std::uint64_t>(params.optional_integer("offset", 0, INT64_MAX).value_or(0));
  answer_after(request, [&engine = context_.engine, owner = owner_, name = params.string("name"), offset] {
    const auto file = engine.export_snapshot(owner, name);
    Sha256 digest;
    digest.add(file);
    const auto from = std::min<std::uint64_t>(offset, file.size());
    return json{{"base64", base64_encode(std::string_view(file).substr(from, kMaxAppendBytes))},
                {"bytes", file.size()},
                {"sha256", digest_text(digest.digest())}};
  });
  return std::nullopt;
}

std::optional<json> RpcSession::import_snapshot(const Request& request) {
  const Params params(method::kSnapshotImport, request.params,
                      {"name", "base64", "more", "expires_s", "model"});
  const auto bytes = base64_decode(params.string("base64"));
  if (!bytes) params.refuse("base64", "base64 with padding and without whitespace");
  const auto name = params.optional_string("name").value_or("");
  auto model = params.optional_string("model").value_or("");
  const auto expires = read_expiry(params);
  const bool more = params.optional_bool("more").value_or(false);
  // One file at a time; if a piece is refused, so are those before it.
  auto upload = std::exchange(upload_, std::nullopt).value_or(SnapshotUpload{name, {}, {}});
  if (upload.name != name) upload = {name, {}, {}};
  upload.add(context_.engine, owner_, *bytes);
  if (more) {
    upload_ = std::move(upload);
    return json{{"bytes", upload_->bytes.size()}};
  }
  answering_ = true;
  ::unroll::import_snapshot(context_, owner_, std::move(upload), expires, std::move(model),
                            [weak = weak_from_this(), this, asked = without_params(request)](
                                const std::exception_ptr& failure, const SnapshotInfo& info) {
                              const auto self = weak.lock();
                              if (!self) return;
                              answer_later(asked, [&] {
                                if (failure) std::rethrow_exception(failure);
                                return snapshot_to_json(info);
                              });
                            });
  return std::nullopt;
}

}  // namespace unroll
