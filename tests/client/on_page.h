// Opens pages that the program wrote in a real browser.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "tests/client/end_to_end.h"

namespace unroll::test {

/// A page that the program wrote, opened in a browser.
class OnPage : public WithModel {
 protected:
  struct Seen {
    nlohmann::json found;  ///< What the test's script returned.
    std::string console;   ///< The browser's messages: errors, and requests that the page's policy forbids.
  };

  /// Runs `script`, the body of an async function that returns an object, after the page's own. `options`: of
  /// the browser.
  static Seen look(const std::string& page, const std::string& script,
                   const std::vector<std::string>& options = {"--window-size=1200,800"},
                   const std::string& hash = "") {
    write_file(path("looked-at.html"), page + R"(<script>
// Only what changes is drawn, and only what is drawn calls the page back. The page's clock waits for no frame: on
// a busy machine frames come late, so each turn takes some of the real time, too.
const wait = async (seen = () => false, frames = 30) => {
  for (let i = 0; i < frames && !seen(); ++i) {
    document.body.style.outline = `${i}px solid`;
    for (let work = 0; work < 20; ++work) crypto.getRandomValues(new Uint8Array(65536));
    await new Promise(done => setTimeout(done, 50));
  }
};
const text = () => all("section").map(section => section.textContent).join("");
const all = selector => [...document.querySelectorAll(selector)];
const point = (target, kind, y = 0) => target.dispatchEvent(
    new PointerEvent(kind, {bubbles: true, buttons: 1, pointerId: 1, clientY: y}));
const press = key => document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
(async () => {
  await wait();
  const found = JSON.stringify(await (async () => {)" +
                                           script + R"(})());
  const result = document.createElement("pre");
  result.id = "found";
  result.textContent = found.replace(/[<>&\u00a0]/g, c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  document.body.append(result);
})();
</script>)");
    std::vector<std::string> command = {
        "/usr/bin/chromium-headless-shell", "--headless", "--no-sandbox", "--disable-gpu",
        "--user-data-dir=" + path("browser"), "--enable-logging=stderr",
        // The page's clock runs as fast as possible; so must its frames.
        "--virtual-time-budget=60000", "--disable-frame-rate-limit", "--disable-gpu-vsync", "--dump-dom"};
    command.insert(command.end(), options.begin(), options.end());
    command.push_back("file://" + path("looked-at.html") + hash);
    const Finished finished = run(command);
    Seen seen;
    std::istringstream lines(finished.err);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("CONSOLE") != std::string::npos) seen.console += line + '\n';
    }
    const std::string mark = "<pre id=\"found\">";
    const std::size_t begin = finished.out.rfind(mark);
    EXPECT_NE(begin, std::string::npos) << finished.err;
    if (begin == std::string::npos) return seen;
    const std::size_t text = begin + mark.size();
    seen.found = nlohmann::json::parse(finished.out.substr(text, finished.out.find("</pre>", text) - text));
    return seen;
  }
};

}  // namespace unroll::test
