// Training on a text that fits on a screen: it learns, it resumes to the last bit, and what it leaves behind
// can be evaluated.
#include <cmath>
#include <fstream>
#include <map>
#include <numbers>
#include <set>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

#include "model/block_model.h"
#include "model/checkpoint.h"
#include "tests/model/testing.h"
#include "tokenizer/tokenizer.h"
#include "training/data.h"
#include "training/evaluate.h"
#include "training/optimizer.h"
#include "training/trainer.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

using testing::HasSubstr;

constexpr std::int64_t kIgnore = -100;
constexpr std::int64_t kBegin = 1;
const fs::path kVocabulary = fs::path(UNROLL_SOURCE_DIR) / "models/unroll-small/tokenizer.model";

/// Documents whose tokens tell which document and place they are: 1000 * (document + 1) + place.
std::vector<TokenDocument> numbered_documents(const std::vector<std::size_t>& lengths) {
  std::vector<TokenDocument> documents;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    documents.push_back({"folder/text-" + std::to_string(i), {}});
    for (std::size_t place = 0; place < lengths[i]; ++place) {
      documents.back().tokens.push_back(static_cast<std::uint16_t>(1000 * (i + 1) + place));
    }
  }
  return documents;
}

bool same(const LaneBlock& a, const LaneBlock& b) {
  return a.inputs == b.inputs && a.targets == b.targets && a.begins == b.begins;
}

std::string text(int seed, int lines) {
  std::string result;
  for (int i = 0; i < lines; ++i) {
    result += "line " + std::to_string(i % 10) + " of document " + std::to_string(seed) +
              " says that the server closed the connection\n";
  }
  return result;
}

TEST(Lanes, EveryTokenOnceAnEpoch) {
  constexpr std::int64_t kWidth = 4;
  const auto documents = numbered_documents({1, 4, 5, 23, 0, 40, 7});
  // One lane takes pieces in order, so that epochs can be told apart.
  Lanes lanes(documents, {}, 1, kWidth, 3, kIgnore, 9);
  const auto blocks_of = [](std::size_t tokens) { return (tokens + kWidth - 1) / kWidth; };
  std::size_t blocks = 0, total = 0;
  for (const auto& document : documents) {
    blocks += blocks_of(document.tokens.size());
    total += document.tokens.size();
  }
  std::vector<std::int64_t> first_order;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::multiset<std::int64_t> seen;
    std::vector<std::int64_t> order;
    for (std::size_t i = 0; i < blocks; ++i) {
      for (const auto target : lanes.next().targets) {
        if (target == kIgnore) continue;
        seen.insert(target);
        order.push_back(target);
      }
    }
    EXPECT_EQ(seen.size(), total);
    for (const auto& document : documents) {
      for (const auto token : document.tokens) EXPECT_EQ(seen.count(token), 1u) << token;
    }
    if (epoch == 0) first_order = order;
    EXPECT_EQ(order == first_order, epoch == 0) << "each epoch has an order of its own";
  }
}

