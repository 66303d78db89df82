// Training on a short text: it learns, validates, ends early, resumes to the last bit, and refuses to
// continue another run.
#include <cmath>
#include <fstream>
#include <stdexcept>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include "model/checkpoint.h"
#include "tests/training/fixture.h"
#include "training/loss_curve.h"
#include "training/schedule.h"
#include "training/trainer_state.h"
#include "training/validation.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(Training, LearnsAndWritesItsCurve) {
  const auto losses = train_to(options("out"), 12);
  ASSERT_EQ(losses.size(), 12u);
  EXPECT_NEAR(losses.front(), std::log(8192.0), 1.5) << "it begins knowing nothing";
  EXPECT_LT(losses.back(), losses.front() - 1);
  std::ifstream curve(folder / "out/trainer/loss.csv");
  std::string line;
  ASSERT_TRUE(std::getline(curve, line));
  EXPECT_EQ(line, "step,tokens,loss,learning_rate,validation_loss");
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
  TrainCallbacks callbacks;
  callbacks.step = [](const TrainProgress& progress) -> bool {
    if (progress.step == 8) throw Killed();
    return true;
  };
  EXPECT_THROW(train(killed, callbacks), Killed);
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
    // The only step changes a parameter by the learning rate, 1/3 of 1e-2 in warm-up.
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

TEST_F(Training, AccumulatedGradientsAreThoseOfTheWholeStep) {
  // Three documents of one full block each, side by side in one pass, or one after another in three.
  fs::remove_all(folder / "data");
  fs::create_directories(folder / "data");
  const auto vocabulary = Vocabulary::load(kVocabulary);
  for (const std::int32_t id : {300, 400, 500}) {
    const std::vector<std::int32_t> line(32, id);
    write_file(folder / "data" / std::to_string(id), vocabulary->decode(line));
  }
  auto once = options("once"), thrice = options("thrice");
  thrice.accumulate = once.lanes;
  thrice.lanes = 1;
  for (auto* each : {&once, &thrice}) {
    each->memory_dropout = each->state_dropout = 0;
    each->blocks_per_step = 1;
  }
  const auto losses = train_to(once, 1), accumulated = train_to(thrice, 1);
  EXPECT_NEAR(accumulated[0], losses[0], 1e-5);
  const auto moments = load_state(once.out / "trainer/checkpoint.safetensors").moments;
  for (const auto& [name, tensor] : load_state(thrice.out / "trainer/checkpoint.safetensors").moments)
    EXPECT_TRUE(at::allclose(tensor, moments.at(name), 1e-3, 1e-7)) << name;
}

TEST_F(Training, TheAverageOfTheWeightsIsTheModel) {
  auto averaged = options("averaged");
  averaged.average_decay = 0.9;
  train_to(averaged, 12);
  const auto state = load_state(averaged.out / "trainer/checkpoint.safetensors");
  ASSERT_EQ(state.average.size(), state.parameters.size());
  bool differs = false;
  for (const auto& [name, tensor] : load_parameters(averaged.out, averaged.config)) {
    EXPECT_TRUE(at::equal(tensor, state.average.at(name))) << name;
    differs = differs || !at::equal(tensor, state.parameters.at(name));
  }
  EXPECT_TRUE(differs);
}

