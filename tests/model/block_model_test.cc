// BlockModel computes what the transformer computes, for any batch, and after any number of serializations of
// its state.
#include "model/block_model.h"

#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <random>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "model/block_recurrent_transformer.h"
#include "model/block_state.h"
#include "model/checkpoint.h"
#include "model/cpu/packed_matrix.h"
#include "model/device_states.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::int32_t kBegin = 1;
constexpr std::int64_t kWidth = 8;
constexpr double kTolerance = 1e-5;
constexpr std::array<std::uint8_t, 49> kMembers = {0, 1, 0, 0, 1, 1};  // of 50: ids beyond it are none
constexpr Wants kAll{.entropy = true, .hidden = true, .top_k = 3, .ranks = true, .members = kMembers};

ModelConfig small_config(bool compressed = false) {
  return three_layers({{"use_compressed_mem", compressed}, {"compressed_mem_factor", 4}});
}

std::vector<std::int32_t> random_tokens(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> tokens(count);
  for (auto& token : tokens) token = static_cast<std::int32_t>(random() % 50);
  return tokens;
}

/// Bitwise equality, unlike == on floats (NaN, signed zero).
void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(a[i]), std::bit_cast<std::uint32_t>(b[i])) << what << ' ' << i;
  }
}

void expect_same(const BlockOutput& a, const BlockOutput& b) {
  expect_same_bits(a.logprobs, b.logprobs, "logprobs");
  expect_same_bits(a.entropy, b.entropy, "entropy");
  expect_same_bits(a.hidden, b.hidden, "hidden");
  expect_same_bits(a.top_logprobs, b.top_logprobs, "top_logprobs");
  expect_same_bits(a.mass, b.mass, "mass");
  EXPECT_EQ(a.top_ids, b.top_ids);
  EXPECT_EQ(a.ranks, b.ranks);
  EXPECT_EQ(a.next->serialize(), b.next->serialize());
}

class BlockModelTest : public testing::Test {
 protected:
  void SetUp() override { save(small_config()); }

  void save(const ModelConfig& config, const std::string& storage = "fp32") {
    at::manual_seed(7);
    save_checkpoint(folder.path(), config, random_parameters(config), storage);
  }
  std::unique_ptr<BlockModel> load(const std::string& dtype = "fp32") const {
    return load_block_model(folder.path(), {"cpu", dtype, 1});
  }
  static BlockOutput run(BlockModel& model, const ModelStatePtr& state, std::span<const std::int32_t> tokens,
                         const Wants& wants = {}) {
    const BlockInput block{state, tokens, wants};
    auto outputs = model.run({&block, 1});
    EXPECT_EQ(outputs.size(), 1u);
    return std::move(outputs.front());
  }
  /// Reads all blocks of a document. With `through_bytes`, each state is serialized and restored by another
  /// instance.
  std::vector<BlockOutput> stream(std::span<const std::int32_t> tokens, bool through_bytes,
                                  const std::string& dtype = "fp32") const {
    auto model = load(dtype);
    std::vector<BlockOutput> outputs;
    ModelStatePtr state;
    while (!tokens.empty()) {
      const auto length = std::min<std::size_t>(tokens.size(), kWidth);
      outputs.push_back(run(*model, state, tokens.first(length), kAll));
      tokens = tokens.subspan(length);
      state = outputs.back().next;
      if (through_bytes) {
        const auto bytes = state->serialize();
        model = load(dtype);
        state = model->restore(bytes);
        EXPECT_EQ(state->serialize(), bytes);
      }
    }
    return outputs;
  }

  /// The transformer's own log-probabilities [count, num_tokens] at each position.
  at::Tensor reference(const std::vector<std::int32_t>& tokens) const {
    const c10::InferenceMode guard;
    const auto config = load_model_config(folder / "config.json");
    const BlockRecurrentTransformer model(config, load_parameters(folder.path(), config));
    std::vector<std::int64_t> inputs{kBegin};
    inputs.insert(inputs.end(), tokens.begin(), tokens.end() - 1);
    Recurrence recurrence;
    return at::log_softmax(model.forward(at::tensor(inputs).unsqueeze(0), recurrence), -1).squeeze(0);
  }

