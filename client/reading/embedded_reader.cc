// Reads a document with an engine in this process. It connects the engine's thread, which puts its events
// into an Inbox; the source, which is read only while the engine has room; and the caller's events.
#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <iostream>
#include <mutex>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>

#include "client/cli/command_error.h"
#include "client/cli/text.h"
#include "client/reading/document_bytes.h"
#include "client/reading/document_events.h"
#include "client/reading/reader.h"
#include "engine/engine.h"

namespace unroll {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kOutputsAtOnce = 256;

ReadProgress progress_of(const DocumentStatus& status) {
  return {status.bytes, status.total_bytes, status.tokens, status.tokens_per_second};
}

std::optional<DocumentStatus> find_document(const Engine& engine, const DocumentId& id) {
  try {
    return engine.status(id);
  } catch (const Error& error) {
    if (error.code != ErrorCode::kDocumentUnknown) throw;
    return std::nullopt;
  }
}

/// Passes events from the engine's thread to the caller's. Signals descriptor() when there is something.
class Inbox : public DocumentListener {
 public:
  struct Contents {
    std::deque<Output> outputs;
    std::optional<ReadProgress> progress;
    std::optional<DocumentStatus> finished;
    bool room = false;
  };

  Inbox() : signal_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!signal_) throw CommandError(system_message("cannot make an event", errno));
    contents_.room = true;
  }

  int descriptor() const { return signal_.get(); }

  Contents take() {
    const std::lock_guard lock(mutex_);
    eventfd_t ignored = 0;
    ::eventfd_read(signal_.get(), &ignored);
    return std::exchange(contents_, Contents());
  }

  void set_room() {
    put([](Contents& contents) { contents.room = true; });
  }
  void on_output(const DocumentId&, const Output& output) override {
    put([&](Contents& contents) { contents.outputs.push_back(output); });
  }
  void on_progress(const DocumentStatus& status) override {
    put([&](Contents& contents) { contents.progress = progress_of(status); });
  }
  void on_done(const DocumentStatus& status) override { finish(status); }
  void on_failed(const DocumentStatus& status) override { finish(status); }

 private:
  void finish(const DocumentStatus& status) {
    put([&](Contents& contents) { contents.finished = status; });
  }

  template <typename Change>
  void put(Change change) {
    const std::lock_guard lock(mutex_);
    change(contents_);
    ::eventfd_write(signal_.get(), 1);
  }

  std::mutex mutex_;
  UniqueFd signal_;
  Contents contents_;
};

/// One document while it is read.
class EmbeddedReading {
 public:
  EmbeddedReading(Engine& engine, Source& source, const ReadRequest& request, const ReadEvents& events)
      : engine_(engine),
        source_(source),
        request_(request),
        events_(events),
        inbox_(std::make_shared<Inbox>()),
        bytes_(source, 0),
        progress_(events) {}

  void run() {
    const std::optional<DocumentStatus> before = known();
    if (before && before->phase == DocumentPhase::kDone) return deliver_again(*before);
    open(before);
    try {
      if (events_.opened) events_.opened(opened_.id);
      deliver_outputs_before(opened_.id, opened_.next_sequence);
      progress_.report(progress_of(engine_.status(opened_.id)));
      bytes_.go_to(opened_.resume_bytes);
      while (!serve_inbox()) {
        if (wait()) feed();
      }
    } catch (const std::exception& error) {
      if (!over_) cancel(error.what());
      throw;
    }
  }

 private:
  std::optional<DocumentStatus> known() const {
    return request_.resume ? find_document(engine_, *request_.resume) : std::nullopt;
  }

  void deliver_again(const DocumentStatus& done) {
    if (events_.opened) events_.opened(done.id);
    deliver_outputs_before(done.id, done.outputs);
    progress_.end(progress_of(done));
  }

  void open(const std::optional<DocumentStatus>& before) {
    DocumentRequest request;
    request.plugins = request_.plugins;
    request.name = source_.name();
    request.owner = ::geteuid();
    request.total_bytes = source_.total_bytes();
    request.flush_after = request_.flush_after;
    request.keep_outputs = request_.keep_outputs;
    request.from = request_.after;
    request.snapshot = request_.snapshot;
    if (before) {
      request.resume = before->id;
      try {
        opened_ = engine_.open(request, inbox_);
        from_ = request_.from;
        return;
      } catch (const Error& error) {
        // A document that failed by itself cannot be resumed.
        if (error.code != ErrorCode::kDocumentState || before->phase == DocumentPhase::kOpen) throw;
      }
      request.resume.reset();
    }
    opened_ = engine_.open(std::move(request), inbox_);
  }

  /// Delivers the committed outputs of a resumed document, which the engine does not send again.
  void deliver_outputs_before(const DocumentId& id, std::uint64_t end) const {
    std::vector<Output> outputs;
    for (std::uint64_t next = request_.from; next < end; next += outputs.size()) {
      outputs = engine_.outputs(id, next, std::min<std::uint64_t>(kOutputsAtOnce, end - next));
      if (outputs.empty())
        throw CommandError("the journal lacks outputs of document " + id + "; read it anew");
      for (const Output& output : outputs) deliver(output);
    }
  }

