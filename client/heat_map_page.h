// The parts of the heat map's page that are the same for every document.
#pragma once

#include <string_view>

namespace unroll {

inline constexpr std::string_view kHeatMapHead = R"(<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
)";

inline constexpr std::string_view kHeatMapStyle = R"(<style>
:root { color-scheme: light dark; }
body { display: flex; flex-direction: column; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  font: 1rem/1.5 system-ui, sans-serif; }
header { order: -1; border-bottom: 1px solid; margin-bottom: 1rem; }
h1 { font-size: 1.25rem; margin: 0; overflow-wrap: anywhere; }
section { white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 8; font: .9rem/1.6 ui-monospace, monospace;
  content-visibility: auto; contain-intrinsic-size: auto 60rem; }
i { font-style: normal; border-radius: .15em; background: rgb(224 72 24 / var(--h)); }
i:hover { outline: 1px solid; }
</style>
)";

inline constexpr std::string_view kHeatMapLegend =
    R"(<p>Each token's ground is its surprisal: <i style="--h:0">0</i> <i style="--h:.25">4</i>
<i style="--h:.5">8</i> <i style="--h:.75">12</i> <i style="--h:1">16 bits or more</i>.
Hover over a token for its number.</p>
<noscript><p>The colours need JavaScript; nothing is loaded from anywhere.</p></noscript>
)";

/// data-l: the tokens' lengths in UTF-16 units; data-n: their surprisals in tenths of a bit.
inline constexpr std::string_view kHeatMapScript = R"(<script>
const colour = section => {
  const lengths = section.dataset.l.split(","), bits = section.dataset.n.split(",");
  const text = section.textContent, tokens = document.createDocumentFragment();
  for (let i = 0, at = 0; i < lengths.length; ++i) {
    const token = document.createElement("i"), length = +lengths[i], surprisal = bits[i] / 10;
    token.textContent = text.substr(at, length);
    token.title = surprisal.toFixed(1) + " bits";
    token.style.setProperty("--h", Math.min(1, surprisal / 16).toFixed(2));
    tokens.append(token);
    at += length;
  }
  section.replaceChildren(tokens);
};
const seen = new IntersectionObserver(entries => entries.forEach(entry => {
  if (!entry.isIntersecting) return;
  seen.unobserve(entry.target);
  colour(entry.target);
}), {rootMargin: "1000px"});
document.querySelectorAll("section").forEach(section => seen.observe(section));
</script>
</html>
)";

}  // namespace unroll
