#include "base/gguf_file.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gguf_bytes.h"
#include "tests/temporary_folder.h"

namespace unroll {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t kF32 = 0, kQ8_0 = 8;

class GgufFileTest : public testing::Test {
 protected:
  std::string error_of(const std::string& bytes) {
    write_file(folder_ / "model.gguf", bytes);
    try {
      const GgufFile file(folder_ / "model.gguf");
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("model.gguf: "));
      return error.what();
    }
    return "";
  }
  GgufFile open(const GgufBytes& bytes) {
    write_file(folder_ / "model.gguf", bytes.build());
    return GgufFile(folder_ / "model.gguf");
  }

  TemporaryFolder folder_;
};

/// The file that the package `gguf` wrote (make_golden.py).
TEST_F(GgufFileTest, ReadsEveryKindOfValue) {
  const GgufFile file(std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/base/golden.gguf");
  EXPECT_EQ(file.string("general.architecture"), "llama");
  EXPECT_EQ(file.integer("uint8"), 200);
  EXPECT_EQ(file.integer("int8"), -100);
  EXPECT_EQ(file.integer("uint16"), 60'000);
  EXPECT_EQ(file.integer("int16"), -30'000);
  EXPECT_EQ(file.integer("uint32"), 4'000'000'000);
  EXPECT_EQ(file.integer("int32"), -2'000'000'000);
  EXPECT_EQ(file.integer("uint64"), INT64_MAX);
  EXPECT_EQ(file.integer("int64"), -(std::int64_t{1} << 62));
  EXPECT_EQ(file.number("float32"), static_cast<double>(0.1F));
  EXPECT_EQ(file.number("float64"), 0.1);
  EXPECT_EQ(file.number("int8"), -100);
  EXPECT_EQ(file.boolean("bool"), true);
  EXPECT_EQ(file.string("string"), "grün");
  EXPECT_THAT(file.strings("strings").value(), ElementsAre("", "a", "grün"));
  EXPECT_THAT(file.integers("integers").value(), ElementsAre(-1, 2, 3));
  EXPECT_THAT(file.numbers("numbers").value(), ElementsAre(0.5F, -0.25F));
  EXPECT_TRUE(file.has("flags"));
  EXPECT_FALSE(file.has("absent"));
  EXPECT_EQ(file.integer("absent"), std::nullopt);
  EXPECT_EQ(file.strings("absent"), std::nullopt);

  ASSERT_EQ(file.tensors().size(), 2);
  const auto* matrix = file.find_tensor("matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->type->name, "F32");
  EXPECT_THAT(matrix->shape, ElementsAre(2, 3));
  std::vector<float> numbers(6);
  ASSERT_EQ(matrix->data.size(), sizeof(float) * numbers.size());
  std::memcpy(numbers.data(), matrix->data.data(), matrix->data.size());
  EXPECT_THAT(numbers, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(file.find_tensor("halves")->type->name, "F16");
  EXPECT_EQ(file.find_tensor("halves")->data.size(), 8);
  EXPECT_EQ(file.find_tensor("absent"), nullptr);
}

TEST_F(GgufFileTest, RefusesValuesOfAnotherKind) {
  const auto file = open(GgufBytes()
                             .string("text", "a")
                             .integer("number", 1)
                             .value("large", 10, GgufBytes::number(~std::uint64_t{0}))
                             .array("texts", 8, 1, GgufBytes::text("a")));
  const auto error = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error([&] { file.integer("text"); }), AllOf(HasSubstr("model.gguf"), HasSubstr("\"text\"")));
  EXPECT_NE(error([&] { file.integer("large"); }), "");
  EXPECT_NE(error([&] { file.number("text"); }), "");
  EXPECT_NE(error([&] { file.boolean("number"); }), "");
  EXPECT_NE(error([&] { file.string("number"); }), "");
  EXPECT_NE(error([&] { file.string("texts"); }), "");
  EXPECT_NE(error([&] { file.strings("text"); }), "");
  EXPECT_NE(error([&] { file.integers("texts"); }), "");
  EXPECT_NE(error([&] { file.numbers("texts"); }), "");
}

TEST_F(GgufFileTest, ReadsVersion2AndGivenAlignment) {
  auto bytes = GgufBytes().integer("general.alignment", 8);
  bytes.version = 2;
  bytes.alignment = 8;
  bytes.tensor("a", {1}, kF32, GgufBytes::number(1.0F)).tensor("b", {32, 2}, kQ8_0, std::string(68, '\1'));
  const auto file = open(bytes);
  EXPECT_THAT(file.find_tensor("b")->shape, ElementsAre(2, 32));
  EXPECT_EQ(file.find_tensor("b")->data.size(), 68);
  EXPECT_EQ(static_cast<int>(file.find_tensor("b")->data[0]), 1);
}

GgufBytes small() {
  return GgufBytes()
      .string("text", "value")
      .array("list", 4, 2, std::string(8, '\0'))
      .tensor("matrix", {3, 2}, kF32, std::string(24, '\0'));
}

/// The error names the file, wherever the file ends.
TEST_F(GgufFileTest, RefusesAFileThatIsCutAnywhere) {
  const auto whole = small().build();
  ASSERT_EQ(error_of(whole), "");
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(error_of(whole.substr(0, size)), "") << size;
}

TEST_F(GgufFileTest, RefusesOtherFormats) {
  EXPECT_THAT(error_of("PK\3\4"), HasSubstr("does not begin with \"GGUF\""));
  auto bytes = small();
  bytes.version = 1;
  EXPECT_THAT(error_of(bytes.build()), HasSubstr("version 1"));
  bytes.version = 0x03000000;
  EXPECT_THAT(error_of(bytes.build()), HasSubstr("big-endian"));
}

TEST_F(GgufFileTest, RefusesCountsThatNoFileHas) {
  const auto huge = ~std::uint64_t{0};
  auto bytes = small();
  bytes.keys = huge;
  EXPECT_THAT(error_of(bytes.build()), HasSubstr("metadata keys"));
  bytes = small();
  bytes.tensors = huge;
  EXPECT_THAT(error_of(bytes.build()), HasSubstr("tensors"));
  EXPECT_NE(error_of(GgufBytes().array("list", 10, huge / 8 + 2, "").build()),
            "");  // times 8, it wraps around
  EXPECT_NE(error_of(GgufBytes().array("list", 8, huge, "").build()), "");
  EXPECT_NE(error_of(GgufBytes().value("text", 8, GgufBytes::number(huge)).build()), "");
}

TEST_F(GgufFileTest, RefusesWrongMetadata) {
  EXPECT_THAT(error_of(GgufBytes().integer("a", 1).integer("a", 1).build()), HasSubstr("\"a\" twice"));
  EXPECT_THAT(error_of(GgufBytes().value("a", 13, "").build()), HasSubstr("unknown value type 13"));
  EXPECT_THAT(error_of(GgufBytes().array("a", 9, 0, "").build()), HasSubstr("unknown value type 9"));
  EXPECT_THAT(error_of(GgufBytes().integer("general.alignment", 0).build()), HasSubstr("alignment"));
  EXPECT_THAT(error_of(GgufBytes().integer("general.alignment", 24).build()), HasSubstr("alignment"));
  EXPECT_THAT(error_of(GgufBytes().string("general.alignment", "32").build()), HasSubstr("alignment"));
}

TEST_F(GgufFileTest, RefusesWrongTensors) {
  const std::string data(64, '\0');
  const auto with = [&](auto describe) {
    GgufBytes bytes;
    bytes.data = data;
    describe(bytes);
    return error_of(bytes.build());
  };
  const auto one = [&](std::vector<std::uint64_t> dimensions, std::uint32_t type, std::uint64_t offset) {
    return with([&](GgufBytes& bytes) { bytes.describe("it", dimensions, type, offset); });
  };
  EXPECT_EQ(one({4, 4}, kF32, 0), "");
  EXPECT_EQ(one({}, kF32, 0), "");
  EXPECT_THAT(one({4, 5}, kF32, 0), HasSubstr("\"it\" takes 80 bytes"));
  EXPECT_THAT(one({4}, kF32, 64), HasSubstr("takes 16 bytes from byte 64"));
  EXPECT_THAT(one({4}, kF32, ~std::uint64_t{31}), HasSubstr("takes 16 bytes"));
  EXPECT_THAT(one({4}, kF32, 16), HasSubstr("multiple of 32"));
  EXPECT_THAT(one({0, 4}, kF32, 0), HasSubstr("impossible shape"));
  EXPECT_THAT(one({~std::uint64_t{0}, 2}, kF32, 0), HasSubstr("impossible shape"));
  EXPECT_THAT(one({std::uint64_t{1} << 32, std::uint64_t{1} << 32}, kF32, 0), HasSubstr("impossible shape"));
  EXPECT_THAT(one({1, 1, 1, 1, 1}, kF32, 0), HasSubstr("5 dimensions"));
  EXPECT_THAT(one({4}, 5, 0), HasSubstr("unknown type 5"));
  EXPECT_THAT(one({16, 2}, kQ8_0, 0), HasSubstr("rows of 16 numbers"));
  EXPECT_THAT(with([&](GgufBytes& bytes) { bytes.describe("a", {4}, kF32, 0).describe("a", {4}, kF32, 32); }),
              HasSubstr("\"a\" occurs twice"));
  EXPECT_THAT(with([&](GgufBytes& bytes) { bytes.describe("b", {4}, kF32, 32).describe("a", {9}, kF32, 0); }),
              HasSubstr("\"b\" overlaps tensor \"a\""));
  EXPECT_EQ(with([&](GgufBytes& bytes) { bytes.describe("b", {4}, kF32, 32).describe("a", {8}, kF32, 0); }),
            "");
}

TEST_F(GgufFileTest, RefusesWhatIsNoFile) {
  EXPECT_THROW(GgufFile(folder_ / "absent"), std::runtime_error);
  EXPECT_THROW(GgufFile(folder_.path()), std::runtime_error);
  EXPECT_THROW(GgufFile("/dev/null"), std::runtime_error);
}

TEST_F(GgufFileTest, AModelsPathStandsForItsOnlyGgufFile) {
  EXPECT_EQ(find_gguf(folder_ / "absent"), std::nullopt);
  EXPECT_EQ(find_gguf(folder_.path()), std::nullopt);
  write_file(folder_ / "a.gguf", "");
  write_file(folder_ / "config.json", "{}");
  EXPECT_EQ(find_gguf(folder_.path()), folder_ / "a.gguf");
  EXPECT_EQ(find_gguf(folder_ / "config.json"), folder_ / "config.json");
  write_file(folder_ / "b.gguf", "");
  EXPECT_THROW(find_gguf(folder_.path()), std::runtime_error);
  EXPECT_EQ(find_gguf(folder_ / "b.gguf"), folder_ / "b.gguf");
  write_file(folder_ / "model.safetensors", "");
  EXPECT_EQ(find_gguf(folder_.path()), std::nullopt);
}

}  // namespace
}  // namespace unroll
