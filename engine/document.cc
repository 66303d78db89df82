#include "engine/document.h"

#include <algorithm>
#include <array>

namespace unroll {
namespace {

/// A block as the C ABI shows it, with the arrays behind its pointers.
struct BlockView {
  BlockView(const BlockOutput& output, const std::deque<Token>& tokens, const std::vector<std::int32_t>& ids,
            std::uint64_t index, std::uint64_t first_token)
      : index(index), first_token(first_token), ids(ids), output(output) {
    for (std::size_t i = 0; i < ids.size(); ++i) offsets.push_back(tokens[i].begin);
    offsets.push_back(tokens[ids.size() - 1].begin + tokens[ids.size() - 1].length);
    const auto length = static_cast<std::int64_t>(ids.size());
    shape = {length, static_cast<std::int64_t>(output.hidden.size()) / length};
    // DLPack has no const; the header says that it is borrowed.
    hidden.data = const_cast<float*>(output.hidden.data());
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
    block.logprobs = output.logprobs.data();
    if (wants & UNROLL_WANT_ENTROPY) block.entropy = output.entropy.data();
    if (wants & UNROLL_WANT_HIDDEN) block.hidden = &hidden;
    if (wants & UNROLL_WANT_TEXT) {
      block.text = text.data();
      block.text_bytes = text.size();
    }
    if (wants & UNROLL_WANT_TOP_K) {
      block.top_k = static_cast<std::int32_t>(output.top_ids.size() / ids.size());
      block.top_ids = output.top_ids.data();
      block.top_logprobs = output.top_logprobs.data();
    }
    return block;
  }

  std::uint64_t index, first_token;
  const std::vector<std::int32_t>& ids;
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

Reading::Reading(std::shared_ptr<const Vocabulary> vocabulary, const PluginRegistry& registry,
                 const std::vector<PluginRequest>& plugins)
    : vocabulary_(std::move(vocabulary)), tokenizer_(vocabulary_) {
  for (const auto& request : plugins) {
    const PluginInfo* info = registry.find(request.name);
    if (info == nullptr) {
      std::string known;
      for (const auto& plugin : registry.plugins()) known += (known.empty() ? "" : ", ") + plugin.name;
      throw Error(ErrorCode::kPluginUnknown,
                  "no plugin '" + request.name + "'; there are: " + (known.empty() ? "none" : known));
    }
    try {
      plugins_.push_back(registry.create(request.name, request.options.dump(),
                                         [this, name = request.name](std::string json) {
                                           outputs_.push_back({sequence_++, name, std::move(json)});
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

void Reading::restore(const ResumePoint& point, const DocumentStatus& status, const BlockModel& model) {
  tokenizer_ = StreamingTokenizer(vocabulary_, point.segment_begin);
  bytes_ = status.bytes;
  token_count_ = status.tokens;
  sequence_ = status.outputs;
  blocks_ = point.blocks;
  try {
    if (!point.model_state.empty()) state_ = model.restore(point.model_state);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kModel, "document " + status.id + " cannot go on: " + error.what());
  }
  try {
    for (const auto& plugin : plugins_) {
      const auto saved = point.plugin_states.find(plugin->info().name);
      if (saved != point.plugin_states.end()) plugin->load(saved->second);
    }
  } catch (const PluginError& error) {
    throw Error(ErrorCode::kPluginFailed, "document " + status.id + " cannot go on: " + error.what());
  }
}

void Reading::take(std::string_view bytes) {
  tokenizer_.append(bytes, fresh_);
  // After a restore the first segment comes again; its tokens before the commit are done.
  for (const auto& token : fresh_) {
    if (token.begin >= bytes_) tokens_.push_back(token);
  }
  fresh_.clear();
}

void Reading::end_input() {
  tokenizer_.finish(fresh_);
  take({});
  input_ended_ = true;
}

BlockInput Reading::next_block(std::size_t length) {
  block_ids_.clear();
  for (std::size_t i = 0; i < length; ++i) block_ids_.push_back(tokens_[i].id);
  return {state_, block_ids_, wants_};
}

void Reading::accept(BlockOutput output) {
  BlockView view(output, tokens_, block_ids_, blocks_, token_count_);
  view.text = vocabulary_->decode(block_ids_);  // exact: tokens are the document's bytes
  const auto outputs_before = outputs_.size();
  try {
    for (const auto& plugin : plugins_) plugin->process(view.show(plugin->info().wants));
  } catch (...) {
    drop_block_outputs(outputs_before);
    throw;
  }
  bytes_ = view.offsets.back();
  token_count_ += block_ids_.size();
  ++blocks_;
  tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(block_ids_.size()));
  state_ = std::move(output.next);
}

/// A block counts whole or not at all.
void Reading::drop_block_outputs(std::size_t kept) {
  sequence_ -= outputs_.size() - kept;
  outputs_.resize(kept);
}

void Reading::finish() {
  const auto outputs_before = outputs_.size();
  try {
    for (const auto& plugin : plugins_) plugin->finish(token_count_, bytes_);
  } catch (...) {
    drop_block_outputs(outputs_before);
    throw;
  }
}

ResumePoint Reading::resume_point() const {
  ResumePoint point;
  // A segment's tokens come all at once: where none waits, the next segment begins right behind the last
  // token.
  point.segment_begin = tokens_.empty() ? bytes_ : tokens_.front().segment_begin;
  point.blocks = blocks_;
  if (state_) point.model_state = state_->serialize();
  for (const auto& plugin : plugins_) point.plugin_states[plugin->info().name] = plugin->save();
  return point;
}

}  // namespace unroll