  TemporaryFolder folder;
};

TEST_F(BlockModelTest, LogprobsEntropyAndTopAreThoseOfTheTransformer) {
  for (const bool compressed : {false, true}) {
    save(small_config(compressed));
    const auto tokens = random_tokens(5 * kWidth + 3, 1);
    const auto expected = reference(tokens);
    std::int64_t place = 0;
    for (const auto& output : stream(tokens, false)) {
      ASSERT_EQ(output.entropy.size(), output.logprobs.size());
      ASSERT_EQ(output.hidden.size(), output.logprobs.size() * 16);
      ASSERT_EQ(output.top_ids.size(), output.logprobs.size() * 3);
      ASSERT_EQ(output.top_logprobs.size(), output.logprobs.size() * 3);
      for (std::size_t i = 0; i < output.logprobs.size(); ++i, ++place) {
        const auto row = expected[place];
        const auto token = tokens[static_cast<std::size_t>(place)];
        EXPECT_NEAR(output.logprobs[i], row[token].item<double>(), kTolerance) << place;
        EXPECT_NEAR(output.entropy[i], -(row.exp() * row).sum().item<double>(), kTolerance) << place;
        double mass = 0;
        for (std::size_t id = 0; id < kMembers.size(); ++id)
          mass += kMembers[id] * std::exp(row[static_cast<std::int64_t>(id)].item<double>());
        EXPECT_NEAR(output.mass[i], std::log(mass), kTolerance) << place;
        EXPECT_EQ(output.ranks[i], 1 + (row > row[token]).sum().item<std::int64_t>()) << place;
        const auto sorted = std::get<0>(row.sort(0, true));
        for (std::size_t k = 0; k < 3; ++k) {
          const auto logprob = output.top_logprobs[3 * i + k];
          EXPECT_NEAR(logprob, sorted[static_cast<std::int64_t>(k)].item<double>(), kTolerance) << place;
          EXPECT_NEAR(logprob, row[output.top_ids[3 * i + k]].item<double>(), kTolerance) << place;
        }
      }
    }
    EXPECT_EQ(place, static_cast<std::int64_t>(tokens.size()));
  }
}

TEST_F(BlockModelTest, HiddenIsWhatTheTokenIsPredictedFrom) {
  const c10::InferenceMode guard;
  const auto config = small_config();
  const BlockRecurrentTransformer transformer(config, load_parameters(folder.path(), config));
  const auto tokens = random_tokens(kWidth, 2);
  const auto output = run(*load(), nullptr, tokens, {.hidden = true});
  const auto hidden = at::tensor(output.hidden).view({kWidth, config.dim});
  const auto logprobs = at::log_softmax(transformer.to_logits(hidden), -1);
  for (std::int64_t i = 0; i < kWidth; ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT_NEAR(logprobs[i][tokens[at]].item<double>(), output.logprobs[at], kTolerance);
  }
}

TEST_F(BlockModelTest, NothingThatIsNotWanted) {
  const auto model = load();
  const auto tokens = random_tokens(kWidth, 3);
  const auto plain = run(*model, nullptr, tokens);
  EXPECT_EQ(plain.logprobs.size(), tokens.size());
  EXPECT_TRUE(plain.entropy.empty() && plain.hidden.empty() && plain.top_ids.empty() &&
              plain.top_logprobs.empty() && plain.ranks.empty() && plain.mass.empty());
  const auto all = run(*model, nullptr, tokens, {.entropy = true, .hidden = true, .top_k = 1000});
  expect_same_bits(plain.logprobs, all.logprobs, "logprobs");
  EXPECT_EQ(all.top_ids.size(), tokens.size() * 50);  // no more than the vocabulary has
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    double total = 0;
    for (std::size_t k = 0; k < 50; ++k) total += std::exp(all.top_logprobs[50 * i + k]);
    EXPECT_NEAR(total, 1, kTolerance);
  }
}

