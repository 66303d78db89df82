#include "engine/document.h"

#include <algorithm>
#include <array>

namespace unroll {
namespace {

/// The part of a block from token `first` on as the C ABI shows it, with the arrays behind its pointers.
struct BlockView {
  BlockView(const BlockOutput& output, const std::deque<Token>& tokens, std::span<const std::int32_t> block,
            std::size_t first, std::uint64_t index, std::uint64_t first_token)
      : first(first), index(index), first_token(first_token), ids(block.subspan(first)), output(output) {
    for (std::size_t i = first; i < block.size(); ++i) offsets.push_back(tokens[i].begin);
    offsets.push_back(tokens[block.size() - 1].begin + tokens[block.size() - 1].length);
    const auto dim = output.hidden.size() / block.size();
    shape = {static_cast<std::int64_t>(ids.size()), static_cast<std::int64_t>(dim)};
    // DLPack has no const; the header says that it is borrowed.
    hidden.data = const_cast<float*>(output.hidden.data() + first * dim);
    hidden.device_type = 1;
    hidden.ndim = 2;
    hidden.dtype_code = 2;
    hidden.dtype_bits = 32;
    hidden.dtype_lanes = 1;
    hidden.shape = shape.data();
  }

  /// What a plugin that wants `wants` sees.
  unroll_block show(std::uint32_t wants) const {
    unroll_block block{};
    block.size = sizeof block;
    block.index = index;
    block.first_token = first_token;
    block.length = ids.size();
    block.tokens = ids.data();
    block.offsets = offsets.data();
    block.logprobs = output.logprobs.data() + first;
    if (wants & UNROLL_WANT_ENTROPY) block.entropy = output.entropy.data() + first;
    if (wants & UNROLL_WANT_HIDDEN) block.hidden = &hidden;
    if (wants & UNROLL_WANT_TEXT) {
      block.text = text.data();
      block.text_bytes = text.size();
    }
    if (wants & UNROLL_WANT_TOP_K) {
      const auto top_k = output.top_ids.size() / output.logprobs.size();
      block.top_k = static_cast<std::int32_t>(top_k);
      block.top_ids = output.top_ids.data() + first * top_k;
      block.top_logprobs = output.top_logprobs.data() + first * top_k;
    }
    return block;
  }

  std::size_t first;
  std::uint64_t index, first_token;
  std::span<const std::int32_t> ids;
  const BlockOutput& output;
  std::vector<std::uint64_t> offsets;
  std::string text;
  std::array<std::int64_t, 2> shape{};
  unroll_tensor hidden{};
};

}  // namespace

bool can_resume(const DocumentStatus& status) {
  if (status.phase == DocumentPhase::kOpen) return true;
  const auto code = status.error_code.value_or(ErrorCode::kInternal);
  return status.phase == DocumentPhase::kFailed &&
         (code == ErrorCode::kPeerGone || code == ErrorCode::kSource || code == ErrorCode::kShuttingDown ||
          code == ErrorCode::kDeadline || code == ErrorCode::kCancelled);
}

Reading::Reading(std::shared_ptr<const Vocabulary> vocabulary, std::shared_ptr<const PluginRegistry> registry,
                 std::vector<PluginRequest> plugins)
    : vocabulary_(std::move(vocabulary)),
      registry_(std::move(registry)),
      requests_(std::move(plugins)),
      tokenizer_(vocabulary_) {
  make_plugins();
}

void Reading::make_plugins() {
  for (const auto& request : requests_) {
    const PluginInfo* info = registry_->find(request.name);
    if (info == nullptr) {
      std::string known;
      for (const auto& plugin : registry_->plugins()) known += (known.empty() ? "" : ", ") + plugin.name;
      throw Error(ErrorCode::kPluginUnknown,
                  "no plugin '" + request.name + "'; there are: " + (known.empty() ? "none" : known));
    }
    try {
      plugins_.push_back(registry_->create(
          request.name, request.options.dump(), [this, name = request.name](std::string json) {
            outputs_.push_back({position_.sequence++, name, std::move(json)});
          }));
    } catch (const PluginError& error) {
      throw Error(error.status == UNROLL_ERROR_OPTIONS ? ErrorCode::kInvalidParams : ErrorCode::kPluginFailed,
                  error.what());
    }
    wants_.entropy |= (info->wants & UNROLL_WANT_ENTROPY) != 0;
    wants_.hidden |= (info->wants & UNROLL_WANT_HIDDEN) != 0;
    if (info->wants & UNROLL_WANT_TOP_K) wants_.top_k = std::max(wants_.top_k, info->top_k);
  }
}

void Reading::load(const ResumePoint& point, const BlockModel& model) {
  try {
    state_ = point.model_state.empty() ? nullptr : model.restore(point.model_state);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kModel, std::string("the document cannot go on: ") + error.what());
  }
  plugin_bytes_ = 0;
  try {
    for (const auto& plugin : plugins_) {
      const auto saved = point.plugin_states.find(plugin->info().name);
      if (saved == point.plugin_states.end()) continue;
      plugin->load(saved->second);
      plugin_bytes_ += saved->second.size();
    }
  } catch (const PluginError& error) {
    throw Error(ErrorCode::kPluginFailed, std::string("the document cannot go on: ") + error.what());
  }
}

