// One open document's way through tokenizer, model and plugins. The engine's thread alone uses a Reading;
// what other threads may touch lies in OpenDocument, under the engine's mutex.
#pragma once

#include <deque>
#include <memory>

#include "engine/engine.h"
#include "engine/journal.h"

namespace unroll {

/// Tokens that wait, the recurrent state, the plugins at work, and what they emitted since the last commit.
class Reading {
 public:
  /// Makes the plugins' instances. Throws Error (unknown plugin, options refused).
  Reading(std::shared_ptr<const Vocabulary> vocabulary, const PluginRegistry& registry,
          const std::vector<PluginRequest>& plugins);
  /// Goes on from a commit: `bytes` and `tokens` done, `outputs` emitted. Throws Error.
  void restore(const ResumePoint& point, const DocumentStatus& status, const BlockModel& model);

  void take(std::string_view bytes);
  void end_input();
  bool input_ended() const { return input_ended_; }
  std::size_t waiting_tokens() const { return tokens_.size(); }

  /// The next `length` waiting tokens; valid until accept().
  BlockInput next_block(std::size_t length);
  /// Runs the plugins over the block that next_block() gave. Throws PluginError.
  void accept(BlockOutput output);
  /// Behind the last block: the plugins' last words. Throws PluginError.
  void finish();

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t tokens() const { return token_count_; }
  /// Outputs so far, those not committed yet included.
  std::uint64_t sequence() const { return sequence_; }
  ResumePoint resume_point() const;
  const std::vector<Output>& uncommitted() const { return outputs_; }
  std::vector<Output> take_uncommitted() { return std::exchange(outputs_, {}); }

 private:
  void drop_block_outputs(std::size_t kept);

  std::shared_ptr<const Vocabulary> vocabulary_;
  StreamingTokenizer tokenizer_;
  std::vector<std::unique_ptr<PluginInstance>> plugins_;
  Wants wants_;
  std::deque<Token> tokens_;
  std::vector<Token> fresh_;
  std::vector<std::int32_t> block_ids_;
  ModelStatePtr state_;
  std::uint64_t bytes_ = 0, token_count_ = 0, blocks_ = 0, sequence_ = 0;
  bool input_ended_ = false;
  std::vector<Output> outputs_;
};

/// True for one that is open, or failed for a reason outside itself: it can go on from its last commit.
bool can_resume(const DocumentStatus& status);

struct OpenDocument {
  // Of the engine's thread.
  std::unique_ptr<Reading> reading;
  std::chrono::steady_clock::time_point last_progress{};
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::uint64_t tokens_before = 0;  ///< Of the run that this one goes on from.
  int blocks_since_commit = 0;
  double pass = 0;  ///< Virtual time of stride scheduling (Waldspurger & Weihl 1995): the smallest is next.

  // Under the engine's mutex.
  DocumentStatus status;
  std::shared_ptr<DocumentListener> listener;
  std::deque<std::string> inbox;
  std::size_t inbox_bytes = 0;
  std::uint64_t received = 0;  ///< Bytes appended, those before a resume point included.
  bool ended = false;
  std::vector<std::function<void()>> waiting;  ///< Writers to be told when there is room.
  std::optional<Error> cancelled;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::optional<std::pair<std::uint64_t, std::shared_ptr<DocumentListener>>> attaching;
};

}  // namespace unroll
