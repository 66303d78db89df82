// Reads one open document through tokenizer, model and plugins. For the engine's thread only.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "engine/engine.h"
#include "engine/journal.h"

namespace unroll {

/// Holds the waiting tokens, the recurrent state, the plugin instances, and their outputs since the last
/// commit. State and plugins can be evicted and restored while tokens wait.
class DocumentReader {
 public:
  /// Creates the plugin instances. Throws Error (unknown plugin, options refused).
  DocumentReader(std::shared_ptr<const Vocabulary> vocabulary, std::shared_ptr<const PluginRegistry> registry,
                 std::vector<PluginRequest> plugins);
  /// Continues from a commit: `status` is its position, `read` the digest of the bytes up to there. Throws
  /// Error.
  void resume(const ResumePoint& point, PrefixDigest read, const DocumentStatus& status,
              const BlockModel& model);

  /// Both throw Error(kSource) if the bytes since resume() are not those that were read before. Nothing of
  /// them was emitted then.
  void take(std::string_view bytes);
  void end_input();
  bool input_ended() const { return input_ended_; }
  /// Tokens that the plugins have not seen.
  std::size_t unread_tokens() const { return tokens_.size() - seen_; }
  /// Whether a block can be read: a full one, or the rest after the end of the input.
  bool has_block(std::size_t width) const {
    return tokens_.size() >= width || (input_ended_ && unread_tokens() > 0);
  }
  bool is_exhausted() const { return input_ended_ && unread_tokens() == 0; }

  /// The next block, of `width` tokens, or fewer if read before it is full. Valid until begin_block().
  BlockInput next_block(std::size_t width);
  /// Begins to call the plugins for the tokens of next_block() that they have not seen. A partial block is
  /// read again when it is full, because the state advances only by full blocks. Throws
  /// PluginError.
  void begin_block(BlockOutput output);
  /// Begins to call the plugins' finish functions, after the last block. Throws PluginError.
  void begin_finish();
  /// Waits up to `time` for the plugins; true if end_call() will not block.
  bool wait(std::chrono::milliseconds time);
  /// Ends the call and advances the document. Throws PluginError. Between begin and end the document can be
  /// neither committed nor evicted.
  void end_call();
  /// Drops the call in progress and everything since the last commit; keeps only the position and the
  /// sequence number of that commit.
  void roll_back();

  /// Of the tokens that the plugins have seen.
  std::uint64_t bytes() const { return position_.bytes; }
  std::uint64_t tokens() const { return position_.tokens; }
  /// Number of outputs so far, including uncommitted ones. After a resume from a point before the last
  /// commit, outputs that are already committed are emitted again and dropped.
  std::uint64_t sequence() const { return std::max(position_.sequence, committed_outputs_); }
  /// The resume point to commit now.
  ResumePoint resume_point() const;
  /// By which the bytes that the plugins have seen are recognized when the document is resumed.
  PrefixDigest read_prefix() const;
  /// Whether bytes that were read before resume() are still to come: until then they may be another
  /// document's.
  bool is_checking() const { return check_.has_value(); }
  /// The outputs so far are committed, with read_prefix(); with `with_point`, so is the resume point.
  void committed(bool with_point, PrefixDigest read);
  /// Whether the last committed resume point is at the document's position.
  bool point_is_current() const { return point_is_current_; }
  const std::vector<Output>& uncommitted() const { return outputs_; }
  std::vector<Output> take_uncommitted() { return std::exchange(outputs_, {}); }

  /// Whether state and plugins are in memory.
  bool is_resident() const { return !plugins_.empty(); }
  /// Drops both; they must be committed.
  void evict();
  /// Restores both from the last commit. If it throws Error, the document stays evicted.
  void restore(const ResumePoint& point, const BlockModel& model);
  /// Approximate bytes of the state and the plugins' last saved states.
  std::size_t resident_bytes() const;

 private:
  using Plugins = std::vector<std::unique_ptr<PluginInstance>>;
  Plugins make_plugins();
  void load(Plugins plugins, const ResumePoint& point, const BlockModel& model);
  /// The byte from which the document is read again after a resume.
  std::uint64_t segment_begin() const;
  void advance_prefix();
  void check(std::string_view bytes);
  Error other_bytes() const;

  /// How far it is.
  struct Position {
    std::uint64_t bytes = 0, tokens = 0, blocks = 0, sequence = 0;
  };
  /// Where a block that the plugins are seeing leads to.
  struct NextBlock {
    std::uint64_t bytes, tokens;
    ModelStatePtr state;
  };

  std::shared_ptr<const Vocabulary> vocabulary_;
  std::shared_ptr<const PluginRegistry> registry_;
  std::vector<PluginRequest> requests_;
  StreamingTokenizer tokenizer_;
  Plugins plugins_;
  Wants wants_;
  std::deque<Token> tokens_;  ///< From the block's first one on.
  std::string text_;          ///< The document's bytes from text_begin_, which is at or before the block, on.
  std::uint64_t text_begin_ = 0;
  std::size_t seen_ = 0;  ///< How many of them the plugins have seen.
  std::vector<std::int32_t> block_ids_;
  std::size_t block_width_ = 0;
  ModelStatePtr state_;             ///< Before the block.
  bool state_is_committed_ = true;  ///< Also true if there is none yet.
  std::uint64_t block_begin_ = 0;   ///< Bytes.
  Position position_;               ///< Up to which the plugins have seen the document.
  Position committed_position_;     ///< Up to which it is committed.
  std::uint64_t committed_outputs_ = 0;
  bool point_is_current_ = true;
  std::optional<NextBlock> next_block_;
  /// Of the bytes before prefix_end_, the start of the first segment that is not done. Nullopt: not known.
  std::optional<Sha256> prefix_ = Sha256();
  std::uint64_t prefix_end_ = 0;
  std::string since_prefix_;     ///< As committed.
  PrefixDigest read_;            ///< Of the bytes covered by `read_` that have come.
  std::optional<Sha256> check_;  ///< Number of those that are still to come.
  std::uint64_t unchecked_ = 0;  ///< How many of them are still to come.
  mutable std::size_t plugin_bytes_ = 0;
  bool input_ended_ = false;
  std::vector<Output> outputs_;
};

/// True if it is open, or failed for a reason outside itself: it can continue from its last commit.
bool can_resume(const DocumentStatus& status);

}  // namespace unroll
