// Passes one document's events from the engine's thread to the I/O thread. Outputs that a slow client does
// not read in time are dropped here and read from the engine's journal later, so that a client uses bounded
// memory, however many documents it listens to.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include <boost/asio/io_context.hpp>

#include "daemon/events.h"
#include "daemon/fair_turns.h"
#include "engine/engine.h"

namespace unroll {

class Subscription : public DocumentListener, public std::enable_shared_from_this<Subscription> {
 public:
  /// Receives the document's events, on the I/O thread.
  class Sink {
   public:
    virtual ~Sink() = default;
    /// Returns false if there is no room; call pump() when there is.
    virtual bool has_room() const = 0;
    virtual void on_output(const DocumentId& id, const Output& output) = 0;
    virtual void on_progress(const DocumentStatus& status) = 0;
    virtual void on_finished(const DocumentStatus& status) = 0;  ///< The last call.
  };
  /// Bytes of queued outputs, over all subscriptions of one connection.
  using QueuedBytes = std::shared_ptr<std::atomic<std::size_t>>;

  /// The objects that a subscription uses. `io` and `engine` outlive its use on the I/O thread, and are not
  /// used after detach(); `events` outlives the engine.
  struct Surroundings {
    boost::asio::io_context& io;
    Engine& engine;
    Events& events;
    std::shared_ptr<FairTurns> turns;
  };
  Subscription(Surroundings surroundings, std::weak_ptr<Sink> sink, std::uint32_t owner, QueuedBytes queued);
  ~Subscription() override { drop_queue_locked(); }
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // The engine's thread.
  void on_output(const DocumentId& id, const Output& output) override;
  void on_progress(const DocumentStatus& status) override;
  void on_done(const DocumentStatus& status) override;
  void on_failed(const DocumentStatus& status) override;

  // The I/O thread.
  /// Sets the document and the first sequence number to deliver. Nothing is delivered before this
  /// call. Outputs before `committed` are read from the engine's journal.
  void start(DocumentId id, std::uint64_t next_sequence, std::uint64_t committed = 0);
  /// Delivers while the sink has room, scheduled by FairTurns.
  void pump();
  /// The same at once.
  void pump_all();
  /// Stops delivery.
  void detach();
  /// Whether the document has ended, or another subscription gets its events. Thread-safe.
  bool ended();

 private:
  static constexpr std::size_t kQueueBytes = 1024 * 1024;
  static constexpr std::size_t kPullOutputs = 64;
  static constexpr std::size_t kTurnOutputs = 64;

  void wake_locked();
  void drop_queue_locked();
  void finish(const DocumentStatus& status);
  void deliver(Sink& sink, const Output& output);
  /// Returns false if there is nothing to do now.
  bool deliver_next(Sink& sink);
  bool pull(Sink& sink);
  void fail(Sink& sink, const Error& error);
  bool pump_some(std::size_t most);

  const Surroundings surroundings_;
  const std::weak_ptr<Sink> sink_;
  const std::uint32_t owner_;
  DocumentId id_;                    // I/O thread
  std::uint64_t next_sequence_ = 0;  // I/O thread
  bool started_ = false;             // I/O thread
  bool delivered_end_ = false;       // I/O thread
  bool has_turn_ = false;            // I/O thread

  std::mutex mutex_;  // guards the members below
  std::deque<Output> queue_;
  const QueuedBytes queued_;
  bool lagging_ = false;            ///< The next outputs are not in queue_: read them from the journal.
  std::uint64_t sequence_end_ = 0;  ///< One more than the last sequence number from the engine.
  std::size_t largest_ = 0;         ///< Bytes of the largest output from the engine.
  std::optional<DocumentStatus> progress_, end_;
  bool woken_ = false;
  bool detached_ = false;
};

}  // namespace unroll