TEST(Lanes, RowsGoOnAndTargetsAreInputsShiftedByOne) {
  constexpr std::int64_t kWidth = 4;
  constexpr int kLanes = 3;
  const auto documents = numbered_documents({1, 9, 5, 23, 40, 7});
  Lanes lanes(documents, {}, kLanes, kWidth, 3, kIgnore, 4);
  EXPECT_EQ(lanes.pieces(), 1 + 1 + 1 + 2 + 4 + 1);
  std::vector<std::int64_t> last(kLanes, kIgnore);
  std::vector<bool> ended(kLanes, true);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 60; ++i) {
    const auto block = lanes.next();
    ASSERT_EQ(block.inputs.size(), std::size_t{kLanes * kWidth});
    ASSERT_EQ(block.targets.size(), block.inputs.size());
    ASSERT_EQ(block.begins.size(), std::size_t{kLanes});
    for (std::size_t row = 0; row < kLanes; ++row) {
      const auto* inputs = &block.inputs[row * kWidth];
      const auto* targets = &block.targets[row * kWidth];
      ASSERT_NE(targets[0], kIgnore) << "no row is empty";
      if (ended[row]) {
        ASSERT_TRUE(block.begins[row]) << "a piece that ended is followed by a piece's begin";
      }
      if (block.begins[row]) {
        ASSERT_EQ(targets[0] % 1000 % (3 * kWidth), 0) << "pieces begin every three blocks";
      } else {
        ASSERT_EQ(inputs[0], last[row]);
      }
      ended[row] = false;
      for (std::int64_t k = 0; k < kWidth; ++k) {
        if (targets[k] == kIgnore) {
          ended[row] = true;
          continue;
        }
        ASSERT_FALSE(ended[row]) << "nothing comes behind a document's end in a block";
        ASSERT_EQ(inputs[k], targets[k] % 1000 == 0 ? kBegin : targets[k] - 1);
        last[row] = targets[k];
        seen.insert(targets[k]);
      }
      const auto length = documents[static_cast<std::size_t>(last[row] / 1000 - 1)].tokens.size();
      const auto next = static_cast<std::size_t>(last[row] % 1000 + 1);
      if (next == length || next % (3 * kWidth) == 0) ended[row] = true;
    }
  }
  EXPECT_EQ(seen.size(), 1u + 9 + 5 + 23 + 40 + 7);
}

TEST(Lanes, RepeatsCountByFileName) {
  auto documents = numbered_documents({5, 5, 5});
  documents[1].name = "text/log-1";
  documents[2].name = "log-folder/text";
  Lanes lanes(documents, {{"log-", 3}}, 1, 8, 4, kIgnore, 1);
  ASSERT_EQ(lanes.pieces(), 5);
  std::map<std::int64_t, int> times;
  for (int i = 0; i < 5; ++i) ++times[lanes.next().targets[0]];
  EXPECT_EQ(times, (std::map<std::int64_t, int>{{1000, 1}, {2000, 3}, {3000, 1}}));
}

TEST(Lanes, PositionGoesOnWhereItWas) {
  const auto documents = numbered_documents({1, 9, 5, 23, 40, 7});
  const auto make = [&](int lanes, std::uint64_t seed) {
    return Lanes(documents, {}, lanes, 4, 3, kIgnore, seed);
  };
  for (const int taken : {0, 1, 5, 17, 40}) {
    auto lanes = make(3, 4);
    for (int i = 0; i < taken; ++i) lanes.next();
    const auto position = nlohmann::json::parse(lanes.position().dump());
    auto restored = make(3, 4);
    restored.restore(position);
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(same(lanes.next(), restored.next())) << taken << ' ' << i;
  }
  EXPECT_THROW(make(2, 4).restore(make(3, 4).position()), std::runtime_error);
  const auto fewer = numbered_documents({1, 9});
  EXPECT_THROW(Lanes(fewer, {}, 3, 4, 3, kIgnore, 4).restore(make(3, 4).position()), std::runtime_error);
  EXPECT_FALSE(same(make(3, 4).next(), make(3, 5).next())) << "the seed matters";
}

TEST(Lanes, NothingToTrainOn) {
  EXPECT_THROW(Lanes(numbered_documents({0, 0}), {}, 1, 4, 1, kIgnore, 1), std::runtime_error);
}

