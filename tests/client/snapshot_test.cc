// `unroll snapshot` and --after, with and without a daemon.
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Snapshot : public WithDaemon {
 protected:
  void SetUp() override {
    fs::remove_all(path("cache"));
    delete_all();
    // In the middle of a character, and of a line.
    const auto text = prose(9);
    const auto cut = text.find("ö", text.size() / 2) + 1;
    write_file(path("whole.txt"), text);
    write_file(path("a.txt"), text.substr(0, cut));
    write_file(path("b.txt"), text.substr(cut));
    const auto log = log_lines();
    const auto line = log.find('\n', log.size() / 2) + 1;
    write_file(path("whole.log"), log);
    write_file(path("first.log"), log.substr(0, line));
    write_file(path("second.log"), log.substr(line));
  }
  static Surroundings with_cache(const std::string& bytes = "") {
    return {"", {{"XDG_CACHE_HOME", path("cache")}, {"UNROLL_CACHE_BYTES", bytes}}};
  }
  static std::vector<fs::path> cached() {
    std::vector<fs::path> files;
    std::error_code none;
    for (const auto& file : fs::directory_iterator(path("cache/unroll/snapshots"), none))
      files.push_back(file.path());
    return files;
  }
  static json listed() {
    return json::parse(read_by_daemon({"snapshot", "list", "--format", "json"}, with_cache()));
  }
  static std::vector<std::string> names() {
    std::vector<std::string> names;
    const auto list = listed();
    for (const auto& entry : list["snapshots"]) names.push_back(entry["name"]);
    return names;
  }
  static void delete_all() {
    for (const auto& name : names()) read_by_daemon({"snapshot", "delete", name});
  }
  /// Surprise of each token, from byte `begin` on.
  static std::vector<json> nats(const std::string& output, std::uint64_t begin = 0) {
    std::vector<json> result;
    for (const auto& line : lines_of(output)) {
      for (std::size_t i = 0; line.value("type", "") == "tokens" && i < line["nats"].size(); ++i) {
        if (line["end"][i] > begin) result.push_back(line["nats"][i]);
      }
    }
    return result;
  }
  static std::vector<std::string> score(const std::string& file, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"score", path(file), "--granularity",
                                          "token", "--format", "ndjson"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_F(Snapshot, ADocumentAfterAnotherIsScoredAsItsContinuation) {
  const auto begin = fs::file_size(path("a.txt"));
  const auto expected = nats(read_embedded(score("whole.txt")), begin);
  const auto after = score("b.txt", {"--after", path("a.txt")});
  const auto here = read_embedded(after, with_cache());
  EXPECT_EQ(nats(here), expected);
  EXPECT_NE(nats(read_embedded(score("b.txt"))), expected);
  EXPECT_EQ(read_embedded(after, with_cache()), here) << "from the cache";
  EXPECT_EQ(read_by_daemon(after, with_cache()), here) << "from the cache, in the daemon";
  EXPECT_EQ(cached().size(), 1u) << "the same model";
  fs::remove_all(path("cache"));
  EXPECT_EQ(read_by_daemon(after, with_cache()), here) << "which keeps it for a while";
  EXPECT_TRUE(listed()["snapshots"][0].contains("expires"));
  delete_all();
  EXPECT_EQ(read_by_daemon(after, with_cache()), here) << "read by the daemon";
  EXPECT_EQ(cached().size(), 1u);
}

TEST_F(Snapshot, ALogIsJudgedByWhatAnotherHasTaught) {
  const std::vector<std::string> whole = {"anomaly", path("whole.log"), "--format", "ndjson"};
  const std::vector<std::string> second = {"anomaly", path("second.log"), "--format",
                                           "ndjson",  "--after",          path("first.log")};
  auto expected = lines_of(read_embedded(whole));
  const auto found = lines_of(read_embedded(second, with_cache()));
  const auto skipped = expected.size() - found.size();
  ASSERT_GT(skipped, 10u);
  const std::uint64_t begin = fs::file_size(path("first.log"));
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i]["score"], expected[skipped + i]["score"]) << i;
    EXPECT_EQ(found[i]["line"], i + 1);
    EXPECT_EQ(found[i]["start"].get<std::uint64_t>() + begin, expected[skipped + i]["start"]);
  }
  const std::vector<std::string> run = {"run",     "--plugin",       "anomaly", path("second.log"),
                                        "--after", path("first.log")};
  const auto outputs = lines_of(read_embedded(run, with_cache()));
  EXPECT_EQ(outputs[0]["data"]["score"], found[0]["score"]);
  EXPECT_EQ(cached().size(), 2u) << "`unroll anomaly` reads the log as text";
  read_by_daemon({"snapshot", "create", path("first.log"), "--plugin", "anomaly", "--name", "first"});
  const auto by_name =
      read_by_daemon({"anomaly", path("second.log"), "--format", "ndjson", "--after", "first"}, with_cache());
  EXPECT_EQ(lines_of(by_name), found);
}

