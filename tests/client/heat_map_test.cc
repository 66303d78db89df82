// The heat map: the file's content, and how a real browser shows a page that the real program wrote.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <sstream>

#include "client/cli/text.h"
#include "client/views/view.h"
#include "tests/client/on_page.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

/// A heat map of `text` with tokens that end at `ends`, with one bit each.
std::string heat_map(const std::string& text, const std::vector<std::uint64_t>& ends) {
  const TemporaryFolder folder;
  write_file(folder / "a<b>.txt", text);
  Source source = Source::open((folder / "a<b>.txt").string());
  json tokens = {{"type", "tokens"},         {"start", json::array()}, {"end", ends},
                 {"logprob", json::array()}, {"rank", json::array()},  {"top", json::array()}};
  for (std::size_t i = 0; i < ends.size(); ++i) {
    tokens["start"].push_back(i == 0 ? 0 : ends[i - 1]);
    tokens["logprob"].push_back(-0.6931);
    tokens["rank"].push_back(80 + i);
    tokens["top"].push_back({{5, -0.1, "</a>"}, {7, -4, "b"}});
  }
  const json document = {{"type", "document"}, {"tokens", ends.size()}, {"bytes", text.size()},
                         {"bits_per_byte", 1}, {"perplexity", 2},       {"nats", 1}};
  ResultWriter writer(folder / "out");
  const auto view = make_heat_map(writer, source, {{"Chapter <1>", 1, 0}});
  view->output(tokens);
  view->output(document);
  writer.flush();
  return read_file(folder / "out");
}

// 100 hundredths of a bit are "1E" in base 79, 300 are "3o"; rank 80 is "11"; a share of 0.9 is 71 of 78,
// 'w'.
TEST(HeatMap, HoldsTheTextAndItsNumbers) {
  const std::string page = heat_map("one <two>\n", {3, 10});
  EXPECT_THAT(page, HasSubstr("<section data-l=\"37\" data-n=\"1E1E\" data-r=\"1112\" "
                              "data-a=\"001w00210000001w00210000\">one &lt;two>\n</section>"));
  EXPECT_THAT(page, HasSubstr("id=pieces>[\"\\u003c/a>\",\"b\"]</script>"));
  EXPECT_THAT(
      page, HasSubstr("<a href=\"#L1\" data-at=0>Chapter &lt;1></a> <small>0.20 bits per character</small>"));
  EXPECT_THAT(page, HasSubstr("<td>1.0<td>81<td><bdi>one<mark> &lt;two>"));
  EXPECT_THAT(page, HasSubstr("a&lt;b>.txt"));
  EXPECT_THAT(page, Not(HasSubstr("http:"))) << "nothing comes from the network";
}

TEST(HeatMap, TokensInsideACharacterAreOne) {
  // The two middle bytes of the emoji are tokens of their own; an emoji is two UTF-16 units.
  EXPECT_THAT(heat_map("a🙂b", {1, 2, 3, 5, 6}),
              HasSubstr("data-l=\"121\" data-n=\"1E3o1E\" data-r=\"111215\" "));
}

TEST(HeatMap, AnyBytesMakeAPage) {
  EXPECT_THAT(heat_map(std::string("\xFF\0\r\n", 4), {1, 2, 4}),
              HasSubstr("data-l=\"111\" data-n=\"1E1E1E\" "));
  EXPECT_THAT(heat_map("a\xF0\x9F", {1, 2, 3}), HasSubstr("data-l=\"12\" data-n=\"1E2Z\" "));
}

TEST(HeatMap, ALongTokenTakesMoreThanOneDigit) {
  EXPECT_THAT(heat_map(std::string(80, 'x'), {80}), HasSubstr("data-l=\"~2\" "));
}

class HeatMapPage : public OnPage {
 protected:
  static std::string page_of(const std::string& file) {
    return read_embedded({"score", path(file), "--format", "html", "--raw"});
  }
};

TEST_F(HeatMapPage, ColoursTokensAndTellsTheirNumbers) {
  const Seen seen = look(page_of("book.txt"), R"(
    point(all("main i")[5], "pointerover");
    return {text: text(), tokens: all("main i").length,
            coloured: all("main i[class]").length, number: document.querySelector("output").innerText,
            hidden: document.querySelector("output").hidden})");
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_EQ(seen.found["text"], prose(12));
  const json tokens =
      json::parse(read_embedded({"score", path("book.txt"), "--granularity", "token", "--format", "json"}));
  const std::size_t count = tokens["tokens"];
  EXPECT_LE(seen.found["tokens"], count);  // those inside a character count as one
  EXPECT_GT(seen.found["tokens"], count / 2);
  EXPECT_GT(seen.found["coloured"], 10);
  EXPECT_EQ(seen.found["hidden"], false);
  std::ostringstream bits;
  bits.precision(1);
  bits << std::fixed << tokens["passages"][0]["nats"][5].get<double>() / std::numbers::ln2 << " bits";
  EXPECT_THAT(seen.found["number"].get<std::string>(), HasSubstr(bits.str()));
}

