#include "engine/document_reader.h"

#include <algorithm>

#include "engine/block_view.h"

namespace unroll {
namespace {

std::optional<std::span<const std::byte>> saved_state(const ResumePoint& point, const std::string& plugin) {
  const auto saved = point.plugin_states.find(plugin);
  if (saved == point.plugin_states.end()) return std::nullopt;
  return saved->second;
}

std::size_t bytes_of_plugins(const ResumePoint& point) {
  std::size_t bytes = 0;
  for (const auto& [plugin, state] : point.plugin_states) bytes += state.size();
  return bytes;
}

}  // namespace

bool can_resume(const DocumentStatus& status) {
  if (status.phase == DocumentPhase::kOpen) return true;
  const auto code = status.error_code.value_or(ErrorCode::kInternal);
  return status.phase == DocumentPhase::kFailed &&
         (code == ErrorCode::kPeerGone || code == ErrorCode::kSource || code == ErrorCode::kShuttingDown ||
          code == ErrorCode::kDeadline || code == ErrorCode::kCancelled || code == ErrorCode::kJournal ||
          code == ErrorCode::kLimit);
}

DocumentReader::DocumentReader(std::shared_ptr<const Vocabulary> vocabulary,
                               std::shared_ptr<const PluginRegistry> registry,
                               std::vector<PluginRequest> plugins)
    : vocabulary_(std::move(vocabulary)),
      registry_(std::move(registry)),
      requests_(std::move(plugins)),
      tokenizer_(vocabulary_) {
  plugins_ = make_plugins();
}

DocumentReader::Plugins DocumentReader::make_plugins(const ResumePoint* restored) {
  Plugins plugins;
  for (const auto& request : requests_) {
    const PluginInfo* info = registry_->find(request.name);
    if (info == nullptr) {
      std::string known;
      for (const auto& plugin : registry_->plugins()) known += (known.empty() ? "" : ", ") + plugin.name;
      throw Error(ErrorCode::kPluginUnknown,
                  "no plugin '" + request.name + "'; there are: " + (known.empty() ? "none" : known));
    }
    const auto emit = [this, name = request.name](std::string json) {
      if (!begins_.empty()) return;  // about a document before
      const auto sequence = position_.sequence++;
      if (sequence >= committed_outputs_) outputs_.push_back({sequence, name, std::move(json)});
    };
    const auto options = request.options.dump();
    try {
      plugins.push_back(
          restored ? registry_->restore(request.name, options, saved_state(*restored, request.name), emit)
                   : registry_->create(request.name, options, emit));
    } catch (const PluginError& error) {
      throw Error(error.status == UNROLL_ERROR_OPTIONS ? ErrorCode::kInvalidParams : ErrorCode::kPluginFailed,
                  error.what());
    } catch (const std::exception& error) {
      throw Error(ErrorCode::kPluginFailed, "plugin " + request.name + ": " + error.what());
    }
    wants_.entropy |= (info->wants & UNROLL_WANT_ENTROPY) != 0;
    wants_.hidden |= (info->wants & UNROLL_WANT_HIDDEN) != 0;
    wants_.ranks |= (info->wants & UNROLL_WANT_RANK) != 0;
    if (info->wants & UNROLL_WANT_WORD_END) wants_.members = vocabulary_->word_ends();
    if (info->wants & UNROLL_WANT_TOP_K) wants_.top_k = std::max(wants_.top_k, info->top_k);
  }
  return plugins;
}

ModelStatePtr DocumentReader::model_state(const ResumePoint& point, const BlockModel& model) const {
  try {
    return point.model_state.empty() ? origin_state_ : model.restore(point.model_state);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kModel, std::string("the document cannot continue: ") + error.what());
  }
}

void DocumentReader::set_origin(const Snapshot& origin, ModelStatePtr state) {
  begin_ = origin.info.bytes;
  plugin_begin_ = origin.plugin_begin;
  begins_.assign(origin.begins.begin(), origin.begins.end());
  auto& own = begins_.emplace_back();
  own.bytes = begin_;
  for (const auto& plugin : origin.info.plugins) own.plugins.push_back(plugin.name);
  origin_state_ = std::move(state);
  origin_segment_begin_ = origin.point.segment_begin;
  origin_tail_ = origin.tail;
}

