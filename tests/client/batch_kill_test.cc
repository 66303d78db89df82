// SIGKILL at random times, repeatedly: the results are those of an undisturbed run, byte for byte.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>

#include <poll.h>

#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;

constexpr unsigned kSeed = 20'260'725;
constexpr int kFiles = 30;

/// UNROLL_TEST_KILLS: number of kills.
int kills() {
  const char* value = std::getenv("UNROLL_TEST_KILLS");
  return value == nullptr ? 8 : std::atoi(value);
}

void wait_ms(int time) {
  ::poll(nullptr, 0, time);
}

class BatchKill : public WithModel {
 protected:
  /// Files of all sizes: several commits long, shorter than a block, empty; compressed ones, and bytes that
  /// are not text.
  static void SetUpTestSuite() {
    WithModel::SetUpTestSuite();
    fs::create_directories(in() / "folder");
    std::mt19937 random(kSeed);
    for (int i = 0; i < kFiles - 4; ++i) {
      std::string text = prose(1 + static_cast<int>(random() % 60));
      text.resize(random() % text.size());
      write_file(in() / (i % 2 ? "folder" : "") / ("file-" + std::to_string(i)), text);
    }
    write_file(in() / "empty", "");
    std::string bytes;
    for (int i = 0; i < 5000; ++i) bytes += static_cast<char>(random());
    write_file(in() / "no-text", bytes);
    write_file(in() / "book.gz", run({"/bin/gzip", "-c"}, {prose(61), {}}).out);
    write_file(in() / "book.zst", run({"/usr/bin/zstd", "-qc"}, {prose(62), {}}).out);
    const auto started = std::chrono::steady_clock::now();
    const Finished finished = run(command({"--embedded", "--model", model()}, path("undisturbed")));
    ASSERT_EQ(finished.exit_code, 0) << finished.err;
    run_ms_ = static_cast<int>(
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started)
            .count());
    expected_ = results(path("undisturbed"));
    ASSERT_EQ(expected_.size(), kFiles);
    std::cout << "an undisturbed run takes " << run_ms_ << " ms\n";
  }

  static fs::path in() { return path("in"); }
  static std::vector<std::string> command(const std::vector<std::string>& reader, const fs::path& out) {
    std::vector<std::string> arguments = {program("unroll").string(),
                                          "batch",
                                          in().string(),
                                          "--out",
                                          out.string(),
                                          "--format",
                                          "json",
                                          "--plugin",
                                          R"(score:{"granularity":"line"})",
                                          "--plugin",
                                          "anomaly"};
    arguments.insert(arguments.end(), reader.begin(), reader.end());
    return arguments;
  }
  static std::map<std::string, std::string> results(const fs::path& out) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(out)) {
      const std::string name = entry.path().lexically_relative(out).string();
      if (entry.is_regular_file() && !name.starts_with(".unroll")) files[name] = read_file(entry.path());
    }
    return files;
  }
  /// Results that are being written, or that a killed run left behind.
  static std::vector<fs::path> unfinished(const fs::path& out) {
    std::vector<fs::path> files;
    if (!fs::exists(out)) return files;
    for (const auto& entry : fs::recursive_directory_iterator(out)) {
      if (entry.path().extension() == ".part") files.push_back(entry.path());
    }
    return files;
  }
  /// All done: compares, counts what was resumed, and prepares another run from the beginning.
  static void check(const fs::path& out, const fs::path& log) {
    const json summary = json::parse(read_file(log));
    resumed_ += summary["resumed"].get<int>();
    EXPECT_EQ(summary["failed"], 0);
    const auto found = results(out);
    ASSERT_EQ(found.size(), expected_.size());
    for (const auto& [name, text] : expected_) ASSERT_TRUE(found.at(name) == text) << name;
    fs::remove_all(out);
  }

  static inline std::map<std::string, std::string> expected_;
  static inline int run_ms_ = 0, resumed_ = 0;
};