TEST_F(HeatMapPage, KeysGoFromSurpriseToSurpriseAndFromTokenToToken) {
  const Seen seen = look(page_of("book.txt"), R"(
    const chosen = () => { const on = all("i.on"); return on.length == 1 ? all("main i").indexOf(on[0]) : -1; };
    press("n"); await wait();
    const first = chosen();
    press("n"); await wait();
    const second = chosen();
    press("ArrowRight");
    const beside = chosen();
    press("p"); await wait();
    const back = chosen();
    press("Escape");
    return {first, second, beside, back, left: all("i.on").length,
            hidden: document.querySelector("output").hidden})");
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_GE(seen.found["first"], 0);
  EXPECT_GT(seen.found["second"], seen.found["first"]);
  EXPECT_EQ(seen.found["beside"], seen.found["second"].get<int>() + 1);
  EXPECT_EQ(seen.found["back"], seen.found["second"]);
  EXPECT_EQ(seen.found["left"], 0);
  EXPECT_EQ(seen.found["hidden"], true);
}

TEST_F(HeatMapPage, ALongDocumentIsDrawnWholeAndCutIntoTokensOnlyWhereItIsSeen) {
  write_file(path("long.txt"), prose(700));
  const Seen seen = look(page_of("long.txt"), R"(
    const sections = all("section"), map = document.querySelector("#map"), canvas = map.firstChild;
    const cut = () => sections.map((s, i) => s.firstElementChild ? i : -1).filter(i => i >= 0);
    const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    const before = cut(), half = pixels.length >> 1;
    point(map, "pointerdown", map.clientHeight * .9);
    await wait(() => cut()[0] > sections.length / 2, 500);
    const view = document.querySelector("#map div"), link = document.querySelector("a[data-at]");
    const behind = cut(), where = view.offsetTop / map.clientHeight;
    link.click();
    await wait();
    return {sections: sections.length, before, behind, where,
            colours: [new Set(pixels.slice(0, half)).size, new Set(pixels.slice(half)).size],
            passage: link.parentNode.textContent.split("byte: ")[1],
            there: text().substr(+link.dataset.at, 60),
            chosen: all("i.on").length})");
  EXPECT_THAT(seen.console, IsEmpty());
  const int sections = seen.found["sections"];
  EXPECT_GT(sections, 20);
  EXPECT_EQ(seen.found["before"][0], 0);
  EXPECT_LT(seen.found["before"].back(), sections / 2);
  EXPECT_GT(seen.found["behind"].back(), sections * 3 / 4);
  EXPECT_GT(seen.found["behind"][0], sections / 2);
  EXPECT_NEAR(seen.found["where"].get<double>(), 0.9, 0.05);
  for (const json& colours : seen.found["colours"]) EXPECT_GT(colours, 3);
  const std::string there = seen.found["there"];
  EXPECT_THAT(seen.found["passage"].get<std::string>(), StartsWith(there.substr(0, there.find('\n'))));
  EXPECT_EQ(seen.found["chosen"], 1);
}

TEST_F(HeatMapPage, TellsRankAndLikelyTokens) {
  const Seen seen = look(page_of("book.txt"), R"(
    point(all("main i")[5], "pointerover");
    return {said: document.querySelector("output").innerText})");
  const json tokens = lines_of(read_embedded(
      {"run", path("book.txt"), "--raw", "--plugin", R"(logprobs:{"top":3,"pieces":true})"}))[0]["data"];
  const std::string said = seen.found["said"];
  const std::uint64_t rank = tokens["rank"][5];
  EXPECT_THAT(said, HasSubstr("rank " + (rank < 6240 ? with_thousands(rank) : "6,240 or more") + ", line 1"));
  std::string piece = tokens["top"][5][1][2];
  for (std::size_t at = 0; (at = piece.find(' ', at)) != std::string::npos;) piece.replace(at, 1, "\u2423");
  const auto percent = std::lround(100 * std::exp(tokens["top"][5][1][1].get<double>()));
  EXPECT_THAT(said, testing::ContainsRegex("likely: .*, ")) << "three of them";
  EXPECT_THAT(said, HasSubstr(piece + " " + std::to_string(percent) + " %"));
}

TEST_F(HeatMapPage, OpensAtALine) {
  write_file(path("long.txt"), prose(700));
  const std::string text = prose(700), page = page_of("long.txt");
  const auto lines = std::ranges::count(text, '\n');
  const std::string script = R"(
    await wait();
    const on = document.querySelector("i.on");
    let at = 0;
    for (const token of all("section")) { if (token == on.parentNode) break; at += token.textContent.length; }
    for (let each = on.previousSibling; each; each = each.previousSibling) at += each.textContent.length;
    let place = 0;
    for (let line = 1; line < +location.hash.slice(2); ++line) place = text().indexOf("\n", place) + 1;
    return {covers: at <= place && place < at + on.textContent.length, hash: location.hash,
            seen: on.getBoundingClientRect().top})";
  for (const auto line : {std::ptrdiff_t{1}, lines / 2, lines}) {
    const Seen seen = look(page, script, {"--window-size=1200,800"}, "#L" + std::to_string(line));
    EXPECT_EQ(seen.found["covers"], true) << line;
    EXPECT_EQ(seen.found["hash"], "#L" + std::to_string(line));
    EXPECT_GT(seen.found["seen"], 0);
    EXPECT_LT(seen.found["seen"], 800);
  }
}

