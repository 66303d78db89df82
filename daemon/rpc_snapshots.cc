// The methods of snapshots.
#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/mman.h>

#include "base/base64.h"
#include "base/sha256.h"
#include "base/write_all.h"
#include "daemon/open_document.h"
#include "daemon/own_documents.h"
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
  check_owner(context_.engine, *id, owner_);
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
  answer_after(context_.journal_jobs, request,
               [&engine = context_.engine, owner = owner_, name = params.string("name")] {
                 engine.remove_snapshot(owner, name);
                 return json::object();
               });
  return std::nullopt;
}

/// A snapshot's file on its way to the descriptor of the peer.
struct RpcSession::ExportedFile {
  std::string name;
  UniqueFd content;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::shared_ptr<void> charge;  // to the owner's buffers

  ExportedFile(Engine& engine, std::uint32_t owner, std::string name_)
      : name(std::move(name_)), content(::memfd_create("snapshot", MFD_CLOEXEC)) {
    if (!content) throw std::system_error(errno, std::generic_category(), "memfd_create");
    const auto file = engine.export_snapshot(owner, name);
    charge = engine.charge_buffered(owner, file.size());
    if (!write_all(content.get(), file))
      throw std::system_error(errno, std::generic_category(), "no memory for the snapshot's file");
    Sha256 digest;
    digest.add(file);
    bytes = file.size();
    sha256 = digest_text(digest.digest());
  }
};

/// Answers when the file is written.
std::optional<json> RpcSession::export_snapshot(const Request& request) {
  const Params params(method::kSnapshotExport, request.params, {"name", "fd"});
  auto name = params.string("name");
  if (!wants_descriptor(params))
    params.refuse("fd", "true: the descriptor of the file to write comes with the line");
  const auto target = claim_source();
  if (!target.is_file)
    params.refuse("fd", "true, with the descriptor of a regular file that is open for reading and writing");
  answering_ = true;
  context_.journal_jobs.post(
      owner_, [&engine = context_.engine, owner = owner_, &io = context_.io, this, weak = weak_from_this(),
               asked = without_params(request), name = std::move(name), target] {
        std::shared_ptr<const ExportedFile> file;
        std::exception_ptr failure;
        try {
          file = std::make_shared<const ExportedFile>(engine, owner, name);
        } catch (const std::exception&) {
          failure = std::current_exception();
        }
        asio::post(io, [this, weak, asked, target, file, failure] {
          const auto self = weak.lock();
          if (!self) return;
          if (!failure) return write_exported(asked, file, target, 0);
          answer_later(asked, [&]() -> json { std::rethrow_exception(failure); });
        });
      });
  return std::nullopt;
}

void RpcSession::write_exported(const Request& request, std::shared_ptr<const ExportedFile> file,
                                DocumentSource target, std::uint64_t offset) {
  target.handle->write(
      offset, file->content.get(),
      [this, weak = weak_from_this(), request, file, target, offset](const SourceReader::Answer& answer) {
        const auto self = weak.lock();
        if (!self) return;
        const auto end = offset + answer.reply.processed;
        const bool done = !answer.lost && answer.reply.outcome == source_wire::Outcome::kDone;
        if (done && answer.reply.processed > 0 && end < file->bytes)
          return write_exported(request, file, target, end);
        answer_later(request, [&] {
          if (done && end == file->bytes) return json{{"bytes", file->bytes}, {"sha256", file->sha256}};
          throw Error(ErrorCode::kSource, "snapshot '" + file->name + "' could not be written: " +
                                              (done ? "the file takes no more bytes" : answer.why()) +
                                              "; check the file, and export the snapshot again");
        });
      });
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
