// `unroll train` and `unroll prepare` as a user runs them: killed and restarted, from prepared tokens,
// fitting a model.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/client/fixture.h"
#include "tests/training/fixture.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class Train : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("OMP_NUM_THREADS", "1", 1);  // the number of threads changes the last digit of sums
    write_tiny_model(folder / "model");
    fs::create_directories(folder / "data");
    for (int i = 0; i < 5; ++i)
      write_file(folder / "data" / ("text-" + std::to_string(i)), text(i, 10 + 30 * i));
  }

  std::vector<std::string> train(const std::string& out, const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{
        program("unroll").string(), "train", "--out",          (folder / out).string(),
        "--checkpoint-steps",       "4",     "--report-steps", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::vector<std::string> fresh(const std::string& data) const {
    return {"--data",       (folder / data).string(),
            "--vocabulary", (folder / "model/tokenizer.model").string(),
            "--config",     (folder / "model/config.json").string()};
  }
  std::string output(const std::string& out, const std::string& file) const {
    return read_file(folder / out / file);
  }

  TemporaryFolder folder;
};

TEST_F(Train, KilledAgainAndAgainItEndsWhereAnUndisturbedRunDoes) {
  auto arguments = fresh("data");
  for (const char* more : {"--steps",
                           "40",
                           "--warmup-steps",
                           "5",
                           "--memory-dropout",
                           "0.3",
                           "--state-dropout",
                           "0.3",
                           "--accumulate",
                           "2",
                           "--ema",
                           "0.9",
                           "--hold-out",
                           "0.2",
                           "--validation-steps",
                           "3",
                           "--patience",
                           "100",
                           "--lanes",
                           "3"})
    arguments.emplace_back(more);
  ASSERT_EQ(run(train("once", arguments)).exit_code, 0);

  // As if killed while it wrote.
  fs::create_directories(folder / "killed/trainer");
  write_file(folder / "killed/.model.safetensors.1234.tmp", "half");
  write_file(folder / "killed/trainer/.checkpoint.safetensors.1234.tmp", "half");
  int kills = 0;
  const auto log = folder / "log";
  for (bool ended = false; !ended;) {
    // Killed a few steps after it started: in the middle of a step, or while it writes a checkpoint.
    const auto before = read_file(log).size();
    Process process(train("killed", arguments), log);
    const auto lines = [&] {
      const auto said = read_file(log).substr(std::min(before, read_file(log).size()));
      return std::ranges::count(said, '\n');
    };
    while (process.running() && lines() < 5 + kills) std::this_thread::yield();
    ended = !process.running();
    if (ended) {
      EXPECT_EQ(process.stop(SIGKILL), 0) << read_file(log);
    } else {
      process.stop(SIGKILL);
      ++kills;
    }
    ASSERT_LT(kills, 30) << "it does not get on";
  }
  EXPECT_GE(kills, 3);
  for (const auto* file :
       {"trainer/checkpoint.safetensors", "trainer/loss.csv", "model.safetensors", "config.json"}) {
    EXPECT_FALSE(output("once", file).empty()) << file;
    EXPECT_TRUE(output("once", file) == output("killed", file)) << file;
  }
  EXPECT_TRUE(fs::exists(folder / "killed/trainer/loss.html"));
  for (const auto& entry : fs::recursive_directory_iterator(folder / "killed"))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path() << " is left behind";
}

TEST_F(Train, FromPreparedTokensAsFromTheText) {
  const auto prepared =
      run({program("unroll").string(), "prepare", (folder / "data").string(), "--vocabulary",
           (folder / "model/tokenizer.model").string(), "--out", (folder / "tokens").string()});
  EXPECT_EQ(prepared.exit_code, 0) << prepared.err;
  EXPECT_THAT(prepared.out, AllOf(HasSubstr("5 documents"), HasSubstr((folder / "tokens").string())));
  auto of_text = fresh("data"), of_tokens = fresh("tokens");
  for (auto* each : {&of_text, &of_tokens}) each->insert(each->end(), {"--steps", "3"});
  ASSERT_EQ(run(train("text", of_text)).exit_code, 0);
  ASSERT_EQ(run(train("tokens-out", of_tokens)).exit_code, 0);
  EXPECT_TRUE(output("text", "model.safetensors") == output("tokens-out", "model.safetensors"));
  EXPECT_FALSE(fs::exists(folder / "tokens-out/trainer/data.tokens")) << "read where it is";

  auto other = fresh("tokens");
  write_file(folder / "model/tokenizer.model", output("model", "tokenizer.model") + " ");
  const auto refused = run(train("other", other));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr((folder / "tokens").string()), HasSubstr("another vocabulary")));
}

