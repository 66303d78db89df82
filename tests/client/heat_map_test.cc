// The heat map: the file's content, and how a real browser shows a page that the real program wrote.
#include <cmath>
#include <numbers>
#include <sstream>

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
  json tokens = {{"type", "tokens"}, {"start", json::array()}, {"end", ends}, {"nats", json::array()}};
  for (std::size_t i = 0; i < ends.size(); ++i) {
    tokens["start"].push_back(i == 0 ? 0 : ends[i - 1]);
    tokens["nats"].push_back(0.6931);
  }
  const json document = {{"type", "document"}, {"tokens", ends.size()}, {"bytes", text.size()},
                         {"bits_per_byte", 1}, {"perplexity", 2},       {"nats", 1}};
  ResultWriter writer(folder / "out");
  const auto view = make_heat_map(writer, source);
  view->output(tokens);
  view->output(document);
  writer.flush();
  return read_file(folder / "out");
}

// 100 hundredths of a bit are "1E" in base 79, 300 are "3o".
TEST(HeatMap, HoldsTheTextAndItsNumbers) {
  const std::string page = heat_map("one <two>\n", {3, 10});
  EXPECT_THAT(page, HasSubstr("<section data-l=\"37\" data-n=\"1E1E\">one &lt;two>\n</section>"));
  EXPECT_THAT(page, HasSubstr("a&lt;b>.txt"));
  EXPECT_THAT(page, Not(HasSubstr("http:"))) << "nothing comes from the network";
}

TEST(HeatMap, TokensInsideACharacterAreOne) {
  // The two middle bytes of the emoji are tokens of their own; an emoji is two UTF-16 units.
  EXPECT_THAT(heat_map("a🙂b", {1, 2, 3, 5, 6}), HasSubstr("data-l=\"121\" data-n=\"1E3o1E\">a🙂b<"));
}

TEST(HeatMap, AnyBytesMakeAPage) {
  EXPECT_THAT(heat_map(std::string("\xFF\0\r\n", 4), {1, 2, 4}),
              HasSubstr("data-l=\"111\" data-n=\"1E1E1E\">\xEF\xBF\xBD\xEF\xBF\xBD\n<"));
  EXPECT_THAT(heat_map("a\xF0\x9F", {1, 2, 3}),
              HasSubstr("data-l=\"12\" data-n=\"1E2Z\">a\xEF\xBF\xBD\xEF\xBF\xBD<"));
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
    const sections = all("section"), map = document.querySelector("aside"), canvas = map.firstChild;
    const cut = () => sections.map((s, i) => s.firstElementChild ? i : -1).filter(i => i >= 0);
    const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    const before = cut(), half = pixels.length >> 1;
    point(map, "pointerdown", map.clientHeight * .9);
    await wait(() => cut()[0] > sections.length / 2, 500);
    const view = document.querySelector("aside div"), link = document.querySelector("a[data-at]");
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
  EXPECT_EQ(seen.found["scripts"], 2) << "the page's and the test's";
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
  const Seen seen = look(page_of("empty"), "return {map: document.querySelector('aside').hidden}");
  EXPECT_THAT(seen.console, IsEmpty());
  EXPECT_EQ(seen.found["map"], true);
}

}  // namespace
}  // namespace unroll::test