TEST(LoadDocuments, TokensOfEveryFileAndACacheThatNotices) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "data/below");
  write_file(folder / "data/b", text(1, 5));
  write_file(folder / "data/below/a", std::string("\xFF\0 any bytes", 12));
  const auto load = [&] { return load_documents(folder / "data", kVocabulary, folder / "cache/tokens"); };
  const auto vocabulary = Vocabulary::load(kVocabulary);
  const auto text_of = [&](const TokenDocument& document) {
    return vocabulary->decode(std::vector<std::int32_t>(document.tokens.begin(), document.tokens.end()));
  };
  for (int i = 0; i < 2; ++i) {  // read, then from the cache
    const auto documents = load();
    ASSERT_EQ(documents.size(), 2u);
    EXPECT_EQ(documents[0].name, "b");
    EXPECT_EQ(documents[1].name, "below/a");
    EXPECT_EQ(text_of(documents[0]), text(1, 5));
    EXPECT_EQ(text_of(documents[1]), read_file(folder / "data/below/a"));
    EXPECT_TRUE(fs::exists(folder / "cache/tokens"));
  }
  write_file(folder / "data/b", text(1, 6));
  EXPECT_EQ(text_of(load()[0]), text(1, 6));
  const auto cache = read_file(folder / "cache/tokens");
  for (const auto& damaged :
       {std::string(), std::string("garbage\n"), std::string("3\n"), cache.substr(0, cache.size() - 1)}) {
    write_file(folder / "cache/tokens", damaged);
    const auto documents = load();
    ASSERT_EQ(documents.size(), 2u);
    EXPECT_EQ(text_of(documents[0]), text(1, 6));
  }
  fs::create_directories(folder / "empty");
  EXPECT_THROW(load_documents(folder / "empty", kVocabulary, folder / "cache/other"), std::runtime_error);
}

TEST(AdamW, OneStepAsThePaperSays) {
  // The first step is lr * sign(gradient), whatever its size, and decay is apart from it.
  auto matrix = at::full({2, 2}, 3.0), vector = at::full({2}, 3.0);
  TensorMap parameters{{"a.weight", matrix.set_requires_grad(true)},
                       {"a.gamma", vector.set_requires_grad(true)}};
  AdamW optimizer(parameters, 0.5);
  matrix.mutable_grad() = at::full({2, 2}, 0.25);
  vector.mutable_grad() = at::full({2}, -4.0);
  optimizer.step(0.1, 1e9);
  EXPECT_NEAR(matrix.detach().max().item<double>(), 3 * (1 - 0.1 * 0.5) - 0.1, 1e-5);
  EXPECT_NEAR(vector.detach().min().item<double>(), 3 + 0.1, 1e-5);
  EXPECT_FALSE(matrix.grad().defined());
}

TEST(AdamW, ClipsAllGradientsTogether) {
  auto a = at::zeros({1}), b = at::zeros({1});
  TensorMap parameters{{"a", a.set_requires_grad(true)}, {"b", b.set_requires_grad(true)}};
  AdamW optimizer(parameters, 0);
  a.mutable_grad() = at::full({1}, 3.0);
  b.mutable_grad() = at::full({1}, 4.0);
  optimizer.step(0.1, 1);
  // exp_avg is (1 - 0.9) times the gradient that was used: 3 / 5 and 4 / 5.
  EXPECT_NEAR(optimizer.moments().at("exp_avg.a").item<double>(), 0.06, 1e-6);
  EXPECT_NEAR(optimizer.moments().at("exp_avg.b").item<double>(), 0.08, 1e-6);
}

class Training : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    fs::create_directories(folder / "data");
    // Longer and shorter than a step, so that rows end, begin and go on.
    for (int i = 0; i < 5; ++i)
      write_file(folder / "data" / ("text-" + std::to_string(i)), text(i, 4 + 9 * i));
  }

  TrainOptions options(const std::string& out) const {
    TrainOptions result;
    result.data = folder / "data";
    result.vocabulary = kVocabulary;
    result.out = folder / out;
    result.config = parse_model_config({{"model_type", "block_recurrent_transformer"},
                                        {"num_tokens", 8192},
                                        {"dim", 32},
                                        {"depth", 2},
                                        {"heads", 2},
                                        {"dim_head", 16},
                                        {"block_width", 32},
                                        {"max_seq_len", 64}});
    result.steps = 12;
    result.lanes = 3;
    result.piece_blocks = 4;
    result.learning_rate = 1e-2;
    result.warmup_steps = 3;
    result.checkpoint_steps = 5;
    // Both draw from the random numbers that resuming has to carry over.
    result.memory_dropout = result.state_dropout = 0.2;
    result.dtype = "fp32";
    result.save_dtype = "fp32";
    result.threads = 1;
    return result;
  }

  /// Until `last`; the losses.
  static std::vector<double> train_to(const TrainOptions& options, std::int64_t last) {
    std::vector<double> losses;
    train(options, [&](const TrainProgress& progress) {
      EXPECT_EQ(progress.steps, options.steps);
      EXPECT_GT(progress.tokens, 0);
      losses.push_back(progress.loss);
      return progress.step < last;
    });
    return losses;
  }

  TemporaryFolder folder;
};

