#include "model/checkpoint.h"

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include "model/block_recurrent_transformer.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

ModelConfig small_config() {
  return parse_model_config({{"model_type", "block_recurrent_transformer"},
                             {"num_tokens", 40},
                             {"dim", 16},
                             {"depth", 2},
                             {"dim_head", 8},
                             {"heads", 2},
                             {"block_width", 8},
                             {"max_seq_len", 8},
                             {"use_compressed_mem", true}});
}

class Checkpoint : public testing::Test {
 protected:
  Checkpoint() : config(small_config()) {
    at::manual_seed(3);
    for (auto& [name, tensor] : parameters = random_parameters(config)) tensor.normal_();
  }

  std::filesystem::path file() const { return folder / "model.safetensors"; }
  /// The error of loading after `change` to the stored tensors.
  template <typename Change>
  std::string error_after(Change&& change) {
    save_checkpoint(folder.path(), config, parameters, "fp32");
    auto stored = read_safetensors(file());
    change(stored);
    write_safetensors(file(), stored);
    const auto error = error_of([&] { load_parameters(folder.path(), config); });
    EXPECT_THAT(error, HasSubstr(file().string()));
    return error;
  }

  TemporaryFolder folder;
  ModelConfig config;
  TensorMap parameters;
};

TEST(ExpectedParameters, AreThoseOfEveryGoldenCheckpoint) {
  int cases = 0;
  for (const auto& each : std::filesystem::directory_iterator(golden_folder())) {
    SCOPED_TRACE(each.path());
    const auto expected = expected_parameters(load_model_config(each.path() / "config.json"));
    const auto stored = read_safetensors(each.path() / "model.safetensors");
    EXPECT_EQ(stored.size(), expected.size());
    for (const auto& [name, tensor] : stored) {
      ASSERT_TRUE(expected.contains(name)) << name;
      EXPECT_EQ(tensor.sizes(), at::IntArrayRef(expected.at(name))) << name;
    }
    ++cases;
  }
  EXPECT_GE(cases, 16);
}

TEST_F(Checkpoint, Fp32ThereAndBackIsExact) {
  save_checkpoint(folder / "new/folder", config, parameters, "fp32");
  EXPECT_EQ(load_model_config(folder / "new/folder/config.json"), config);
  const auto loaded = load_parameters(folder / "new/folder", config);
  ASSERT_EQ(loaded.size(), parameters.size());
  for (const auto& [name, tensor] : parameters) EXPECT_TRUE(at::equal(loaded.at(name), tensor)) << name;
}

TEST_F(Checkpoint, Bf16IsRoundedOnce) {
  save_checkpoint(folder.path(), config, parameters, "bf16");
  const auto loaded = load_parameters(folder.path(), config);
  for (const auto& [name, tensor] : parameters) {
    EXPECT_EQ(loaded.at(name).scalar_type(), at::kFloat);
    EXPECT_TRUE(at::equal(loaded.at(name), tensor.to(at::kBFloat16).to(at::kFloat))) << name;
  }
}

TEST_F(Checkpoint, Int8IsWithinHalfAStepOfEachRow) {
  parameters["layers.0.0.to_q.weight"][3].zero_();
  parameters["layers.0.0.to_q.weight"][4].mul_(1000);
  save_checkpoint(folder.path(), config, parameters, "int8");
  EXPECT_EQ(read_safetensors(file()).at("layers.0.0.to_q.weight").scalar_type(), at::kChar);
  EXPECT_EQ(read_safetensors(file()).at("layers.0.0.state_container.init_state").scalar_type(),
            at::kBFloat16);
  const auto loaded = load_parameters(folder.path(), config);
  int matrices = 0;
  for (const auto& [name, tensor] : parameters) {
    ASSERT_EQ(loaded.at(name).scalar_type(), at::kFloat);
    if (tensor.dim() == 2 && name.ends_with(".weight")) {
      const auto half_step = tensor.abs().amax(1, true) / 254;
      EXPECT_TRUE(((loaded.at(name) - tensor).abs() <= half_step * 1.0001).all().item<bool>()) << name;
      ++matrices;
    } else {
      EXPECT_TRUE(at::equal(loaded.at(name), tensor.to(at::kBFloat16).to(at::kFloat))) << name;
    }
  }
  EXPECT_GT(matrices, 10);
}

TEST_F(Checkpoint, Fp16StorageIsRead) {
  save_checkpoint(folder.path(), config, parameters, "fp32");
  auto stored = read_safetensors(file());
  for (auto& [name, tensor] : stored) tensor = tensor.to(at::kHalf);
  write_safetensors(file(), stored);
  const auto loaded = load_parameters(folder.path(), config);
  for (const auto& [name, tensor] : loaded)
    EXPECT_TRUE(at::equal(tensor, parameters.at(name).to(at::kHalf).to(at::kFloat))) << name;
}

