// Compares the packed form of pretrained transformers with their definition: every family, sizes that do not
// fill tiles, several documents, each arithmetic.
#include "model/pretrained/packed_pretrained.h"

#include <limits>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "tests/model/fast_form.h"

namespace unroll {
namespace {

struct Family {
  const char* name;
  std::int64_t memory_blocks = 1, sinks = 4;
  bool qkv_bias = false, qk_norm = false, tied = true, other_biases = false;
  std::int64_t dim = 96, heads = 6, kv_heads = 2, head_dim = 16, inner = 200, vocabulary = 777, width = 24;
};

void PrintTo(const Family& family, std::ostream* out) {
  *out << family.name;
}

PretrainedConfig config_of(const Family& family) {
  PretrainedConfig config;
  config.model_type = "llama";
  config.vocabulary = family.vocabulary;
  config.hidden_size = family.dim;
  config.layers = 3;
  config.heads = family.heads;
  config.kv_heads = family.kv_heads;
  config.head_dim = family.head_dim;
  config.intermediate_size = family.inner;
  for (std::int64_t i = 0; i < family.head_dim / 2; ++i)
    config.inverse_frequencies.push_back(
        std::pow(0.03F, static_cast<float>(i) * 2 / static_cast<float>(family.head_dim)));
  config.qkv_bias = family.qkv_bias;
  config.qk_norm = family.qk_norm;
  config.output_bias = config.mlp_bias = family.other_biases;
  config.tied = family.tied;
  config.bos = 0;
  config.block_width = family.width;
  config.memory_blocks = family.memory_blocks;
  config.attention_sinks = family.sinks;
  return config;
}

PretrainedTransformer random_network(const Family& family, at::ScalarType memories = at::kFloat) {
  at::manual_seed(7);
  const auto config = config_of(family);
  const auto dim = config.hidden_size;
  const auto linear = [](std::int64_t out, std::int64_t in, bool bias, double size = 1) {
    return PretrainedLinear{at::randn({out, in}).mul_(size / std::sqrt(static_cast<double>(in))),
                            bias ? at::randn({out}) : at::Tensor()};
  };
  const auto scale = [](std::int64_t count) { return at::rand({count}).add_(0.5); };
  PretrainedWeights weights;
  weights.embedding = at::randn({config.vocabulary, dim});
  for (std::int64_t i = 0; i < config.layers; ++i) {
    PretrainedLayer layer;
    layer.attention_norm = scale(dim);
    layer.q = linear(config.inner_dim(), dim, config.qkv_bias, 2);
    layer.k = linear(config.kv_dim(), dim, config.qkv_bias, 2);
    layer.v = linear(config.kv_dim(), dim, config.qkv_bias);
    layer.o = linear(dim, config.inner_dim(), config.output_bias);
    if (config.qk_norm) {
      layer.q_norm = scale(config.head_dim);
      layer.k_norm = scale(config.head_dim);
    }
    layer.feed_forward_norm = scale(dim);
    layer.gate = linear(config.intermediate_size, dim, config.mlp_bias, 2);
    layer.up = linear(config.intermediate_size, dim, config.mlp_bias);
    layer.down = linear(dim, config.intermediate_size, config.mlp_bias, 2);
    weights.layers.push_back(layer);
  }
  weights.norm = scale(dim).div_(4);  // logits that differ by some nats
  weights.output = config.tied ? weights.embedding : at::randn({config.vocabulary, dim});
  return {config, weights, memories};
}

struct Difference {
  double largest = 0;  ///< Largest difference between two logits.
  double relative =
      0;  ///< Worst difference between all logits, relative to the variation of the definition's.
  double memories = 0;  ///< The same for memories.
  double score = 0;     ///< Relative difference of the sum of the tokens' log-probabilities.
};

/// Over `batch` documents of seven blocks and a part of one.
Difference compare(const PretrainedTransformer& definition, Network& packed, std::int64_t batch) {
  const auto& config = definition.config();
  const auto tokens = at::randint(0, config.vocabulary, {batch, 7 * config.block_width + 5}, at::kLong);
  Recurrence a, b;
  Difference worst;
  double sum = 0, other_sum = 0;
  const auto relative = [](const at::Tensor& x, const at::Tensor& y) {
    EXPECT_EQ(x.sizes(), y.sizes());
    EXPECT_EQ(x.scalar_type(), y.scalar_type());
    const auto exact = x.to(at::kDouble);
    return ((exact - y).pow(2).mean().sqrt() / exact.std()).item<double>();
  };
  for (const auto& block : tokens.split(config.block_width, 1)) {
    const auto hidden = definition.forward_block(block, a), other = packed.forward_block(block, b);
    EXPECT_EQ(hidden.sizes(), other.sizes());
    const auto logits = definition.to_logits(hidden).flatten(0, 1),
               packeds = packed.logits(other.flatten(0, 1));
    worst.largest = std::max(worst.largest, (logits - packeds).abs().max().item<double>());
    worst.relative = std::max(worst.relative, relative(logits, packeds));
    const auto next = block.flatten().roll(1).unsqueeze(1);
    sum += at::log_softmax(logits, -1).gather(1, next).sum().item<double>();
    other_sum += at::log_softmax(packeds, -1).gather(1, next).sum().item<double>();
    EXPECT_EQ(a.memories.size(), b.memories.size());
    for (std::size_t i = 0; i < a.memories.size(); ++i)
      worst.memories = std::max(worst.memories, relative(a.memories[i], b.memories[i]));
  }
  worst.score = std::abs(other_sum / sum - 1);
  return worst;
}

class PackedPretrainedTest : public testing::TestWithParam<Family> {};

TEST_P(PackedPretrainedTest, ComputesWhatTheDefinitionDoes) {
  const c10::InferenceMode guard;
  const auto definition = random_network(GetParam());
  PackedPretrained packed(definition, Arithmetic::kFp32);
  const auto difference = compare(definition, packed, 2);
  EXPECT_LT(difference.largest, 1e-4);
  EXPECT_LT(difference.memories, 1e-5);
}

TEST_P(PackedPretrainedTest, ABlockInPiecesHasTheSameBits) {
  const c10::InferenceMode guard;
  for (const auto arithmetic : {Arithmetic::kFp32, Arithmetic::kBf16, Arithmetic::kInt8}) {
    if (!cpu_supports(arithmetic)) continue;
    PackedPretrained packed(
        random_network(GetParam(), arithmetic == Arithmetic::kFp32 ? at::kFloat : at::kBFloat16), arithmetic);
    expect_same_in_pieces(packed);
  }
}

TEST_P(PackedPretrainedTest, Bf16) {
  if (!cpu_supports(Arithmetic::kBf16)) GTEST_SKIP() << "this CPU does not multiply bf16";
  const c10::InferenceMode guard;
  const auto definition = random_network(GetParam(), at::kBFloat16);
  PackedPretrained packed(definition, Arithmetic::kBf16);
  const auto difference = compare(definition, packed, 2);
  EXPECT_LT(difference.relative, 3e-2);
  EXPECT_LT(difference.memories, 3e-2);
  EXPECT_LT(difference.score, 0.003);
}

TEST_P(PackedPretrainedTest, Int8) {
  if (!cpu_supports(Arithmetic::kInt8)) GTEST_SKIP() << "this CPU has no VNNI";
  const c10::InferenceMode guard;
  const auto definition = random_network(GetParam(), at::kBFloat16);
  PackedPretrained packed(definition, Arithmetic::kInt8);
  const auto difference = compare(definition, packed, 2);
  EXPECT_LT(difference.relative, 8e-2);
  EXPECT_LT(difference.memories, 8e-2);
  EXPECT_LT(difference.score, 0.01);
}

INSTANTIATE_TEST_SUITE_P(
    Families, PackedPretrainedTest,
    testing::Values(
        Family{.name = "llama"}, Family{.name = "llama_three_blocks", .memory_blocks = 3},
        Family{.name = "llama_no_sinks", .sinks = 0},
        Family{.name = "llama_all_biases", .qkv_bias = true, .other_biases = true},
        Family{.name = "mistral", .memory_blocks = 3, .sinks = 0, .tied = false},
        Family{.name = "qwen2", .qkv_bias = true, .kv_heads = 1},
        Family{.name = "qwen3", .memory_blocks = 3, .qk_norm = true, .tied = false, .head_dim = 32},
        Family{.name = "odd_sizes", .dim = 130, .heads = 3, .kv_heads = 3, .head_dim = 10, .inner = 333},
        Family{.name = "wide_blocks",
               .memory_blocks = 2,
               .heads = 2,
               .kv_heads = 1,
               .head_dim = 64,
               .width = 150}),
    [](const auto& info) { return info.param.name; });

/// A network's results for documents in one launch: hidden states, memories, scores, entropies, top tokens.
struct Said {
  std::vector<at::Tensor> tensors;
  std::vector<std::vector<float>> logprobs, entropy, top_logprobs;
  std::vector<std::vector<std::int32_t>> top_ids, ranks;
  std::vector<std::vector<float>> mass;

