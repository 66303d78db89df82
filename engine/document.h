// One open document's way through tokenizer, model and plugins. The engine's thread alone uses a Reading;
// what other threads may touch lies in OpenDocument, under the engine's mutex.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engine/journal.h"

namespace unroll {

/// Tokens that wait, the recurrent state, the plugins at work, and what they emitted since the last commit.
/// The state and the plugins can be put away and taken back while tokens go on waiting.
class Reading {
 public:
  /// Makes the plugins' instances. Throws Error (unknown plugin, options refused).
  Reading(std::shared_ptr<const Vocabulary> vocabulary, std::shared_ptr<const PluginRegistry> registry,
          std::vector<PluginRequest> plugins);
  /// Goes on from a commit: `status` says how far it is. Throws Error.
  void restore(const ResumePoint& point, const DocumentStatus& status, const BlockModel& model);

  void take(std::string_view bytes);
  void end_input();
  bool input_ended() const { return input_ended_; }
  /// Tokens that the plugins have not seen.
  std::size_t unread_tokens() const { return tokens_.size() - shown_; }
  /// A block can be read: a full one, or behind the end of the input what is left.
  bool has_block(std::size_t width) const {
    return tokens_.size() >= width || (input_ended_ && unread_tokens() > 0);
  }
  bool is_exhausted() const { return input_ended_ && unread_tokens() == 0; }

  /// The next block, of `width` tokens or, to be read before it is full, fewer. Valid until begin_block().
  BlockInput next_block(std::size_t width);
  /// Begins to show the plugins what they have not seen of the block that next_block() gave. A full block is
  /// done with; another one is read once more when it is full: the state moves from full block to full block.
  /// Throws PluginError.
  void begin_block(BlockOutput output);
  /// Begins, behind the last block, to ask for the plugins' last words. Throws PluginError.
  void begin_finish();
  /// Waits for the plugins so long at most: true once end_call() will not wait for them.
  bool wait(std::chrono::milliseconds time);
  /// What was begun is over: the document is behind the block. Throws PluginError. Between begin and end
  /// there is nothing to commit, and nothing can be put away.
  void end_call();
  /// Gives up what was begun, and all since the last commit: of this only what it says is left.
  void roll_back();

  /// Of the tokens that the plugins have seen.
  std::uint64_t bytes() const { return position_.bytes; }
  std::uint64_t tokens() const { return position_.tokens; }
  /// Outputs so far, those not committed yet included.
  std::uint64_t sequence() const { return position_.sequence; }
  /// What to commit now; committed(): it is.
  ResumePoint resume_point() const;
  void committed();
  const std::vector<Output>& uncommitted() const { return outputs_; }
  std::vector<Output> take_uncommitted() { return std::exchange(outputs_, {}); }

  /// The state and the plugins are here.
  bool is_resident() const { return !plugins_.empty(); }
  /// Drops both; what they are must be committed.
  void put_away();
  /// Takes both back from what was committed. Throws Error.
  void take_back(const ResumePoint& point, const BlockModel& model);
  /// Bytes, about: of the state and what the plugins saved last.
  std::size_t resident_bytes() const;

 private:
  void make_plugins();
  void load(const ResumePoint& point, const BlockModel& model);

  /// How far it is.
  struct Position {
    std::uint64_t bytes = 0, tokens = 0, blocks = 0, sequence = 0;
  };
  /// Where a block that is being shown leads to.
  struct NextBlock {
    std::uint64_t bytes, tokens;
    ModelStatePtr state;
  };

  std::shared_ptr<const Vocabulary> vocabulary_;
  std::shared_ptr<const PluginRegistry> registry_;
  std::vector<PluginRequest> requests_;
  StreamingTokenizer tokenizer_;
  std::vector<std::unique_ptr<PluginInstance>> plugins_;
  Wants wants_;
  std::deque<Token> tokens_;  ///< From the block's first one on.
  std::size_t shown_ = 0;     ///< How many of them the plugins have seen.
  std::vector<std::int32_t> block_ids_;
  std::size_t block_width_ = 0;
  ModelStatePtr state_;             ///< Before the block.
  bool state_is_committed_ = true;  ///< Or there is none yet.
  std::uint64_t block_begin_ = 0;   ///< Bytes.
  Position position_;               ///< Of what the plugins have seen.
  Position committed_position_;     ///< Of what is committed.
  std::optional<NextBlock> next_block_;
  mutable std::size_t plugin_bytes_ = 0;
  bool input_ended_ = false;
  std::vector<Output> outputs_;
};

/// True for one that is open, or failed for a reason outside itself: it can go on from its last commit.
bool can_resume(const DocumentStatus& status);

struct OpenDocument {
  using TimePoint = std::chrono::steady_clock::time_point;

  // Of the engine's thread.
  std::unique_ptr<Reading> reading;
  bool introduced = false;  ///< The engine's thread knows of it.
  TimePoint started, last_progress{};
  std::uint64_t tokens_before = 0;  ///< Of the run that this one goes on from.
  int blocks_since_commit = 0;
  double pass = 0;                         ///< See turns.h.
  TimePoint in_line{};                     ///< Since when it waits for its turn.
  bool is_called = false;                  ///< Its plugins have not answered yet.
  std::optional<TimePoint> flush_at;       ///< When a block is read that is not full.
  std::size_t counted_bytes = 0;           ///< Of memory that it is charged with.
  std::list<OpenDocument*>::iterator use;  ///< Its place among the resident ones.

  // Constant.
  std::uint64_t number = 0;  ///< In order of opening.
  std::shared_ptr<const Revision> revision;
  std::optional<TimePoint> deadline;
  std::optional<std::chrono::milliseconds> flush_after;
  std::optional<std::uint64_t> keep_outputs;

  // Under the core's mutex.
  DocumentStatus status;
  std::shared_ptr<DocumentListener> listener;
  std::deque<std::string> inbox;
  std::size_t inbox_taken = 0;  ///< Bytes of the first piece.
  std::size_t inbox_bytes = 0;
  std::uint64_t received = 0;  ///< Bytes appended, those before a resume point included.
  bool ended = false;
  bool touched = false;                        ///< Waits for the engine's thread to look at it.
  bool stalled = false;                        ///< Its writers wait for all documents' buffers.
  std::vector<std::function<void()>> waiting;  ///< Writers to be told when there is room.
  std::optional<Error> cancelled;
  std::optional<std::pair<std::uint64_t, std::shared_ptr<DocumentListener>>> attaching;
};

/// In order of opening.
struct ByNumber {
  bool operator()(const OpenDocument* a, const OpenDocument* b) const { return a->number < b->number; }
};

}  // namespace unroll
