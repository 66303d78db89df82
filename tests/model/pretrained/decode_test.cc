#include "model/pretrained/decode.h"

#include <cstring>

#include <ATen/ATen.h>

#include "base/gguf_file.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

StoredTensor stored(const GgufFile& file, const std::string& name) {
  const auto* tensor = file.find_tensor(name);
  if (!tensor) throw std::runtime_error("no tensor " + name);
  return {name, tensor->type->name, tensor->shape, tensor->data.data(), tensor->data.size()};
}

class DecodeTest : public testing::TestWithParam<const char*> {};

/// Compares bitwise with what the Python package `gguf` decodes from the same blocks (make_gguf.py).
TEST_P(DecodeTest, GivesTheBitsOfThePackage) {
  const GgufFile file(std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/model/pretrained/blocks.gguf");
  const std::string type = GetParam();
  ASSERT_EQ(file.find_tensor(type)->type->name, type);
  const auto numbers = decode(stored(file, type));
  const auto expected = decode(stored(file, "expected." + type));
  ASSERT_EQ(numbers.sizes(), (std::vector<std::int64_t>{2, 512}));
  EXPECT_GT(expected.abs().max().item<float>(), 0);
  EXPECT_TRUE(numbers.view(at::kInt).equal(expected.view(at::kInt)))
      << (numbers - expected).abs().max().item<float>() << " apart";
}

INSTANTIATE_TEST_SUITE_P(Types, DecodeTest,
                         testing::Values("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K",
                                         "Q5_K", "Q6_K"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Decode, KnowsItsTypes) {
  EXPECT_TRUE(can_decode("F32"));
  EXPECT_FALSE(can_decode("IQ2_XS"));
  EXPECT_EQ(decodable_types(), "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K");
}

TEST(Decode, TakesNumbersThatAreNotAligned) {
  const float one = 1;
  std::string bytes(1 + sizeof one, '\0');
  std::memcpy(bytes.data() + 1, &one, sizeof one);
  EXPECT_EQ(decode({"it", "F32", {1}, bytes.data() + 1, sizeof one}).item<float>(), 1);
}

}  // namespace
}  // namespace unroll
