// `unroll plugin check` passes what keeps the promises of plugin.h and finds what breaks one.
#include "plugins/check.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

struct Checked {
  explicit Checked(const fs::path& file) {
    std::ostringstream out;
    passed = check_plugin_library(file, out);
    report = out.str();
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
  EXPECT_THAT(checked.last, MatchesRegex("PASSED: 13 checks, [01] notes?"));
}
INSTANTIATE_TEST_SUITE_P(Check, SoundPlugin,
                         ::testing::Values(builtin_library("score"), builtin_library("anomaly"),
                                           builtin_library("summarize"), builtin_library("embed"),
                                           test_library("word_count"), test_library("none"),
                                           test_library("sees")),
                         [](const auto& info) { return info.param.stem().string(); });

struct Fault {
  const char *library, *line;  // of its report, without what comes behind
};
class BadPlugin : public ::testing::TestWithParam<Fault> {};

TEST_P(BadPlugin, FailsWithTheReason) {
  const Checked checked(test_library(GetParam().library));
  EXPECT_FALSE(checked.passed);
  EXPECT_THAT(checked.failures, HasSubstr(GetParam().line)) << checked.report;
  EXPECT_THAT(checked.last, MatchesRegex("FAILED: [0-9]+ of [0-9]+ checks"));
}
INSTANTIATE_TEST_SUITE_P(
    Check, BadPlugin,
    ::testing::Values(Fault{"no_entry", "no_entry.so: library: "}, Fault{"abi_version", "library: "},
                      Fault{"struct_size", "library: "}, Fault{"name", "library: "},
                      Fault{"emits_in_create", "bad: create: "}, Fault{"throws", "bad: outputs: "},
                      Fault{"invalid_json", "bad: outputs: "}, Fault{"writes_in_process", "bad: outputs: "},
                      Fault{"not_repeatable", "bad: repeat: "}, Fault{"keeps_pointer", "bad: memory: "},
                      Fault{"writes_into_block", "bad: memory: "}, Fault{"no_state", "bad: load: "},
                      Fault{"shared_state", "bad: side by side: "}, Fault{"missing", "library: "}),
    [](const auto& info) { return info.param.library; });

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
