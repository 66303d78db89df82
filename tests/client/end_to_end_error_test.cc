// Errors that say what to do: exit code 1, one line on standard error, no results.
#include <algorithm>
#include <csignal>
#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Errors : public WithModel {
 protected:
  /// A copy of the model to damage.
  static fs::path damaged(const std::string& name) {
    const fs::path folder = path(name);
    fs::copy(model(), folder);
    return folder;
  }
  static Finished score_with(const fs::path& model) {
    return unroll({"score", path("book.txt"), "--embedded", "--model", model.string()});
  }
  /// `unrolld`, which must not start; stopped if it does.
  static Finished daemon(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"/usr/bin/timeout", "30", program("unrolld").string()});
    return run(arguments);
  }
};

TEST_F(Errors, NoModel) {
  expect_failure(score_with("/nowhere/model"), "no model at /nowhere/model", "--model");
  expect_failure(score_with(path("book.txt")), path("book.txt") + ": does not begin with \"GGUF\"", "fetch");
  expect_failure(
      unroll({"score", path("book.txt"), "--embedded"}, {"", {{"UNROLL_MODEL", "/nowhere/other"}}}),
      "no model at /nowhere/other", "UNROLL_MODEL");
  expect_failure(unroll({"eval", path("book.txt"), "--model", "/nowhere/model"}), "/nowhere/model",
                 "--model");
}

TEST_F(Errors, ModelWithoutOneOfItsFiles) {
  const fs::path folder = damaged("incomplete");
  fs::remove(folder / "tokenizer.model");
  expect_failure(score_with(folder), (folder / "tokenizer.model").string(), "a checkpoint's folder holds");
  fs::remove(folder / "model.safetensors");
  expect_failure(score_with(folder), folder.string(), "");
  fs::remove(folder / "config.json");
  expect_failure(score_with(folder), "there is no model in " + folder.string(), "--model");
}

TEST_F(Errors, CutSafetensors) {
  const fs::path file = damaged("cut") / "model.safetensors";
  fs::resize_file(file, fs::file_size(file) / 2);
  expect_failure(score_with(file.parent_path()), file.string(), "fetch or export it again");
  fs::resize_file(file, 4);
  expect_failure(score_with(file.parent_path()), file.string(), "fetch or export it again");
}

TEST_F(Errors, UnknownKeyInTheModelsConfiguration) {
  const fs::path file = damaged("unknown-key") / "config.json";
  json config = json::parse(read_file(file));
  config["dephts"] = 3;
  write_file(file, config.dump());
  expect_failure(score_with(file.parent_path()), R"(unknown key "dephts")", "remove or rename it");
}

TEST_F(Errors, UnknownPlugin) {
  expect_failure(embedded({"run", "--plugin", "nope", path("book.txt")}), "no plugin 'nope'",
                 "there are: anomaly");
  expect_failure(embedded({"run", "--plugin", R"(score:{"tpo":3})", path("book.txt")}), R"(option "tpo")",
                 R"(the options are "granularity")");
  expect_failure(unroll({"plugin", "list"}, {"", {{"UNROLL_PLUGIN_PATH", "/nowhere"}}}),
                 "no plugins in /nowhere", "UNROLL_PLUGIN_PATH");
}

TEST_F(Errors, DocumentsThatCannotBeRead) {
  expect_failure(embedded({"score", path("missing")}), path("missing") + ": No such file", "check the path");
  expect_failure(embedded({"run", "--plugin", "score", path("missing")}), path("missing"), "check the path");
  expect_failure(unroll({"eval", path("missing"), "--model", model()}), path("missing"), "check the path");
  expect_failure(embedded({"score", path("model")}), path("model") + " is a folder",
                 "unroll batch " + path("model"));
  expect_failure(embedded({"score", path("book.txt") + "/inside"}), "Not a directory", "");
  expect_failure(embedded({"batch", path("book.txt"), "--out", path("results")}),
                 path("book.txt") + " is not a folder", "unroll run");
}

TEST_F(Errors, TrainingWithoutData) {
  const std::string vocabulary = model() + "/tokenizer.model", config = model() + "/config.json";
  expect_failure(unroll({"train", "--data", path("missing"), "--vocabulary", vocabulary, "--config", config,
                         "--out", path("trained")}),
                 "there is no " + path("missing"), "--data");
}