TEST_F(Training, LearnsAndWritesItsCurve) {
  const auto losses = train_to(options("out"), 12);
  ASSERT_EQ(losses.size(), 12u);
  EXPECT_NEAR(losses.front(), std::log(8192.0), 1.5) << "it begins knowing nothing";
  EXPECT_LT(losses.back(), losses.front() - 1);
  std::ifstream curve(folder / "out/trainer/loss.csv");
  std::string line;
  ASSERT_TRUE(std::getline(curve, line));
  EXPECT_EQ(line, "step,tokens,loss,learning_rate,tokens_per_second");
  for (int step = 1; step <= 12; ++step) {
    ASSERT_TRUE(std::getline(curve, line));
    EXPECT_TRUE(line.starts_with(std::to_string(step) + ",")) << line;
  }
  EXPECT_FALSE(std::getline(curve, line));
}

TEST_F(Training, ResumesToTheLastBit) {
  for (const std::string dtype : {"fp32", "bf16"}) {
    SCOPED_TRACE(dtype);
    auto once = options(dtype + "-once"), twice = options(dtype + "-twice");
    once.dtype = twice.dtype = dtype;
    const auto losses = train_to(once, 12);
    auto resumed = train_to(twice, 6);
    ASSERT_EQ(resumed.size(), 6u);
    const auto rest = train_to(twice, 12);
    ASSERT_EQ(rest.size(), 6u);
    resumed.insert(resumed.end(), rest.begin(), rest.end());
    EXPECT_EQ(resumed, losses);
    for (const auto* file :
         {"trainer/checkpoint.safetensors", "model.safetensors", "config.json", "tokenizer.model"}) {
      const auto bytes = read_file(once.out / file);
      EXPECT_FALSE(bytes.empty()) << file;
      EXPECT_TRUE(bytes == read_file(twice.out / file)) << file;
    }
    EXPECT_TRUE(train_to(once, 12).empty()) << "it is done";
  }
}

TEST_F(Training, WhatAKilledRunDidAfterItsLastCheckpointIsDoneAgainAndNotInTheCurveTwice) {
  struct Killed {};
  const auto once = options("once"), killed = options("killed");
  const auto losses = train_to(once, 12);
  EXPECT_THROW(train(killed,
                     [](const TrainProgress& progress) -> bool {
                       if (progress.step == 8) throw Killed();
                       return true;
                     }),
               Killed);
  EXPECT_EQ(train_to(killed, 12), std::vector(losses.begin() + 5, losses.end()));
  std::ifstream curve(folder / "killed/trainer/loss.csv");
  std::string line;
  std::getline(curve, line);
  for (int step = 1; step <= 12; ++step) {
    ASSERT_TRUE(std::getline(curve, line));
    EXPECT_TRUE(line.starts_with(std::to_string(step) + ",")) << line;
  }
  EXPECT_FALSE(std::getline(curve, line));
}

TEST_F(Training, NormalisedQueriesAndKeysBeginWithTheScaleThatIsAskedFor) {
  for (const double scale : {1.0, 8.0}) {
    auto asked = options("scale-" + std::to_string(scale));
    asked.qk_scale = scale;
    train_to(asked, 1);
    const auto parameters = load_parameters(asked.out, asked.config);
    // The one step that was taken changes a parameter by the learning rate, 1/3 of 1e-2 in warm-up.
    for (const auto* name : {"layers.0.0.attn.q_scale", "layers.0.0.attn.k_scale"})
      EXPECT_LT((parameters.at(name) - scale).abs().max().item<double>(), 1e-2) << name << ' ' << scale;
  }
}