TEST_F(Snapshot, TheCacheIsUsedAndADamagedFileIsReadAgain) {
  const auto after = [&](const char* file) { return score("b.txt", {"--after", path(file)}); };
  const auto expected = read_embedded(after("a.txt"), with_cache());
  const auto of_a = cached().at(0);
  EXPECT_THAT(of_a.filename().string(), HasSubstr("-a.txt.snapshot"));
  EXPECT_EQ(fs::status(of_a).permissions(), fs::perms(0600));
  const auto other = read_embedded(after("whole.txt"), with_cache());
  ASSERT_NE(other, expected);
  const auto files = cached();
  ASSERT_EQ(files.size(), 2u);
  const auto of_whole = files[0] == of_a ? files[1] : files[0];
  const auto bytes = read_file(of_a);
  fs::copy_file(of_whole, of_a, fs::copy_options::overwrite_existing);
  EXPECT_EQ(read_embedded(after("a.txt"), with_cache()), other) << "what the cache has";
  write_file(of_a, bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(read_embedded(after("a.txt"), with_cache()), expected);
  EXPECT_EQ(fs::file_size(of_a), bytes.size()) << "with a later time in it";
  const auto list = listed();
  ASSERT_EQ(list["cached"].size(), 2u);
  EXPECT_EQ(list["cached"][0]["name"], "a.txt") << "used last";
  EXPECT_THAT(read_by_daemon({"snapshot", "list"}, with_cache()), HasSubstr("(cached: whole.txt)"));
  read_by_daemon({"snapshot", "delete", list["cached"][0]["key"].get<std::string>()}, with_cache());
  EXPECT_EQ(cached(), std::vector<fs::path>{of_whole});
  // There is room for one.
  read_embedded(after("a.txt"), with_cache(std::to_string(bytes.size() + 100)));
  EXPECT_EQ(cached(), std::vector<fs::path>{of_a});
  read_embedded(after("whole.txt"), with_cache("0"));
  EXPECT_TRUE(cached().empty());
}

TEST_F(Snapshot, OneIsMadeWrittenToAFileAndMoved) {
  const auto expected = read_embedded(score("b.txt", {"--after", path("a.txt")}), with_cache());
  read_embedded({"snapshot", "create", path("a.txt"), "--out", path("a.snapshot")});
  EXPECT_EQ(read_embedded(score("b.txt", {"--after", path("a.snapshot")})), expected);
  EXPECT_EQ(read_by_daemon(score("b.txt", {"--after", path("a.snapshot")})), expected);
  EXPECT_THAT(read_by_daemon({"snapshot", "import", path("a.snapshot"), "--name", "moved"}),
              HasSubstr("snapshot 'moved': "));
  read_by_daemon({"snapshot", "create", path("a.txt"), "--name", "made", "--expires", "3600"});
  EXPECT_EQ(read_by_daemon(score("b.txt", {"--after", "moved"})), expected);
  EXPECT_EQ(read_by_daemon(score("b.txt", {"--after", "made"})), expected);
  EXPECT_THAT(names(), testing::IsSupersetOf({"made", "moved"}));
  const auto list = read_by_daemon({"snapshot", "list"}, with_cache());
  EXPECT_THAT(list, AllOf(HasSubstr("  made\n"), HasSubstr("  moved\n")));
  read_by_daemon({"snapshot", "export", "made", "--out", path("made.snapshot")});
  EXPECT_EQ(read_embedded(score("b.txt", {"--after", path("made.snapshot")})), expected);
  read_by_daemon({"snapshot", "create", path("a.txt"), "--out", path("by_daemon.snapshot")});
  EXPECT_EQ(read_embedded(score("b.txt", {"--after", path("by_daemon.snapshot")})), expected);
  for (const auto& name : names()) EXPECT_THAT(name, Not(HasSubstr("for by_daemon")));
  EXPECT_EQ(read_by_daemon({"snapshot", "delete", "made", "moved"}), "deleted made\ndeleted moved\n");
  EXPECT_THAT(read_by_daemon({"snapshot", "list"}, with_cache()), Not(HasSubstr("  made\n")));
}

TEST_F(Snapshot, ADocumentGrows) {
  const auto whole = lines_of(read_embedded({"anomaly", path("whole.log"), "--format", "ndjson"}));
  read_by_daemon({"snapshot", "create", path("first.log"), "--plugin", "anomaly", "--name", "log"});
  const auto text = read_file(path("second.log"));
  const auto cut = text.find('\n', text.size() / 2) + 1;
  write_file(path("1.log"), text.substr(0, cut));
  write_file(path("2.log"), text.substr(cut));
  std::map<std::string, std::vector<json>> scores;
  for (const std::string file : {"1.log", "2.log"}) {
    for (const auto& output : lines_of(read_by_daemon({"append", "log", path(file)}))) {
      EXPECT_EQ(output["file"], path(file));
      if (output["data"].contains("line")) scores[file].push_back(output["data"]["score"]);
    }
  }
  std::vector<json> expected;
  for (const auto& line : whole) expected.push_back(line["score"]);
  const auto count = scores["2.log"].size();
  ASSERT_GT(count, 5u);
  expected.erase(expected.begin(), expected.end() - static_cast<std::ptrdiff_t>(count));
  EXPECT_EQ(scores["2.log"], expected);
  EXPECT_GT(scores["1.log"].size(), 5u);
  EXPECT_EQ(listed()["snapshots"][0]["bytes"], fs::file_size(path("whole.log")));
  expect_failure(by_daemon({"append", "nonesuch", path("1.log")}), "no snapshot 'nonesuch'",
                 "unroll snapshot create");
}

TEST_F(Snapshot, TextIsWrittenAfterADocumentOrASnapshot) {
  const auto written = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "generate");
    arguments.insert(arguments.end(), {"--tokens", "30", "--model", model()});
    return unroll(std::move(arguments));
  };
  const auto expected = written({path("whole.txt"), "--dtype", "fp32"});
  EXPECT_EQ(expected.exit_code, 0) << expected.err;
  EXPECT_EQ(written({path("b.txt"), "--after", path("a.txt"), "--dtype", "fp32"}).out, expected.out);
  EXPECT_NE(written({path("b.txt"), "--dtype", "fp32"}).out, expected.out);
  read_embedded({"snapshot", "create", path("a.txt"), "--out", path("a.snapshot"), "--dtype", "fp32"});
  EXPECT_EQ(written({path("b.txt"), "--after", path("a.snapshot")}).out, expected.out);
  expect_failure(written({path("b.txt"), "--after", path("a.snapshot"), "--dtype", "bf16"}),
                 "computes in fp32", "leave out --dtype", 2);
  expect_failure(written({path("b.txt"), "--after", "nonesuch", "--socket", path("none")}), "no daemon", "");
  const std::vector<std::string> to_daemon = {"snapshot", "create", path("a.txt"), "--name", "a"};
  read_by_daemon(to_daemon);
  EXPECT_EQ(written({"--after", "a", "--socket", daemon_->socket()}).exit_code, 0);
}

