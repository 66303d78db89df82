// unroll batch: what it reads, skips and prints.
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include <poll.h>
#include <sys/stat.h>

#include "client/batch/batch_state.h"
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Batches : public WithModel {
 protected:
  void SetUp() override {
    fs::create_directories(in() / "more");
    write_file(in() / "a.txt", prose(2));
    write_file(in() / "more" / "b.log", log_lines());
    write_file(in() / "empty", "");
  }
  fs::path in() const { return here_ / "in"; }
  fs::path out() const { return here_ / "out"; }
  std::string result(const fs::path& file) const { return read_file(out() / (file.string() + ".ndjson")); }

  Finished batch(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"batch",        in().string(), "--out",
                                          out().string(), "--format",    "json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return embedded(std::move(arguments));
  }
  /// Counts of a run: read, resumed, copied, skipped, failed.
  static std::vector<int> counts(const Finished& finished) {
    const json summary = json::parse(finished.out);
    std::vector<int> numbers;
    for (const char* name : {"read", "resumed", "copied", "skipped", "failed"})
      numbers.push_back(summary[name]);
    return numbers;
  }
  using Counts = std::vector<int>;
  /// The result of reading that file alone.
  static std::string alone(const fs::path& file) {
    std::string lines;
    for (json line : lines_of(read_embedded({"run", "--plugin", "score", file.string()}))) {
      lines += R"({"plugin":"score","data":)" + line["data"].dump() + "}\n";
    }
    return lines;
  }

  TemporaryFolder here_;
};

TEST_F(Batches, ResultsAreThoseOfReadingEachFileAlone) {
  const Finished finished = batch();
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.err, "");
  EXPECT_EQ(counts(finished), (Counts{3, 0, 0, 0, 0}));
  for (const char* file : {"a.txt", "more/b.log", "empty"})
    EXPECT_EQ(result(file), alone(in() / file)) << file;
  const json summary = json::parse(finished.out);
  EXPECT_EQ(summary["bytes"], prose(2).size() + log_lines().size());
  EXPECT_GT(summary["tokens"], 100);
  EXPECT_FALSE(fs::exists(out() / ".unroll" / "journal")) << "nothing is left to go on with";

  EXPECT_THAT(embedded({"batch", in().string(), "--out", out().string()}).out,
              AllOf(HasSubstr("skipped                3  files"), HasSubstr("tokens/s")));
}

