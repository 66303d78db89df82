// unroll batch --input: records as documents.
#include "client/batch/corpus.h"

#include <csignal>
#include <fstream>

#include <poll.h>

#include "client/cli/command_error.h"
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class CorpusFiles : public WithDaemon {
 protected:
  static std::string record(const json& record) { return record.dump() + "\n"; }
  fs::path in(const char* name) const { return here_ / "in" / name; }
  fs::path out(const char* name) const { return here_ / "out" / name; }
  void write(const char* name, const std::string& text) const {
    fs::create_directories(in(name).parent_path());
    write_file(in(name), text);
  }
  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {
        "batch",    "--input", (here_ / "in" / "*.jsonl").string(), "--out", (here_ / "out").string(),
        "--format", "json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::vector<json> rows(const char* name) const { return lines_of(read_file(out(name))); }
  /// What `unroll score` says of the text alone.
  double bits_per_byte(const std::string& text) const {
    write_file(here_ / "alone", text);
    const auto lines = lines_of(read_embedded(
        {"run", "--plugin", R"(score:{"granularity":"document"})", (here_ / "alone").string()}));
    return lines.back()["data"]["bits_per_byte"];
  }
  /// Records of different lengths.
  static std::string many(int count) {
    std::string text, lines;
    for (int word = 0; word < 200; ++word) text += "word" + std::to_string(word * 7919 % 1000) + ' ';
    for (int i = 0; i < count; ++i)
      lines += record({{"url", "u" + std::to_string(i)}, {"text", text.substr(i % 50, 20 + i * 37 % 900)}});
    return lines;
  }

  TemporaryFolder here_;
};

TEST_F(CorpusFiles, EachRecordGetsARowWithWhatItsTextAloneGives) {
  const auto text = prose(1).substr(0, 700);
  write("a.jsonl", record({{"text", text}, {"url", "x"}}) + "\n  \n" +
                       record({{"text", "Grüße"}, {"url", 7}}) + R"({"text":""})");
  const auto finished = embedded(command({"--id-field", "url"}));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  const auto summary = json::parse(finished.out);
  EXPECT_EQ(summary["records"], 3);
  EXPECT_EQ(summary["damaged"], 0);
  EXPECT_EQ(summary["bytes"], text.size() + 7);
  const auto read = rows("a.jsonl");
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[0]["id"], "x");
  EXPECT_EQ(read[0]["bytes"], text.size());
  EXPECT_EQ(read[0]["bits_per_byte"], bits_per_byte(text));
  EXPECT_EQ(read[1]["id"], 7);
  EXPECT_EQ(read[1]["bits_per_byte"], bits_per_byte("Grüße"));
  EXPECT_EQ(read[2], (json{{"id", nullptr}, {"tokens", 0}, {"bytes", 0}, {"bits_per_byte", nullptr}}));
}

TEST_F(CorpusFiles, DamagedRecordsAreNamedAndTheOthersAreRead) {
  write("a.jsonl", record({{"text", "one"}}) + "{\"text\":\n" + record({{"body", "x"}}) + "[1]\n" +
                       record({{"text", 5}}) + "{\"text\":\"\\ud800\"}\n" + record({{"text", "two"}}));
  const auto finished = embedded(command());
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(json::parse(finished.out)["damaged"], 5);
  EXPECT_THAT(
      finished.err,
      AllOf(HasSubstr("a.jsonl: record 2 is not JSON"), HasSubstr("record 3 has no field 'text'"),
            HasSubstr("record 4 is not a JSON object"), HasSubstr("record 5 has no text in its field 'text'"),
            HasSubstr("record 6 is not JSON")));
  const auto read = rows("a.jsonl");
  ASSERT_EQ(read.size(), 7u);
  EXPECT_EQ(read[0]["bytes"], 3);
  for (int i = 1; i < 6; ++i) EXPECT_EQ(read[i]["record"], i + 1) << read[i];
  EXPECT_EQ(read[6]["bits_per_byte"], bits_per_byte("two"));
}

TEST_F(CorpusFiles, FieldsMayBeNestedAndPluginsAddTheirs) {
  write("a.jsonl", record({{"doc", {{"body", prose(1).substr(0, 300)}, {"key", "k"}}}}));
  const auto finished =
      embedded(command({"--text-field", "/doc/body", "--id-field", "/doc/key", "--plugin", "embed"}));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  const auto read = rows("a.jsonl");
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0]["id"], "k");
  EXPECT_EQ(read[0]["embed"]["type"], "document");
  EXPECT_FALSE(read[0].contains("bits_per_byte"));
}