TEST_F(BlockModelTest, AStateThroughBytesGoesOnWithTheSameBits) {
  for (const std::string dtype : {"fp32", "bf16"}) {
    for (const bool compressed : {false, true}) {
      save(small_config(compressed));
      for (const std::size_t count : {std::size_t{3}, std::size_t{kWidth}, std::size_t{6 * kWidth + 5}}) {
        const auto tokens = random_tokens(count, 4);
        const auto direct = stream(tokens, false, dtype);
        const auto restored = stream(tokens, true, dtype);
        ASSERT_EQ(direct.size(), restored.size());
        for (std::size_t i = 0; i < direct.size(); ++i) {
          SCOPED_TRACE(dtype + " compressed " + std::to_string(compressed) + " block " + std::to_string(i));
          expect_same(direct[i], restored[i]);
        }
      }
    }
  }
}

TEST_F(BlockModelTest, WithACacheTheSameHoldsAndWhatComesAgainIsLikelier) {
  auto tokens = random_tokens(7 * kWidth, 5);
  const auto again = tokens;
  tokens.insert(tokens.end(), again.begin(), again.end());
  const auto plain = stream(tokens, false);
  auto config = small_config();
  config.document_cache_tokens = 75;
  save(config);
  const auto direct = stream(tokens, false), restored = stream(tokens, true);
  double before = 0, after = 0;
  for (std::size_t i = 0; i < direct.size(); ++i) {
    SCOPED_TRACE("block " + std::to_string(i));
    expect_same(direct[i], restored[i]);
    expect_same_bits(direct[i].hidden, plain[i].hidden, "hidden");
    for (std::size_t k = 0; k < direct[i].logprobs.size(); ++k) {
      if (i >= 7) before -= plain[i].logprobs[k], after -= direct[i].logprobs[k];
      // The wider wants see the same distribution.
      for (int top = 0; top < 3; ++top) {
        if (direct[i].top_ids[3 * k + top] != tokens[i * kWidth + k]) continue;
        EXPECT_NEAR(direct[i].top_logprobs[3 * k + top], direct[i].logprobs[k], kTolerance);
        EXPECT_EQ(direct[i].ranks[k], top + 1);
      }
    }
  }
  EXPECT_LT(after, before / 2);
  const auto model = load();
  const auto narrow = run(*model, direct[6].next, std::span(tokens).subspan(7 * kWidth, kWidth));
  expect_same_bits(narrow.logprobs, direct[7].logprobs, "logprobs");
  EXPECT_GE(model->info().state_bytes, direct.back().next->bytes());
}

TEST_F(BlockModelTest, TheStateMatters) {
  const auto model = load();
  const auto tokens = random_tokens(2 * kWidth, 5);
  const auto second = std::span(tokens).subspan(kWidth);
  const auto first = run(*model, nullptr, std::span(tokens).first(kWidth));
  const auto before = first.next->serialize();
  EXPECT_NE(run(*model, first.next, second).logprobs, run(*model, nullptr, second).logprobs);
  EXPECT_EQ(first.next->serialize(), before) << "a state is immutable";
}

/// The outputs of a block's tokens from `first` on.
BlockOutput from(BlockOutput output, std::size_t first) {
  const auto rows = output.logprobs.size();
  const auto cut = [&](auto& values) {
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / rows * first));
  };
  for (auto* floats : {&output.logprobs, &output.entropy, &output.hidden, &output.top_logprobs, &output.mass})
    cut(*floats);
  cut(output.top_ids);
  cut(output.ranks);
  return output;
}

