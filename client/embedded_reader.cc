// Reads a document with an engine in this process. Three sides meet here: the engine's thread, which leaves
// what it has in an Inbox; the source, which is read only while the engine has room; and the caller's events.
#include <array>
#include <cerrno>
#include <deque>
#include <iostream>
#include <mutex>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>

#include "client/command_error.h"
#include "client/reader.h"
#include "model/threads.h"

namespace unroll {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;

ReadProgress progress_of(const DocumentStatus& status) {
  return {status.bytes, status.total_bytes, status.tokens, status.tokens_per_second};
}

/// What the engine's thread has for the caller's. Signals descriptor() when there is something.
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

/// One document on its way through the engine.
class Reading {
 public:
  Reading(Engine& engine, Source& source, const std::vector<PluginRequest>& plugins, const ReadEvents& events)
      : engine_(engine), source_(source), events_(events), inbox_(std::make_shared<Inbox>()) {
    DocumentRequest request;
    request.plugins = plugins;
    request.name = source.name();
    request.owner = ::geteuid();
    request.total_bytes = source.total_bytes();
    document_ = engine_.open(std::move(request), inbox_).id;
  }

  void run() {
    for (;;) {
      Inbox::Contents contents = inbox_->take();
      room_ = room_ || contents.room;
      for (const Output& output : contents.outputs) {
        events_.output(output.plugin, nlohmann::json::parse(output.json));
      }
      if (contents.progress && events_.progress) events_.progress(*contents.progress);
      if (contents.finished) return finish(*contents.finished);
      if (wait()) feed();
    }
  }

 private:
  static void finish(const DocumentStatus& status) {
    if (status.phase == DocumentPhase::kDone) return;
    throw Error(status.error_code.value_or(ErrorCode::kInternal), status.error);
  }

  /// Waits for the inbox or the source; true where the source can be read and the engine has room for it.
  bool wait() const {
    std::array<pollfd, 2> waited = {pollfd{inbox_->descriptor(), POLLIN, 0},
                                    pollfd{room_ && !ended_ ? source_.descriptor() : -1, POLLIN, 0}};
    if (::poll(waited.data(), waited.size(), -1) < 0 && errno != EINTR) {
      throw CommandError(system_message("cannot wait for " + source_.name(), errno));
    }
    return waited[1].revents != 0;
  }

  void feed() {
    std::string bytes = source_.read(kReadBytes);
    try {
      if (bytes.empty()) {
        ended_ = true;
        engine_.end(document_);
      } else {
        room_ = false;
        engine_.append(document_, std::move(bytes), [inbox = inbox_] { inbox->set_room(); });
      }
    } catch (const Error& error) {
      // The document has failed meanwhile: the inbox will hold the reason, which is the one to report.
      if (error.code != ErrorCode::kDocumentState) throw;
      ended_ = true;
    }
  }

  Engine& engine_;
  Source& source_;
  const ReadEvents& events_;
  std::shared_ptr<Inbox> inbox_;
  DocumentId document_;
  bool room_ = false;
  bool ended_ = false;
};

class EmbeddedReader : public Reader {
 public:
  explicit EmbeddedReader(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  void read(Source& source, const std::vector<PluginRequest>& plugins, const ReadEvents& events) override {
    Reading(*engine_, source, plugins, events).run();
  }

 private:
  std::unique_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Reader> make_embedded_reader(const std::filesystem::path& model,
                                             const ModelOptions& options) {
  auto vocabulary = Vocabulary::load(model / "tokenizer.model");
  auto plugins = std::make_shared<PluginRegistry>();
  for (const std::string& problem : plugins->load_directory(default_plugin_directory())) {
    std::cerr << "unroll: " << problem << '\n';
  }
  wait_without_spinning();
  std::shared_ptr<BlockModel> blocks = load_block_model(model, options);
  return std::make_unique<EmbeddedReader>(std::make_unique<Engine>(std::move(blocks), std::move(vocabulary),
                                                                   std::move(plugins), EngineOptions()));
}

}  // namespace unroll