TEST_F(Batches, SkipsByContentPluginsAndModelNotByTime) {
  batch();
  const std::string before = result("a.txt");
  fs::last_write_time(in() / "a.txt", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(counts(batch()), (Counts{0, 0, 0, 3, 0}));

  // Different content with the same size and time.
  const auto time = fs::last_write_time(in() / "more" / "b.log");
  std::string changed = log_lines();
  changed[5] = 'X';
  write_file(in() / "more" / "b.log", changed);
  fs::last_write_time(in() / "more" / "b.log", time);
  EXPECT_EQ(counts(batch()), (Counts{1, 0, 0, 2, 0}));
  EXPECT_EQ(result("more/b.log"), alone(in() / "more" / "b.log"));

  fs::remove(out() / "a.txt.ndjson");
  EXPECT_EQ(counts(batch()), (Counts{1, 0, 0, 2, 0}));
  EXPECT_EQ(result("a.txt"), before);

  const std::vector<std::string> other = {"--plugin", R"(score:{"granularity":"line"})"};
  EXPECT_EQ(counts(batch(other)), (Counts{3, 0, 0, 0, 0}));
  EXPECT_NE(result("a.txt"), before);
  EXPECT_EQ(counts(batch(other)), (Counts{0, 0, 0, 3, 0}));
  EXPECT_EQ(counts(batch({"--dtype", "fp32"})), (Counts{3, 0, 0, 0, 0}));
}

TEST_F(Batches, RenamedAndCopiedFilesAreNotReadAgain) {
  batch();
  fs::rename(in() / "a.txt", in() / "more" / "z.txt");
  fs::copy_file(in() / "more" / "b.log", in() / "again.log");
  EXPECT_EQ(counts(batch()), (Counts{0, 0, 2, 2, 0}));
  EXPECT_EQ(result("more/z.txt"), result("a.txt"));
  EXPECT_EQ(result("again.log"), result("more/b.log"));
  EXPECT_EQ(counts(batch()), (Counts{0, 0, 0, 4, 0}));
}

TEST_F(Batches, CompressedFilesReadAsWhatIsInThem) {
  const std::string gzip = run({"/bin/gzip", "-c"}, {prose(2), {}}).out;
  write_file(in() / "a.gz", gzip);
  write_file(in() / "a.zst", run({"/usr/bin/zstd", "-qc"}, {prose(2), {}}).out);
  write_file(in() / "cut.gz", gzip.substr(0, gzip.size() - 3));
  const Finished finished = batch();
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(counts(finished), (Counts{5, 0, 0, 0, 1}));
  EXPECT_THAT(finished.err, HasSubstr((in() / "cut.gz").string() + " is truncated"));
  EXPECT_EQ(result("a.gz"), result("a.txt"));
  EXPECT_EQ(result("a.zst"), result("a.txt"));
  EXPECT_FALSE(fs::exists(out() / "cut.gz.ndjson"));
  EXPECT_FALSE(fs::exists(out() / "cut.gz.ndjson.part"));

  // It failed in its middle, and would resume there when the rest has come. But that makes it another file.
  write_file(in() / "cut.gz", gzip);
  EXPECT_EQ(counts(batch()), (Counts{0, 0, 1, 5, 0}));
}

TEST_F(Batches, WhatCannotBeReadFailsAndTheRestGoesOn) {
  ASSERT_EQ(::mkfifo((in() / "pipe").c_str(), 0600), 0);
  fs::create_symlink("nowhere", in() / "broken");
  fs::create_directory_symlink(here_.path(), in() / "loop");  // not followed
  fs::create_symlink("a.txt", in() / "link.txt");
  const Finished finished = batch({"--jobs", "1"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(counts(finished), (Counts{3, 0, 1, 0, 2}));
  EXPECT_THAT(finished.err, AllOf(HasSubstr((in() / "pipe").string() + ": is not a regular file"),
                                  HasSubstr((in() / "broken").string() + ": cannot be read")));
  EXPECT_EQ(result("link.txt"), result("a.txt"));
}

TEST_F(Batches, NamesThatSpeakToTheTerminalAreToldAsText) {
  write_file(in() / "x\x1b[2J\x1b]0;pwned\x07\nunroll: 3 files failed.gz", "\x1f\x8b\x08garbage");
  const Finished finished = batch();
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("pwned"));
  EXPECT_EQ(finished.err.find_first_of("\x1b\x07"), std::string::npos) << finished.err;
  EXPECT_EQ(finished.err.find("\nunroll: 3 files failed"), std::string::npos) << finished.err;
  const Finished missing = unroll({"score", (in() / "no\x1b[31m\nunroll: such").string()});
  EXPECT_EQ(missing.err.find('\x1b'), std::string::npos) << missing.err;
  EXPECT_EQ(missing.err.find("\nunroll: such"), std::string::npos) << missing.err;
}

TEST_F(Batches, ResultsAreNotRead) {
  const std::string folder = in().string(), out = (in() / "results").string();
  const std::vector<std::string> command = {"batch", folder, "--out", out, "--format", "json"};
  EXPECT_EQ(counts(embedded(command)), (Counts{3, 0, 0, 0, 0}));
  EXPECT_EQ(counts(embedded(command)), (Counts{0, 0, 0, 3, 0}));
  expect_failure(embedded({"batch", folder, "--out", folder}), "among the results", "--out");
}

TEST_F(Batches, FileThatGrowsIsReadAsItWasWhenOpened) {
  std::atomic<bool> enough{false};
  std::thread writer([&] {
    while (!enough) {
      std::ofstream(in() / "more" / "b.log", std::ios::app) << "and another line\n";
      ::poll(nullptr, 0, 1);
    }
  });
  const Finished finished = batch();
  enough = true;
  writer.join();
  EXPECT_EQ(counts(finished), (Counts{3, 0, 0, 0, 0})) << finished.err;
  const std::uint64_t bytes = lines_of(result("more/b.log")).back()["data"]["bytes"];
  EXPECT_GE(bytes, log_lines().size());
  EXPECT_LT(bytes, fs::file_size(in() / "more" / "b.log"));
}

TEST_F(Batches, SecondOneOnTheSameResultsIsRefused) {
  fs::create_directories(out() / ".unroll");
  const BatchState first(out() / ".unroll" / "batch.sqlite");
  expect_failure(batch(), "another 'unroll batch'", "--out");
}

TEST_F(Batches, PluginThatIsNotThereFailsEachFile) {
  const Finished unknown = batch({"--plugin", "nope"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_EQ(counts(unknown), (Counts{0, 0, 0, 0, 3}));
  EXPECT_THAT(unknown.err, AllOf(HasSubstr((in() / "a.txt").string()), HasSubstr("'nope'")));
}

TEST_F(Batches, OtherWeightsUnderTheSameNameReadAgain) {
  batch();
  const std::string name = fs::path(model()).filename().string();
  fs::create_directories(here_ / "other");
  const std::string other = (here_ / "other" / name).string();
  ASSERT_EQ(unroll({"model", "convert", model(), other, "--dtype", "bf16"}).exit_code, 0);
  EXPECT_EQ(counts(unroll({"batch", in().string(), "--out", out().string(), "--format", "json", "--embedded",
                           "--model", other})),
            (Counts{3, 0, 0, 0, 0}));
  EXPECT_EQ(counts(batch()), (Counts{3, 0, 0, 0, 0})) << "and the first ones again";
}

TEST_F(Batches, StopsInGoodOrderAndGoesOn) {
  write_file(in() / "long", prose(500));
  std::vector<std::string> command = {program("unroll").string(),
                                      "batch",
                                      in().string(),
                                      "--out",
                                      out().string(),
                                      "--embedded",
                                      "--model",
                                      model()};
  Process process(command, here_ / "log");
  const fs::path part = out() / "long.ndjson.part";
  while (process.running() && !fs::exists(part)) ::poll(nullptr, 0, 5);
  // Its document is open now; some of it is committed when the previous file is done.
  while (process.running() && !fs::exists(out() / "more" / "b.log.ndjson")) ::poll(nullptr, 0, 5);
  EXPECT_EQ(process.stop(SIGTERM), 128 + SIGTERM);
  EXPECT_THAT(read_file(here_ / "log"), HasSubstr("stopped with 1 files left; run the command again"));
  EXPECT_EQ(counts(batch()), (Counts{0, 1, 0, 3, 0}));
  EXPECT_EQ(result("long"), alone(in() / "long"));
}

TEST_F(Batches, ProgressOnATerminal) {
  write_file(in() / "long", prose(400));
  const auto shown = [&](const char* name, const std::map<std::string, std::string>& environment) {
    return run_on_terminal({program("unroll").string(), "batch", in().string(), "--out",
                            (here_ / name).string(), "--embedded", "--model", model()},
                           {"", environment})
        .out;
  };
  EXPECT_THAT(shown("1", {{"TERM", "xterm"}}),
              AllOf(HasSubstr(" of 4 files  ["), HasSubstr("long          ["), HasSubstr("\x1b[1m"),
                    HasSubstr("\x1b[J")));
  EXPECT_THAT(shown("2", {{"TERM", "xterm"}, {"NO_COLOR", "1"}}),
              AllOf(HasSubstr(" of 4 files  ["), Not(HasSubstr("\x1b[1m"))));
  EXPECT_THAT(shown("3", {{"TERM", "dumb"}}), AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("files  ["))));
}

}  // namespace
}  // namespace unroll::test