TEST_F(BlockModelTest, BlocksThatBeginAlikeGiveTheSameBits) {
  for (const std::string dtype : {"fp32", "bf16", "int8"}) {
    if (dtype == "int8" && !cpu_supports(Arithmetic::kInt8)) continue;
    for (const int cache_tokens : {0, 75}) {
      auto config = small_config();
      config.document_cache_tokens = cache_tokens;
      save(config);
      const auto model = load(dtype), fresh = load(dtype);
      const auto after_block = run(*model, nullptr, random_tokens(kWidth, 30)).next;
      for (const auto& state : {ModelStatePtr(), after_block}) {
        const auto prefix = random_tokens(kWidth - 3, 31);
        for (unsigned seed = 0; seed < 4; ++seed) {  // the first ones find nothing
          std::vector<std::vector<std::int32_t>> tokens;
          std::vector<BlockInput> blocks;
          for (std::size_t i = 0; i < 6; ++i) {
            tokens.push_back(prefix);
            const auto more = random_tokens(i % 3 + 1, 40 * seed + static_cast<unsigned>(i));
            tokens.back().insert(tokens.back().end(), more.begin(), more.end());
          }
          for (std::size_t i = 0; i < tokens.size(); ++i) {
            const auto& wants = i == 4 ? Wants{} : kAll;
            const auto first = i == 5 ? prefix.size() - 2 : i == 3 ? 0 : prefix.size();
            blocks.push_back({state, tokens[i], wants, first, i != 2});
          }
          const auto outputs = model->run(blocks);
          for (std::size_t i = 0; i < blocks.size(); ++i) {
            SCOPED_TRACE(dtype + ' ' + std::to_string(cache_tokens) + ' ' + std::to_string(i));
            expect_same(outputs[i], from(run(*fresh, state, tokens[i], blocks[i].wants), blocks[i].first));
          }
        }
      }
      // A block that grows.
      const auto tokens = random_tokens(kWidth, 32);
      for (std::size_t length = 1, seen = 0; length <= kWidth; seen = length, length += 2) {
        SCOPED_TRACE(length);
        const auto so_far = std::span(tokens).first(length);
        const BlockInput block{after_block, so_far, kAll, seen, true};
        expect_same(model->run({&block, 1}).front(), from(run(*fresh, after_block, so_far, kAll), seen));
      }
    }
  }
}

TEST_F(BlockModelTest, ABatchGivesTheSameBitsAsOneByOne) {
  const auto model = load();
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<BlockInput> blocks;
  std::vector<BlockOutput> alone;
  for (unsigned i = 0; i < 5; ++i) tokens.push_back(random_tokens(i == 3 ? 2 : kWidth, 10 + i));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    // Some documents continue, some begin; some want everything, some nothing.
    ModelStatePtr state;
    if (i % 2 == 1) state = run(*model, nullptr, random_tokens(kWidth, 20)).next;
    blocks.push_back({state, tokens[i], i == 1 ? Wants{} : kAll});
    alone.push_back(run(*model, state, tokens[i], blocks.back().wants));
  }
  const auto together = model->run(blocks);
  ASSERT_EQ(together.size(), alone.size());
  for (std::size_t i = 0; i < alone.size(); ++i) {
    SCOPED_TRACE(i);
    expect_same(together[i], alone[i]);
  }
  EXPECT_TRUE(model->run({}).empty());
}

TEST_F(BlockModelTest, ABatchGivesTheSameBitsWhereKernelsAreBlockedAndThreaded) {
  auto config = parse_model_config({{"model_type", "block_recurrent_transformer"},
                                    {"num_tokens", 1000},
                                    {"dim", 128},
                                    {"depth", 2},
                                    {"dim_head", 64},
                                    {"heads", 4},
                                    {"block_width", 96},
                                    {"max_seq_len", 192},
                                    {"recurrent_layers", {1}},
                                    {"num_state_vectors", 96}});
  save(config);
  const auto threads_before = at::get_num_threads();
  for (const auto* dtype : {"fp32", "bf16"}) {
    for (const int threads : {1, 2}) {
      SCOPED_TRACE(std::string(dtype) + ", threads: " + std::to_string(threads));
      const auto model = load_block_model(folder.path(), {"cpu", dtype, threads});
      std::vector<std::vector<std::int32_t>> tokens;
      std::vector<BlockInput> blocks;
      // Two full blocks and a last one of three sizes, each size shared by several documents.
      for (unsigned i = 0; i < 9; ++i) tokens.push_back(random_tokens(96, i));
      for (const auto& text : tokens) blocks.push_back({nullptr, text, kAll});
      for (int round = 0; round < 3; ++round) {
        if (round == 2) {
          for (std::size_t i = 0; i < blocks.size(); ++i)
            blocks[i].tokens = std::span(tokens[i]).first(96 - 40 * (i % 3));
        }
        const auto together = model->run(blocks);
        for (std::size_t i = 0; i < blocks.size(); ++i) {
          SCOPED_TRACE(i);
          expect_same(together[i], std::move(model->run({&blocks[i], 1}).front()));
        }
        for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].state = together[i].next;
      }
    }
  }
  at::set_num_threads(threads_before);
}

