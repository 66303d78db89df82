// What an operator should hear of: each failed document, lost worker, refusal and so on is counted with its
// reason for /metrics, and logged, but not so often that the log is all there is.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <spdlog/common.h>

#include "engine/engine.h"

namespace unroll {

/// Any thread.
class Events {
 public:
  using Clock = std::chrono::steady_clock;
  /// Of one kind: so many at once, and one more each time this has passed.
  static constexpr int kBurst = 10;
  static constexpr std::chrono::seconds kBetween{10};

  explicit Events(std::function<Clock::time_point()> now = Clock::now) : now_(std::move(now)) {}

  /// A document that has ended as `status` says.
  void document_failed(const DocumentStatus& status);
  /// A limit was reached: `error` may be a LimitError, which names it.
  void refused(const Error& error, std::uint32_t owner);
  /// `reason` is one word, `text` what happened, without anything that a document says.
  void worker_lost(std::string_view plugin, std::string_view reason, std::string_view text);
  void reader_lost(std::uint32_t owner);
  /// A write of the journal failed; `error` names its file.
  void journal_failed(const std::string& error);
  void not_accepted(std::string_view why);
  void sandbox_weaker(std::string_view reason, std::string_view text);
  void not_reloaded(const Error& error);

  /// By kind and reason, since the start.
  using Counts = std::map<std::pair<std::string, std::string>, std::uint64_t>;
  Counts counts() const;

 private:
  struct Kind {
    double left = kBurst;
    Clock::time_point filled{};
    std::uint64_t unsaid = 0;
  };
  void tell(spdlog::level::level_enum level, std::string_view kind, std::string_view reason,
            const std::string& text);

  const std::function<Clock::time_point()> now_;
  mutable std::mutex mutex_;  // guards what follows
  Counts counts_;
  std::map<std::string, Kind, std::less<>> kinds_;
};

}  // namespace unroll