TEST_F(Training, OptionsThatCannotBe) {
  auto wrong = options("out");
  wrong.dtype = "fp8";
  EXPECT_THAT(error_of([&] { train_to(wrong, 1); }), HasSubstr("--dtype"));
  wrong = options("out");
  wrong.vocabulary = folder / "none";
  EXPECT_THAT(error_of([&] { train_to(wrong, 1); }), HasSubstr((folder / "none").string()));
}

TEST_F(Training, EvaluationOfWhatWasTrained) {
  const auto trained = options("out");
  train_to(trained, 12);
  const auto file = folder / "data/text-4";
  const ModelOptions cpu{"cpu", "fp32", 1};
  std::uint64_t last = 0;
  const auto result = evaluate(trained.out, file, cpu, 0, [&](std::uint64_t bytes) { last = bytes; });

  const auto bytes = read_file(file);
  StreamingTokenizer tokenizer(Vocabulary::load(kVocabulary));
  std::vector<Token> tokens;
  tokenizer.append(bytes, tokens);
  tokenizer.finish(tokens);
  EXPECT_EQ(result.bytes, bytes.size());
  EXPECT_EQ(last, bytes.size());
  EXPECT_EQ(result.tokens, tokens.size());
  EXPECT_NE(tokens.size() % 32, 0u) << "the last block is to be a partial one";
  EXPECT_GT(result.tokens_per_second, 0);
  EXPECT_TRUE(std::isfinite(result.bits_per_byte));
  EXPECT_GT(result.bits_per_byte, 0);
  EXPECT_LT(result.nats / static_cast<double>(result.tokens), std::log(8192.0)) << "it has learned something";
  EXPECT_DOUBLE_EQ(result.bits_per_byte, result.nats / std::numbers::ln2 / static_cast<double>(bytes.size()));

  EXPECT_EQ(evaluate(trained.out, file, cpu).nats, result.nats);
  const auto reset = evaluate(trained.out, file, cpu, 64);
  EXPECT_EQ(reset.tokens, result.tokens);
  EXPECT_NE(reset.nats, result.nats) << "what came before counts";
  EXPECT_EQ(evaluate(trained.out, file, cpu, result.tokens).nats, result.nats);
}

TEST_F(Training, EvaluationOfLittleAndOfNothing) {
  const auto trained = options("out");
  train_to(trained, 1);
  const ModelOptions cpu{"cpu", "fp32", 1};
  write_file(folder / "empty", "");
  const auto empty = evaluate(trained.out, folder / "empty", cpu);
  EXPECT_EQ(empty.tokens, 0u);
  EXPECT_EQ(empty.bytes, 0u);
  EXPECT_EQ(empty.bits_per_byte, 0);
  write_file(folder / "byte", "a");
  EXPECT_EQ(evaluate(trained.out, folder / "byte", cpu).tokens, 1u);
  EXPECT_THAT(error_of([&] { evaluate(trained.out, folder / "none", cpu); }),
              HasSubstr((folder / "none").string()));
  EXPECT_THROW(evaluate(trained.out, folder.path(), cpu), std::runtime_error);
  EXPECT_THROW(evaluate(folder / "none", folder / "byte", cpu), std::runtime_error);
}

TEST_F(Training, Bench) {
  const auto trained = options("out");
  train_to(trained, 1);
  const auto result = bench(trained.out, {"cpu", "fp32", 1}, 2, 0.01);
  EXPECT_GT(result.tokens_per_second, 0);
  EXPECT_GT(result.peak_rss_bytes, 1u << 20);
  EXPECT_EQ(result.device, "cpu");
  EXPECT_EQ(result.batch, 2);
  EXPECT_THROW(bench(trained.out, {"cpu", "fp32", 1}, 0), std::runtime_error);
}

}  // namespace
}  // namespace unroll