TEST_F(BlockModelTest, AStateOfABatchHoldsNothingOfTheOthers) {
  const auto model = load();
  const auto first = random_tokens(kWidth, 1), second = random_tokens(kWidth, 2);
  const BlockInput blocks[] = {{nullptr, first, {}}, {nullptr, second, {}}};
  const auto outputs = model->run(blocks);
  const auto& state = dynamic_cast<const BlockState&>(*outputs[0].next);
  const auto recurrence = state.recurrence();
  for (const auto* tensors : {&recurrence->memories, &recurrence->states}) {
    EXPECT_FALSE(tensors->empty());
    for (const auto& tensor : *tensors) EXPECT_EQ(tensor.storage().nbytes(), tensor.nbytes());
  }
}

TEST_F(BlockModelTest, TheOldestStatesLeaveTheDeviceAndGoOnAsTheyWere) {
  const auto model = load();
  const auto tokens = random_tokens(kWidth, 1);
  std::vector<std::shared_ptr<const BlockState>> states;
  for (int i = 0; i < 4; ++i)
    states.push_back(std::dynamic_pointer_cast<const BlockState>(
        model->run(std::array{BlockInput{nullptr, tokens, {}}}).front().next));
  const auto expected = model->run(std::array{BlockInput{states[1], tokens, {}}}).front();
  const auto bytes = states[1]->serialize();

  DeviceStates on_device(2 * states[0]->device_bytes());
  for (const auto& state : states) on_device.add(state);
  states[0].reset();  // its document is done: it needs no room
  EXPECT_EQ(on_device.make_room(), 1U);
  EXPECT_TRUE(states[1]->is_spilled());
  EXPECT_EQ(states[1]->device_bytes(), 0U);
  EXPECT_FALSE(states[2]->is_spilled() || states[3]->is_spilled());
  EXPECT_EQ(on_device.make_room(), 0U);

  EXPECT_EQ(states[1]->serialize(), bytes);
  expect_same(model->run(std::array{BlockInput{states[1], tokens, {}}}).front(), expected);
}

TEST_F(BlockModelTest, Info) {
  save(small_config(true));
  const auto model = load();
  const auto& info = model->info();
  EXPECT_EQ(info.name, folder.path().filename().string());
  EXPECT_EQ(std::tie(info.num_tokens, info.dim, info.depth, info.block_width),
            std::make_tuple(50, 16, 3, kWidth));
  EXPECT_EQ(info.device, "cpu");
  EXPECT_EQ(info.dtype, "fp32");
  EXPECT_GT(info.parameters, 0);
  std::size_t most = 0;
  for (const auto& output : stream(random_tokens(9 * kWidth + 1, 6), false)) {
    most = std::max(most, output.next->bytes());
  }
  EXPECT_EQ(most, info.state_bytes);
}

TEST_F(BlockModelTest, BlocksThatCannotBeRun) {
  const auto model = load();
  const auto tokens = random_tokens(kWidth + 1, 7);
  EXPECT_THROW(run(*model, nullptr, tokens), std::invalid_argument);
  EXPECT_THROW(run(*model, nullptr, std::span(tokens).first(0)), std::invalid_argument);
  for (const std::int32_t bad : {-1, 50}) {
    EXPECT_THROW(run(*model, nullptr, std::span(&bad, 1)), std::invalid_argument) << bad;
  }
}

TEST_F(BlockModelTest, DamagedStatesAreRefused) {
  const auto model = load();
  const auto bytes = run(*model, nullptr, random_tokens(kWidth, 8)).next->serialize();
  ASSERT_NO_THROW(model->restore(bytes));
  for (std::size_t size = 0; size < bytes.size(); size += size < 100 ? 1 : 37) {
    EXPECT_THROW(model->restore(std::span(bytes).first(size)), std::runtime_error) << size;
  }
  auto longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_THROW(model->restore(longer), std::runtime_error);
  for (std::size_t place = 0; place < bytes.size(); place += place < 100 ? 1 : 37) {
    auto damaged = bytes;
    damaged[place] ^= std::byte{0x81};
    EXPECT_THROW(model->restore(damaged), std::runtime_error) << place;
  }
}

