// `unroll plugin check` passes plugins that follow plugin.h, and finds violations.
#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

struct Checked {
  explicit Checked(const fs::path& file, const std::string& options = "") {
    const std::string command = std::string(PLUGIN_CHECK_PROGRAM) + " " + options + " " + file.string();
    std::FILE* out = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer{};
    for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), out)) > 0;) {
      report.append(buffer.data(), n);
    }
    const int status = ::pclose(out);
    passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    std::istringstream lines(report);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("FAILED  ")) failures += line + "\n";
      last = line;
    }
  }
  bool passed = false;
  std::string report, failures, last;
};

class SoundPlugin : public ::testing::TestWithParam<fs::path> {};

TEST_P(SoundPlugin, Passes) {
  const Checked checked(GetParam());
  EXPECT_TRUE(checked.passed) << checked.report;
  EXPECT_EQ(checked.failures, "");
  EXPECT_THAT(checked.last, MatchesRegex("PASSED: 20 checks, [01] notes?"));
}
INSTANTIATE_TEST_SUITE_P(Check, SoundPlugin,
                         ::testing::Values(builtin_library("score"), builtin_library("anomaly"),
                                           builtin_library("summarize"), builtin_library("embed"),
                                           builtin_library("logprobs"), builtin_library("words"),
                                           test_library("word_count"), test_library("none"),
                                           test_library("sees")),
                         [](const auto& info) { return info.param.stem().string(); });

struct Fault {
  const char *library, *line;  // of its report, without the rest of the line
};
class BadPlugin : public ::testing::TestWithParam<Fault> {};

TEST_P(BadPlugin, FailsWithTheReason) {
  const std::string library = GetParam().library;
  if (kSanitized && (library == "crashes_late" || library == "leaks_little"))
    GTEST_SKIP() << "the sanitizer has another word for it";
  const Checked checked(test_library(library));
  EXPECT_FALSE(checked.passed);
  EXPECT_THAT(checked.failures, HasSubstr(GetParam().line)) << checked.report;
  EXPECT_THAT(checked.last, MatchesRegex("FAILED: [0-9]+ of [0-9]+ checks"));
}
INSTANTIATE_TEST_SUITE_P(
    Check, BadPlugin,
    ::testing::Values(
        Fault{"no_entry", "no_entry.so: library: "}, Fault{"abi_version", "library: "},
        Fault{"struct_size", "library: "}, Fault{"name", "library: "},
        Fault{"emits_in_create", "bad: create: "}, Fault{"throws", "throws: outputs: "},
        Fault{"invalid_json", "bad: outputs: "}, Fault{"writes_in_process", "bad: outputs: "},
        Fault{"not_repeatable", "bad: repeat: "}, Fault{"keeps_pointer", "bad: memory: "},
        Fault{"writes_into_block", "writes-into-block: memory: "},
        Fault{"keeps_pointer", "bad: guarded memory: it read a block after the call"},
        Fault{"writes_into_block",
              "writes-into-block: guarded memory: it wrote into a block in process, document"},
        Fault{"crashes_late",
              "bad: outputs: it was killed by signal 11 (Segmentation fault) in process, document \"prose\", "
              "block 3"},
        Fault{"aborts_in_load", "bad: load: it was killed by signal 6 (Aborted) in load, document"},
        Fault{"leaks_little", "bad: leaks: each document leaves about 3"},  // 32, and what malloc keeps
        Fault{"bad_schema", "bad: option schema: its schema is not a JSON object"},
        Fault{"save_changes", "bad: save: "}, Fault{"forks_halfway", "bad: fork: "},
        Fault{"emits_in_destroy", "bad: destroy: it calls the host's emit while it is destroyed"},
        Fault{"no_state", "bad: load: "}, Fault{"shared_state", "bad: side by side: "},
        Fault{"missing", "library: "}),
    [](const auto& info) { return std::to_string(info.index) + "_" + info.param.library; });

TEST(Check, GoesOnAfterACrash) {
  const Checked checked(test_library("aborts_in_load"));
  EXPECT_THAT(checked.report, HasSubstr("ok      bad: leaks: ")) << checked.report;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// A program without a sanitizer cannot load a library with one.
TEST(Check, ShowsWhatASanitizerFound) {
  EXPECT_THAT(Checked(test_library("sanitized")).failures,
              AllOf(HasSubstr("bad: leaks: "), HasSubstr("LeakSanitizer: detected memory leaks"),
                    HasSubstr("in finish "), Not(HasSubstr("bad: outputs"))));
}
#endif

std::string with_python() {
  return std::string("--python ") + UNROLL_PYTHON;
}

TEST(Check, ReadsAPluginInPythonThroughItsWorker) {
  const Checked checked(fs::path(UNROLL_SOURCE_DIR) / "examples/topic_boundaries/topic_boundaries.py",
                        with_python());
  EXPECT_EQ(checked.last, "PASSED: 15 checks, 0 notes") << checked.report;
}

TEST(Check, FindsAPluginInPythonThatKeepsItsStateElsewhere) {
  const TemporaryFolder folder;
  std::ofstream(folder / "forgets.py") << "from unroll_plugin import Plugin\n"
                                          "class Forgets(Plugin):\n"
                                          "  name = 'forgets'\n"
                                          "  def process(self, block):\n"
                                          "    self.seen = getattr(self, 'seen', 0) + block.length\n"
                                          "    self.emit({'seen': self.seen})\n";
  EXPECT_THAT(Checked(folder / "forgets.py", with_python()).failures, HasSubstr("forgets: load: "));
}

TEST(Check, EndsWhatHangs) {
  const Checked checked(test_library("hangs_in_finish"), "--timeout 1");
  EXPECT_THAT(checked.failures,
              HasSubstr("bad: outputs: it did not return within 1000 ms in finish, document \"empty\""));
}

TEST(Check, SpeaksJson) {
  const auto report = json::parse(Checked(test_library("none"), "--format json").report);
  EXPECT_TRUE(report.at("passed"));
  EXPECT_EQ(report.at("lines").at(0).at("check"), "library");
  EXPECT_FALSE(json::parse(Checked(test_library("throws"), "--format json").report).at("passed"));
}

TEST(Check, NotesAnOptionThatIsNotRefused) {
  EXPECT_THAT(Checked(test_library("none")).report, HasSubstr("note    good: unknown option: "));
  EXPECT_THAT(Checked(test_library("refuses_options")).report, Not(HasSubstr("note ")));
}

TEST(SyntheticDocument, IsTheSameForASeedAndAddsUp) {
  for (const auto kind : kSyntheticKinds) {
    const SyntheticDocument document(kind, 7);
    EXPECT_TRUE(document.whole().same_data(SyntheticDocument(kind, 7).whole()));
    std::string text;
    std::size_t tokens = 0, singles = 0;
    for (std::size_t i = 0; i < document.block_count(); ++i) {
      const auto block = document.block(i);
      EXPECT_EQ(block.first_token, tokens);
      EXPECT_EQ(block.text.size(), block.offsets.back() - block.offsets.front());
      text += block.text;
      tokens += block.length();
      singles += block.length() == 1 ? 1 : 0;
    }
    EXPECT_EQ(text, document.text());
    EXPECT_EQ(tokens, document.whole().length());
    EXPECT_EQ(kind == SyntheticKind::kEmpty, singles == 0);
  }
  EXPECT_NE(SyntheticDocument(SyntheticKind::kLog, 7).text(),
            SyntheticDocument(SyntheticKind::kLog, 8).text());
}

}  // namespace
}  // namespace unroll::testing