void DocumentReader::resume(const ResumePoint& point, PrefixDigest read, const DocumentStatus& status,
                            const BlockModel& model) {
  state_ = model_state(point, model);
  try {
    for (const auto& plugin : plugins_) {
      if (const auto state = saved_state(point, plugin->info().name)) plugin->load(*state);
    }
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kPluginFailed, std::string("the document cannot continue: ") + error.what());
  }
  plugin_bytes_ = bytes_of_plugins(point);
  tokenizer_ = StreamingTokenizer(vocabulary_, point.segment_begin);
  text_begin_ = point.segment_begin;
  block_begin_ = point.block_begin;
  position_ = {point.bytes, point.tokens, point.blocks, point.sequence};
  const auto committed = status.bytes > 0 ? begin_ + status.bytes : std::min(point.bytes, begin_);
  committed_position_ = {committed, status.tokens, point.blocks, status.outputs};
  committed_outputs_ = status.outputs;
  prefix_.resume(point, std::move(read), begin_);
  // Plugins whose states were committed at a document's begin were forked then; those of a snapshot were not.
  while (point.stored && !begins_.empty() && begins_.front().bytes <= position_.bytes) {
    plugin_begin_ = begins_.front().bytes;
    begins_.pop_front();
  }
  const auto skipped = point.segment_begin - origin_segment_begin_;
  if (skipped < origin_tail_.size()) take(std::string_view(origin_tail_).substr(skipped));
  origin_tail_ = {};
  try {
    for (; !begins_.empty() && begins_.front().bytes <= position_.bytes; point_is_current_ = false)
      fork_plugins();
  } catch (const PluginError& error) {
    throw Error(ErrorCode::kPluginFailed, error.what());
  }
}

/// The plugins that read the document that is being read: another one's snapshot may have lacked some.
template <class Call>
void DocumentReader::each_reading(Call call) const {
  if (next_block_ && !next_block_->shown) return;
  for (const auto& plugin : plugins_) {
    if (begins_.empty() || std::ranges::count(begins_.front().plugins, plugin->info().name) > 0)
      call(*plugin);
  }
}

/// Whether a plugin reads the document before this one.
bool DocumentReader::reads(const Begin& begin) const {
  return std::ranges::any_of(
      requests_, [&](const auto& request) { return std::ranges::count(begin.plugins, request.name) > 0; });
}

/// Of the next block's `length` tokens, the first one that a plugin reads; the last one if none does.
std::size_t DocumentReader::first_wanted(std::size_t length) const {
  auto first = seen_;
  for (const auto& begin : begins_) {
    if (reads(begin)) break;
    while (first < length && tokens_[first].begin + tokens_[first].length <= begin.bytes) ++first;
  }
  return std::min(first, length - 1);
}

/// The next document begins.
void DocumentReader::fork_plugins() {
  const auto begin = begins_.front().bytes;
  const auto head = std::string_view(text_).substr(
      std::min<std::size_t>(position_.bytes - text_begin_, text_.size()), begin - position_.bytes);
  const unroll_fork_point point{sizeof point, position_.tokens, begin - plugin_begin_, head.data(),
                                head.size()};
  each_reading([&](PluginInstance& plugin) { plugin.fork(point); });
  begins_.pop_front();
  plugin_begin_ = begin;
  position_.tokens = position_.blocks = 0;
}

std::uint64_t DocumentReader::segment_begin() const {
  // A segment's tokens come all at once: if none waits, what comes next begins a segment.
  return tokens_.empty() ? tokenizer_.segment_begin() : tokens_.front().segment_begin;
}

