// Shared by the end-to-end tests of `unroll follow`.
#pragma once

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/client/end_to_end.h"

namespace unroll::test {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

inline void append(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::app) << text << std::flush;
}

/// Lines from number `first` on; line 40 is unlike the others.
inline std::string log_of(int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i) {
    text += i == 40 ? "Segfault!! %%%% @@ zqx\n"
                    : "12:00:" + std::to_string(i % 60) + " install package-" + std::to_string(i) + " ok\n";
  }
  return text;
}

class Follow : public WithDaemon {
 protected:
  void SetUp() override { fs::create_directory(path(name())); }

  static std::string name() { return testing::UnitTest::GetInstance()->current_test_info()->name(); }
  static fs::path file(const std::string& name) { return fs::path(path(Follow::name())) / name; }
  static std::string out() { return read_file(file("out")); }

  /// Appends standard output to `out`.
  static std::vector<std::string> command(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {
        "/bin/sh", "-c", R"(exec "$@" >> ")" + file("out").string() + '"', "sh", program("unroll").string(),
        "follow"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    command.insert(command.end(), {"--state", file("state").string()});
    return command;
  }
  static std::vector<std::string> embedded_command(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--embedded", "--model", model()});
    return command(arguments);
  }
  static std::vector<std::string> daemon_command(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--socket", daemon_->socket()});
    return command(arguments);
  }

  /// Follows until `count` lines are printed, then sends the signal.
  static void follow(const std::vector<std::string>& command, std::ptrdiff_t count, int signal,
                     int exit_code = 0) {
    Process process(command, file("log"));
    EXPECT_TRUE(eventually([&] { return lines() >= count || !process.running(); }));
    EXPECT_EQ(process.stop(signal), exit_code) << read_file(file("log"));
    EXPECT_GE(lines(), count);
  }
  static std::ptrdiff_t lines() {
    const std::string text = out();
    return std::count(text.begin(), text.end(), '\n');
  }

  /// Of the only log that the test follows: the one that ends so; "": the state itself.
  static fs::path state_file(const std::string& ending) {
    for (const auto& entry : fs::directory_iterator(file("state"))) {
      if (entry.path().extension() == ".lock")
        return entry.path().string().substr(0, entry.path().string().size() - 5) + ending;
    }
    return {};
  }

  /// How many lines of output the first of two documents has.
  static std::ptrdiff_t before_second_document() {
    const std::vector<json> printed = lines_of(out());
    const auto second = std::find_if(printed.rbegin(), printed.rend(),
                                     [](const json& line) { return line["data"].value("line", 0) == 1; });
    return printed.rend() - second - 1;
  }

  /// Checks that the output so far is the beginning of that of `unroll run` on the whole text.
  /// Without the first `before` lines of output.
  static void expect_as_one_reading(const std::string& whole, const std::string& followed,
                                    std::ptrdiff_t before = 0) {
    write_file(file("whole"), whole);
    const std::string one =
        read_embedded({"run", "--plugin", R"(anomaly:{"top":0})", file("whole").string()});
    std::vector<json> expected = lines_of(one);
    std::vector<json> printed = lines_of(out());
    printed.erase(printed.begin(), printed.begin() + before);
    ASSERT_LE(printed.size(), expected.size());
    for (std::size_t i = 0; i < printed.size(); ++i) {
      expected[i]["file"] = followed;
      ASSERT_EQ(printed[i], expected[i]) << "output " << i;
    }
  }
};

}  // namespace unroll::test
