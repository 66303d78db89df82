// One text of a request, read as a document that nobody can ask for again: it is forgotten when it has ended.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/context.h"
#include "daemon/subscription.h"

namespace unroll {

/// For the I/O thread only.
class TextReading : public Subscription::Sink, public std::enable_shared_from_this<TextReading> {
 public:
  struct Callbacks {
    std::function<void(const std::string& json)> output;
    /// The last call: why it could not be read, or null.
    std::function<void(const std::exception_ptr& failure, const DocumentStatus& status)> ended;
    std::function<bool()> has_room = {};  ///< For an output; empty: always.
  };
  /// `queued`: of the connection.
  TextReading(ServerContext& context, Subscription::QueuedBytes queued, Callbacks callbacks);
  /// An empty model is the first. Call once.
  void start(const std::string& model, DocumentRequest request);
  /// Cancels the document unless it has ended; no callback follows.
  void abandon(const Error& reason);

  /// has_room() may have changed.
  void pump() { subscription_->pump(); }

  bool has_room() const override { return !callbacks_.has_room || callbacks_.has_room(); }
  void on_output(const DocumentId& id, const Output& output) override;
  void on_progress(const DocumentStatus&) override {}
  void on_finished(const DocumentStatus& status) override;

 private:
  void end(const std::exception_ptr& failure, const DocumentStatus& status);

  ServerContext& context_;
  const Subscription::QueuedBytes queued_;
  Callbacks callbacks_;  ///< Empty after the end.
  std::uint32_t owner_ = 0;
  DocumentId id_;  ///< Empty before it is open.
  std::shared_ptr<Subscription> subscription_;
  std::optional<Error> abandoned_;
};

}  // namespace unroll
