// `unroll adapt` as a user runs it.
#include <filesystem>

#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Adapt : public WithModel {
 protected:
  static Finished adapt(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "adapt");
    arguments.insert(arguments.end(), {"--model", model()});
    return unroll(std::move(arguments));
  }
  static double bits_per_byte(const std::string& folder, const std::string& file) {
    return nlohmann::json::parse(
        unroll({"eval", path(file), "--model", folder, "--format", "json"}).out)["bits_per_byte"];
  }
};

TEST_F(Adapt, LeavesAModelThatReadsBetter) {
  write_file(path("repeated.log"), prose(120));
  const std::string out = path("adapted");
  const Finished finished = adapt({path("repeated.log"), path("a.log"), "--out", out, "--format", "ndjson"});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.err, "");
  const auto lines = lines_of(finished.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["file"], path("repeated.log"));
  EXPECT_EQ(lines[0]["bytes"], prose(120).size());
  EXPECT_EQ(lines[1]["bytes"], log_lines().size());
  const double before = bits_per_byte(model(), "repeated.log");
  EXPECT_LT(lines[0]["bits_per_byte"], before);
  EXPECT_LT(bits_per_byte(out, "repeated.log"), before);
  // Any other command accepts it.
  EXPECT_EQ(unroll({"score", path("a.log"), "--embedded", "--model", out}).exit_code, 0);
}

TEST_F(Adapt, WithoutOutOnlyTheFigures) {
  const Finished finished = adapt({path("book.txt")});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_THAT(finished.out, HasSubstr("bits per byte"));
}

TEST_F(Adapt, ASignalEndsItWithWhatWasLearnedUntilThen) {
  write_file(path("long.txt"), prose(20'000));
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string out = path("stopped-" + std::to_string(signal)), log = out + ".log";
    Process process({program("unroll").string(), "adapt", path("a.log"), path("long.txt"), "--model", model(),
                     "--out", out, "--format", "ndjson"},
                    log);
    ASSERT_TRUE(eventually([&] { return read_file(log).ends_with("}\n"); })) << "it reads the second one";
    EXPECT_EQ(process.stop(signal), 0);
    EXPECT_THAT(read_file(log), HasSubstr("long.txt; " + out + " contains what was learned so far"));
    const auto second = lines_of(read_file(log).substr(0, read_file(log).rfind("}\n") + 2)).back();
    EXPECT_LT(second["bytes"], prose(20'000).size());
    EXPECT_EQ(unroll({"score", path("a.log"), "--embedded", "--model", out}).exit_code, 0);
  }
}

TEST_F(Adapt, WhatGoesWrongIsNamed) {
  expect_failure(adapt({path("book.txt"), path("nowhere.txt")}), "nowhere.txt", "No such file");
  expect_failure(adapt({path("book.txt"), "--out", model()}), "in place", "--out");
  expect_failure(adapt({}), "FILE", "'unroll adapt --help'", 2);
  expect_failure(adapt({path("book.txt"), "--learning-rate", "-1"}), "--learning-rate", "--help", 2);
}

}  // namespace
}  // namespace unroll::test