TEST_F(Train, FitsAModelToText) {
  std::vector<std::string> arguments{program("unroll").string(),
                                     "train",
                                     "--from",
                                     (folder / "model").string(),
                                     "--data",
                                     (folder / "data").string(),
                                     "--out",
                                     (folder / "fitted").string(),
                                     "--steps",
                                     "40",
                                     "--threads",
                                     "1"};
  const auto fitted = run(arguments);
  ASSERT_EQ(fitted.exit_code, 0) << fitted.err;
  EXPECT_THAT(fitted.out, AllOf(HasSubstr("validation: "), HasSubstr("bits per byte at first"),
                                HasSubstr("which is the model in " + (folder / "fitted").string())));
  const auto bits = [&](const std::string& model) {
    const auto eval = run({program("unroll").string(), "eval", "--model", (folder / model).string(),
                           (folder / "data/text-4").string(), "--format", "json"});
    return nlohmann::json::parse(eval.out)["bits_per_byte"].get<double>();
  };
  EXPECT_LT(bits("fitted"), 0.9 * bits("model"));
  EXPECT_EQ(output("fitted", "config.json"), output("model", "config.json"));
  EXPECT_EQ(output("fitted", "tokenizer.model"), output("model", "tokenizer.model"));

  arguments.insert(arguments.end(), {"--lanes", "4"});
  const auto other = run(arguments);
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, AllOf(HasSubstr((folder / "fitted").string()), HasSubstr("--lanes (was 2, is 4)")));
}

TEST_F(Train, StopsOnASignalAndGoesOn) {
  auto arguments = fresh("data");
  arguments.insert(arguments.end(), {"--steps", "100000"});
  const auto log = folder / "log";
  Process process(train("out", arguments), log);
  while (process.running() && read_file(log).find("step 2 ") == std::string::npos) std::this_thread::yield();
  const auto second = run(train("out", arguments));
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, AllOf(HasSubstr("another unroll train"), HasSubstr((folder / "out").string())));
  EXPECT_EQ(process.stop(SIGTERM), 0) << read_file(log);
  EXPECT_THAT(read_file(log), HasSubstr("the same command resumes from the checkpoint"));
  EXPECT_TRUE(fs::exists(folder / "out/model.safetensors"));
}

TEST_F(Train, ABarOnATerminal) {
  auto arguments = fresh("data");
  arguments.insert(arguments.end(), {"--steps", "12", "--hold-out", "0.2", "--validation-steps", "5"});
  const auto shown = run_on_terminal(train("out", arguments));
  ASSERT_EQ(shown.exit_code, 0) << shown.out;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("\rstep 7 of 12  ["), HasSubstr("=>"), HasSubstr("58 %"),
                               HasSubstr(" tokens/s"), HasSubstr(" left"), HasSubstr("validation 8.")));
}

TEST_F(Train, WhatIsMissingIsSaid) {
  const auto unroll = program("unroll").string(), data = (folder / "data").string();
  const auto without = run({unroll, "train", "--data", data});
  EXPECT_EQ(without.exit_code, 2);
  EXPECT_THAT(without.err, AllOf(HasSubstr("--vocabulary"), HasSubstr("--from")));
  const auto patient = run(train("out", [&] {
    auto arguments = fresh("data");
    arguments.insert(arguments.end(), {"--patience", "2"});
    return arguments;
  }()));
  EXPECT_EQ(patient.exit_code, 1);
  EXPECT_THAT(patient.err, HasSubstr("--hold-out"));
}