  bool operator==(const Said& other) const {
    return std::ranges::equal(tensors, other.tensors,
                              [](const auto& a, const auto& b) { return a.equal(b); }) &&
           logprobs == other.logprobs && entropy == other.entropy && top_logprobs == other.top_logprobs &&
           top_ids == other.top_ids && ranks == other.ranks && mass == other.mass;
  }
};

constexpr std::int64_t kTop = 5;

/// A set of tokens; ids beyond it are no members.
std::vector<std::uint8_t> every_third(std::int64_t vocabulary) {
  std::vector<std::uint8_t> members(static_cast<std::size_t>(vocabulary - 1));
  for (std::size_t id = 0; id < members.size(); id += 3) members[id] = 1;
  return members;
}

/// tokens [documents, length]: whole blocks and a part of one.
Said read(Network& network, const at::Tensor& tokens) {
  const auto documents = static_cast<std::size_t>(tokens.size(0));
  Said said{{},
            std::vector<std::vector<float>>(documents),
            std::vector<std::vector<float>>(documents),
            std::vector<std::vector<float>>(documents),
            std::vector<std::vector<std::int32_t>>(documents),
            std::vector<std::vector<std::int32_t>>(documents),
            std::vector<std::vector<float>>(documents)};
  const auto members = every_third(network.shape().num_tokens);
  Recurrence recurrence;
  for (const auto& block : tokens.split(network.shape().block_width, 1)) {
    const auto hidden = network.forward_block(block, recurrence);
    const auto targets = block.to(at::kInt).contiguous();
    const auto length = static_cast<std::size_t>(block.size(1));
    std::vector<Scored> blocks;
    for (std::size_t i = 0; i < documents; ++i)
      blocks.push_back({{targets.const_data_ptr<std::int32_t>() + i * length, length},
                        &said.logprobs[i],
                        &said.entropy[i],
                        kTop,
                        &said.top_ids[i],
                        &said.top_logprobs[i],
                        &said.ranks[i],
                        members,
                        &said.mass[i]});
    network.score(hidden, blocks)();
    said.tensors.push_back(hidden);
    said.tensors.insert(said.tensors.end(), recurrence.memories.begin(), recurrence.memories.end());
  }
  return said;
}

TEST(PackedPretrained, ADocumentsBitsAreThoseThatItGetsAlone) {
  const c10::InferenceMode guard;
  const Family family{.name = "llama", .width = 40};
  for (const auto arithmetic : {Arithmetic::kFp32, Arithmetic::kBf16, Arithmetic::kInt8}) {
    if (!cpu_supports(arithmetic)) continue;
    const auto definition =
        random_network(family, arithmetic == Arithmetic::kFp32 ? at::kFloat : at::kBFloat16);
    PackedPretrained packed(definition, arithmetic);
    const auto tokens = at::randint(0, family.vocabulary, {3, 3 * family.width + 7}, at::kLong);
    const auto all = read(packed, tokens);
    for (std::int64_t i = 0; i < 3; ++i) {
      const auto alone = read(packed, tokens.narrow(0, i, 1));
      const auto row = static_cast<std::size_t>(i);
      EXPECT_EQ(all.logprobs[row], alone.logprobs[0]);
      EXPECT_EQ(all.entropy[row], alone.entropy[0]);
      EXPECT_EQ(all.top_ids[row], alone.top_ids[0]);
      EXPECT_EQ(all.ranks[row], alone.ranks[0]);
      EXPECT_EQ(all.mass[row], alone.mass[0]);
      EXPECT_EQ(all.top_logprobs[row], alone.top_logprobs[0]);
      ASSERT_EQ(all.tensors.size(), alone.tensors.size());
      for (std::size_t j = 0; j < all.tensors.size(); ++j) {
        const auto documents = all.tensors[j].dim() == 4 ? 1 : 0;
        EXPECT_TRUE(all.tensors[j].select(documents, i).equal(alone.tensors[j].select(documents, 0)));
      }
    }
  }
}

TEST(PackedPretrained, AnyNumberOfThreadsGivesTheSameBits) {
  const c10::InferenceMode guard;
  const Family family{.name = "llama", .dim = 128, .inner = 500, .vocabulary = 5000, .width = 256};
  const auto definition = random_network(family);
  const auto tokens = at::randint(0, family.vocabulary, {1, 600}, at::kLong);
  const auto threads = at::get_num_threads();
  std::vector<Said> said;
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    PackedPretrained packed(definition, Arithmetic::kFp32);
    said.push_back(read(packed, tokens));
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(said[0] == said[1]);
  EXPECT_TRUE(said[0] == said[2]);
}

TEST(PackedPretrained, EntropiesRanksMassesAndTopTokensAreThoseOfTheLogits) {
  const c10::InferenceMode guard;
  const Family family{.name = "llama"};
  PackedPretrained packed(random_network(family), Arithmetic::kFp32);
  const auto tokens = at::randint(0, family.vocabulary, {1, family.width}, at::kLong);
  const auto said = read(packed, tokens);
  const auto all = at::log_softmax(packed.logits(said.tensors.front()[0]), -1);
  for (std::int64_t row = 0; row < family.width; ++row) {
    const auto i = static_cast<std::size_t>(row);
    const auto [values, ids] = all[row].topk(kTop);
    EXPECT_NEAR(said.logprobs[0][i], all[row][tokens[0][row].item<std::int64_t>()].item<float>(), 1e-4);
    EXPECT_NEAR(said.entropy[0][i], -(all[row].exp() * all[row]).sum().item<float>(), 1e-4);
    const auto own = all[row][tokens[0][row].item<std::int64_t>()];
    EXPECT_EQ(said.ranks[0][i], 1 + (all[row] > own).sum().item<std::int64_t>());
    const auto members = every_third(family.vocabulary);
    double mass = 0;
    for (std::size_t id = 0; id < members.size(); ++id)
      mass += members[id] * std::exp(all[row][static_cast<std::int64_t>(id)].item<double>());
    EXPECT_NEAR(said.mass[0][i], std::log(mass), 1e-4);
    for (std::size_t k = 0; k < kTop; ++k) {
      const auto place = static_cast<std::int64_t>(k);
      EXPECT_EQ(said.top_ids[0][i * kTop + k], ids[place].item<std::int64_t>());
      EXPECT_NEAR(said.top_logprobs[0][i * kTop + k], values[place].item<float>(), 1e-4);
    }
  }
}

/// The padding of a smaller block's last tile holds data of a larger block.
TEST(PackedPretrained, AnInfinityInOneDocumentStaysThere) {
  const c10::InferenceMode guard;
  const Family family{.name = "llama"};
  PackedPretrained packed(random_network(family), Arithmetic::kFp32);
  const auto tokens = at::randint(0, family.vocabulary, {1, 5}, at::kLong);
  const auto expected = read(packed, tokens);
  Recurrence poisoned;
  packed.forward_block(at::zeros({1, family.width}, at::kLong), poisoned);
  poisoned.memories.front().fill_(std::numeric_limits<float>::infinity());
  packed.forward_block(at::zeros({1, family.width}, at::kLong), poisoned);
  EXPECT_TRUE(read(packed, tokens) == expected);
}

}  // namespace
}  // namespace unroll
