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

#include "engine/engine.h"
#include "engine/journal.h"
#include "engine/read_prefix.h"

namespace unroll {

/// Holds the waiting tokens, the recurrent state, the plugin instances, and their outputs since the last
/// commit. State and plugins can be evicted and restored while tokens wait.
class DocumentReader {
 public:
  /// Creates the plugin instances. Throws Error (unknown plugin, options refused).
  DocumentReader(std::shared_ptr<const Vocabulary> vocabulary, std::shared_ptr<const PluginRegistry> registry,
                 std::vector<PluginRequest> plugins);
  /// Before resume(): the document continues from `origin`, whose model state may be shared with others.
  void set_origin(const Snapshot& origin, ModelStatePtr state);
  /// Continues from a commit: `status` is its position, `read` the digest of the bytes up to there. Throws
  /// Error.
  void resume(const ResumePoint& point, PrefixDigest read, const DocumentStatus& status,
              const BlockModel& model);

  /// Both throw Error(kSource) if the bytes since resume() are not those that were read before. Nothing of
  /// them was emitted then.
  void take(std::string_view bytes);
  /// `predict_next`: as in DocumentRequest.
  void end_input(bool predict_next = false);
  bool input_ended() const { return input_ended_; }
  /// Tokens that the plugins have not seen.
  std::size_t unread_tokens() const { return tokens_.size() - seen_; }
  /// Whether a block can be read: a full one, or the rest after the end of the input.
  bool has_block(std::size_t width) const {
    if (asks_after_end_) return unread_tokens() > 0;
    return tokens_.size() >= width || (input_ended_ && unread_tokens() > 0);
  }
  bool is_exhausted() const { return input_ended_ && unread_tokens() == 0; }

  /// The next block, of `width` tokens, or fewer if read before it is full. Outputs are wanted of the tokens
  /// that plugins will see. Valid until begin_block().
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
  /// neither committed nor evicted. If a document before this one ends in the block, its rest is another
  /// call, which then is in progress.
  void end_call();
  bool in_call() const { return next_block_.has_value(); }
  /// Drops the call in progress and everything since the last commit; keeps only the position and the
  /// sequence number of that commit.
  void roll_back();

  /// Of the tokens that the plugins have seen, of this document.
  std::uint64_t bytes() const { return std::max(position_.bytes, begin_) - begin_; }
  std::uint64_t tokens() const { return begins_.empty() ? position_.tokens : 0; }
  /// Number of outputs so far, including uncommitted ones. After a resume from a point before the last
  /// commit, outputs that are already committed are emitted again and dropped.
  std::uint64_t sequence() const { return std::max(position_.sequence, committed_outputs_); }
  /// The resume point to commit now.
  ResumePoint resume_point() const;
  /// What the bytes so far leave, but for the info's fields other than bytes, digest and plugins. Throws
  /// Error, PluginError.
  Snapshot snapshot() const;
  /// By which the bytes that the plugins have seen are recognized when the document is resumed.
  PrefixDigest read_prefix() const { return prefix_.digest(position_.bytes); }
  /// Whether bytes that were read before resume() are still to come: until then they may be another
  /// document's.
  bool is_checking() const { return prefix_.is_checking(); }
  /// The outputs so far are committed, with read_prefix(); with `with_point`, so is the resume point.
  void committed(bool with_point, PrefixDigest read);
  /// Whether the last committed resume point is at the document's position.
  bool point_is_current() const { return point_is_current_; }
  const std::vector<Output>& uncommitted() const { return outputs_; }
  std::vector<Output> take_uncommitted() { return std::exchange(outputs_, {}); }

  /// Whether state and plugins are in memory.
  bool is_resident() const { return resident_; }
  /// Drops both; they must be committed.
  void evict();
  /// Restores both from the last commit or, if it made no point, from the origin. Does not wait for plugins
  /// in workers: what is wrong with them is thrown by their next call. If it throws Error, the document stays
  /// evicted.
  void restore(const ResumePoint& point, const BlockModel& model, ModelStatePtr origin_state);
  /// Approximate bytes of the state and the plugins' last saved states.
  std::size_t resident_bytes() const;

 private:
  using Plugins = std::vector<std::unique_ptr<PluginInstance>>;
  Plugins make_plugins(const ResumePoint* restored = nullptr);
  ModelStatePtr model_state(const ResumePoint& point, const BlockModel& model) const;
  bool reads(const Begin& begin) const;
  std::size_t first_wanted(std::size_t length) const;
  bool block_asks_after_end() const;  ///< The block's last token is that of asks_after_end_.
  void begin_part();
  void fork_plugins();
  template <class Call>
  void each_reading(Call call) const;
  /// The byte from which the document is read again after a resume.
  std::uint64_t segment_begin() const;

  /// How far it is. Bytes count from the beginning of the first document of a chain of snapshots, tokens and
  /// blocks from that of the document that the plugins are reading.
  struct Position {
    std::uint64_t bytes = 0, tokens = 0, blocks = 0, sequence = 0;
  };
  /// Where a block that the plugins are seeing leads to.
  struct NextBlock {
    std::uint64_t bytes, tokens;
    std::size_t seen;
    bool shown = true;  ///< The plugins see it.
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
  ModelStatePtr origin_state_;      ///< Shared: not charged to this document.
  bool state_is_committed_ = true;  ///< Also true if there is none yet, or if it is the origin's.
  std::uint64_t block_begin_ = 0;   ///< Bytes.
  Position position_;               ///< Up to which the plugins have seen the document.
  Position committed_position_;     ///< Up to which it is committed.
  std::uint64_t committed_outputs_ = 0;
  bool point_is_current_ = true;
  std::optional<NextBlock> next_block_;
  BlockOutput output_;              ///< Of a block of which the plugins see the first part.
  std::size_t output_begin_ = 0;    ///< The token of the block that it begins with.
  std::uint64_t begin_ = 0;         ///< Bytes: of this document.
  std::uint64_t plugin_begin_ = 0;  ///< Bytes: of the document that the plugins read.
  std::deque<Begin> begins_;  ///< Of the documents that the plugins have not reached. The last is this one.
  std::uint64_t origin_segment_begin_ = 0;
  std::string origin_tail_;  ///< Of set_origin(), until resume().
  bool resident_ = true;
  ReadPrefix prefix_;
  mutable std::size_t plugin_bytes_ = 0;
  bool input_ended_ = false;
  /// Whether the last token only asks for the distribution after the document: the plugins do not see it.
  bool asks_after_end_ = false;
  float word_end_ = 0;  ///< In that distribution, for plugins that want it.
  std::vector<Output> outputs_;
};

/// True if it is open, or failed for a reason outside itself: it can continue from its last commit.
bool can_resume(const DocumentStatus& status);

}  // namespace unroll
