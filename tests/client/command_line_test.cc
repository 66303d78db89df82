#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/command_tree.h"
#include "client/cli/commands.h"
#include "client/reading/reader.h"
#include "tests/client/fixture.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using test::Finished;
using test::program;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

/// The whole tree.
struct Tree {
  Tree() { add_all_commands(line); }
  CommandLine line{make_embedded_reader};
};

/// Runs a command line in this process.
Finished unroll(const std::vector<std::string>& arguments) {
  std::vector<const char*> words = {"unroll"};
  for (const std::string& argument : arguments) words.push_back(argument.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Finished finished;
  finished.exit_code = Tree().line.run(static_cast<int>(words.size()), words.data());
  finished.out = testing::internal::GetCapturedStdout();
  finished.err = testing::internal::GetCapturedStderr();
  return finished;
}

void for_each_command(const CommandEntry& command, const std::function<void(const CommandEntry&)>& visit) {
  visit(command);
  for (const CommandEntry& below : command.commands) for_each_command(below, visit);
}

std::vector<std::string> words_of(const CommandEntry& command) {
  return {command.path.begin() + 1, command.path.end()};
}

/// A refused command line: exit code 2, nothing on standard output, one line that names the problem and says
/// where to look.
void expect_usage_error(const std::vector<std::string>& arguments, const std::string& problem,
                        const std::string& advice) {
  const Finished finished = unroll(arguments);
  SCOPED_TRACE(testing::PrintToString(arguments));
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_EQ(finished.out, "");
  EXPECT_THAT(finished.err, AllOf(StartsWith("unroll: "), HasSubstr(problem), HasSubstr(advice)));
  EXPECT_EQ(finished.err.find('\n'), finished.err.size() - 1) << finished.err;
}

TEST(CommandLine, HoldsEveryCommandOfTheDesign) {
  Tree tree;
  const CommandEntry root = command_tree(tree.line.app());
  const std::vector<std::vector<std::string>> commands = {{"score"},
                                                          {"anomaly"},
                                                          {"learn"},
                                                          {"summarize"},
                                                          {"embed"},
                                                          {"run"},
                                                          {"batch"},
                                                          {"follow"},
                                                          {"cancel"},
                                                          {"attach"},
                                                          {"documents"},
                                                          {"status"},
                                                          {"train"},
                                                          {"eval"},
                                                          {"bench"},
                                                          {"logits"},
                                                          {"generate"},
                                                          {"adapt"},
                                                          {"plugin", "list"},
                                                          {"plugin", "check"},
                                                          {"man"},
                                                          {"tokenize"},
                                                          {"completion"},
                                                          {"model", "info"},
                                                          {"model", "convert"},
                                                          {"delete"},
                                                          {"append"},
                                                          {"snapshot", "create"},
                                                          {"snapshot", "list"},
                                                          {"snapshot", "delete"},
                                                          {"snapshot", "export"},
                                                          {"snapshot", "import"}};
  for (const auto& words : commands) EXPECT_NE(find_command(root, words), nullptr) << words.back();
  EXPECT_EQ(find_command(root, {"plugin", "info"}), nullptr);
}

TEST(CommandLine, EveryCommandHasHelp) {
  Tree tree;
  std::size_t commands = 0;
  for_each_command(command_tree(tree.line.app()), [&](const CommandEntry& command) {
    SCOPED_TRACE(join(command.path, " "));
    for (const char* flag : {"--help", "-h"}) {
      std::vector<std::string> arguments = words_of(command);
      arguments.push_back(flag);
      const Finished finished = unroll(arguments);
      EXPECT_EQ(finished.exit_code, 0);
      EXPECT_EQ(finished.err, "");
      EXPECT_THAT(finished.out, HasSubstr(command.description.substr(0, 30)));
      for (const OptionEntry& option : command.options)
        EXPECT_THAT(finished.out, HasSubstr(option.names.front()));
    }
    ++commands;
  });
  EXPECT_GT(commands, 20u);
}

TEST(CommandLine, EverythingIsDescribed) {
  Tree tree;
  for_each_command(command_tree(tree.line.app()), [](const CommandEntry& command) {
    SCOPED_TRACE(join(command.path, " "));
    EXPECT_THAT(command.description, Not(IsEmpty()));
    for (const auto* entries : {&command.options, &command.positionals}) {
      for (const OptionEntry& entry : *entries)
        EXPECT_THAT(entry.description, Not(IsEmpty())) << entry.names.front();
    }
  });
}

TEST(CommandLine, Version) {
  const Finished finished = test::run({program("unroll").string(), "--version"});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.out, "unroll " UNROLL_VERSION "\n");
  EXPECT_EQ(finished.err, "");
}

fs::path local_program() {
  return program("unroll").parent_path().parent_path() / "libexec/unroll/unroll-local";
}

