// unroll batch --input on disks that are full or read-only.
#include <csignal>

#include <sys/resource.h>
#include <unistd.h>

#include "client/batch/result_files.h"
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

/// Files of this process may have at most so many bytes, as if a disk were full.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallFiles() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

class CorpusDisk : public WithDaemon {
 protected:
  void SetUp() override {
    fs::create_directory(here_ / "in");
    for (const char* name : {"a", "b"}) {
      std::string lines;
      for (int i = 0; i < 150; ++i) {
        const json record = {{"id", name + std::to_string(i)}, {"text", "word " + std::to_string(i * 7919)}};
        lines += record.dump() + "\n";
      }
      write_file(here_ / "in" / (name + std::string(".jsonl")), lines);
    }
  }
  /// With vectors, so that rows are large.
  std::vector<std::string> command(const char* out) const {
    return {"batch",
            "--input",
            (here_ / "in/*.jsonl").string(),
            "--out",
            (here_ / out).string(),
            "--plugin",
            "score",
            "--plugin",
            "embed",
            "--format",
            "json"};
  }
  void expect_same(const char* out) const {
    for (const char* name : {"a.jsonl", "b.jsonl"})
      EXPECT_EQ(read_file(here_ / out / name), read_file(here_ / "whole" / name)) << name;
  }

  TemporaryFolder here_;
};

TEST_F(CorpusDisk, AfterARowThatCouldNotBeWrittenNoneIs) {
  const auto result = here_ / "a.jsonl";
  const auto row = [](int number) { return std::to_string(number) + std::string(10'000, 'x'); };
  {
    RowFile rows(result);
    int written = 0;
    {
      const SmallFiles small(100'000);
      EXPECT_THROW(
          {
            for (; written < 20; ++written) rows.write(row(written));
          },
          ResultUnwritable);
    }
    // There is room again, but rows are missing.
    EXPECT_THROW(
        {
          for (int more = written + 1; more < 40; ++more) rows.write(row(more));
          rows.flush();
        },
        ResultUnwritable);
  }
  const auto end = RowFile(result).rows();
  EXPECT_GE(end, 6u);
  std::string expected;
  for (std::uint64_t i = 0; i < end; ++i) expected += row(static_cast<int>(i)) + '\n';
  EXPECT_EQ(read_file(unfinished_of(result)), expected);
}

TEST_F(CorpusDisk, WithoutSpaceTheRunEndsAndTheNextOneGoesOn) {
  ASSERT_EQ(embedded(command("whole")).exit_code, 0);
  Finished finished;
  {
    const SmallFiles small(150'000);  // the program inherits it
    finished = embedded(command("out"));
  }
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("cannot write " + (here_ / "out/a.jsonl.part").string()),
                                  HasSubstr("File too large"), HasSubstr("run the command again")));
  const auto summary = json::parse(finished.out);
  EXPECT_EQ(summary["failed"], 1);
  EXPECT_EQ(summary["left"], 1) << "no other can be written";
  finished = embedded(command("out"));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_GT(json::parse(finished.out)["resumed"], 0);
  expect_same("out");
}

TEST_F(CorpusDisk, AReadOnlyFolderIsNamed) {
  const auto out = here_ / "out";
  fs::create_directory(out);
  fs::permissions(out, fs::perms::owner_read | fs::perms::owner_exec);
  if (::access(out.c_str(), W_OK) == 0) GTEST_SKIP() << "this user, perhaps root, may write to any folder";
  auto finished = embedded(command("out"));
  fs::permissions(out, fs::perms::owner_all);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr(out.string()), HasSubstr("Permission denied")));
  EXPECT_EQ(embedded(command("out")).exit_code, 0);
  ASSERT_EQ(embedded(command("whole")).exit_code, 0);
  expect_same("out");
}

}  // namespace
}  // namespace unroll::test
