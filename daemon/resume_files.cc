#include "daemon/resume_files.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "base/base64.h"
#include "daemon/document_feed.h"
#include "daemon/open_document.h"
#include "protocol/protocol.h"

namespace unroll {
namespace {

using nlohmann::json;

struct SavedSource {
  FileLocation location;
  std::vector<PluginRequest> plugins;
  std::optional<SnapshotRequest> snapshot;
};

/// Throws json::exception for text that describe_source() did not write.
SavedSource read_source(const std::string& text) {
  const json value = json::parse(text);
  SavedSource source;
  source.location.path = base64_decode(value.at("path").get<std::string>()).value();
  value.at("device").get_to(source.location.device);
  value.at("inode").get_to(source.location.inode);
  value.at("birth").get_to(source.location.birth);
  value.at("generation").get_to(source.location.generation);
  for (const json& plugin : value.at("plugins")) {
    source.plugins.push_back({plugin.at("name").get<std::string>(), plugin.at("options")});
  }
  if (const auto snapshot = value.find("snapshot"); snapshot != value.end()) {
    source.snapshot.emplace().name = snapshot->at("name");
    if (const auto expires = snapshot->find("expires_s"); expires != snapshot->end())
      source.snapshot->expires = std::chrono::seconds(expires->get<std::int64_t>());
  }
  return source;
}

/// Counts a document's failure, since there may be no connection to report it to.
class Unheard : public DocumentListener {
 public:
  explicit Unheard(Events& events) : events_(events) {}
  void on_output(const DocumentId&, const Output&) override {}
  void on_progress(const DocumentStatus&) override {}
  void on_done(const DocumentStatus&) override {}
  void on_failed(const DocumentStatus& status) override {
    if (status.error_code != ErrorCode::kDocumentState) events_.document_failed(status);  // else: attached to
  }

 private:
  Events& events_;
};

/// Resumes one document: locates, opens and reads its file. On an error it waits for its client.
class Resumption : public std::enable_shared_from_this<Resumption> {
 public:
  Resumption(ServerContext& context, DocumentStatus document, std::shared_ptr<void> until_done)
      : shared_context_(context.shared_from_this()),
        context_(context),
        document_(std::move(document)),
        until_done_(std::move(until_done)) {}

  void start() {
    attempt([&] {
      saved_ = read_source(document_.source);
      reader_ = context_.sources.of(document_.owner);
      source_wire::Request request;
      request.operation = source_wire::Operation::kOpen;
      const FileLocation& at = saved_.location;
      request.location = {at.device, at.inode, at.birth, at.generation};
      reader_->ask(request, at.path, -1, [self = shared_from_this()](const SourceReader::Answer& answer) {
        self->attempt([&] { self->open(answer); });
      });
    });
  }

 private:
  template <class Step>
  void attempt(Step step) {
    try {
      step();
    } catch (const std::exception& error) {
      spdlog::warn("document {} waits to be resumed by its client: {}", document_.id, error.what());
    }
  }

  void open(const SourceReader::Answer& answer) {
    if (answer.lost || answer.reply.outcome != source_wire::Outcome::kDone)
      throw Error(ErrorCode::kSource, "'" + saved_.location.path + "': " + answer.why());
    source_ = DocumentSource::of(context_, reader_, answer);
    const auto before = context_.engine.resume_point(document_.id).resume_bytes;
    if (before > source_.bytes.value_or(0))
      throw Error(ErrorCode::kSource, "'" + saved_.location.path + "': " + too_few_bytes(before));
    DocumentRequest request;
    request.plugins = std::move(saved_.plugins);
    request.owner = document_.owner;
    request.total_bytes = source_.bytes;
    request.resume = document_.id;
    request.snapshot = std::move(saved_.snapshot);
    open_document(context_, "", std::move(request), std::make_shared<Unheard>(context_.events),
                  [self = shared_from_this()](const std::exception_ptr& failure, const Opened& opened) {
                    self->attempt([&] {
                      if (failure) std::rethrow_exception(failure);
                      self->read(opened);
                    });
                  });
  }

  void read(const Opened& opened) {
    DocumentFeed::start(context_, std::move(source_), opened);
    spdlog::info("document {} continues at byte {} of '{}'", document_.id, opened.resume_bytes,
                 saved_.location.path);
  }

  const std::shared_ptr<ServerContext> shared_context_;
  ServerContext& context_;
  const DocumentStatus document_;
  const std::shared_ptr<void> until_done_;
  SavedSource saved_;
  std::shared_ptr<SourceReader> reader_;
  DocumentSource source_;
};

}  // namespace

std::string describe_source(const FileLocation& location, const DocumentRequest& document) {
  // A path may be any bytes; JSON must be UTF-8.
  json value = {{"path", base64_encode(location.path)},
                {"device", location.device},
                {"inode", location.inode},
                {"birth", location.birth},
                {"generation", location.generation},
                {"plugins", plugins_to_json(document.plugins)}};
  if (document.snapshot) {
    value["snapshot"]["name"] = document.snapshot->name;
    if (document.snapshot->expires) value["snapshot"]["expires_s"] = document.snapshot->expires->count();
  }
  return dump_json(value);
}

void resume_files(ServerContext& context, std::function<void()> done) {
  // Calls `done` when its last owner is destroyed.
  const std::shared_ptr<void> until_done(nullptr, [done = std::move(done)](void*) { done(); });
  std::vector<DocumentStatus> documents =
      context.engine.list({.limit = std::numeric_limits<std::int32_t>::max(), .open_only = true});
  std::ranges::reverse(documents);  // oldest first
  for (DocumentStatus& document : documents) {
    if (document.phase != DocumentPhase::kOpen || document.source.empty()) continue;
    std::make_shared<Resumption>(context, std::move(document), until_done)->start();
  }
}

}  // namespace unroll