TEST(TwoPrograms, UnrollItselfLoadsNoLibTorch) {
  const test::Surroundings traced{"", {{"LD_TRACE_LOADED_OBJECTS", "1"}}};
  EXPECT_THAT(test::run({program("unroll").string()}, traced).out,
              AllOf(HasSubstr("libstdc++"), Not(HasSubstr("libtorch"))));
  EXPECT_THAT(test::run({local_program().string()}, traced).out, HasSubstr("libtorch_cpu"));
}

TEST(TwoPrograms, TellTheSameOfEveryCommandLine) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"--help"},
           {"--version"},
           {"frobnicate"},
           {"--frobnicate"},
           {"score"},
           {"score", "--help"},
           {"plugin", "frobnicate"},
           {"train", "--help"},
           {"bench", "--batch", "0"},
           {"man", "follow"},
           {"completion", "bash"},
           {"score", "/nowhere/a", "--embedded", "--model", "/nowhere/m"},
       }) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    std::vector<std::string> one = {program("unroll").string()}, other = {local_program().string()};
    one.insert(one.end(), arguments.begin(), arguments.end());
    other.insert(other.end(), arguments.begin(), arguments.end());
    const Finished by_one = test::run(one), by_other = test::run(other);
    EXPECT_EQ(by_one.exit_code, by_other.exit_code);
    EXPECT_EQ(by_one.out, by_other.out);
    EXPECT_EQ(by_one.err, by_other.err);
  }
}

TEST(TwoPrograms, WhereTheOtherOneIsMissing) {
  const TemporaryFolder folder;
  const fs::path lonely = folder.path() / "bin/unroll";
  fs::create_directory(lonely.parent_path());
  fs::copy_file(program("unroll"), lonely);
  EXPECT_EQ(test::run({lonely.string(), "--version"}).exit_code, 0);
  const Finished finished = test::run({lonely.string(), "bench"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(StartsWith("unroll: cannot run "), HasSubstr("libexec/unroll/unroll-local"),
                                  HasSubstr("No such file"), HasSubstr("reinstall unroll")));
}

TEST(CommandLine, UsageErrorsNameTheProblemAndTheHelp) {
  const std::string help = "'unroll --help'", score_help = "'unroll score --help'";
  expect_usage_error({}, "required", help);
  expect_usage_error({"frobnicate"}, "frobnicate", help);
  expect_usage_error({"--frobnicate"}, "--frobnicate", help);
  expect_usage_error({"score"}, "FILE", score_help);
  expect_usage_error({"score", "a", "--frobnicate"}, "--frobnicate", score_help);
  expect_usage_error({"--frobnicate", "score", "a"}, "--frobnicate", score_help);
  expect_usage_error({"score", "a", "b"}, "b", score_help);
  expect_usage_error({"score", "a", "--format", "xml"}, "--format: xml", score_help);
  expect_usage_error({"score", "a", "--device", "abacus"}, "--device: abacus", score_help);
  expect_usage_error({"score", "a", "--dtype", "fp64"}, "--dtype: fp64", score_help);
  expect_usage_error({"score", "a", "--top", "0"}, "--top", score_help);
  expect_usage_error({"score", "a", "--top", "many"}, "--top", score_help);
  expect_usage_error({"score", "a", "--out"}, "--out", score_help);
  expect_usage_error({"embed", "a", "--format", "html"}, "--format: html", "'unroll embed --help'");
  expect_usage_error({"run", "a"}, "--plugin", "'unroll run --help'");
  expect_usage_error({"batch", "a"}, "--out", "'unroll batch --help'");
  expect_usage_error({"bench", "--batch", "0"}, "--batch", "'unroll bench --help'");
  expect_usage_error({"plugin"}, "required", "'unroll plugin --help'");
  expect_usage_error({"plugin", "frobnicate"}, "frobnicate", "'unroll plugin --help'");
  expect_usage_error({"plugin", "check"}, "FILE", "'unroll plugin check --help'");
  expect_usage_error({"model", "convert", "a"}, "TO", "'unroll model convert --help'");
  expect_usage_error({"completion", "tcsh"}, "tcsh", "'unroll completion --help'");
  expect_usage_error({"man", "frobnicate"}, "frobnicate", help);
}

TEST(CommandLine, FlagsThatContradictOneAnother) {
  expect_usage_error({"score", "a", "--embedded", "--socket", "b"}, "--embedded", "--socket");
}

TEST(CommandLine, PluginOptionsAreAnObject) {
  for (const char* options : {"score:", "score:[1]", "score:{"}) {
    expect_usage_error({"run", "--plugin", options, "a"}, "'score'", "--plugin 'score:{");
  }
}

TEST(CommandLine, PluginTakesOneValueAndLeavesTheFiles) {
  // The files' own error shows that they were accepted as such.
  const Finished finished =
      unroll({"run", "--plugin", "score", "/nowhere/a", "--embedded", "--model", "/nowhere/m"});
  EXPECT_EQ(finished.exit_code, 1) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("/nowhere/m"));
}