TEST_F(Checkpoint, LoadedParametersDoNotChangeWithTheFile) {
  save_checkpoint(folder.path(), config, parameters, "fp32");
  const auto loaded = load_parameters(folder.path(), config);
  std::fstream out(file(), std::ios::in | std::ios::out | std::ios::binary);  // in place, as cp does
  out << std::string(std::filesystem::file_size(file()), '\0') << std::flush;
  std::filesystem::resize_file(file(), 0);
  for (const auto& [name, tensor] : parameters) EXPECT_TRUE(at::equal(loaded.at(name), tensor)) << name;
}

TEST_F(Checkpoint, MissingUnknownAndMisshapenTensorsAreListed) {
  const auto error = error_after([](TensorMap& stored) {
    stored.erase("to_logits.1.weight");
    stored["to_logits.2.weight"] = at::zeros({1});
    stored["x.scale"] = at::zeros({1});
    stored["token_emb.weight"] = at::zeros({41, 16});
  });
  EXPECT_THAT(error, AllOf(HasSubstr("missing: to_logits.1.weight;"),
                           HasSubstr("unknown: \"to_logits.2.weight\", \"x.scale\";"),
                           HasSubstr("token_emb.weight [41,16] instead of [40,16]")));
}

TEST_F(Checkpoint, LongListsAreCut) {
  const auto error = error_after([](TensorMap& stored) { stored.clear(); });
  EXPECT_THAT(error, AllOf(HasSubstr("and 41 more"), HasSubstr("missing")));
  EXPECT_LT(error.size(), 600u);
}

TEST_F(Checkpoint, TypesThatParametersCannotHave) {
  EXPECT_THAT(error_after([](TensorMap& stored) {
                stored["token_emb.weight"] = at::zeros({40, 16}, at::kLong);
              }),
              AllOf(HasSubstr("token_emb.weight has the type Long"), HasSubstr("F32, BF16, F16 or I8")));
}

TEST_F(Checkpoint, Int8NeedsItsScales) {
  const auto int8 = at::zeros({40, 16}, at::kChar);
  EXPECT_THAT(error_after([&](TensorMap& stored) { stored["token_emb.weight"] = int8; }),
              HasSubstr("missing: token_emb.weight.scale"));
  for (const auto& scale : {at::ones({39}), at::ones({40}, at::kDouble), at::ones({40, 1})}) {
    EXPECT_THAT(error_after([&](TensorMap& stored) {
                  stored["token_emb.weight"] = int8;
                  stored["token_emb.weight.scale"] = scale;
                }),
                HasSubstr("token_emb.weight.scale is not F32 [40]"));
  }
  EXPECT_THAT(error_after([&](TensorMap& stored) {
                stored["to_logits.0.gamma"] = at::zeros({16}, at::kChar);
                stored["to_logits.0.gamma.scale"] = at::ones({16});
              }),
              HasSubstr("only matrices"));
  // A scale without an int8 tensor.
  EXPECT_THAT(error_after([&](TensorMap& stored) { stored["token_emb.weight.scale"] = at::ones({40}); }),
              HasSubstr("unknown: \"token_emb.weight.scale\""));
}

TEST_F(Checkpoint, ValuesThatAreNotFinite) {
  for (const double value : {NAN, INFINITY}) {
    EXPECT_THAT(error_after([&](TensorMap& stored) { stored["token_emb.weight"][7][7] = value; }),
                HasSubstr("token_emb.weight holds values that are not finite"));
  }
}

TEST_F(Checkpoint, WhatCouldNotBeLoadedIsNotWritten) {
  EXPECT_THAT(error_of([&] { save_checkpoint(folder.path(), config, parameters, "fp8"); }),
              HasSubstr("\"fp8\""));
  auto wrong = config;
  wrong.depth = 0;
  EXPECT_THAT(error_of([&] { save_checkpoint(folder.path(), wrong, parameters, "fp32"); }),
              HasSubstr("depth"));
  parameters.erase("token_emb.weight");
  EXPECT_THAT(error_of([&] { save_checkpoint(folder.path(), config, parameters, "fp32"); }),
              HasSubstr("missing: token_emb.weight"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(Checkpoint, AFolderThatCannotBeMade) {
  write_file(folder / "file", "");
  EXPECT_THAT(error_of([&] { save_checkpoint(folder / "file/x", config, parameters, "fp32"); }),
              HasSubstr("cannot be made"));
}

TEST_F(Checkpoint, NoFileAtAll) {
  EXPECT_THAT(error_of([&] { load_parameters(folder.path(), config); }),
              AllOf(HasSubstr(file().string()), HasSubstr("No such file")));
}

}  // namespace
}  // namespace unroll