void DocumentReader::take(std::string_view bytes) {
  prefix_.take(bytes);
  std::vector<Token> fresh;
  if (input_ended_) {
    tokenizer_.finish(fresh);
  } else {
    text_ += bytes;
    tokenizer_.append(bytes, fresh);
  }
  // After a restore, the block's first segment is tokenized again: tokens before the block are dropped; those
  // that the plugins have seen are read again without the plugins.
  for (const auto& token : fresh) {
    if (token.begin < block_begin_) continue;
    if (token.begin < position_.bytes) ++seen_;
    tokens_.push_back(token);
  }
  prefix_.advance(segment_begin());
}

void DocumentReader::end_input(bool predict_next) {
  prefix_.end();
  input_ended_ = true;
  take({});
  const bool has_words = !wants_.members.empty() && (position_.bytes > begin_ || unread_tokens() > 0);
  if (!predict_next && !has_words) return;
  asks_after_end_ = !predict_next;
  Token next{vocabulary_->first_input(), 0, text_begin_ + text_.size(), tokenizer_.segment_begin()};
  tokens_.push_back(next);
}

BlockInput DocumentReader::next_block(std::size_t width) {
  block_width_ = width;
  const auto length = std::min(width, tokens_.size());
  block_ids_.clear();
  for (std::size_t i = 0; i < length; ++i) block_ids_.push_back(tokens_[i].id);
  output_begin_ = first_wanted(length);
  // It has tokens of the document before, after which others go on, too, or it will be read again when it is
  // full.
  const bool may_come_again = block_begin_ < begin_ || (length < width && !input_ended_);
  return {state_, block_ids_, wants_, output_begin_, may_come_again};
}

void DocumentReader::begin_block(BlockOutput output) {
  // With the right bytes there is always at least one more token: a block seen whole is not repeated.
  if (seen_ >= block_ids_.size()) throw Error(ErrorCode::kSource, other_bytes(bytes()));
  output_ = std::move(output);
  begin_part();
}

bool DocumentReader::block_asks_after_end() const {
  return asks_after_end_ && block_ids_.size() == tokens_.size();
}

/// Of the block's tokens that the plugins have not seen, those of one document.
void DocumentReader::begin_part() {
  const auto shown = block_ids_.size() - (block_asks_after_end() ? 1 : 0);
  if (seen_ == shown) {
    next_block_ = {position_.bytes, position_.tokens, seen_, false};
    return;
  }
  auto end = shown;
  while (!begins_.empty()) {
    end = seen_;
    while (end < shown && tokens_[end].begin + tokens_[end].length <= begins_.front().bytes) ++end;
    if (end > seen_) break;
    fork_plugins();  // a token that ends in the next document belongs to that
    end = shown;
  }
  const auto begin = tokens_[seen_].begin, last = tokens_[end - 1].begin + tokens_[end - 1].length;
  next_block_ = {last, position_.tokens + end - seen_, end};
  if (!begins_.empty() && !reads(begins_.front())) return;
  BlockView view(output_, output_begin_, tokens_, std::span(block_ids_).first(end), seen_, position_.blocks,
                 position_.tokens, plugin_begin_);
  const auto text_begin = std::max(begin, plugin_begin_);
  view.text = std::string_view(text_).substr(text_begin - text_begin_, last - text_begin);
  each_reading([&](PluginInstance& plugin) { plugin.begin_process(view.show(plugin.info().wants)); });
}

void DocumentReader::begin_finish() {
  const unroll_document_end end{sizeof end, tokens(), bytes(), word_end_};
  for (const auto& plugin : plugins_) plugin->begin_finish(end);
}

bool DocumentReader::wait(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  bool answered = true;
  each_reading([&](PluginInstance& plugin) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    answered = answered && plugin.wait(std::max(std::chrono::milliseconds(0), left));
  });
  return answered;
}