TEST_F(CorpusFiles, LinesMayBeWrittenOnAnySystem) {
  write("a.jsonl", "\xEF\xBB\xBF" + std::string(R"({"text":"one"})") + "\r\n\r\n" +
                       R"({"text":"two\u0000"})" + "\r\n" +
                       R"( {"text":"three" , "more":[1e400,-0.0,12345678901234567890]} )");
  const auto finished = embedded(command());
  const auto read = rows("a.jsonl");
  ASSERT_EQ(read.size(), 3u) << finished.err;
  for (int i : {0, 1}) EXPECT_EQ(read[i]["bytes"], 3 + i) << read[i];
}

TEST_F(CorpusFiles, FieldsMayHaveDots) {
  write("a.jsonl", record({{"doc", {{"body", "below"}, {"id", 3}}}}) +
                       record({{"doc.body", "a key of its own"}, {"doc", {{"body", "x"}, {"id", {1}}}}}) +
                       record({{"doc", 5}}));
  const auto finished = embedded(command({"--text-field", "doc.body", "--id-field", "doc.id"}));
  const auto read = rows("a.jsonl");
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[0]["bytes"], 5);
  EXPECT_EQ(read[0]["id"], 3);
  EXPECT_EQ(read[1]["bytes"], 16);
  EXPECT_EQ(read[1]["id"], nullptr) << "a list is no id";
  EXPECT_THAT(finished.err, AllOf(HasSubstr("record 2 has no id in its field 'doc.id'"),
                                  HasSubstr("record 3 has no field 'doc.body'")));
  const auto wrong = embedded(command({"--text-field", "/a~2"}));
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("'/a~2' is no valid JSON Pointer"));
}

TEST_F(CorpusFiles, ANameSaysWhatIsInAFileAndAnArrayIsRefused) {
  for (const char* name :
       {"c4.00000-of-01024.json.gz", "A.JSONL", "b.ndjson.bz2", "d.jsonl.zstd", "e.WARC.GZ"})
    write(name, many(1));
  const auto files = list_corpus_files({(here_ / "in" / "*").string()});
  ASSERT_EQ(files.size(), 5u);
  EXPECT_EQ(files[2].result, "c4.00000-of-01024.jsonl");
  EXPECT_EQ(files[4].format, CorpusFormat::kWarc);
  write("x/a.json", "[\n" + many(1) + "]");
  const auto finished =
      embedded({"batch", "--input", (here_ / "in/x/*").string(), "--out", (here_ / "out").string()});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("x/a.json holds a JSON array"), HasSubstr("jq -c .[]")));
}

TEST_F(CorpusFiles, TwoStarsStandForFoldersOfAnyDepth) {
  for (const char* name : {"a.jsonl", "x/b.jsonl", "x/y[1]/z/c.jsonl", "x/.hidden/d.jsonl", "x/e.txt"})
    write(name, many(1));
  const auto names = [&](std::vector<std::string> patterns) {
    std::vector<std::string> found;
    for (const auto& file : list_corpus_files(patterns))
      found.push_back(file.path.lexically_normal().lexically_relative(here_ / "in"));
    return found;
  };
  const auto in = (here_ / "in").string();
  const std::vector<std::string> all = {"a.jsonl", "x/b.jsonl", "x/y[1]/z/c.jsonl"};
  EXPECT_EQ(names({in + "/**/*.jsonl"}), all);
  EXPECT_EQ(names({in + "/**/*.jsonl", in + "/./a.jsonl", in + "/x/../*.jsonl"}), all) << "each once";
  EXPECT_EQ(names({in + "/**/z/**/*.jsonl"}), std::vector<std::string>{all[2]});
  EXPECT_THROW(names({in + "/**/*.parquet"}), CommandError);
}

TEST_F(CorpusFiles, NoFileOfSomebodyElseIsOverwritten) {
  const auto corpus = many(3);
  write("a.jsonl", corpus);
  const auto into = [&](const fs::path& out) {
    return embedded({"batch", "--input", in("*.jsonl").string(), "--out", out.string()});
  };
  auto finished = into(here_ / "in");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("in/a.jsonl is a file of the corpus itself; name another folder"));
  EXPECT_EQ(read_file(in("a.jsonl")), corpus);
  fs::create_directory(here_ / "out");
  write_file(out("a.jsonl"), "precious");
  finished = into(here_ / "out");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("out/a.jsonl was not written by 'unroll batch'"));
  EXPECT_EQ(read_file(out("a.jsonl")), "precious");
}