TEST_F(Training, ValidatesKeepsTheBestAndEndsEarly) {
  // The validation text differs from the training text: its loss rises once the data is memorized.
  fs::create_directories(folder / "validation");
  write_file(folder / "validation/other",
             "Nobody expects the Spanish Inquisition, whose weapons are surprise.\n");
  auto validated = options("validated");
  validated.steps = 60;
  validated.learning_rate = 5e-2;
  validated.validation = folder / "validation";
  validated.validation_steps = 2;
  validated.patience = 3;
  TrainCallbacks callbacks;
  std::vector<double> losses;
  callbacks.step = [&](const TrainProgress& progress) {
    EXPECT_EQ(progress.validation_loss.has_value(), progress.step % 2 == 0);
    if (progress.validation_loss) losses.push_back(*progress.validation_loss);
    return true;
  };
  const auto result = train(validated, callbacks);
  ASSERT_TRUE(result.ended_early);
  EXPECT_LT(result.step, 60);
  EXPECT_EQ(result.best_step, result.step - 6) << "three validations after the best";
  EXPECT_LE(*result.best_bits_per_byte, *result.first_bits_per_byte);
  // The model in the folder is the best one.
  const auto documents = TokenFile(validated.out / "trainer/validation.tokens", kVocabulary);
  const Validation validation(documents.documents(), *Vocabulary::load(kVocabulary), validated.config,
                              "fp32");
  const auto loss = validation.loss(load_parameters(validated.out, validated.config));
  EXPECT_NEAR(validation.bits_per_byte(loss), *result.best_bits_per_byte, 1e-9);
  EXPECT_NE(losses.back(), *std::ranges::min_element(losses));
  EXPECT_TRUE(train_to(validated, 60).empty()) << "it has ended";
}

TEST_F(Training, BeginsFromAModelAndHoldsOutTheEndOfEachFile) {
  const auto base = options("base");
  train_to(base, 12);
  auto tuned = options("tuned");
  tuned.from = base.out;
  tuned.hold_out = 0.25;
  tuned.steps = 0;
  TrainCallbacks callbacks;
  callbacks.step = [](const TrainProgress&) { return false; };
  const auto result = train(tuned, callbacks);
  EXPECT_EQ(result.step, 1);
  EXPECT_EQ(result.steps, 50) << "by the size of the data: so little that it is the least";
  const auto parameters = load_parameters(base.out, base.config);
  const TokenFile tokens(tuned.out / "trainer/data.tokens", kVocabulary);
  const auto parts = hold_out(tokens.documents(), 0.25);
  const Validation validation(parts.validation, *Vocabulary::load(kVocabulary), base.config, "fp32");
  EXPECT_NEAR(*result.first_bits_per_byte, validation.bits_per_byte(validation.loss(parameters)), 1e-9);
  for (std::size_t i = 0; i < tokens.documents().size(); ++i) {
    const auto whole = tokens.documents()[i].tokens.size();
    EXPECT_EQ(parts.validation[i].tokens.size(), whole / 4);
    EXPECT_EQ(parts.training[i].tokens.size(), whole - whole / 4);
  }
  tuned.out = base.out;
  EXPECT_THAT(error_of([&] { train_to(tuned, 1); }), HasSubstr("--from and --out are the same folder"));
}

TEST(HoldOut, NeverMoreThanReadingTakesAMoment) {
  const std::vector<std::uint16_t> tokens(300'000, 7);
  const auto parts = hold_out({{"a", tokens}, {"b", tokens}}, 0.5);
  EXPECT_EQ(parts.validation[0].tokens.size(), 32768u);
  EXPECT_EQ(parts.training[1].tokens.size(), 300'000u - 32768u);
}

TEST_F(Training, ARunGoesOnWithItsOwnOptionsOnly) {
  train_to(options("out"), 6);
  const auto refused = [&](auto change) {
    auto other = options("out");
    change(other);
    return error_of([&] { train_to(other, 12); });
  };
  EXPECT_THAT(
      refused([](auto& other) { other.lanes = 2; }),
      AllOf(HasSubstr((folder / "out").string()), HasSubstr("--lanes (was 3, is 2)"), HasSubstr("--out")));
  EXPECT_THAT(refused([](auto& other) { other.seed = 2, other.piece_blocks = 5; }),
              AllOf(HasSubstr("--seed"), HasSubstr("--piece-blocks (was 4, is 5)")));
  EXPECT_THAT(refused([](auto& other) { other.config.dim = 48; }), HasSubstr("another shape"));
  EXPECT_THAT(refused([](auto& other) { other.config.ignore_index = -1; }), HasSubstr("--config"));
  fs::create_directories(folder / "other");
  write_file(folder / "other/text", text(9, 30));
  EXPECT_THAT(refused([&](auto& other) { other.data = folder / "other"; }), HasSubstr("--data"));

  auto longer = options("out");
  longer.steps = 13;
  std::vector<std::string> notes;
  TrainCallbacks callbacks;
  callbacks.step = [](const TrainProgress&) { return true; };
  callbacks.note = [&](const std::string& note) { notes.push_back(note); };
  EXPECT_EQ(train(longer, callbacks).step, 13);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], HasSubstr("--steps (was 12, is 13)"));
}

