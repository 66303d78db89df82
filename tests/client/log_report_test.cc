// The report of `unroll anomaly --format html`: the file's content, and how a real browser shows it.
#include "client/views/log_report.h"

#include "tests/client/on_page.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class LogReportPage : public OnPage {
 protected:
  static std::string routine(int lines) {
    std::string text;
    for (int i = 1; i <= lines; ++i)
      text += "2026-03-02T08:00:01 INFO job " + std::to_string(i) + " of queue mail is done\n";
    return text;
  }
  /// Line `at` is bad.
  static std::string failing(int lines, int at) {
    std::string text = routine(lines);
    std::size_t begin = 0;
    for (int i = 1; i < at; ++i) begin = text.find('\n', begin) + 1;
    return text.insert(begin,
                       "2026-03-02T09:13:00 ERROR cannot write <b>block</b> & more: disk \"sda\" is full\n");
  }
  static std::string report(const std::vector<std::string>& logs, const std::string& good) {
    std::vector<std::string> command = {"anomaly"};
    for (const auto& log : logs) command.push_back(path(log));
    command.insert(command.end(), {"--baseline", path(good), "--format", "html"});
    const Finished finished = unroll(command);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  }
};

TEST_F(LogReportPage, ListsEventsAndGoesToThem) {
  write_file(path("good.log"), routine(100));
  write_file(path("bad.log"), failing(1500, 1200));
  const std::string page = report({"bad.log"}, "good.log");
  EXPECT_THAT(page, Not(HasSubstr("http:")));
  const Seen seen = look(page, R"(
    const link = document.querySelector("nav a"), lines = () => all("section p");
    const first = lines().length;
    link.click();
    await wait();
    const on = all("p.on"), box = on[0].getBoundingClientRect();
    return {first, events: all("nav a").length, event: link.textContent, sections: all("section").length,
            numbers: on.map(p => p.dataset.n), text: on.map(p => p.textContent), seen: box.top > 0 && box.bottom < innerHeight,
            coloured: lines().filter(p => p.className.includes("c")).length, bold: all("section b").length,
            painted: lines().length, title: document.title})");
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_EQ(seen.found["events"], 1);
  EXPECT_THAT(seen.found["event"].get<std::string>(),
              HasSubstr("cannot write <b>block</b> & more: disk \"sda\""));
  EXPECT_THAT(seen.found["event"].get<std::string>(),
              HasSubstr("line 1,200, 2026-03-02T09:13:00, distance "));
  EXPECT_THAT(seen.found["event"].get<std::string>(), HasSubstr("known: 2026-03-02T08:00:01 INFO job"));
  EXPECT_THAT(seen.found["numbers"], ElementsAre("1200"));
  EXPECT_THAT(seen.found["text"][0].get<std::string>(), StartsWith("2026-03-02T09:13:00 ERROR cannot"));
  EXPECT_EQ(seen.found["seen"], true);
  EXPECT_EQ(seen.found["coloured"], 1);
  EXPECT_EQ(seen.found["bold"], 0) << "a log is no HTML";
  EXPECT_EQ(seen.found["sections"], 8);
  EXPECT_LT(seen.found["painted"], 1501);
  EXPECT_THAT(seen.found["title"].get<std::string>(), HasSubstr("bad.log - unroll"));
}

TEST_F(LogReportPage, SearchesAndGoesToLines) {
  write_file(path("good.log"), routine(100));
  write_file(path("bad.log"), failing(1500, 1200));
  const Seen seen = look(report({"bad.log"}, "good.log"), R"(
    const field = document.querySelector("#find"), told = () => document.querySelector("output").textContent;
    const enter = async (value, shiftKey = false) => {
      field.value = value;
      field.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", shiftKey, bubbles: true}));
      await wait();
      return [all("p.on").map(p => p.dataset.n).join(), told()];
    };
    const found = [await enter("JOB 77 "), await enter("job 77"), await enter("job 77"), await enter("job 77", true),
                   await enter("no such"), await enter(":1300"), await enter("<B>")];
    press("/");
    const focused = document.activeElement == field;
    field.blur();
    press("Escape");
    await wait();
    return {found, focused, left: all("p.on").length})");
  EXPECT_THAT(seen.console, IsEmpty());
  // The bad line moves those after it by one.
  EXPECT_EQ(seen.found["found"], json::parse(R"([["77", "1 of 1"], ["770", "2 of 11"], ["771", "3 of 11"],
      ["770", "2 of 11"], ["770", "not found"], ["1300", ""], ["1200", "1 of 1"]])"));
  EXPECT_EQ(seen.found["focused"], true);
  EXPECT_EQ(seen.found["left"], 0);
}