TEST_F(CorpusFiles, NamesNeedNotBeUtf8) {
  const char* const name = "Stra\xdf\xe9 \xf0\x9f\x99\x82\n.jsonl";
  write(name, many(2) + "x\n");
  for (const bool by : {false, true}) {
    const auto finished = by ? by_daemon(command()) : embedded(command());
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_THAT(finished.err, HasSubstr("record 3 is not JSON"));
    EXPECT_EQ(rows(name).size(), 3u);
    fs::remove_all(here_ / "out");
  }
}

TEST_F(CorpusFiles, WhatWasReadIsSkippedAndWhatChangedIsReadAgain) {
  write("a.jsonl", many(5));
  write("b.jsonl", many(3));
  embedded(command());
  const auto first = read_file(out("a.jsonl"));
  auto summary = json::parse(embedded(command()).out);
  EXPECT_EQ(summary["skipped"], 2);
  EXPECT_EQ(summary["records"], 0);
  write("b.jsonl", many(4));
  summary = json::parse(embedded(command()).out);
  EXPECT_EQ(summary["skipped"], 1);
  EXPECT_EQ(summary["records"], 4);
  EXPECT_EQ(summary["resumed"], 0);
  EXPECT_EQ(json::parse(embedded(command({"--id-field", "url"})).out)["records"], 9);
  EXPECT_EQ(rows("a.jsonl")[4]["id"], "u4");
  embedded(command());
  EXPECT_EQ(read_file(out("a.jsonl")), first);
}

TEST_F(CorpusFiles, ResultsKeepTheFoldersBelowTheOneThatTheFilesShare) {
  write("x/a.jsonl", many(1));
  write("y/a.ndjson.gz", "");
  const auto files = list_corpus_files({(here_ / "in" / "{x,y}" / "*").string()});
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].result, "x/a.jsonl");
  EXPECT_EQ(files[1].result, "y/a.jsonl");
  write("x/a.ndjson.zst", "");
  EXPECT_THROW(list_corpus_files({in("x").string() + "/*"}), CommandError) << "two of one result";
  EXPECT_THROW(list_corpus_files({in("x").string()}), CommandError) << "a folder";
  EXPECT_THROW(list_corpus_files({in("*.csv").string()}), CommandError) << "nothing";
}

TEST_F(CorpusFiles, AFileThatCannotBeReadDoesNotKeepTheOthersFromIt) {
  write("a.jsonl.gz", std::string("\x1f\x8b\x08\x00", 4) + "damaged");
  write("b.jsonl", many(2));
  const auto finished = embedded({"batch", "--input", (here_ / "in" / "*").string(), "--out",
                                  (here_ / "out").string(), "--format", "json"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("a.jsonl.gz"));
  EXPECT_EQ(json::parse(finished.out)["failed"], 1);
  EXPECT_EQ(rows("b.jsonl").size(), 2u);
  EXPECT_FALSE(fs::exists(out("a.jsonl")));
}

TEST_F(CorpusFiles, TheDaemonGivesTheSameRows) {
  write("a.jsonl", many(40));
  ASSERT_EQ(embedded(command()).exit_code, 0);
  const auto expected = read_file(out("a.jsonl"));
  fs::remove_all(here_ / "out");
  const auto finished = by_daemon(command());
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(read_file(out("a.jsonl")), expected);
}

TEST_F(CorpusFiles, KilledAgainAndAgainTheRowsAreThoseOfAnUndisturbedRun) {
  write("a.jsonl", many(400));
  ASSERT_EQ(embedded(command()).exit_code, 0);
  const auto expected = read_file(out("a.jsonl"));
  fs::remove_all(here_ / "out");
  auto arguments = command({"--jobs", "4", "--embedded", "--model", model()});
  arguments.insert(arguments.begin(), program("unroll").string());
  int killed = 0;
  for (int i = 0; !fs::exists(out("a.jsonl")) && i < 100; ++i) {
    Process process(arguments, here_ / "log");
    for (int beats = 0; beats < 8 + 4 * i && process.running(); ++beats) ::poll(nullptr, 0, 50);
    if (process.stop(SIGKILL) == 128 + SIGKILL) ++killed;
    if (i == 2) std::ofstream(out("a.jsonl.part"), std::ios::app) << R"({"id":)";  // a row that was cut
  }
  EXPECT_GT(killed, 1);
  EXPECT_EQ(read_file(out("a.jsonl")), expected);
}

}  // namespace
}  // namespace unroll::test
