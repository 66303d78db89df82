// A block as the plugins see it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <vector>

#include "model/block_model.h"
#include "plugins/hidden_rows.h"
#include "plugins/host.h"
#include "tokenizer/tokenizer.h"

namespace unroll {

/// The part of a block from token `at` on in the form of the C ABI, with the arrays that it points to.
/// `output` begins with token `output_begin`.
struct BlockView {
  BlockView(const BlockOutput& output, std::size_t output_begin, const std::deque<Token>& tokens,
            std::span<const std::int32_t> block, std::size_t at, std::uint64_t index,
            std::uint64_t first_token, std::uint64_t begin)
      : first(at - output_begin),
        index(index),
        first_token(first_token),
        ids(block.subspan(at)),
        output(output) {
    for (auto i = at; i < block.size(); ++i) offsets.push_back(std::max(tokens[i].begin, begin) - begin);
    offsets.push_back(tokens[block.size() - 1].begin + tokens[block.size() - 1].length - begin);
    const auto dim = output.hidden.size() / output.logprobs.size();
    shape = {static_cast<std::int64_t>(ids.size()), static_cast<std::int64_t>(dim)};
    hidden = hidden_rows(output.hidden.data() + first * dim, shape);
  }

  /// The view for a plugin that wants `wants`.
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
    if (wants & UNROLL_WANT_WORD_END) block.word_end = output.mass.data() + first;
    if (wants & UNROLL_WANT_RANK) block.ranks = output.ranks.data() + first;
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

  std::size_t first;  // in the output
  std::uint64_t index, first_token;
  std::span<const std::int32_t> ids;
  const BlockOutput& output;
  std::vector<std::uint64_t> offsets;
  std::string_view text;  // of the document: the tokens may stand for normalised text
  std::array<std::int64_t, 2> shape{};
  unroll_tensor hidden{};
};

}  // namespace unroll
