#include "model/safetensors.h"

#include <cstring>
#include <random>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/resource.h>

#include "tests/model/testing.h"

namespace unroll {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string length_bytes(std::uint64_t length) {
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes;
}

std::string file_bytes(const std::string& header, std::size_t data_size) {
  return length_bytes(header.size()) + header + std::string(data_size, '\1');
}

TensorMap every_type() {
  TensorMap tensors;
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                          at::kChar, at::kByte}) {
    tensors[std::string("of ") + c10::toString(type)] = at::arange(15, at::kFloat).view({3, 5}).to(type);
  }
  tensors["of Bool"] = at::arange(15, at::kInt).remainder(2).to(at::kBool);
  tensors["scalar"] = at::scalar_tensor(3.5, at::kFloat);
  tensors["empty"] = at::empty({0, 7}, at::kFloat);
  tensors["transposed"] = at::arange(6, at::kFloat).view({2, 3}).t();
  tensors["n\"\n\xc3\xa9"] = at::ones({1}, at::kByte);
  return tensors;
}

void expect_same(const TensorMap& actual, const TensorMap& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    EXPECT_EQ(actual.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(actual.at(name), tensor)) << name;
  }
}

TEST(Safetensors, EveryTypeThereAndBack) {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {"made by", "a test"}};
  write_safetensors(folder / "t", every_type(), metadata);
  std::map<std::string, std::string> found;
  expect_same(read_safetensors(folder / "t", &found), every_type());
  EXPECT_EQ(found, metadata);
}

TEST(Safetensors, WritesTheBytesOfTheOfficialLibrary) {
  const TemporaryFolder folder;
  write_safetensors(
      folder / "t",
      {{"b", at::zeros({2}, at::kFloat)}, {"a", at::ones({1}, at::kByte)}, {"c", at::zeros({1}, at::kLong)}},
      {{"format", "pt"}});
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"c":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"a":{"dtype":"U8","shape":[1],"data_offsets":[16,17]}})";
  const auto padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_file(folder / "t"), length_bytes(padded.size()) + padded + std::string(16, '\0') + "\1");
}

TEST(Safetensors, ReadsAFileOfTheOfficialLibrary) {
  const auto tensors = read_safetensors(golden_folder() / "defaults/model.safetensors");
  EXPECT_EQ(tensors.at("token_emb.weight").sizes(), at::IntArrayRef({40, 16}));
}

TEST(Safetensors, UnalignedDataIsCopied) {
  const TemporaryFolder folder;
  std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                       R"("b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
  const float values[] = {1.5f, -2};
  std::string data(9, '\7');
  std::memcpy(data.data() + 1, values, sizeof values);
  write_file(folder / "t", length_bytes(header.size()) + header + data);
  const auto tensors = read_safetensors(folder / "t");
  const auto* b = tensors.at("b").const_data_ptr<float>();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b) % alignof(float), 0u);
  EXPECT_EQ(b[0], 1.5f);
  EXPECT_EQ(b[1], -2);
}

TEST(Safetensors, TensorsOutliveTheFileAndWritingToThemDoesNotReachIt) {
  const TemporaryFolder folder;
  write_safetensors(folder / "t", {{"a", at::zeros({1000}, at::kFloat)}});
  auto tensor = read_safetensors(folder / "t").at("a");
  tensor.fill_(1);
  EXPECT_TRUE(at::equal(read_safetensors(folder / "t").at("a"), at::zeros({1000}, at::kFloat)));
  std::filesystem::remove(folder / "t");
  EXPECT_EQ(tensor.sum().item<float>(), 1000);
}

TEST(Safetensors, NoTensorsAtAll) {
  const TemporaryFolder folder;
  write_safetensors(folder / "t", {});
  EXPECT_TRUE(read_safetensors(folder / "t").empty());
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"a\":" + entry(dtype, shape, offsets) + "}";
}

std::string two(const std::string& a_offsets, const std::string& b_offsets) {
  return "{\"a\":" + entry("U8", "[4]", a_offsets) + ",\"b\":" + entry("U8", "[4]", b_offsets) + "}";
}