TEST_F(LogReportPage, SeveralLogsKeysAndTheMap) {
  write_file(path("good.log"), routine(100));
  write_file(path("one.log"), failing(300, 40));
  write_file(path("two.log"), failing(300, 250));
  const Seen seen = look(report({"one.log", "two.log"}, "good.log"), R"(
    const on = () => all("p.on").map(p => [p.parentNode.dataset.f, p.dataset.n].join(":")).join();
    const map = document.querySelector("aside"), canvas = map.firstChild;
    const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    const rows = [];
    for (let y = 0; y < canvas.height; ++y) if (pixels[y * canvas.width + (canvas.width >> 1)]) rows.push(y / canvas.height);
    press("n"); await wait();
    const first = on();
    press("n"); await wait();
    const second = on();
    press("p"); await wait();
    const back = on();
    point(map, "pointerdown", map.clientHeight * .9);
    await wait();
    const view = document.querySelector("aside div");
    return {first, second, back, names: all("h2").map(h => h.textContent), rows: [rows[0], rows.at(-1)],
            events: all("nav a span").map(s => s.textContent.split(",")[0]), where: view.offsetTop / map.clientHeight})");
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_EQ(seen.found["first"], "0:40");
  EXPECT_EQ(seen.found["second"], "1:250");
  EXPECT_EQ(seen.found["back"], "0:40");
  EXPECT_THAT(seen.found["names"], ElementsAre(path("one.log"), path("two.log")));
  EXPECT_NEAR(seen.found["rows"][0].get<double>(), 40 / 602.0, 0.02);
  EXPECT_NEAR(seen.found["rows"][1].get<double>(), 551 / 602.0, 0.02);
  EXPECT_GT(seen.found["where"], 0.6);
  EXPECT_THAT(seen.found["events"], ElementsAre(path("one.log") + ":40"))
      << "lines that are alike are one event";
}

TEST_F(LogReportPage, OnANarrowPageTheListIsAboveTheLines) {
  write_file(path("good.log"), routine(100));
  write_file(path("bad.log"), failing(300, 40));
  const std::string script = R"(
    const box = selector => document.querySelector(selector).getBoundingClientRect();
    return {above: box("nav").bottom <= box("main").top + 1, beside: box("nav").right <= box("main").left + 1,
            wide: document.documentElement.scrollWidth <= innerWidth,
            page: getComputedStyle(document.body).backgroundColor})";
  const std::string page = report({"bad.log"}, "good.log");
  const Seen narrow = look(page, script, {"--window-size=500,800"}), wide = look(page, script);
  EXPECT_EQ(narrow.found["above"], true);
  EXPECT_EQ(narrow.found["wide"], true);
  EXPECT_EQ(wide.found["beside"], true);
  const Seen dark = look(page, script, {"--window-size=1200,800", "--blink-settings=preferredColorScheme=0"});
  EXPECT_NE(dark.found["page"], wide.found["page"]);
}

TEST_F(LogReportPage, WithoutABaselineTheModelsScoresAreShown) {
  write_file(path("plain.log"), routine(40) + "Segfault!! %%%% @@ zqx\n" + routine(10));
  const Finished finished =
      embedded({"anomaly", path("plain.log"), path("empty"), "--format", "html", "--top", "3"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const auto lines = json::parse(read_embedded({"anomaly", path("plain.log"), "--format", "json"}));
  const Seen seen =
      look(finished.out, R"(return {lines: all("section").map(s => s.dataset.s.length / 2), text: text(),
      links: all("nav a").map(a => a.textContent), names: all("h2").length})");
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_THAT(seen.found["lines"], ElementsAre(51));
  EXPECT_EQ(seen.found["names"], 2);
  ASSERT_EQ(seen.found["links"].size(), 2u);
  EXPECT_THAT(seen.found["links"][0].get<std::string>(),
              HasSubstr(lines["top"][0]["text"].get<std::string>()));
}

TEST_F(LogReportPage, AnEmptyLogHasAReport) {
  write_file(path("good.log"), routine(100));
  const Seen seen = look(report({"empty"}, "good.log"), R"(press("n"); press("p");
    return {map: document.querySelector("aside").hidden, told: document.querySelector("nav").textContent.trim()})");
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_EQ(seen.found["map"], true);
  EXPECT_EQ(seen.found["told"], "Nothing is unusual.");
}

}  // namespace
}  // namespace unroll::test