TEST_F(BatchKill, TheBatchItself) {
  std::mt19937 random(kSeed);
  resumed_ = 0;
  const fs::path out = path("killed"), log = path("killed.log");
  const auto arguments = command({"--embedded", "--model", model()}, out);
  for (int killed = 0; killed < kills();) {
    fs::remove(log);
    Process process(arguments, log);
    for (int rest = static_cast<int>(random() % static_cast<unsigned>(run_ms_)); rest > 0; rest -= 20) {
      if (!process.running()) break;
      wait_ms(std::min(rest, 20));
    }
    if (process.running()) {
      process.stop(SIGKILL);
      ++killed;
    } else {
      ASSERT_EQ(process.stop(SIGTERM), 0) << read_file(log);
      check(out, log);
    }
  }
  fs::remove(log);
  const Finished last = run(arguments);
  ASSERT_EQ(last.exit_code, 0) << last.err;
  write_file(log, last.out);
  check(out, log);
  EXPECT_GT(resumed_, 0) << "no kill hit a file in its middle";
  std::cout << resumed_ << " files resumed\n";
}

TEST_F(BatchKill, TheDaemonAndSometimesTheBatch) {
  std::mt19937 random(kSeed);
  resumed_ = 0;
  const TemporaryFolder folder;
  auto daemon = std::make_unique<Daemon>(folder.path(), model());
  const fs::path out = path("by-daemon"), log = path("by-daemon.log");
  const auto arguments = command({"--socket", daemon->socket()}, out);
  std::unique_ptr<Process> process;
  for (int killed = 0; killed < kills();) {
    if (!process) {
      fs::remove(log);
      process = std::make_unique<Process>(arguments, log);
      // It is an error if the daemon is away when a command starts, so kill only while it reads.
      while (process->running() && unfinished(out).empty()) wait_ms(5);
    }
    wait_ms(static_cast<int>(random() % static_cast<unsigned>(run_ms_)));
    if (!process->running()) {
      ASSERT_EQ(process->stop(SIGTERM), 0) << read_file(log);
      check(out, log);
      process.reset();
      continue;
    }
    ++killed;
    if (random() % 3 == 0) {
      process.reset();                                                // with SIGKILL
      for (const fs::path& file : unfinished(out)) fs::remove(file);  // they must not matter
    }
    if (random() % 4 == 0) continue;  // kill only the batch, or nothing
    daemon->stop(SIGKILL);
    daemon = std::make_unique<Daemon>(folder.path(), model());
  }
  if (!process) {
    fs::remove(log);
    process = std::make_unique<Process>(arguments, log);
  }
  while (process->running()) wait_ms(20);
  ASSERT_EQ(process->stop(SIGTERM), 0) << read_file(log);
  check(out, log);
  EXPECT_EQ(daemon->stop(SIGTERM), 0);
  std::cout << resumed_ << " files resumed by new batches\n";
}

/// A file's descriptor, and the bytes of a compressed file: a restart of the daemon must not affect either.
class DaemonKill : public BatchKill, public testing::WithParamInterface<std::string> {};

TEST_P(DaemonKill, RunGoesOn) {
  const fs::path long_one = path("long");
  write_file(long_one, prose(600));
  run({"/bin/gzip", "-kf", long_one.string()});
  const auto command = [&](std::vector<std::string> reader, const fs::path& out) {
    reader.insert(reader.begin(), {program("unroll").string(), "run", "--plugin", "anomaly",
                                   path("long" + GetParam()), "--out", out.string()});
    return reader;
  };
  const TemporaryFolder folder;
  const fs::path expected = folder / "expected", out = folder / "out", log = folder / "run.log";
  ASSERT_EQ(run(command({"--embedded", "--model", model()}, expected)).exit_code, 0);
  auto daemon = std::make_unique<Daemon>(folder.path(), model());
  Process process(command({"--socket", daemon->socket()}, out), log);
  const auto written = [&] { return fs::exists(out) ? fs::file_size(out) : 0; };
  for (int killed = 0; killed < 3 && process.running(); ++killed) {
    // Only after it has read something, so that it really resumes in the middle.
    const auto before = written();
    while (process.running() && written() <= before) wait_ms(5);
    daemon->stop(SIGKILL);
    daemon = std::make_unique<Daemon>(folder.path(), model());
  }
  while (process.running()) wait_ms(5);
  EXPECT_EQ(process.stop(SIGTERM), 0) << read_file(log);
  EXPECT_TRUE(read_file(out) == read_file(expected));
  EXPECT_EQ(read_file(log), "");
}

INSTANTIATE_TEST_SUITE_P(Documents, DaemonKill, testing::Values("", ".gz"),
                         [](const auto& info) { return info.param.empty() ? "file" : "gzip"; });

}  // namespace
}  // namespace unroll::test
