// Shared by the end-to-end tests: a folder with a tiny model and documents, and a daemon for tests that need
// one.
#pragma once

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <poll.h>

#include "tests/client/fixture.h"

namespace unroll::test {

/// Paragraphs of prose with non-ASCII characters; the numbers make all different.
inline std::string prose(int paragraphs) {
  std::string text;
  for (int i = 1; i <= paragraphs; ++i) {
    const std::string number = std::to_string(i * 7919 % 1000);
    text += "Chapter " + number +
            ". It was a dark and stormy night in the größte Stadt. The rain fell in torrents, " + number +
            " drops at once <and> more.\nNobody saw the 🙂 in the window.\n\n";
  }
  return text;
}

/// A log; line 31 is unlike the others, and the last has no newline.
inline std::string log_lines() {
  std::string text;
  for (int i = 1; i <= 40; ++i) {
    if (i > 1) text += '\n';
    text += i == 31 ? "Segfault!! %%%% @@ zqx"
                    : "12:00:" + std::to_string(i + 10) + " install package-" + std::to_string(i) + " ok";
  }
  return text;
}

/// Waits for `happened`; returns false if it does not become true.
inline bool eventually(const std::function<bool()>& happened) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!happened()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    ::poll(nullptr, 0, 20);
  }
  return true;
}

/// Only the model and the documents.
class WithModel : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    // The number of threads changes the last digit of sums, and threads spin while other programs need the
    // cores.
    ::setenv("OMP_NUM_THREADS", "1", 1);
    ::setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
    for (const char* name : {"UNROLL_MODEL", "UNROLL_PLUGIN_PATH", "NO_COLOR"}) ::unsetenv(name);
    folder_ = std::make_unique<TemporaryFolder>();
    write_tiny_model(model());
    write_file(path("book.txt"), prose(12));
    write_file(path("a.log"), log_lines());
    write_file(path("empty"), "");
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string path(const std::string& name) { return (*folder_ / name).string(); }
  static std::string model() { return path("model"); }

  /// Runs `unroll` with these arguments.
  static Finished unroll(std::vector<std::string> arguments, const Surroundings& surroundings = {}) {
    arguments.insert(arguments.begin(), program("unroll").string());
    return run(arguments, surroundings);
  }
  static Finished embedded(std::vector<std::string> arguments, const Surroundings& surroundings = {}) {
    arguments.insert(arguments.end(), {"--embedded", "--model", model()});
    return unroll(std::move(arguments), surroundings);
  }
  /// The output of embedded(), which must succeed and print nothing else.
  static std::string read_embedded(std::vector<std::string> arguments,
                                   const Surroundings& surroundings = {}) {
    const Finished finished = embedded(std::move(arguments), surroundings);
    EXPECT_EQ(finished.exit_code, 0);
    EXPECT_EQ(finished.err, "");
    return finished.out;
  }

  /// One line on standard error that names the problem and what to do; nothing on standard output.
  static void expect_failure(const Finished& finished, const std::string& problem, const std::string& advice,
                             int exit_code = 1) {
    EXPECT_EQ(finished.exit_code, exit_code);
    EXPECT_EQ(finished.out, "");
    EXPECT_THAT(finished.err, testing::AllOf(testing::StartsWith("unroll"), testing::HasSubstr(problem),
                                             testing::HasSubstr(advice)));
    EXPECT_EQ(finished.err.find('\n'), finished.err.size() - 1) << finished.err;
  }

  static std::unique_ptr<TemporaryFolder> folder_;
};

/// With a daemon.
class WithDaemon : public WithModel {
 protected:
  static void SetUpTestSuite() {
    WithModel::SetUpTestSuite();
    daemon_ = std::make_unique<Daemon>(folder_->path(), model());
  }
  static void TearDownTestSuite() {
    daemon_.reset();
    WithModel::TearDownTestSuite();
  }
  static Finished by_daemon(std::vector<std::string> arguments, const Surroundings& surroundings = {}) {
    arguments.insert(arguments.end(), {"--socket", daemon_->socket()});
    return unroll(std::move(arguments), surroundings);
  }
  static std::string read_by_daemon(std::vector<std::string> arguments,
                                    const Surroundings& surroundings = {}) {
    const Finished finished = by_daemon(std::move(arguments), surroundings);
    EXPECT_EQ(finished.exit_code, 0);
    EXPECT_EQ(finished.err, "");
    return finished.out;
  }

  static std::unique_ptr<Daemon> daemon_;
};

inline std::unique_ptr<TemporaryFolder> WithModel::folder_;
inline std::unique_ptr<Daemon> WithDaemon::daemon_;

/// The JSON values of a text with one per line.
inline std::vector<nlohmann::json> lines_of(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(nlohmann::json::parse(text.substr(begin, end - begin)));
  }
  EXPECT_EQ(begin, text.size()) << "the last line has no end";
  return lines;
}

}  // namespace unroll::test