TEST_F(Snapshot, ErrorsSayWhatToDo) {
  expect_failure(embedded({"snapshot", "create", path("a.txt"), "--name", "a"}), "only a daemon keeps",
                 "with --out");
  expect_failure(embedded({"snapshot", "create", path("a.txt")}), "give one of --name", "--out", 2);
  expect_failure(embedded(score("b.txt", {"--after", "nonesuch"})),
                 "neither a file nor a snapshot 'nonesuch'", "snapshot list");
  expect_failure(by_daemon(score("b.txt", {"--after", "nonesuch"})),
                 "neither a file nor a snapshot 'nonesuch'", "snapshot list");
  expect_failure(by_daemon({"snapshot", "delete", "nonesuch"}), "no snapshot 'nonesuch'", "list");
  read_embedded({"snapshot", "create", path("a.txt"), "--out", path("a.snapshot")});
  auto bytes = read_file(path("a.snapshot"));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(path("a.snapshot"), bytes);
  expect_failure(embedded(score("b.txt", {"--after", path("a.snapshot")})), "its bytes have changed",
                 "export the snapshot again");
  expect_failure(by_daemon({"snapshot", "import", path("a.snapshot")}), "its bytes have changed",
                 "export the snapshot again");
  write_tiny_model(path("other"), 8);
  read_embedded({"snapshot", "create", path("a.txt"), "--out", path("a.snapshot")});
  expect_failure(
      unroll({"score", path("b.txt"), "--after", path("a.snapshot"), "--embedded", "--model", path("other")}),
      "is of another checkpoint", "the model that it was made with");
}

}  // namespace
}  // namespace unroll::test
