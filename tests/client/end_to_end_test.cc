// The commands that read documents, with and without a daemon: their output.
#include "tests/client/end_to_end.h"

#include <cmath>

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Reading : public WithDaemon {
 protected:
  /// The daemon and an engine in the process print the same bytes.
  static void expect_same_bytes(const std::vector<std::string>& command, const std::string& file) {
    SCOPED_TRACE(testing::PrintToString(command));
    std::vector<std::string> arguments = command;
    arguments.push_back(file == "-" ? file : path(file));
    const Surroundings surroundings{file == "-" ? prose(12) : "", {}};
    const std::string expected = read_embedded(arguments, surroundings);
    EXPECT_THAT(expected, Not(testing::IsEmpty()));
    EXPECT_EQ(read_by_daemon(arguments, surroundings), expected);
  }
};

TEST_F(Reading, ScoresAreTheSameBytes) {
  for (const char* format : {"json", "text", "ndjson", "html"}) {
    expect_same_bytes({"score", "--format", format}, "book.txt");
  }
  expect_same_bytes({"score", "--format", "ndjson", "--granularity", "token"}, "book.txt");
  expect_same_bytes({"score", "--format", "json", "--granularity", "line", "--top", "3"}, "book.txt");
}

TEST_F(Reading, OtherPluginsGiveTheSameBytes) {
  expect_same_bytes({"anomaly", "--format", "ndjson"}, "a.log");
  expect_same_bytes({"anomaly", "--format", "text"}, "a.log");
  expect_same_bytes({"anomaly", "--format", "json", "--session", " "}, "a.log");
  expect_same_bytes({"summarize", "--words", "30", "--format", "text"}, "book.txt");
  expect_same_bytes({"embed", "--segment-tokens", "100", "--format", "json"}, "book.txt");
  expect_same_bytes({"run", "--plugin", R"(score:{"granularity":"line"})", "--plugin", "embed"}, "book.txt");
}

TEST_F(Reading, PipesGiveTheSameBytes) {
  expect_same_bytes({"score", "--format", "ndjson"}, "-");
  expect_same_bytes({"score", "--format", "html"}, "-");
  expect_same_bytes({"run", "--plugin", "summarize", "--plugin", "anomaly"}, "-");
}

TEST_F(Reading, AnyBytes) {
  std::string bytes = "a\r\nb\n\n\xFF\xFE";
  for (int i = 0; i < 600; ++i) bytes += static_cast<char>(i * 131 % 256);
  write_file(path("bytes"), bytes);
  expect_same_bytes({"score", "--format", "json", "--raw"}, "bytes");
  expect_same_bytes({"score", "--format", "html", "--raw"}, "bytes");
  expect_same_bytes({"anomaly", "--format", "json"}, "bytes");
  expect_same_bytes({"summarize", "--format", "ndjson", "--raw"}, "bytes");
}

TEST_F(Reading, PipeAndFileHaveTheSameScores) {
  const std::string file = read_by_daemon({"score", path("book.txt"), "--format", "json"});
  EXPECT_EQ(read_by_daemon({"score", "-", "--format", "json"}, {prose(12), {}}), file);
  const Finished redirected = run({"/bin/sh", "-c", R"("$0" score - --format json --socket "$1" < "$2")",
                                   program("unroll").string(), daemon_->socket(), path("book.txt")});
  EXPECT_EQ(redirected.out, file);
  // Standard input at a position within a file: the rest of the file is the document.
  const Finished rest =
      run({"/bin/sh", "-c", R"((read -r line; "$0" score - --format json --socket "$1") < "$2")",
           program("unroll").string(), daemon_->socket(), path("book.txt")});
  EXPECT_EQ(json::parse(rest.out)["bytes"], prose(12).size() - prose(12).find('\n') - 1) << rest.err;
}

TEST_F(Reading, ScoreJsonHoldsTheFigures) {
  const json score = json::parse(read_by_daemon({"score", path("book.txt"), "--format", "json"}));
  EXPECT_EQ(score["bytes"], prose(12).size());
  EXPECT_GT(score["tokens"], 100);
  EXPECT_GT(score["nats"], 0);
  EXPECT_NEAR(score["bits_per_byte"].get<double>(),
              score["nats"].get<double>() / std::log(2) / score["bytes"].get<double>(), 1e-4);
  EXPECT_LE(score["surprising"].size(), 10u);
}

TEST_F(Reading, TokensCoverTheDocument) {
  std::vector<json> lines =
      lines_of(read_by_daemon({"score", path("book.txt"), "--format", "ndjson", "--granularity", "token"}));
  const json document = lines.back();
  lines.pop_back();
  std::size_t tokens = 0, at = 0;
  double nats = 0;
  for (const json& block : lines) {
    EXPECT_EQ(block["type"], "tokens");
    ASSERT_EQ(block["start"].size(), block["end"].size());
    ASSERT_EQ(block["start"].size(), block["nats"].size());
    for (std::size_t i = 0; i < block["start"].size(); ++i, ++tokens) {
      EXPECT_EQ(block["start"][i], at);
      at = block["end"][i];
      nats += block["nats"][i].get<double>();
    }
  }
  EXPECT_EQ(at, prose(12).size());
  EXPECT_EQ(tokens, document["tokens"]);
  EXPECT_NEAR(nats, document["nats"].get<double>(), 1e-4 * nats);
}

TEST_F(Reading, HeatMapHoldsTheText) {
  const Finished finished =
      by_daemon({"score", path("book.txt"), "--format", "html", "--out", path("book.html")});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_THAT(read_file(path("book.html")),
              AllOf(StartsWith("<!doctype html>"), HasSubstr("drops at once &lt;and> more"),
                    HasSubstr("book.txt"), Not(HasSubstr("http:"))));
}

