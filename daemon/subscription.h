// One document's way from the engine's thread to the I/O thread. What a reader does not take in time is
// dropped here and pulled from the engine's journal later, so that a slow reader costs a bounded piece of
// memory and no more, however many documents it listens to.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include <boost/asio/io_context.hpp>

#include "engine/engine.h"

namespace unroll {

class Subscription : public DocumentListener, public std::enable_shared_from_this<Subscription> {
 public:
  /// Where the document's events go. Called on the I/O thread.
  class Sink {
   public:
    virtual ~Sink() = default;
    /// False: call pump() again when there is room.
    virtual bool has_room() const = 0;
    virtual void on_output(const DocumentId& id, const Output& output) = 0;
    virtual void on_progress(const DocumentStatus& status) = 0;
    virtual void on_finished(const DocumentStatus& status) = 0;  ///< The last call.
  };
  /// Bytes of outputs that wait, of all the subscriptions of one connection together.
  using QueuedBytes = std::shared_ptr<std::atomic<std::size_t>>;

  /// `engine` and `io` outlive the I/O thread's use of this; after detach() neither is touched.
  Subscription(boost::asio::io_context& io, Engine& engine, std::weak_ptr<Sink> sink, QueuedBytes queued);
  ~Subscription() override { drop_queue_locked(); }
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // The engine's thread.
  void on_output(const DocumentId& id, const Output& output) override;
  void on_progress(const DocumentStatus& status) override;
  void on_done(const DocumentStatus& status) override;
  void on_failed(const DocumentStatus& status) override;

  // The I/O thread.
  /// Which document it is, and the first sequence number that the sink shall see. Nothing is delivered
  /// before.
  void start(DocumentId id, std::uint64_t next_sequence);
  /// Delivers while the sink has room.
  void pump();
  /// Nothing is delivered any more.
  void detach();
  bool finished() const { return delivered_end_; }

 private:
  static constexpr std::size_t kQueueBytes = 1024 * 1024;
  static constexpr std::size_t kPullOutputs = 64;

  void wake_locked();
  void drop_queue_locked();
  void finish(const DocumentStatus& status);
  void deliver(Sink& sink, const Output& output);
  /// False: nothing to do now.
  bool deliver_next(Sink& sink);
  bool pull(Sink& sink);

  boost::asio::io_context& io_;
  Engine& engine_;
  std::weak_ptr<Sink> sink_;
  DocumentId id_;                    // I/O thread
  std::uint64_t next_sequence_ = 0;  // I/O thread
  bool started_ = false;             // I/O thread
  bool delivered_end_ = false;       // I/O thread

  std::mutex mutex_;  // guards what follows
  std::deque<Output> queue_;
  const QueuedBytes queued_;
  bool lagging_ = false;            ///< Outputs were dropped: pull them.
  std::uint64_t sequence_end_ = 0;  ///< One more than the last that the engine told of.
  std::optional<DocumentStatus> progress_, end_;
  bool woken_ = false;
  bool detached_ = false;
};

}  // namespace unroll
