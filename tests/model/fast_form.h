// Compares a faster form of the network with its definition: the options that every form supports, and the
// largest difference over some blocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "model/block_recurrent_transformer.h"
#include "model/network.h"
#include "tests/model/testing.h"

namespace unroll {

struct FormCase {
  const char* name;
  nlohmann::json changes;  ///< Relative to three_layers().
};

/// The options of every form, and `more`.
inline std::vector<FormCase> form_cases(const std::vector<FormCase>& more) {
  using Json = nlohmann::json;
  std::vector<FormCase> cases{
      {"defaults", Json::object()},
      {"rmsnorm", {{"all_layers_qk_rmsnorm", true}}},
      {"rmsnorm_scale", {{"all_layers_qk_rmsnorm", true}, {"apply_qk_rmsnorm_scale", true}}},
      {"full_heads", {{"multi_query", false}}},
      {"gates", {{"gate_residuals", true}}},
      {"no_memories", {{"use_memories", false}}},
      {"no_states", {{"recurrent_layers", Json::array()}}},
      {"two_states", {{"recurrent_layers", {1, 3}}, {"read_recurrent_layers", {1, 2}}}},
      {"compressed", {{"use_compressed_mem", true}, {"compressed_mem_factor", 2}}},
      {"compressed_in_generations",
       {{"use_compressed_mem", true},
        {"compressed_mem_factor", 2},
        {"compressed_mem_method", "mean"},
        {"compressed_mem_generations", 2}}},
      {"enhanced_recurrence", {{"enhanced_recurrence", true}, {"memory_blocks", 2}}}};
  cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

inline BlockRecurrentTransformer random_network(const nlohmann::json& changes = nlohmann::json::object()) {
  at::manual_seed(3);
  const auto config = three_layers(changes);
  return {config, random_parameters(config)};
}

/// Reads `batch` documents of whole blocks and a part of one. Returns the largest difference in logits,
/// memories and states, each relative to the variation of the definition's.
inline double largest_difference(const BlockRecurrentTransformer& definition, Network& form,
                                 std::int64_t batch, std::int64_t blocks) {
  const auto width = definition.config().block_width;
  const auto tokens =
      at::randint(0, definition.config().num_tokens, {batch, blocks * width + width / 2 + 1}, at::kLong);
  Recurrence a, b;
  double worst = 0;
  const auto compare = [&](const at::Tensor& x, const at::Tensor& y) {
    EXPECT_EQ(x.sizes(), y.sizes());
    EXPECT_EQ(y.scalar_type(), at::kFloat);
    worst = std::max(worst, (x - y).pow(2).mean().sqrt().item<double>() / x.std().item<double>());
  };
  for (const auto& block : tokens.split(width, 1)) {
    const auto hidden = definition.forward_block(block, a), other = form.forward_block(block, b);
    compare(definition.to_logits(hidden), form.logits(other.flatten(0, 1)).view({batch, block.size(1), -1}));
    EXPECT_EQ(a.memories.size(), b.memories.size());
    for (std::size_t i = 0; i < a.memories.size(); ++i) compare(a.memories[i], b.memories[i]);
    EXPECT_EQ(a.states.size(), b.states.size());
    for (std::size_t i = 0; i < a.states.size(); ++i) compare(a.states[i], b.states[i]);
  }
  return worst;
}

/// Whether two tensors have the same bits.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         a.contiguous().view(at::kByte).equal(b.contiguous().view(at::kByte));
}

/// Reads blocks as a whole and in two pieces, the second of which two documents have, and compares all bits.
inline void expect_same_in_pieces(Network& form) {
  ASSERT_TRUE(form.continues_blocks());
  const auto& shape = form.shape();
  const auto width = shape.block_width;
  Recurrence before;
  for (int block = 0; block < 3; ++block) {
    for (const auto length : {width, width - 1, width / 2 + 1}) {
      const auto tokens = at::randint(0, shape.num_tokens, {1, length}, at::kLong);
      auto whole = before;
      const auto expected = form.forward_block(tokens, whole).clone();
      for (const auto at : {std::int64_t{1}, length / 2, length - 1}) {
        BlockStart start;
        auto first = before;
        const auto begin = form.continue_block(tokens.narrow(1, 0, at), first, start).clone();
        EXPECT_TRUE(same_bits(begin, expected.narrow(1, 0, at))) << block << ' ' << length << ' ' << at;
        const auto more = tokens.narrow(1, at, length - at).repeat({2, 1});
        auto both = join(std::vector<Recurrence>{before, before});
        const auto rest = form.continue_block(more, both, start);
        EXPECT_EQ(start.length, length);
        for (std::int64_t row = 0; row < 2; ++row) {
          EXPECT_TRUE(same_bits(rest.narrow(0, row, 1), expected.narrow(1, at, length - at)))
              << block << ' ' << length << ' ' << at;
          const auto after = both.row(row);
          ASSERT_EQ(after.memories.size(), whole.memories.size());
          for (std::size_t i = 0; i < after.memories.size(); ++i)
            EXPECT_TRUE(same_bits(after.memories[i], whole.memories[i]))
                << block << ' ' << length << ' ' << at;
          ASSERT_EQ(after.states.size(), whole.states.size());
          for (std::size_t i = 0; i < after.states.size(); ++i)
            EXPECT_TRUE(same_bits(after.states[i], whole.states[i])) << block << ' ' << length << ' ' << at;
        }
      }
    }
    form.forward_block(at::randint(0, shape.num_tokens, {1, width}, at::kLong), before);
  }
}

}  // namespace unroll