TEST_F(Reading, AnomalyTellsOfEachLine) {
  const std::string log = log_lines();
  const std::string printed = read_by_daemon({"anomaly", path("a.log"), "--format", "ndjson"});
  EXPECT_THAT(printed, StartsWith(R"({"file":")" + path("a.log") + R"(","line":1,"start":0,"end":)"));
  const std::vector<json> lines = lines_of(printed);
  ASSERT_EQ(lines.size(), 40u);
  std::size_t start = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t end = std::min(log.find('\n', start), log.size());
    EXPECT_EQ(lines[i]["text"], log.substr(start, end - start));
    EXPECT_EQ(lines[i]["line"], i + 1);
    EXPECT_EQ(lines[i]["start"], start);
    EXPECT_EQ(lines[i]["end"], end);
    EXPECT_TRUE(lines[i]["score"].is_number()) << lines[i];
    start = end + 1;
  }
  const json all = json::parse(read_by_daemon({"anomaly", path("a.log"), "--format", "json", "--top", "3"}));
  EXPECT_EQ(all["lines"], json(lines));
  EXPECT_EQ(all["top"].size(), 2u) << "lines with the same words are one entry";
}

TEST_F(Reading, SummaryIsOfTheDocumentsSentences) {
  const json summary =
      json::parse(read_by_daemon({"summarize", path("book.txt"), "--words", "40", "--format", "json"}));
  ASSERT_GT(summary["sentences"].size(), 0u);
  std::size_t before = 0;
  for (const json& sentence : summary["sentences"]) {
    const std::size_t start = sentence["start"], end = sentence["end"];
    EXPECT_EQ(sentence["text"], prose(12).substr(start, end - start));
    EXPECT_GE(start, before);
    before = end;
  }
}

TEST_F(Reading, VectorsAreOfUnitLengthAndSegmentsTileTheDocument) {
  const json embedding =
      json::parse(read_by_daemon({"embed", path("book.txt"), "--segment-tokens", "100", "--format", "json"}));
  EXPECT_EQ(embedding["dim"], 16 + 512);
  ASSERT_GT(embedding["segments"].size(), 2u);
  std::size_t at = 0;
  std::vector<json> vectors = {embedding["vector"]};
  for (const json& segment : embedding["segments"]) {
    EXPECT_EQ(segment["start"], at);
    at = segment["end"];
    vectors.push_back(segment["vector"]);
  }
  EXPECT_EQ(at, prose(12).size());
  for (const json& vector : vectors) {
    double square = 0;
    for (const json& number : vector) square += number.get<double>() * number.get<double>();
    EXPECT_EQ(vector.size(), 528u);
    EXPECT_NEAR(square, 1, 1e-4);
  }
}

TEST_F(Reading, SeveralFilesAndOneThatIsMissing) {
  const Finished finished =
      by_daemon({"run", "--plugin", "score", path("book.txt"), path("missing"), path("a.log")});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(StartsWith("unroll: " + path("missing")), HasSubstr("No such file")));
  std::vector<std::string> done;
  for (const json& line : lines_of(finished.out)) {
    EXPECT_EQ(line["plugin"], "score");
    if (line["data"]["type"] == "document") done.push_back(line["file"]);
  }
  EXPECT_THAT(done, testing::ElementsAre(path("book.txt"), path("a.log")));
}

TEST_F(Reading, EmptyDocuments) {
  for (const std::vector<std::string>& reader :
       {std::vector<std::string>{"--socket", daemon_->socket()},
        std::vector<std::string>{"--embedded", "--model", model()}}) {
    const auto read = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.end(), reader.begin(), reader.end());
      const Finished finished = unroll(arguments);
      EXPECT_EQ(finished.exit_code, 0) << finished.err;
      return finished.out;
    };
    const json score = json::parse(read({"score", path("empty"), "--format", "json"}));
    EXPECT_EQ(score["tokens"], 0);
    EXPECT_EQ(score["bytes"], 0);
    EXPECT_TRUE(score["bits_per_byte"].is_null());
    EXPECT_TRUE(score["perplexity"].is_null());
    EXPECT_THAT(read({"score", path("empty")}), HasSubstr("0 tokens: - bits per byte, perplexity -"));
    const std::vector<json> others =
        lines_of(read({"run", "--plugin", "anomaly", "--plugin", "summarize", "--plugin", "embed", "-"}));
    ASSERT_EQ(others.size(), 3u) << "nothing but the documents' own";
    EXPECT_EQ(others[0]["data"]["lines"], 0);
    EXPECT_EQ(others[1]["data"]["sentences"], json::array());
    EXPECT_EQ(others[2]["data"]["vector"], json::array());
  }
}

TEST_F(Reading, OwnModelOrNumbersMustBeTheDaemons) {
  EXPECT_EQ(by_daemon({"score", path("book.txt"), "--model", model(), "--dtype", "auto"}).exit_code, 0);
  expect_failure(by_daemon({"score", path("book.txt"), "--dtype", "int8"}), "'int8'", "--embedded");
  expect_failure(by_daemon({"score", path("book.txt"), "--model", "/nowhere/other"}), "'other'",
                 "--embedded");
}

TEST_F(Reading, VerboseTellsWhoReads) {
  EXPECT_THAT(by_daemon({"score", path("a.log"), "--verbose"}).err,
              HasSubstr("daemon on " + daemon_->socket()));
  EXPECT_EQ(embedded({"score", path("a.log"), "--verbose"}).err,
            "unroll: reading in this process; loading " + model() + "\n");
}

}  // namespace
}  // namespace unroll::test
