// The engine's inside: what its own thread does (engine_thread.cc), and what other threads ask of it
// (engine.cc).
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "engine/document.h"
#include "engine/engine.h"
#include "engine/journal.h"

namespace unroll {

using Clock = std::chrono::steady_clock;
using OpenDocumentPtr = std::shared_ptr<OpenDocument>;

class Engine::Impl {
 public:
  Impl(std::shared_ptr<BlockModel> model, std::shared_ptr<const Vocabulary> vocabulary,
       std::shared_ptr<const PluginRegistry> plugins, EngineOptions options);
  ~Impl();

  Opened open(DocumentRequest request, std::shared_ptr<DocumentListener> listener);
  void append(const DocumentId& id, std::string bytes, std::function<void()> room);
  void end(const DocumentId& id);
  void cancel(const DocumentId& id, const Error& reason);
  DocumentStatus status(const DocumentId& id) const;
  std::vector<DocumentStatus> list(std::optional<std::uint32_t> owner) const;
  void attach(const DocumentId& id, std::uint64_t from, std::shared_ptr<DocumentListener> listener);
  EngineStats stats() const;
  bool drain(std::chrono::milliseconds time);

  const std::shared_ptr<BlockModel> model;
  const std::shared_ptr<const Vocabulary> vocabulary;
  const std::shared_ptr<const PluginRegistry> plugins;
  const EngineOptions options;
  Journal journal;

 private:
  using Documents = std::vector<OpenDocumentPtr>;
  using Rooms = std::vector<std::function<void()>>;
  struct Replay {
    DocumentStatus status;
    std::uint64_t from;
    std::shared_ptr<DocumentListener> listener;
  };

  // Any thread.
  void check_limits(std::uint32_t owner) const;
  OpenDocumentPtr find_open(
      const DocumentId& id) const;  ///< Null where it is not open here. With mutex_ held.
  OpenDocumentPtr require_open(const DocumentId& id) const;
  DocumentStatus resumable(const DocumentRequest& request) const;

  // The engine's thread.
  void run();
  bool wait_for_work();
  bool work_waits_locked() const;
  Clock::time_point next_wake_locked() const;
  void serve_requests();
  void replay(const Replay& replay);
  Documents choose_batch();
  bool fill(OpenDocument& document);
  void run_batch(const Documents& batch);
  void accept(OpenDocument& document, BlockOutput output);
  void report_progress(OpenDocument& document);
  void finish_exhausted();
  void finish(const OpenDocumentPtr& document);
  void fail(const OpenDocumentPtr& document, const Error& error);
  void close(const OpenDocumentPtr& document);
  void mark_failed(OpenDocument& document, const Error& error);
  void commit_due();
  Commit make_commit(OpenDocument& document);
  void commit(const Documents& documents);
  void tell(OpenDocument& document, const std::vector<Output>& outputs);
  void update_status(OpenDocument& document);
  Documents open_documents() const;

  mutable std::mutex mutex_;
  std::condition_variable work_, idle_;
  std::unordered_map<DocumentId, OpenDocumentPtr> open_;
  std::vector<Replay> replays_;
  EngineStats stats_;
  bool draining_ = false, stopping_ = false;
  double pass_ = 0;  ///< The engine's thread's. Virtual time: the smallest pass that ran last.
  Clock::time_point last_commit_ = Clock::now();
  std::thread thread_;
};

}  // namespace unroll