void Reading::restore(const ResumePoint& point, const DocumentStatus& status, const BlockModel& model) {
  tokenizer_ = StreamingTokenizer(vocabulary_, point.segment_begin);
  block_begin_ = point.block_begin;
  position_ = {status.bytes, status.tokens, point.blocks, status.outputs};
  committed_position_ = position_;
  load(point, model);
}

void Reading::take(std::string_view bytes) {
  std::vector<Token> fresh;
  if (input_ended_) {
    tokenizer_.finish(fresh);
  } else {
    tokenizer_.append(bytes, fresh);
  }
  // After a restore the block's first segment comes again: tokens before the block are done, those that the
  // plugins have seen are read once more without them.
  for (const auto& token : fresh) {
    if (token.begin < block_begin_) continue;
    if (token.begin < position_.bytes) ++shown_;
    tokens_.push_back(token);
  }
}

void Reading::end_input() {
  input_ended_ = true;
  take({});
}

BlockInput Reading::next_block(std::size_t width) {
  block_width_ = width;
  const auto length = std::min(width, tokens_.size());
  block_ids_.clear();
  for (std::size_t i = 0; i < length; ++i) block_ids_.push_back(tokens_[i].id);
  return {state_, block_ids_, wants_};
}

void Reading::begin_block(BlockOutput output) {
  // Of the right bytes there is always one more: a block that was shown whole does not come again.
  if (shown_ >= block_ids_.size()) {
    throw Error(ErrorCode::kSource,
                "its bytes are not those that were read before it was resumed; send the same ones, from "
                "resume_bytes on, or open it anew");
  }
  BlockView view(output, tokens_, block_ids_, shown_, position_.blocks, position_.tokens);
  view.text = vocabulary_->decode(view.ids);  // exact: tokens are the document's bytes
  next_block_ = {view.offsets.back(), position_.tokens + view.ids.size(), std::move(output.next)};
  for (const auto& plugin : plugins_) plugin->begin_process(view.show(plugin->info().wants));
}

void Reading::begin_finish() {
  for (const auto& plugin : plugins_) plugin->begin_finish(position_.tokens, position_.bytes);
}

bool Reading::wait(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  return std::ranges::all_of(plugins_, [&](const auto& plugin) {
    const auto left = until - std::chrono::steady_clock::now();
    return plugin->wait(
        std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(left)));
  });
}

void Reading::end_call() {
  const auto outputs_before = outputs_.size();
  try {
    for (const auto& plugin : plugins_) plugin->end();
  } catch (...) {
    // A block counts whole or not at all.
    position_.sequence -= outputs_.size() - outputs_before;
    outputs_.resize(outputs_before);
    throw;
  }
  if (!next_block_) return;
  auto next = *std::exchange(next_block_, std::nullopt);
  position_.bytes = next.bytes;
  position_.tokens = next.tokens;
  ++position_.blocks;
  shown_ = block_ids_.size();
  if (shown_ < block_width_) return;
  tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(shown_));
  shown_ = 0;
  block_begin_ = position_.bytes;
  state_ = std::move(next.state);
  state_is_committed_ = false;
}

void Reading::committed() {
  state_is_committed_ = true;
  committed_position_ = position_;
}

void Reading::roll_back() {
  position_ = committed_position_;
  outputs_.clear();
}

ResumePoint Reading::resume_point() const {
  ResumePoint point;
  // A segment's tokens come all at once: where none waits, what comes next begins a segment.
  point.segment_begin = tokens_.empty() ? tokenizer_.segment_begin() : tokens_.front().segment_begin;
  point.block_begin = block_begin_;
  point.blocks = position_.blocks;
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

void Reading::put_away() {
  state_.reset();
  plugins_.clear();
  block_ids_ = {};
  tokens_.shrink_to_fit();
}

void Reading::take_back(const ResumePoint& point, const BlockModel& model) {
  make_plugins();
  load(point, model);
}

std::size_t Reading::resident_bytes() const {
  if (!is_resident()) return 0;
  const auto bytes_of = [](const ModelStatePtr& state) { return state ? state->bytes() : 0; };
  return bytes_of(state_) + (next_block_ ? bytes_of(next_block_->state) : 0) + plugin_bytes_;
}

}  // namespace unroll
