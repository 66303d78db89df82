// Events for the operator: failed documents, lost workers, refusals and so on. Each is counted by reason for
// /metrics and logged, with a limit on the rate of log lines.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <spdlog/common.h>

#include "engine/engine.h"
#include "plugins/host.h"

namespace unroll {

/// Thread-safe.
class Events {
 public:
  using Clock = std::chrono::steady_clock;
  /// Rate limit of log lines of one kind: kBurst at once, then one per kBetween.
  static constexpr int kBurst = 10;
  static constexpr std::chrono::seconds kBetween{10};

  explicit Events(std::function<Clock::time_point()> now = Clock::now) : now_(std::move(now)) {}

  /// A document has ended; `status` is its final status.
  void document_failed(const DocumentStatus& status);
  /// A request was refused because of a limit; a LimitError names it.
  void refused(const Error& error, std::uint32_t owner);
  /// `reason` is one word; `text` describes what happened, without text of a document.
  void worker_lost(std::string_view plugin, std::string_view reason, std::string_view text);
  /// A request over TCP has no valid token. `peer`: its address.
  void no_token(const std::string& peer);
  void reader_lost(std::uint32_t owner);
  /// A write to the journal failed; `error` names the file.
  void journal_failed(const std::string& error);
  void not_accepted(std::string_view why);
  void sandbox_weaker(std::string_view reason, std::string_view text);
  void not_reloaded(const Error& error);
  /// A model that a document asked for.
  void model_not_loaded(const std::string& model, const Error& error);

  /// Counts by kind and reason since the start.
  using Counts = std::map<std::pair<std::string, std::string>, std::uint64_t>;
  Counts counts() const;

  /// The workers of all models' plugins since the start.
  const std::shared_ptr<WorkerCounts> workers = std::make_shared<WorkerCounts>();

 private:
  struct Kind {
    double left = kBurst;
    Clock::time_point filled{};
    std::uint64_t unsaid = 0;
  };
  void tell(spdlog::level::level_enum level, std::string_view kind, std::string_view reason,
            const std::string& text);

  const std::function<Clock::time_point()> now_;
  mutable std::mutex mutex_;  // guards the members below
  Counts counts_;
  std::map<std::string, Kind, std::less<>> kinds_;
};

}  // namespace unroll