TEST_F(HeatMapPage, ListsChaptersWithALineOfSurprise) {
  std::string text;
  for (int i = 1; i <= 3; ++i) text += "# Part " + std::to_string(i) + "\n\n" + prose(40) + "\n\n";
  write_file(path("parts.md"), text);
  const std::string page = read_embedded({"score", path("parts.md"), "--format", "html"});
  const Seen seen = look(page, R"(
    document.querySelector("#chapters").open = true;
    await wait(() => document.querySelector("nav path"), 500);
    const links = all("nav a");
    links[2].click();
    await wait();
    return {titles: links.map(link => link.textContent), paths: all("nav path").map(path => path.getAttribute("d").split("L").length),
            there: text().slice(+links[2].dataset.at).startsWith("Part 3"), hash: location.hash == links[2].hash,
            open: document.querySelector("#chapters").open})");
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_THAT(seen.found["titles"], testing::ElementsAre("Part 1", "Part 2", "Part 3"));
  for (const int points : seen.found["paths"]) EXPECT_GT(points, 12);
  EXPECT_EQ(seen.found["there"], true);
  EXPECT_EQ(seen.found["hash"], true);
  EXPECT_EQ(seen.found["open"], false);
}

TEST_F(HeatMapPage, LinesHaveTheDirectionOfTheirScript) {
  write_file(path("both.txt"), "From the left.\n\u0645\u0646 \u0627\u0644\u064a\u0645\u064a\u0646.\n");
  const Seen seen = look(page_of("both.txt"), R"(
    const box = text => {
      const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT), range = document.createRange();
      while (walk.nextNode()) if (walk.currentNode.data.includes(text)) { range.selectNode(walk.currentNode); break; }
      return range.getBoundingClientRect();
    };
    return {left: box("F").left, right: box("\u0645").right, width: innerWidth})");
  EXPECT_LT(seen.found["left"], seen.found["width"].get<double>() / 3);
  EXPECT_GT(seen.found["right"], seen.found["width"].get<double>() / 2);
}

TEST_F(HeatMapPage, IsColouredWholeToPrint) {
  write_file(path("long.txt"), prose(700));
  const Seen seen = look(page_of("long.txt"), R"(
    const cut = () => all("section").filter(section => section.firstElementChild).length;
    const before = cut();
    dispatchEvent(new Event("beforeprint"));
    await wait();
    return {before, printed: cut(), sections: all("section").length})");
  EXPECT_LT(seen.found["before"], seen.found["sections"]);
  EXPECT_EQ(seen.found["printed"], seen.found["sections"]);
}

TEST_F(HeatMapPage, ADocumentThatIsHtmlDoesNothing) {
  using namespace std::string_literals;
  const std::string hostile =
      "</section></main></script><script>document.title = 'bad'</script>\n"
      "<img src=http://127.0.0.1:9/x onerror=\"document.title = 'bad'\">&amp;<!-- \xFF\xC3 \0 -->\n"s;
  write_file(path("<img src=x onerror=alert(1)>.txt"), hostile);
  const std::string page = page_of("<img src=x onerror=alert(1)>.txt");
  const std::string script =
      R"(return {title: document.title, images: all("img").length, scripts: all("script").length,
      text: all("main i").map(i => i.textContent).join("")})";
  const Seen seen = look(page, script);
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_EQ(seen.found["images"], 0);
  EXPECT_EQ(seen.found["scripts"], 3) << "the page's, its list of pieces and the test's";
  EXPECT_THAT(seen.found["title"].get<std::string>(), HasSubstr("<img src=x onerror=alert(1)>.txt - unroll"));
  EXPECT_THAT(seen.found["text"].get<std::string>(),
              StartsWith("</section></main></script><script>document"));
  EXPECT_THAT(seen.found["text"].get<std::string>(),
              HasSubstr("onerror=\"document.title = 'bad'\">&amp;<!--"));
  // The policy stops injected content, and reports it where this test looks.
  const Seen control = look(page + "<img src=http://127.0.0.1:9/x>", script);
  EXPECT_THAT(control.console, HasSubstr("Content Security Policy"));
}

TEST_F(HeatMapPage, AnEmptyDocumentHasAPage) {
  const Seen seen = look(page_of("empty"), "return {map: document.querySelector('#map').hidden}");
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_EQ(seen.found["map"], true);
}

}  // namespace
}  // namespace unroll::test