  void deliver(const Output& output) const {
    if (output.sequence < from_) return;
    events_.output(output.sequence, output.plugin, nlohmann::json::parse(output.json));
  }
  /// Fails the document instead of ending it, so that it can be resumed.
  void cancel(const std::string& why) {
    engine_.cancel(opened_.id, Error(ErrorCode::kSource, why));
    while (!inbox_->take().finished) {
      pollfd waited{inbox_->descriptor(), POLLIN, 0};
      ::poll(&waited, 1, kHeartbeatMs);
    }
  }

  /// Returns true when the document is done. Throws if it failed.
  bool serve_inbox() {
    Inbox::Contents contents = inbox_->take();
    over_ = contents.finished.has_value();
    room_ = room_ || contents.room;
    for (const Output& output : contents.outputs) deliver(output);
    if (contents.progress) progress_.report(*contents.progress);
    progress_.beat();
    if (!contents.finished) return false;
    if (contents.finished->phase == DocumentPhase::kDone) {
      progress_.end(progress_of(*contents.finished));
      return true;
    }
    throw Error(contents.finished->error_code.value_or(ErrorCode::kInternal), contents.finished->error);
  }

  /// Waits briefly for the inbox or the source; true if there are bytes and the engine has room for them.
  bool wait() const {
    const bool hungry = room_ && !ended_;
    if (hungry && bytes_.ready()) return true;
    std::array<pollfd, 2> waited = {pollfd{inbox_->descriptor(), POLLIN, 0},
                                    pollfd{hungry ? source_.descriptor() : -1, POLLIN, 0}};
    if (::poll(waited.data(), waited.size(), kHeartbeatMs) < 0 && errno != EINTR)
      throw CommandError(system_message("cannot wait for " + source_.name(), errno));
    return waited[1].revents != 0;
  }

  void feed() {
    auto bytes = bytes_.next(kReadBytes);
    try {
      if (!bytes) {
        ended_ = true;
        engine_.end(opened_.id);
      } else if (!bytes->empty()) {
        room_ = false;
        engine_.append(opened_.id, *std::move(bytes), [inbox = inbox_] { inbox->set_room(); });
      }
    } catch (const Error& error) {
      // The document has failed meanwhile: the inbox will hold the reason to report.
      if (error.code != ErrorCode::kDocumentState) throw;
      ended_ = true;
    }
  }

  Engine& engine_;
  Source& source_;
  const ReadRequest& request_;
  const ReadEvents& events_;
  std::shared_ptr<Inbox> inbox_;
  DocumentBytes bytes_;
  Opened opened_;
  std::uint64_t from_ = 0;  ///< First output to deliver.
  ProgressReporter progress_;
  bool room_ = false;
  bool ended_ = false;
  bool over_ = false;  ///< The document is done or has failed.
};

class EmbeddedReader : public Reader {
 public:
  explicit EmbeddedReader(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}

  void read(Source& source, const ReadRequest& request, const ReadEvents& events) override {
    EmbeddedReading(*engine_, source, request, events).run();
  }
  std::unique_ptr<Reader> another() override { return std::make_unique<EmbeddedReader>(engine_); }
  bool has_document(const DocumentId& id) override { return find_document(*engine_, id).has_value(); }
  std::string model() override {
    const ModelInfo& model = engine_->revision()->model->info();
    return model_text(model.checkpoint, model.dtype);
  }
  std::vector<SnapshotInfo> snapshots() override { return engine_->snapshots(::geteuid()); }
  bool keeps_snapshots() const override { return false; }
  std::string export_snapshot(const std::string& name) override {
    return engine_->export_snapshot(::geteuid(), name);
  }
  SnapshotInfo import_snapshot(const std::string& file, const SnapshotRequest& request) override {
    return engine_->import_snapshot(::geteuid(), file, request);
  }
  void delete_snapshot(const std::string& name) override { engine_->remove_snapshot(::geteuid(), name); }

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Reader> make_embedded_reader(const SharedOptions& options,
                                             const std::filesystem::path& journal) {
  const auto model = model_folder(options.model);
  if (options.verbose) std::cerr << "unroll: reading in this process; loading " << model.string() << '\n';
  auto vocabulary = Vocabulary::load(model);
  PluginOptions workers;
  workers.workers = true;
  auto plugins = std::make_shared<PluginRegistry>(std::move(workers));
  plugins->set_vocabulary(vocabulary->tokens());
  for (const std::string& problem : plugins->load_directory(default_plugin_directory())) {
    std::cerr << "unroll: " << one_line(problem) << '\n';
  }
  auto loading = model_options(options);
  loading.first_input = vocabulary->first_input();
  std::shared_ptr<BlockModel> blocks = load_block_model(model, loading);
  EngineOptions engine;
  engine.journal = journal;
  if (journal.empty()) {
    engine.commit_blocks = 1;  // free in memory, and outputs are delivered after each block
    engine.keep_finished = std::chrono::hours(0);
  } else {
    // With a journal, a document may be resumed after a long time.
    engine.keep_finished = std::chrono::hours(24 * 365);
  }
  return std::make_unique<EmbeddedReader>(std::make_shared<Engine>(
      Revision{std::move(blocks), std::move(vocabulary), std::move(plugins)}, std::move(engine)));
}

}  // namespace unroll
