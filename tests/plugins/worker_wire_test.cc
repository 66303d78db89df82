// The frames between host and worker: any bytes are a frame, the beginning of one, or an error.
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/worker/wire.h"

namespace unroll::wire {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string_view bytes) {
  FrameReader reader;
  reader.append(bytes);
  try {
    while (reader.next()) {
    }
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Wire, FramesComeInAnyPieces) {
  const std::string data("\0\n\xff data", 8);
  const auto bytes = encode({{"type", "done"}, {"status", 0}}, data) + encode({{"type", "hello"}});
  for (std::size_t piece = 1; piece < bytes.size(); ++piece) {
    FrameReader reader;
    std::vector<Frame> frames;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.append(std::string_view(bytes).substr(at, piece));
      while (auto frame = reader.next()) frames.push_back(std::move(*frame));
    }
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(frames[0].data, data);
    EXPECT_EQ(frames[0].number("status"), 0u);
    EXPECT_EQ(frames[1].type, "hello");
    EXPECT_TRUE(reader.empty());
  }
}

TEST(Wire, GarbageIsAnErrorThatSaysWhatItWas) {
  EXPECT_THAT(error_of("G"), HasSubstr("begins with \"G\""));
  EXPECT_THAT(error_of(std::string("UPRL\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 16)),
              HasSubstr("declares 4294967295"));
  EXPECT_THAT(error_of(std::string("UPRL\2\0\0\0\0\0\0\0\0\0\0\0[]", 18)), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of(encode({{"kind", "done"}})), HasSubstr("without \"type\""));
  EXPECT_THAT(error_of(encode({{"type", 7}})), HasSubstr("\"type\" is not a string"));
}

/// The host writes the JSON of frames again, which recurses: deep nesting would overflow its stack.
TEST(Wire, AHeadNestedDeeplyIsAnError) {
  constexpr std::uint32_t kDepth = 1'000'000;
  const auto head = R"({"type":"hello","x":)" + std::string(kDepth, '[') + std::string(kDepth, ']') + "}";
  const auto size = static_cast<std::uint32_t>(head.size());
  std::string bytes = "UPRL";
  bytes.append(reinterpret_cast<const char*>(&size), sizeof size).append(8, '\0').append(head);
  EXPECT_THAT(error_of(bytes), HasSubstr("nested deeper than 16 levels"));
  EXPECT_EQ(error_of(encode({{"type", "process"}, {"at", {{"tokens", 0}}}})), "");
}

TEST(Wire, NoDamageToAFrameIsMoreThanAnError) {
  const auto whole = encode({{"type", "output"}, {"level", 3}}, std::string(100, 'x'));
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = whole;
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    error_of(bytes);
    error_of(bytes.substr(random() % bytes.size()));
  }
}

}  // namespace
}  // namespace unroll::wire
