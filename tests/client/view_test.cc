#include "client/views/view.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/command_error.h"
#include "client/cli/progress.h"
#include "client/cli/text.h"
#include "client/sources/log_text.h"
#include "client/views/anomaly_view.h"
#include "client/views/word_view.h"
#include "tests/client/fixture.h"

namespace unroll {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

/// A view's result for the outputs.
std::string shown(const std::function<std::unique_ptr<View>(ResultWriter&)>& make,
                  const std::vector<json>& outputs) {
  const TemporaryFolder folder;
  ResultWriter writer(folder / "out");
  const auto view = make(writer);
  for (const json& output : outputs) view->output(output);
  writer.flush();
  return read_file(folder / "out");
}

std::vector<json> score_outputs() {
  return {
      json::parse(
          R"({"type":"paragraph","line":1,"start":0,"end":4,"tokens":2,"nats":1.5,"bits_per_byte":0.54})"),
      json::parse(
          R"({"type":"document","tokens":2,"bytes":4,"nats":1.5,"bits_per_byte":0.541011,"perplexity":2.117,
            "surprising":[{"line":1,"start":0,"end":4,"tokens":2,"nats":1.5,"bits_per_byte":0.54,"text":"a\u001bbc"}]})")};
}

TEST(ScoreView, NdjsonEndsWithTheDocument) {
  EXPECT_EQ(
      shown([](ResultWriter& writer) { return make_score_view("ndjson", writer); }, score_outputs()),
      R"({"type":"paragraph","line":1,"start":0,"end":4,"tokens":2,"nats":1.5,"bits_per_byte":0.54})"
      "\n"
      R"({"type":"document","tokens":2,"bytes":4,"nats":1.5,"bits_per_byte":0.541011,"perplexity":2.117,)"
      R"("surprising":[{"line":1,"start":0,"end":4,"tokens":2,"nats":1.5,"bits_per_byte":0.54,)"
      R"("text":"a\u001bbc"}]})"
      "\n");
}

TEST(ScoreView, JsonIsOneObject) {
  const auto make = [](ResultWriter& writer) { return make_score_view("json", writer); };
  const json with_passages = json::parse(shown(make, score_outputs()));
  EXPECT_EQ(with_passages["tokens"], 2);
  EXPECT_EQ(with_passages["bytes"], 4);
  EXPECT_EQ(with_passages["nats"], 1.5);
  EXPECT_EQ(with_passages["bits_per_byte"], 0.541011);
  ASSERT_EQ(with_passages["passages"].size(), 1u);
  EXPECT_EQ(with_passages["passages"][0]["end"], 4);
  const json alone = json::parse(shown(make, {score_outputs().back()}));
  EXPECT_FALSE(alone.contains("passages"));
  EXPECT_EQ(alone["tokens"], 2);
}

TEST(ScoreView, TextShowsNoControlCharacters) {
  const std::string text =
      shown([](ResultWriter& writer) { return make_score_view("text", writer); }, score_outputs());
  EXPECT_THAT(text, HasSubstr("4 bytes, 2 tokens: 0.541 bits per byte"));
  EXPECT_THAT(text, HasSubstr("       1       0.54  a\xEF\xBF\xBD"
                              "bc\n"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(ScoreView, TextSaysThatTheVocabularyDoesNotFit) {
  const auto note = [](unsigned bytes, unsigned tokens) {
    const json document = {
        {"type", "document"}, {"bytes", bytes},       {"tokens", tokens},          {"nats", 1.5},
        {"words", 7u},        {"bits_per_byte", 5.1}, {"bits_per_character", 5.2}, {"bits_per_word", 30},
        {"perplexity", 3.5}};
    const auto score =
        shown([](ResultWriter& writer) { return make_score_view("text", writer); }, {document});
    const auto words =
        shown([](ResultWriter& writer) { return make_word_view("text", false, writer); }, {document});
    EXPECT_EQ(score.find("vocabulary") == std::string::npos, words.find("vocabulary") == std::string::npos);
    return score;
  };
  EXPECT_THAT(note(56, 30), HasSubstr("Tokens have 1.9 bytes: the model's vocabulary lacks"));
  EXPECT_THAT(note(56, 16), Not(HasSubstr("vocabulary")));
  EXPECT_THAT(note(20, 15), Not(HasSubstr("vocabulary"))) << "too short to tell";
}

TEST(ScoreView, RefusesWhatThePluginIsNotDocumentedToEmit) {
  const auto make = [](ResultWriter& writer) { return make_score_view("text", writer); };
  EXPECT_THROW(shown(make, {json(1)}), CommandError);
  EXPECT_THROW(shown(make, {json{{"type", "document"}}}), CommandError);
  EXPECT_THROW(shown(make, {json{{"type", "document"}, {"bytes", "x"}, {"tokens", 1}}}), CommandError);
}

const TextPlaces as_read;  // the text is the log's bytes

std::unique_ptr<View> anomaly_view(const std::string& format, ResultWriter& writer,
                                   const TextPlaces& places = as_read) {
  AnomalyViewOptions options;
  options.format = format;
  return make_anomaly_view(options, writer, places);
}

std::vector<json> anomaly_outputs() {
  return {json::parse(R"({"score":0.25,"line":1,"start":0,"end":3,"extra":1})"),
          json::parse(R"({"score":7.5,"line":2,"start":4,"end":4})"),
          json::parse(
              R"({"type":"document","lines":2,"top":[{"line":2,"start":4,"end":4,"score":7.5,"text":""}]})")};
}

TEST(AnomalyView, WithoutItsTextALineHasFourKeys) {
  EXPECT_EQ(
      shown([](ResultWriter& writer) { return anomaly_view("ndjson", writer); }, anomaly_outputs()),
      "{\"line\":1,\"start\":0,\"end\":3,\"score\":0.25}\n{\"line\":2,\"start\":4,\"end\":4,\"score\":7.5}"
      "\n");
}

/// Line 2 is an alert; a window has ended.
std::vector<json> alert_outputs() {
  auto outputs = anomaly_outputs();
  outputs[1]["alert"] = outputs[2]["top"][0]["alert"] = true;
  outputs[2]["alerts"] = 1u;
  outputs.insert(outputs.begin() + 2,
                 json::parse(R"({"type":"window","first_line":1,"last_line":2,"top":[]})"));
  return outputs;
}

TEST(AnomalyView, AlertsAreMarkedAndWindowsAreNoLines) {
  const std::string lines =
      shown([](ResultWriter& writer) { return anomaly_view("ndjson", writer); }, alert_outputs());
  EXPECT_EQ(lines,
            "{\"line\":1,\"start\":0,\"end\":3,\"score\":0.25}\n"
            "{\"line\":2,\"start\":4,\"end\":4,\"score\":7.5,\"alert\":true}\n");
  const json object =
      json::parse(shown([](ResultWriter& writer) { return anomaly_view("json", writer); }, alert_outputs()));
  EXPECT_EQ(object["lines"].size(), 2u);
  EXPECT_EQ(object["top"][0]["alert"], true);
  const std::string text =
      shown([](ResultWriter& writer) { return anomaly_view("text", writer); }, alert_outputs());
  EXPECT_THAT(text, HasSubstr("2 lines; ! marks the alerts, 1 in all\n"));
  EXPECT_THAT(text, HasSubstr("       2       7.50 !"));
}

TEST(AnomalyView, PlacesAreThoseOfTheLogsBytes) {
  TextPlaces places;
  places.add(0, 2);
  places.add(3, 8);
  const std::string lines =
      shown([&](ResultWriter& writer) { return anomaly_view("ndjson", writer, places); }, anomaly_outputs());
  EXPECT_EQ(lines,
            "{\"line\":1,\"start\":2,\"end\":8,\"score\":0.25}\n"
            "{\"line\":2,\"start\":9,\"end\":9,\"score\":7.5}\n");
}

TEST(AnomalyView, ALineOfATraceNamesItsRecord) {
  const std::string lines =
      shown([](ResultWriter& writer) { return anomaly_view("ndjson", writer); },
            {json::parse(R"({"line":5,"start":0,"end":3,"score":1,"record":2,"cut":true,"odd":1})")});
  EXPECT_EQ(lines, "{\"line\":5,\"start\":0,\"end\":3,\"score\":1,\"record\":2,\"cut\":true}\n");
}

TEST(AnomalyView, JsonIsOneObject) {
  const auto make = [](ResultWriter& writer) { return anomaly_view("json", writer); };
  const json object = json::parse(shown(make, anomaly_outputs()));
  EXPECT_EQ(object["lines"].size(), 2u);
  EXPECT_EQ(object["top"][0]["line"], 2);
  const json empty = json::parse(shown(make, {json::parse(R"({"type":"document","lines":0,"top":[]})")}));
  EXPECT_EQ(empty, json::parse(R"({"lines":[],"top":[]})"));
}

/// Line 2 is the only one of session "x[1m7".
std::vector<json> session_outputs() {
  auto outputs = anomaly_outputs();
  const json session = {{"type", "session"}, {"session", "x\x1B[1m7"}, {"lines", 1u},
                        {"first_line", 2u},  {"last_line", 2u},        {"start", 4u},
                        {"end", 4u},         {"score", 6.25}};
  outputs.insert(outputs.begin() + 2, session);
  outputs.back()["sessions"] = 1u;
  outputs.back()["top_sessions"] = json::array({session});
  return outputs;
}

TEST(AnomalyView, SessionsHaveAFormInEach) {
  const auto as = [](const char* format) {
    return shown([format](ResultWriter& writer) { return anomaly_view(format, writer); }, session_outputs());
  };
  EXPECT_THAT(as("ndjson"),
              HasSubstr("\n{\"type\":\"session\",\"session\":\"x\\u001b[1m7\",\"lines\":1,"
                        "\"first_line\":2,\"last_line\":2,\"start\":4,\"end\":4,\"score\":6.25}\n"));
  const json object = json::parse(as("json"));
  EXPECT_EQ(object["lines"].size(), 2u);
  EXPECT_EQ(object["top_sessions"][0]["score"], 6.25);
  const std::string text = as("text");
  EXPECT_THAT(text, HasSubstr("Oddest of 1 sessions\n"));
  EXPECT_THAT(text, HasSubstr("            2          2        1       6.25  x"));
  EXPECT_THAT(text, HasSubstr("\n\nOddest of 2 lines"));
  EXPECT_EQ(text.find('\x1B'), std::string::npos) << "nothing of the log reaches the terminal as a command";
}

TEST(SummaryView, TextIsWrapped) {
  const json summary = {
      {"type", "summary"},
      {"words", 20},
      {"sentences", json::array({{{"start", 0}, {"end", 60}, {"text", std::string(50, 'a') + "."}},
                                 {{"start", 70}, {"end", 130}, {"text", "b\n" + std::string(50, 'c')}}})}};
  EXPECT_EQ(shown([](ResultWriter& writer) { return make_summary_view("text", writer); }, {summary}),
            std::string(50, 'a') + ". b\n" + std::string(50, 'c') + "\n");
}

TEST(SummaryView, RunningSummariesComeBeforeTheLast) {
  const json last = {
      {"type", "summary"}, {"words", 2}, {"sentences", {{{"start", 7}, {"end", 11}, {"text", "C\nd."}}}}};
  json running = last;
  running["type"] = "running";
  running["end"] = 40000u;
  const auto as = [&](const std::string& format) {
    return shown([&](ResultWriter& writer) { return make_summary_view(format, writer); }, {running, last});
  };
  EXPECT_EQ(as("text"), "The first 40,000 bytes\nC d.\n\nC d.\n");
  EXPECT_EQ(as("json"), R"({"sentences":[{"start":7,"end":11,"text":"C\nd."}],"words":2})"
                        "\n");
  EXPECT_THAT(as("ndjson"), HasSubstr(R"({"type":"running","end":40000,"sentences":[{"start":7)"));
}

TEST(SummaryView, ATerminalsRowsBeginWithTheByte) {
  Terminal terminal;
  terminal.width = 40;
  const json sentences = {
      {{"start", 1234u}, {"end", 1290u}, {"text", std::string(20, 'a') + "\n" + std::string(20, 'b')}}};
  EXPECT_EQ(summary_rows(terminal, sentences), "      1,234  " + std::string(20, 'a') + "\n" +
                                                   std::string(13, ' ') + std::string(20, 'b') + "\n");
}

TEST(EmbedView, JsonIsOneObject) {
  const auto make = [](ResultWriter& writer) { return make_embed_view("json", writer); };
  const json document = {{"type", "document"}, {"dim", 2}, {"vector", {0.6, 0.8}}};
  const json segment = {{"type", "segment"}, {"start", 0}, {"end", 9}, {"vector", {0, 1}}};
  const json object = json::parse(shown(make, {segment, segment, document}));
  EXPECT_EQ(object["segments"].size(), 2u);
  EXPECT_EQ(object["vector"], document["vector"]);
  EXPECT_EQ(json::parse(shown(make, {document}))["segments"], json::array());
}

TEST(Progress, FitsAndSaysWhatIsKnown) {
  const ReadProgress half{512, 1024, 100, 1234.6};
  EXPECT_EQ(progress_text("book", half, 256, 120),
            "book  [============>           ]   50 %  512 B of 1.0 KiB  1,234 tokens/s  0:02 left");
  EXPECT_EQ(progress_text("-", {512, std::nullopt, 100, 10}, 0, 120), "-  512 B  10 tokens/s");
  EXPECT_EQ(columns(progress_text(std::string(200, 'x'), half, 256, 60)), 60u);
}

TEST(Progress, ATransferShowsItsSpeed) {
  constexpr std::uint64_t kMiB = 1 << 20;
  EXPECT_EQ(transfer_text("model", 45 * kMiB, 90 * kMiB, 9 * kMiB, 120),
            "model  [============>           ]   50 %  45.0 MiB of 90.0 MiB  9.0 MiB/s  0:05 left");
  EXPECT_EQ(transfer_text("model", 45 * kMiB, 90 * kMiB, 9 * kMiB, 79),
            "model  [===>  ]   50 %  45.0 MiB of 90.0 MiB  9.0 MiB/s  0:05 left");
  EXPECT_EQ(transfer_text("model", 0, 90 * kMiB, 0, 79),
            "model  [>                       ]    0 %  0 B of 90.0 MiB");
}

}  // namespace
}  // namespace unroll