TEST(CommandLine, SocketPathThatIsTooLong) {
  const std::string path(108, 'x');
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"status"}, {"documents"}, {"cancel", "a"}, {"attach", "a"}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--socket", path});
    const Finished finished = unroll(arguments);
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_EQ(finished.out, "");
    EXPECT_THAT(finished.err, AllOf(StartsWith("unroll: "), HasSubstr(path), HasSubstr("at most 107")));
  }
  // One byte less is accepted, and no daemon listens there.
  EXPECT_THAT(unroll({"status", "--socket", path.substr(1)}).err, HasSubstr("there is no daemon socket at"));
}

TEST(CommandLine, OutputThatGoesNowhereIsAFailure) {
  const Finished finished =
      test::run({"/bin/sh", "-c", "\"$0\" --help > /dev/full", program("unroll").string()});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("standard output"));
}

TEST(Completion, BashParsesItAndCompletes) {
  const TemporaryFolder folder;
  const Finished script = unroll({"completion", "bash"});
  ASSERT_EQ(script.exit_code, 0);
  write_file(folder / "unroll.bash", script.out);
  const Finished parsed = test::run({"/bin/bash", "-n", (folder / "unroll.bash").string()});
  EXPECT_EQ(parsed.exit_code, 0) << parsed.err;

  const auto complete = [&](const std::string& words, int current) {
    return test::run({"/bin/bash", "-c",
                      "compopt() { :; }; . \"$1\"; COMP_WORDS=(" + words + "); COMP_CWORD=" +
                          std::to_string(current) + "; _unroll; printf '%s\\n' \"${COMPREPLY[@]}\"",
                      "bash", (folder / "unroll.bash").string()})
        .out;
  };
  EXPECT_EQ(complete("unroll sc", 1), "score\n");
  EXPECT_EQ(complete("unroll plugin ''", 2), "list\ncheck\nnew\n");
  EXPECT_EQ(complete("unroll score a --format h", 4), "html\n");
  EXPECT_EQ(complete("unroll score --granul", 2), "--granularity\n");
  EXPECT_EQ(complete("unroll completion f", 2), "fish\n");
}

TEST(Completion, EveryShellKnowsEveryCommand) {
  Tree tree;
  const CommandEntry root = command_tree(tree.line.app());
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = unroll({"completion", shell}).out;
    for_each_command(root, [&](const CommandEntry& command) {
      EXPECT_THAT(script, HasSubstr(command.path.back())) << shell;
    });
    EXPECT_THAT(script, HasSubstr("granularity")) << shell;
    const fs::path interpreter = fs::path("/usr/bin") / shell;
    if (!fs::exists(interpreter)) continue;
    const TemporaryFolder folder;
    write_file(folder / "script", script);
    const Finished parsed = test::run({interpreter.string(), "-n", (folder / "script").string()});
    EXPECT_EQ(parsed.exit_code, 0) << shell << ": " << parsed.err;
  }
}

TEST(ManPages, OneForEachCommand) {
  const TemporaryFolder folder;
  const Finished finished = unroll({"man", "--all", (folder / "man").string()});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out, "");
  Tree tree;
  std::size_t pages = 0;
  for_each_command(command_tree(tree.line.app()), [&](const CommandEntry& command) {
    const std::string page = read_file(folder.path() / "man" / (join(command.path, "-") + ".1"));
    SCOPED_TRACE(join(command.path, " "));
    for (const char* section : {".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", ".SH EXIT STATUS"}) {
      EXPECT_THAT(page, HasSubstr(section));
    }
    std::vector<std::string> arguments = words_of(command);
    arguments.insert(arguments.begin(), "man");
    EXPECT_EQ(unroll(arguments).out, page);
    ++pages;
  });
  EXPECT_EQ(pages, static_cast<std::size_t>(std::distance(fs::directory_iterator(folder / "man"), {})));
}

TEST(ManPages, GroffHasNothingToSay) {
  if (!fs::exists("/usr/bin/groff")) GTEST_SKIP() << "groff is not installed";
  const TemporaryFolder folder;
  ASSERT_EQ(unroll({"man", "--all", folder.path().string()}).exit_code, 0);
  std::vector<std::string> arguments = {"/usr/bin/groff", "-man", "-ww", "-z", "-Tascii"};
  for (const auto& page : fs::directory_iterator(folder.path())) arguments.push_back(page.path().string());
  const Finished finished = test::run(arguments);
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.err, "");
}

}  // namespace
}  // namespace unroll