void DocumentReader::end_call() {
  const auto outputs_before = outputs_.size();
  const auto sequence_before = position_.sequence;
  try {
    each_reading([](PluginInstance& plugin) { plugin.end(); });
  } catch (...) {
    // Only whole blocks count.
    position_.sequence = sequence_before;
    outputs_.resize(outputs_before);
    throw;
  }
  point_is_current_ = false;
  if (!next_block_) return;
  const auto next = *std::exchange(next_block_, std::nullopt);
  position_.bytes = next.bytes;
  position_.tokens = next.tokens;
  ++position_.blocks;
  seen_ = next.seen;
  while (!begins_.empty() && begins_.front().bytes <= position_.bytes) fork_plugins();
  const bool asks = block_asks_after_end();
  if (asks && seen_ + 1 == block_ids_.size()) word_end_ = output_.mass[seen_++ - output_begin_];
  if (seen_ < block_ids_.size()) return begin_part();
  auto output = std::exchange(output_, {});
  if (seen_ < block_width_ || asks) return;
  tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(seen_));
  seen_ = 0;
  block_begin_ = position_.bytes;
  text_.erase(0, block_begin_ - text_begin_);
  text_begin_ = block_begin_;
  state_ = std::move(output.next);
  state_is_committed_ = false;
  origin_state_.reset();
  prefix_.advance(segment_begin());
}

void DocumentReader::committed(bool with_point, PrefixDigest read) {
  prefix_.committed(std::move(read));
  committed_outputs_ = sequence();
  committed_position_ = position_;
  committed_position_.sequence = committed_outputs_;
  if (!with_point) return;
  state_is_committed_ = true;
  point_is_current_ = true;
}

void DocumentReader::roll_back() {
  position_ = committed_position_;
  point_is_current_ = true;  // there is no newer one to save
  outputs_.clear();
}

ResumePoint DocumentReader::resume_point() const {
  ResumePoint point;
  point.segment_begin = segment_begin();
  point.prefix = prefix_.save();
  point.block_begin = block_begin_;
  point.blocks = position_.blocks;
  point.bytes = position_.bytes;
  point.tokens = position_.tokens;
  point.sequence = position_.sequence;
  point.keeps_model_state = state_is_committed_;
  if (!state_is_committed_) point.model_state = state_->serialize();
  plugin_bytes_ = 0;
  for (const auto& plugin : plugins_) {
    auto state = plugin->save();
    plugin_bytes_ += state.size();
    point.plugin_states[plugin->info().name] = std::move(state);
  }
  return point;
}

Snapshot DocumentReader::snapshot() const {
  const auto all = prefix_.all();
  if (!all) {
    throw Error(ErrorCode::kDocumentState,
                "no snapshot can be made of it: its first bytes were read before it was "
                "resumed, and are not known; read it anew");
  }
  Snapshot snapshot;
  for (const auto& request : requests_) snapshot.info.plugins.push_back(request);
  snapshot.info.bytes = all->bytes;
  snapshot.info.sha256 = all->sha256;
  snapshot.point = resume_point();
  snapshot.point.keeps_model_state = false;
  if (state_ && snapshot.point.model_state.empty()) snapshot.point.model_state = state_->serialize();
  snapshot.tail = prefix_.tail();
  snapshot.plugin_begin = plugin_begin_;
  snapshot.begins.assign(begins_.begin(), begins_.end());
  return snapshot;
}

void DocumentReader::evict() {
  state_.reset();
  origin_state_.reset();
  plugins_.clear();
  resident_ = false;
  block_ids_ = {};
  tokens_.shrink_to_fit();
}

void DocumentReader::restore(const ResumePoint& point, const BlockModel& model, ModelStatePtr origin_state) {
  origin_state_ = std::move(origin_state);
  try {
    auto plugins = make_plugins(&point);
    state_ = model_state(point, model);
    plugins_ = std::move(plugins);
  } catch (...) {
    origin_state_.reset();
    throw;
  }
  resident_ = true;
  plugin_bytes_ = bytes_of_plugins(point);
  if (!point.model_state.empty()) origin_state_.reset();
}

std::size_t DocumentReader::resident_bytes() const {
  if (!is_resident()) return 0;
  const auto bytes_of = [](const ModelStatePtr& state) { return state ? state->bytes() : 0; };
  return (state_ == origin_state_ ? 0 : bytes_of(state_)) + bytes_of(output_.next) + plugin_bytes_;
}

}  // namespace unroll
