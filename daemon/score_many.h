// The lines of a request, each the text of a document: reads some of them at a time, and gives a row with the
// score of each, in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "daemon/context.h"
#include "daemon/text_reading.h"

namespace unroll {

/// For the I/O thread only.
class ScoreMany : public std::enable_shared_from_this<ScoreMany> {
 public:
  /// A longer line is refused.
  static constexpr std::size_t kMostLineBytes = std::size_t{4} << 20;

  struct Callbacks {
    std::function<void(const std::string& row)> row;  ///< JSON, without a line end.
    std::function<void()> changed;                    ///< has_room() or idle() may have.
  };
  ScoreMany(ServerContext& context, std::uint32_t owner, std::string model, Callbacks callbacks);
  bool has_room() const { return lines_.size() < kAtOnce; }
  /// Whether every line has its row.
  bool idle() const { return lines_.empty(); }
  /// Throws LimitError if the user has too much in memory.
  void add(std::string line);
  /// Cancels what is being read; no callback follows.
  void abandon(const Error& reason);

 private:
  static constexpr std::size_t kAtOnce = 32;
  struct Line {
    std::uint64_t number = 0;
    nlohmann::ordered_json row;  ///< Complete if `done`.
    std::string text, output;    ///< The last output.
    std::shared_ptr<TextReading> reading;
    std::shared_ptr<void> charge;  ///< To its user, for the text.
    bool done = false;
  };
  using LinePtr = std::shared_ptr<Line>;

  void open(const LinePtr& line);
  void end(const LinePtr& line, const std::exception_ptr& failure, const DocumentStatus& status);
  void complete(const LinePtr& line);

  ServerContext& context_;
  const std::uint32_t owner_;
  const std::string model_;
  Callbacks callbacks_;  ///< Empty if abandoned.
  const Subscription::QueuedBytes queued_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::deque<LinePtr> lines_;  ///< Without a row, in order.
  std::uint64_t added_ = 0;
};

}  // namespace unroll