TEST_F(BlockModelTest, StatesOfAnotherModelAreRefused) {
  const auto model = load();
  const auto tokens = random_tokens(kWidth, 9);
  const TemporaryFolder other;
  const auto restore_from = [&](const std::function<void(nlohmann::json&)>& change, std::uint64_t seed = 7) {
    auto json = to_json(small_config());
    change(json);
    const auto config = parse_model_config(json);
    at::manual_seed(seed);
    save_checkpoint(other.path(), config, random_parameters(config), "fp32");
    const auto theirs = load_block_model(other.path(), {"cpu", "fp32", 1});
    const auto length = static_cast<std::size_t>(theirs->info().block_width);
    model->restore(run(*theirs, nullptr, std::span(tokens).first(length)).next->serialize());
  };
  EXPECT_NO_THROW(restore_from([](auto&) {}));
  EXPECT_THROW(restore_from([](auto&) {}, 8), std::runtime_error) << "of the same shape, with other numbers";
  EXPECT_THROW(restore_from([](auto& json) { json["document_cache_tokens"] = 9; }), std::runtime_error);
  EXPECT_THROW(restore_from([](auto& json) { json["depth"] = 4; }), std::runtime_error);
  EXPECT_THROW(restore_from([](auto& json) { json["num_state_vectors"] = 5; }), std::runtime_error);
  EXPECT_THROW(restore_from([](auto& json) { json["block_width"] = 4; }), std::runtime_error);
  EXPECT_THROW(restore_from([](auto& json) {
                 json["recurrent_layers"] = {1, 2};
                 json["read_recurrent_layers"] = {1, 2};
               }),
               std::runtime_error);
}

TEST_F(BlockModelTest, EveryStorageLoads) {
  const auto tokens = random_tokens(kWidth, 11);
  const auto exact = run(*load(), nullptr, tokens).logprobs;
  for (const std::string storage : {"bf16", "int8"}) {
    save(small_config(), storage);
    const auto rounded = run(*load(), nullptr, tokens).logprobs;
    EXPECT_NE(rounded, exact) << storage;
    for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(rounded[i], exact[i], 0.1) << storage;
  }
}

TEST_F(BlockModelTest, CheckpointsThatCannotBeLoadedAreNamed) {
  const auto error_for = [](const std::filesystem::path& directory) {
    return error_of([&] { load_block_model(directory, {"cpu", "fp32", 1}); });
  };
  EXPECT_THAT(error_for(folder / "missing"), HasSubstr((folder / "missing" / "config.json").string()));

  const auto config = folder / "config.json", weights = folder / "model.safetensors";
  const auto whole_config = read_file(config), whole_weights = read_file(weights);
  for (const auto& text : {std::string(), std::string("{"), whole_config.substr(0, whole_config.size() / 2),
                           std::string(1000, '\xFF')}) {
    write_file(config, text);
    EXPECT_THAT(error_for(folder.path()), HasSubstr(config.string()));
  }
  write_file(config, whole_config);
  for (const auto& bytes : {std::string(), std::string(1000, '\xFF'), whole_weights.substr(0, 100),
                            whole_weights.substr(0, whole_weights.size() - 1)}) {
    write_file(weights, bytes);
    EXPECT_THAT(error_for(folder.path()), HasSubstr(weights.string()));
  }
  std::filesystem::remove(weights);
  EXPECT_THAT(error_for(folder.path()), HasSubstr(weights.string()));
}

TEST_F(BlockModelTest, OptionsThatAreNotThereAreNamed) {
  const auto error_for = [&](const ModelOptions& options) {
    return error_of([&] { load_block_model(folder.path(), options); });
  };
  EXPECT_THAT(error_for({"tpu", "fp32", 1}), AllOf(HasSubstr("tpu"), HasSubstr("cpu")));
  EXPECT_THAT(error_for({"cpu", "fp8", 1}), AllOf(HasSubstr("fp8"), HasSubstr("bf16")));
}

}  // namespace
}  // namespace unroll
