#include "model/pretrained/checkpoint.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include <ATen/ATen.h>

#include "model/pretrained/decode.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

fs::path pretrained_tests() {
  return fs::path(UNROLL_SOURCE_DIR) / "tests/model/pretrained";
}
fs::path golden(const std::string& name) {
  return pretrained_tests() / "golden" / name;
}
fs::path gguf(const std::string& name) {
  return pretrained_tests() / "gguf" / (name + ".gguf");
}

const std::string kEmbedding = "model.embed_tokens.weight";

/// Bitwise equality.
bool same(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.view(at::kInt).equal(b.view(at::kInt));
}

class BothForms : public testing::TestWithParam<const char*> {};

TEST_P(BothForms, GiveTheSameModel) {
  PretrainedCheckpoint folder(golden(GetParam())), file(gguf(GetParam()));
  auto expected = folder.config();
  if (expected.model_type == "mistral") expected.model_type = "llama";  // as GGUF calls it
  EXPECT_EQ(to_json(file.config()), to_json(expected));
  EXPECT_EQ(file.config(), expected);
  EXPECT_EQ(file.parameters(), folder.parameters());
  for (const auto& [name, shape] : expected_tensors(folder.config())) {
    const auto tensor = folder.tensor(name);
    EXPECT_EQ(tensor.sizes(), shape) << name;
    EXPECT_TRUE(tensor.is_contiguous());
    EXPECT_TRUE(same(file.tensor(name), tensor)) << name;
    EXPECT_GT(tensor.abs().max().item<float>(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, BothForms,
                         testing::Values("llama", "llama3_biases", "mistral", "qwen2", "qwen3"),
                         [](const auto& info) { return std::string(info.param); });

/// A copy of a golden folder, changed before it is opened.
class CheckpointFolder : public testing::Test {
 protected:
  CheckpointFolder() {
    for (const auto* file : {"config.json", "model.safetensors"})
      fs::copy_file(golden("llama") / file, folder_ / file);
    stored_ = map_safetensors(golden("llama") / "model.safetensors");
  }

  void change_config(const nlohmann::json& changes) {
    auto config = nlohmann::json::parse(read_file(folder_ / "config.json"));
    config.update(changes);
    write_file(folder_ / "config.json", config.dump());
  }
  StoredTensor& stored(const std::string& name) {
    return *std::ranges::find(stored_.tensors, name, &StoredTensor::name);
  }
  void write() { write_stored_tensors(folder_ / "model.safetensors", stored_.tensors, {}); }
  std::string error() {
    const auto text = error_of([&] { PretrainedCheckpoint{folder_.path()}; });
    EXPECT_THAT(text, HasSubstr(folder_.path().string()));
    return text;
  }
  std::uint64_t fingerprint(const ModelSettings& settings = {}) {
    return PretrainedCheckpoint(folder_.path(), settings).fingerprint();
  }

  /// Tensors alternate between two shards.
  nlohmann::json write_shards() {
    fs::remove(folder_ / "model.safetensors");
    std::vector<StoredTensor> shards[2];
    nlohmann::json map;
    for (std::size_t i = 0; i < stored_.tensors.size(); ++i) {
      shards[i % 2].push_back(stored_.tensors[i]);
      map[stored_.tensors[i].name] = i % 2 == 0 ? "a.safetensors" : "b.safetensors";
    }
    write_stored_tensors(folder_ / "a.safetensors", shards[0], {});
    write_stored_tensors(folder_ / "b.safetensors", shards[1], {});
    write_index(map);
    return map;
  }
  void write_index(const nlohmann::json& map) {
    write_file(folder_ / "model.safetensors.index.json",
               nlohmann::json{{"metadata", nlohmann::json::object()}, {"weight_map", map}}.dump());
  }

  TemporaryFolder folder_;
  SafetensorsFile stored_;
};

TEST_F(CheckpointFolder, ReadsShards) {
  write_shards();
  PretrainedCheckpoint sharded(folder_.path()), whole(golden("llama"));
  for (const auto& [name, shape] : expected_tensors(whole.config()))
    EXPECT_TRUE(same(sharded.tensor(name), whole.tensor(name))) << name;
}

TEST_F(CheckpointFolder, RefusesAnIndexThatIsWrong) {
  auto map = write_shards();
  auto changed = map;
  changed[kEmbedding] = "../a.safetensors";
  write_index(changed);
  EXPECT_THAT(error(), AllOf(HasSubstr("../a.safetensors"), HasSubstr("same folder")));
  changed[kEmbedding] = map[kEmbedding] == "a.safetensors" ? "b.safetensors" : "a.safetensors";
  write_index(changed);
  EXPECT_THAT(error(), AllOf(HasSubstr(kEmbedding), HasSubstr("does not list")));
  changed[kEmbedding] = "c.safetensors";
  write_index(changed);
  EXPECT_THAT(error(), Not(HasSubstr("damaged")));
  changed = map;
  changed.erase(kEmbedding);
  write_index(changed);
  EXPECT_THAT(error(), HasSubstr(kEmbedding));
  write_file(folder_ / "model.safetensors.index.json", "{}");
  EXPECT_THAT(error(), HasSubstr("weight_map"));
}

TEST_F(CheckpointFolder, SaysWhereWeightsAreMissing) {
  fs::remove(folder_ / "model.safetensors");
  EXPECT_THAT(error(), HasSubstr("has neither model.safetensors nor"));
  write_file(folder_ / "pytorch_model.bin", "");
  EXPECT_THAT(error(), HasSubstr("save the model as safetensors"));
  fs::remove(folder_ / "config.json");
  EXPECT_THAT(error(), HasSubstr("config.json"));
}

TEST_F(CheckpointFolder, ReadsHalfPrecision) {
  const auto expected = decode(stored(kEmbedding));
  for (const auto& [dtype, type] : {std::pair{"F16", at::kHalf}, std::pair{"BF16", at::kBFloat16}}) {
    const auto half = expected.to(type);
    auto& tensor = stored(kEmbedding);
    tensor.dtype = dtype;
    tensor.data = half.const_data_ptr();
    tensor.size = half.nbytes();
    write();
    EXPECT_TRUE(same(PretrainedCheckpoint(folder_.path()).tensor(kEmbedding), half.to(at::kFloat))) << dtype;
  }
}

TEST_F(CheckpointFolder, TellsAllThatIsWrongWithTheTensors) {
  change_config({{"intermediate_size", 20}, {"mlp_bias", true}});
  stored("model.norm.weight").name = "model.norm.strange";
  stored(kEmbedding).dtype = "I32";
  write();
  const auto text = error();
  EXPECT_THAT(text, AllOf(HasSubstr("missing: "), HasSubstr("mlp.down_proj.bias"),
                          HasSubstr("unknown: \"model.norm.strange\"")));
  EXPECT_THAT(text, AllOf(HasSubstr("[24,16] instead of [20,16]"), HasSubstr("I32"), HasSubstr("Q4_K")));
}

TEST_F(CheckpointFolder, RefusesNumbersThatAreNotFinite) {
  auto numbers = decode(stored(kEmbedding)).clone();
  numbers[3][2] = std::numeric_limits<float>::quiet_NaN();
  stored(kEmbedding).data = numbers.const_data_ptr();
  write();
  PretrainedCheckpoint checkpoint(folder_.path());
  EXPECT_THAT(error_of([&] { checkpoint.tensor(kEmbedding); }),
              AllOf(HasSubstr("model.safetensors"), HasSubstr(kEmbedding)));
}

TEST_F(CheckpointFolder, ATiedModelNeedsNoOutputMatrix) {
  change_config({{"tie_word_embeddings", true}});
  EXPECT_FALSE(expected_tensors(PretrainedCheckpoint(folder_.path()).config()).contains("lm_head.weight"));
  stored("lm_head.weight").name = "model.layers.0.self_attn.rotary_emb.inv_freq";  // old exports have it
  write();
  EXPECT_EQ(PretrainedCheckpoint(folder_.path()).parameters(),
            PretrainedCheckpoint(golden("llama")).parameters() - 40 * 16);
  change_config({{"tie_word_embeddings", false}});
  EXPECT_THAT(error(), HasSubstr("missing: lm_head.weight"));
}

TEST_F(CheckpointFolder, AnotherWeightOrSettingIsAnotherFingerprint) {
  const auto before = fingerprint();
  EXPECT_EQ(before, PretrainedCheckpoint(golden("llama")).fingerprint());
  PretrainedCheckpoint read(folder_.path());
  for (const auto& [name, shape] : expected_tensors(read.config())) read.tensor(name);
  EXPECT_EQ(read.fingerprint(), before);
  EXPECT_NE(fingerprint({{"attention_sinks", 3}}), before);

  std::set<std::uint64_t> seen{before};
  for (auto& tensor : stored_.tensors) {
    std::vector<char> bytes(static_cast<const char*>(tensor.data),
                            static_cast<const char*>(tensor.data) + tensor.size);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    const auto* original = std::exchange(tensor.data, bytes.data());
    write();
    EXPECT_TRUE(seen.insert(fingerprint()).second) << tensor.name;
    tensor.data = original;
  }
}

TEST_F(CheckpointFolder, IsToldApartFromOurOwn) {
  EXPECT_TRUE(is_pretrained(folder_.path()));
  EXPECT_TRUE(is_pretrained(gguf("llama")));
  EXPECT_FALSE(is_pretrained(golden_folder() / "defaults"));
  EXPECT_FALSE(is_pretrained(folder_ / "absent"));
  write_file(folder_ / "config.json", "{");
  EXPECT_THAT(error_of([&] { is_pretrained(folder_.path()); }), HasSubstr("config.json"));
}

TEST(Checkpoint, TellsTheTypeOfMostNumbers) {
  EXPECT_EQ(PretrainedCheckpoint(golden("llama")).stored_type(), "F32");
}

}  // namespace
}  // namespace unroll