TEST(Safetensors, HostileHeaders) {
  struct Case {
    std::string header;
    std::size_t data;  // bytes
    std::string expected;
  };
  const std::string max64 = "18446744073709551615";
  const std::vector<Case> cases{
      {"", 0, "not valid JSON"},
      {"{", 0, "not valid JSON"},
      {"[]", 0, "not a JSON object"},
      {"3", 0, "not a JSON object"},
      {" {}", 0, "not a JSON object"},
      {"{}x", 0, "not valid JSON"},
      {std::string("{}\0", 3), 0, "not valid JSON"},
      {"{\"\xff\":1}", 0, "not valid JSON"},
      {"{\"a\":1}", 0, "not described by a JSON object"},
      {"{\"a\":[1]}", 0, "not described by a JSON object"},
      {"{\"a\":{}}", 0, "has no \"dtype\""},
      {R"({"a":{"dtype":"U8","shape":[]}})", 0, "has no \"data_offsets\""},
      {R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "has no \"shape\""},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1, "unknown property \"x\""},
      {std::string(100'000, '['), 0, "nested deeper"},
      {R"({"a":{"dtype":{"a":{}}}})", 0, "nested deeper"},
      {"{\"a\":" + entry("U8", "[1]", "[0,1]") + ",\"a\":" + entry("U8", "[1]", "[0,1]") + "}", 1,
       "duplicate key"},
      {R"({"a":{"dtype":"U8","shape":[1],"shape":[2],"data_offsets":[0,1]}})", 1, "duplicate key"},
      {one("F99", "[1]", "[0,4]"), 4, "has the type \"F99\""},
      {one("f32", "[1]", "[0,4]"), 4, "has the type \"f32\""},
      {R"({"a":{"dtype":5,"shape":[1],"data_offsets":[0,4]}})", 4, "has the type 5"},
      {one("F32", "1", "[0,4]"), 4, "shape"},
      {one("F32", "[-1]", "[0,4]"), 4, "has -1 in"},
      {one("F32", "[1.0]", "[0,4]"), 4, "has 1.0 in"},
      {one("F32", "[\"1\"]", "[0,4]"), 4, "shape"},
      {one("F32", "[" + max64 + "]", "[0,4]"), 4, max64},
      {one("F32", "[99999999999999999999999]", "[0,4]"), 4, "shape"},
      {one("F32", "[4294967296,4294967296]", "[0,0]"), 0, "overflows"},
      {one("F32", "[2305843009213693952,2]", "[0,0]"), 0, "overflows"},
      {one("F32", "[0,4611686018427387904,4]", "[0,0]"), 0, "overflows"},
      {one("F64", "[1152921504606846976]", "[0,0]"), 0, "overflows"},
      {one("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, "at most 16 sizes"},
      {one("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, "more than 17 values"},
      {one("F32", "[2]", "[0,4]"), 4, "takes 8 bytes"},
      {one("F32", "[1]", "[0,8]"), 8, "takes 4 bytes"},
      {one("F32", "[]", "[0,0]"), 0, "takes 4 bytes"},
      {one("F32", "[1]", "[4,0]"), 4, "ends before it begins"},
      {one("F32", "[1]", "[-4,0]"), 4, "has -4 in"},
      {one("F32", "[1]", "[0]"), 4, "not two numbers"},
      {one("F32", "[1]", "[0,4,8]"), 8, "not two numbers"},
      {one("F32", "[1]", "4"), 4, "not two numbers"},
      {one("F32", "[1]", "[0.0,4.0]"), 4, "data_offsets"},
      {one("F32", "[1]", "[\"0\",\"4\"]"), 4, "data_offsets"},
      {one("F32", "[1]", "[" + max64 + ",3]"), 4, max64},
      {one("F32", "[1]", "[9223372036854775803,9223372036854775807]"), 4, "ends at byte 9223372036854775807"},
      {one("F32", "[1]", "[0,4]"), 3, "cut file"},
      {one("F32", "[1]", "[0,4]"), 0, "cut file"},
      {one("F32", "[1]", "[0,4]"), 5, "1 bytes after its last tensor"},
      {one("F32", "[1]", "[4,8]"), 8, "hole of 4 bytes"},
      {"{}", 1, "1 bytes after its last tensor"},
      {two("[0,4]", "[2,6]"), 6, "overlaps"},
      {two("[0,4]", "[0,4]"), 4, "overlaps"},
      {two("[4,8]", "[2,6]"), 8, "hole"},
      {two("[0,4]", "[5,9]"), 9, "hole of 1 bytes"},
      {R"({"__metadata__":3})", 0, "__metadata__ is not a JSON object"},
      {R"({"__metadata__":{"a":3}})", 0, "\"a\", which is not a string"},
  };
  const TemporaryFolder folder;
  const auto file = folder / "t.safetensors";
  for (const auto& each : cases) {
    SCOPED_TRACE(each.header.substr(0, 200));
    write_file(file, file_bytes(each.header, each.data));
    const auto error = error_of([&] { read_safetensors(file); });
    EXPECT_THAT(error, AllOf(HasSubstr(file.string()), HasSubstr(each.expected)));
    EXPECT_LT(error.size(), 1000u);
  }
}

TEST(Safetensors, HostileLengths) {
  const TemporaryFolder folder;
  const auto file = folder / "t.safetensors";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "has 0 bytes"},
      {"\1\2\3", "has 3 bytes"},
      {length_bytes(0), "not valid JSON"},
      {length_bytes(1), "has only 0 after"},
      {length_bytes(3) + "{}", "has only 2 after"},
      {length_bytes(UINT64_MAX) + "{}", "more than the 100000000 allowed"},
      {length_bytes(UINT64_MAX - 7) + "{}", "more than the 100000000 allowed"},
      {length_bytes(std::uint64_t{1} << 63) + "{}", "more than the 100000000 allowed"},
      {length_bytes(100'000'001) + "{}", "more than the 100000000 allowed"},
  };
  for (const auto& [bytes, expected] : cases) {
    write_file(file, bytes);
    EXPECT_THAT(error_of([&] { read_safetensors(file); }),
                AllOf(HasSubstr(file.string()), HasSubstr(expected)));
  }
  EXPECT_THAT(error_of([&] { read_safetensors(folder.path()); }), HasSubstr("Is a directory"));
  EXPECT_THAT(error_of([&] { read_safetensors(folder / "none"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of([&] { read_safetensors("/dev/zero"); }), HasSubstr("/dev/zero"));
}

TEST(Safetensors, BoolsAreZeroOrOne) {
  const TemporaryFolder folder;
  const std::string header = one("BOOL", "[2]", "[0,2]");
  write_file(folder / "t", length_bytes(header.size()) + header + "\1\2");
  EXPECT_THAT(error_of([&] { read_safetensors(folder / "t"); }), HasSubstr("other than 0 and 1"));
}

/// One of: bytes changed (mostly in the header), a truncation, a piece removed, a piece inserted.
std::string corrupted(std::string bytes, std::size_t header_end, std::mt19937_64& random) {
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  static constexpr std::string_view kTelling = "0123456789-.,:\"[]{}eE\\ \xff";
  switch (below(6)) {
    case 0:
      bytes.resize(below(bytes.size()));
      break;
    case 1:
      bytes.erase(below(bytes.size()), 1 + below(20));
      break;
    case 2:
      bytes.insert(below(bytes.size()), 1 + below(20), static_cast<char>(below(256)));
      break;
    case 3:
      bytes[below(8)] = static_cast<char>(below(256));
      break;
    default:
      for (auto count = 1 + below(4); count > 0; --count)
        bytes[8 + below(header_end - 8)] = kTelling[below(kTelling.size())];
  }
  return bytes;
}

TEST(Safetensors, ThousandsOfCorruptionsNeverCrash) {
  const TemporaryFolder folder;
  const auto file = folder / "t";
  write_safetensors(file, every_type(), {{"format", "pt"}});
  const auto good = read_file(file);
  std::uint64_t header_length = 0;
  std::memcpy(&header_length, good.data(), sizeof header_length);
  std::mt19937_64 random(5);
  int errors = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto bytes = corrupted(good, 8 + header_length, random);
    write_file(file, bytes);
    try {
      std::size_t total = 0;
      for (const auto& [name, tensor] : read_safetensors(file)) {
        total += tensor.nbytes();
        tensor.to(at::kDouble).sum();  // touches every byte
      }
      ASSERT_LE(total, bytes.size());
    } catch (const std::runtime_error& error) {
      ++errors;
      ASSERT_THAT(error.what(), HasSubstr(file.string()));
    }
  }
  // Most are detected; a name may change to another name, and a value to another value.
  EXPECT_GT(errors, 4000);
}

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

/// During a test no file may grow beyond `bytes`, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  sighandler_t handler_;
  rlimit before_{};
};

TEST(Safetensors, AWriteThatFailsLeavesTheOldFileAndNothingElse) {
  const TemporaryFolder folder;
  const auto file = folder / "t";
  write_safetensors(file, {{"a", at::ones({10}, at::kFloat)}});
  {
    const FileSizeLimit limit(4096);
    EXPECT_THAT(error_of([&] {
                  write_safetensors(file, {{"a", at::zeros({10'000}, at::kFloat)}});
                }),
                AllOf(HasSubstr(file.string()), HasSubstr("cannot be written")));
  }
  EXPECT_EQ(files_in(folder.path()), 1u);
  EXPECT_TRUE(at::equal(read_safetensors(file).at("a"), at::ones({10}, at::kFloat)));
}

TEST(Safetensors, PlacesThatCannotBeWritten) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { write_safetensors(folder / "none/t", {}); }), HasSubstr("No such file"));
  std::filesystem::create_directory(folder / "full");
  write_file(folder / "full/file", "x");
  EXPECT_THAT(error_of([&] { write_safetensors(folder / "full", {}); }), HasSubstr("cannot be written"));
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(Safetensors, TensorsThatCannotBeWritten) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] {
                write_safetensors(folder / "t", {{"a", at::Tensor()}});
              }),
              HasSubstr("undefined"));
  EXPECT_THAT(error_of([&] {
                write_safetensors(folder / "t", {{"a", at::zeros({1}, at::kComplexFloat)}});
              }),
              HasSubstr("ComplexFloat"));
  EXPECT_THAT(error_of([&] {
                write_safetensors(folder / "t", {{"__metadata__", at::zeros({1})}});
              }),
              HasSubstr("__metadata__"));
  EXPECT_EQ(files_in(folder.path()), 0u);
}

}  // namespace
}  // namespace unroll