TEST_F(Training, ARunGoesOnWithTheTextThatItBeganWith) {
  const auto once = options("once"), grown = options("grown");
  const auto losses = train_to(once, 12);
  train_to(grown, 6);
  write_file(folder / "data/text-1", text(1, 99));  // one log grows, another is rotated away
  fs::remove(folder / "data/text-2");
  EXPECT_EQ(train_to(grown, 12), std::vector(losses.begin() + 6, losses.end()));
}

TEST_F(Training, GoesOnFromACheckpointWithoutARecordOfItsOptions) {
  // As in checkpoints before validation existed: a position of four values, and the speed in the curve.
  const auto once = options("once"), old = options("old");
  const auto losses = train_to(once, 12);
  train_to(old, 6);
  const auto file = old.out / "trainer/checkpoint.safetensors";
  auto tensors = read_safetensors(file);
  const auto& bytes = tensors.at("position");
  const auto* begin = bytes.const_data_ptr<std::uint8_t>();
  auto position = nlohmann::json::parse(begin, begin + bytes.numel());
  position.erase("options");
  position.erase("validation");
  const auto text = position.dump();
  tensors["position"] =
      at::tensor(at::ArrayRef(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  write_safetensors(file, TensorMap(tensors));
  std::ofstream(old.out / "trainer/loss.csv") << "step,tokens,loss,learning_rate,tokens_per_second\n"
                                              << "1,9,9.5,0.01,1300.5\n2,18,8.25,0.02,1200\n";
  fs::remove(old.out / "trainer/data.tokens");
  EXPECT_EQ(train_to(old, 12), std::vector(losses.begin() + 6, losses.end()));
  EXPECT_THAT(read_file(old.out / "trainer/loss.csv"), HasSubstr("\n1,9,9.5,0.01,\n2,18,8.25,0.02,\n7,"));
}

TEST(Schedule, WarmsUpThenFallsToTheFinalRate) {
  TrainOptions options;
  options.steps = 100;
  options.warmup_steps = 10;
  options.learning_rate = 1;
  options.final_learning_rate = 0.1;
  EXPECT_DOUBLE_EQ(learning_rate_after(options, 0), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate_after(options, 9), 1);
  EXPECT_DOUBLE_EQ(learning_rate_after(options, 10), 1);
  EXPECT_DOUBLE_EQ(learning_rate_after(options, 55), 0.55);
  EXPECT_DOUBLE_EQ(learning_rate_after(options, 100), 0.1);
}

TEST(LossPage, StandsAloneAndShowsBothCurves) {
  std::vector<LossRow> rows{{0, 0, {}, 0, 9}};
  for (int step = 1; step <= 3000; ++step)
    rows.push_back({step, 10 * step, 9.0 - step / 500.0, 1e-3,
                    step % 1000 == 0 ? std::optional(8.5 - step / 1000.0) : std::nullopt});
  const auto page = loss_page("a <b> & c", rows, 4000);
  EXPECT_THAT(page, AllOf(HasSubstr("<h1>a &lt;b> &amp; c</h1>"), HasSubstr("Step <b>3000</b> of 4000"),
                          HasSubstr("at best <b>5.5000</b> after step 3000"), HasSubstr("class=smooth")));
  EXPECT_EQ(page.find("http:"), std::string::npos);
  EXPECT_EQ(page.find("https:"), std::string::npos);
  EXPECT_LT(page.size(), 100'000u) << "many steps are thinned";
  std::size_t dots = 0;
  for (auto at = page.find("<circle"); at != std::string::npos; at = page.find("<circle", at + 1)) ++dots;
  EXPECT_EQ(dots, 4u) << "no validation is lost in that";
  EXPECT_THAT(loss_page("empty", {}, 0), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace unroll