TEST_F(Errors, DocumentWithoutTheRightToReadIt) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  write_file(path("secret"), "a");
  ::chmod(path("secret").c_str(), 0);
  expect_failure(embedded({"score", path("secret")}), path("secret") + ": Permission denied",
                 "change its permissions");
}

TEST_F(Errors, DaemonThatIsNotThere) {
  const std::string socket = path("no-socket");
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"score", path("book.txt")},
                                             {"status"},
                                             {"documents"},
                                             {"cancel", "a"},
                                             {"attach", "a"},
                                             {"delete", "a"}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--socket", socket});
    expect_failure(unroll(arguments), "no daemon socket at " + socket, "unrolld --socket " + socket);
  }
  expect_failure(unroll({"status", "--socket", path("book.txt")}), path("book.txt"), "unrolld --socket");
}

TEST_F(Errors, ResultsThatCannotBeWritten) {
  const std::string nowhere = path("no-folder/out");
  expect_failure(embedded({"score", path("book.txt"), "--out", nowhere}), nowhere + ": No such file",
                 "--out");
  expect_failure(embedded({"score", path("book.txt"), "--out", path("model")}),
                 path("model") + ": Is a directory", "--out");
  expect_failure(embedded({"score", path("book.txt"), "--out", "/dev/full"}), "/dev/full: No space left",
                 "free space");
  const Finished full = run({"/bin/sh", "-c", R"("$0" score "$1" --embedded --model "$2" > /dev/full)",
                             program("unroll").string(), path("book.txt"), model()});
  expect_failure(full, "standard output: No space left", "free space");
  expect_failure(embedded({"batch", path("model"), "--out", path("book.txt") + "/results"}),
                 "cannot make the folder", "--out");
}

TEST_F(Errors, ReaderOfAPipeThatGoesAwayIsNoError) {
  const Finished finished = run(
      {"/bin/bash", "-c",
       R"("$0" run --plugin 'score:{"granularity":"token"}' "$1" --embedded --model "$2" | head -c 1; exit ${PIPESTATUS[0]})",
       program("unroll").string(), path("book.txt"), model()});
  EXPECT_EQ(finished.out, "{");
  EXPECT_EQ(finished.err, "");
  EXPECT_THAT(finished.exit_code, testing::AnyOf(0, 128 + SIGPIPE))
      << "0 where all went into the pipe before";
}

TEST_F(Errors, DaemonsConfiguration) {
  write_file(path("config.json"), R"({"socket":{"paht":"/nowhere/s"}})");
  const Finished unknown = daemon({"--config", path("config.json")});
  expect_failure(unknown, path("config.json"), "unrolld --describe-config");
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("socket.paht"), HasSubstr("socket.path")));
  write_file(path("config.json"), R"({"model":{"threads":"two"}})");
  expect_failure(daemon({"--config", path("config.json")}), "model.threads", "");
  write_file(path("config.json"), "{");
  expect_failure(daemon({"--config", path("config.json")}), path("config.json"), "not valid JSON");
  expect_failure(daemon({"--config", path("no-config")}), path("no-config"), "check its path");
  expect_failure(daemon({"--dtype", "fp64"}), "model.dtype", "fp32");
  EXPECT_EQ(daemon({"--frobnicate"}).exit_code, 2);
}

TEST_F(Errors, DaemonsSocketAndModel) {
  expect_failure(daemon({"--socket", std::string(108, 'x')}), "at most 107", "--socket");
  expect_failure(daemon({"--socket", path("book.txt"), "--model", model()}), path("book.txt"), "--socket");
  EXPECT_EQ(read_file(path("book.txt")), prose(12)) << "what is in the way is left alone";
  const Finished finished = daemon(
      {"--socket", path("s"), "--model", "/nowhere/model", "--log-level", "off", "--journal", ":memory:"});
  expect_failure(finished, "'/nowhere/model'", "--model NAME");
  EXPECT_FALSE(fs::exists(path("s"))) << "a daemon that did not come up leaves no socket";
}

}  // namespace
}  // namespace unroll::test
