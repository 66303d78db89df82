// The loss of the shipped model with fewer bits, on text that it was not trained on: this project's manual.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "model/checkpoint.h"
#include "tests/training/fixture.h"
#include "training/evaluate.h"

namespace unroll {
namespace {

class Accuracy : public testing::TestWithParam<bool> {
 protected:
  /// The manual's pages, concatenated.
  static std::string manual() {
    std::vector<std::filesystem::path> pages;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(UNROLL_SOURCE_DIR) / "docs"))
      if (entry.path().extension() == ".md") pages.push_back(entry.path());
    std::ranges::sort(pages);
    std::string text;
    for (const auto& page : pages) text += read_file(page);
    return text.substr(0, 20'000);
  }
};

TEST_P(Accuracy, OfFewerBits) {
  const TemporaryFolder folder;
  const auto shipped = std::filesystem::path(UNROLL_SOURCE_DIR) / "models/unroll-small";
  for (const char* name : {"tokenizer.model", "model.safetensors"})
    std::filesystem::create_symlink(shipped / name, folder / name);
  auto config = load_model_config(shipped / "config.json");
  if (!GetParam()) config.document_cache_tokens = 0;  // the cache compensates for the network's loss
  write_file(folder / "config.json", to_json(config).dump());
  write_file(folder / "manual", manual());
  const auto bits = [&](const char* dtype) {
    return evaluate(folder.path(), folder / "manual", {"cpu", dtype, 1}).bits_per_byte;
  };
  const auto exact = bits("fp32");
  EXPECT_GT(exact, 0.5);
  EXPECT_LT(exact, 4);
  const auto bf16 = bits("bf16");
  EXPECT_NE(bf16, exact);
  EXPECT_NEAR(bf16 / exact, 1, 0.001);
  try {
    const auto int8 = bits("int8");
    EXPECT_NE(int8, exact);
    EXPECT_NEAR(int8 / exact, 1, 0.005);
    RecordProperty("int8", std::to_string(int8 / exact));
    EXPECT_EQ(bits("auto"), int8) << "it is stored so";
  } catch (const std::runtime_error& error) {
    GTEST_SKIP() << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Cache, Accuracy, testing::Bool(),
                         [](const auto& info) { return info.param ? "with" : "without"; });

}  // namespace
}  // namespace unroll