/// As torchrun or a shell starts them.
class TrainTogether : public Train {
 protected:
  std::map<std::string, std::string> environment(int rank, int size) const {
    return {{"RANK", std::to_string(rank)},
            {"WORLD_SIZE", std::to_string(size)},
            {"MASTER_ADDR", "127.0.0.1"},
            {"MASTER_PORT", std::to_string(port)}};
  }
  fs::path log(int rank) const { return folder / ("log-" + std::to_string(rank)); }
  std::vector<std::unique_ptr<Process>> start(const std::vector<std::string>& arguments, int size) const {
    std::vector<std::unique_ptr<Process>> all;
    for (int rank = 0; rank < size; ++rank) fs::remove(log(rank));
    for (int rank = 0; rank < size; ++rank)
      all.push_back(std::make_unique<Process>(arguments, log(rank), environment(rank, size)));
    return all;
  }
  static int wait(Process& process) {
    while (process.running()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return process.stop(0);
  }
  void run_together(const std::vector<std::string>& arguments, int size) const {
    const auto all = start(arguments, size);
    for (int rank = 0; rank < size; ++rank)
      EXPECT_EQ(wait(*all[static_cast<std::size_t>(rank)]), 0) << read_file(log(rank));
  }
  std::vector<std::string> short_run() const {
    auto arguments = fresh("data");
    for (const char* more :
         {"--steps", "14", "--warmup-steps", "3", "--lanes", "4", "--memory-dropout", "0.2", "--accumulate",
          "2", "--hold-out", "0.2", "--validation-steps", "5", "--dtype", "fp32", "--seed", "3"})
      arguments.emplace_back(more);
    return arguments;
  }
  /// Each step's loss, and the validation's.
  std::vector<double> losses(const std::string& out) const {
    std::vector<double> result;
    std::istringstream curve(output(out, "trainer/loss.csv"));
    std::string line;
    std::getline(curve, line);
    while (std::getline(curve, line)) {
      std::istringstream fields(line);
      for (std::string field; std::getline(fields, field, ',');)
        if (!field.empty()) result.push_back(std::stod(field));
    }
    return result;
  }
  static int free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(socket, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(socket);
    return ntohs(address.sin_port);
  }
  const int port = free_port();
};

TEST_F(TrainTogether, TwoProcessesDoWhatOneDoesAndGoOnExactlyAfterAKill) {
  const auto arguments = short_run();
  ASSERT_EQ(run(train("alone", arguments)).exit_code, 0);
  run_together(train("two", arguments), 2);
  const auto alone = losses("alone"), two = losses("two");
  ASSERT_EQ(alone.size(), two.size());
  ASSERT_GT(alone.size(), 14u * 4);
  for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(two[i], alone[i], 1e-4) << i;
  EXPECT_EQ(read_file(log(1)).find("step "), std::string::npos) << "one of them reports";

  auto killed = start(train("killed", arguments), 2);
  while (killed[0]->running() && read_file(log(0)).find("step 6 ") == std::string::npos)
    std::this_thread::yield();
  killed[0]->stop(SIGKILL);
  EXPECT_NE(wait(*killed[1]), 0);
  EXPECT_THAT(read_file(log(1)), HasSubstr("lost the other training processes"));
  run_together(train("killed", arguments), 2);
  for (const auto* file : {"trainer/checkpoint.safetensors", "trainer/loss.csv", "model.safetensors"}) {
    EXPECT_FALSE(output("two", file).empty()) << file;
    EXPECT_TRUE(output("two", file) == output("killed", file)) << file;
  }
}

TEST_F(TrainTogether, LanesThatCannotBeSharedAreRefused) {
  auto arguments = short_run();
  *std::next(std::ranges::find(arguments, "--lanes")) = "3";
  const auto all = start(train("out", arguments), 2);
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(wait(*all[static_cast<std::size_t>(rank)]), 1);
    EXPECT_THAT(read_file(log(rank)), HasSubstr("--lanes 3 cannot be shared by 2 processes"));
  }
}

TEST_F(Train, ThereAndBackWithThePythonPackage) {
  const char* python = std::getenv("UNROLL_REFERENCE_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "UNROLL_REFERENCE_PYTHON names no Python that has the reference";
  const auto finished = run({python, std::string(UNROLL_SOURCE_DIR) + "/tests/training/round_trip.py",
                             program("unroll").string(), kVocabulary.string()});
  EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
}

}  // namespace
}  // namespace unroll::test
