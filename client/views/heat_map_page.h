// The parts of the heat map's page that are the same for every document: style, and what people press.
// The script is in heat_map_script.h, what other pages have as well in page.h.
#pragma once

#include <string_view>

namespace unroll {

inline constexpr std::string_view kHeatMapStyle = R"(<style>
body { display: flex; flex-direction: column; margin: 0 var(--map) 0 0; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
header { order: -1; position: sticky; top: 0; z-index: 1; padding: .6rem 1.25rem; background: var(--page);
  border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1.25rem; }
h1 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
header p { margin: 0; color: var(--soft); font-size: .875rem; }
header strong { color: var(--ink); }
.scale { white-space: nowrap; } .scale i { padding: .1em .45em; }
button, summary { font: .875rem/1.5 system-ui, sans-serif; color: var(--ink); background: transparent; cursor: pointer;
  border: 1px solid var(--line); border-radius: .3rem; padding: .05rem .6rem; }
button:hover, summary:hover { border-color: var(--ink); }
a { color: var(--mark); }
details[open] > :not(summary) { position: absolute; z-index: 1; left: 1.25rem; right: 1.25rem; margin: .5rem 0; padding: .75rem 1rem;
  max-height: 70vh; overflow: auto; background: var(--page); border: 1px solid var(--line); border-radius: .3rem;
  box-shadow: 0 .4rem 1.5rem #0004; font-size: .875rem; }
details ol { padding-left: 3rem; } details nav ol { margin: 0; }
nav li[data-level="2"] { margin-left: 1.5rem; } nav li[data-level="3"] { margin-left: 3rem; }
nav svg { width: 6rem; height: 1em; vertical-align: -.1em; overflow: visible; }
nav path { fill: none; stroke: var(--c5); stroke-width: 1.2; vector-effect: non-scaling-stroke; }
small, th { color: var(--soft); font-weight: normal; }
table { border-collapse: collapse; } th { text-align: left; }
td, th { padding: .1rem .8rem .1rem 0; vertical-align: baseline; } td:nth-child(1) { white-space: nowrap; }
td:nth-child(2), td:nth-child(3) { text-align: right; font-variant-numeric: tabular-nums; }
mark { background: var(--c2); color: var(--ink); }
main { padding: 1rem 1.25rem 50vh; max-width: 62rem; width: 100%; margin: 0 auto; outline: none; }
section { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext; text-align: start; tab-size: 8; font: .9rem/1.65 ui-monospace, monospace;
  content-visibility: auto; contain-intrinsic-size: auto 80rem; }
i:hover { outline: 1px solid var(--ink); }
i.on { outline: 2px solid var(--mark); outline-offset: 1px; }
output { position: fixed; z-index: 2; max-width: 22rem; padding: .25rem .6rem; border-radius: .3rem;
  pointer-events: none; background: var(--ink); color: var(--page); font-size: .875rem; overflow-wrap: anywhere; }
output[hidden] { display: none; }
output b { font-family: ui-monospace, monospace; white-space: pre-wrap; }
output p { margin: 0; }
@media (max-width: 40rem) { header { position: relative; } }
@media print { #map, button, details, output { display: none !important; } header { position: static; } body { margin: 0; }
  main { padding: 1rem 0; max-width: none; } section { content-visibility: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
</style>
)";

inline constexpr std::string_view kHeatMapMain =
    "<main tabindex=0 aria-label=\"The text; the table of most surprising tokens says in words what its "
    "colours "
    "show\">\n";

inline constexpr std::string_view kHeatMapControls =
    R"(<p class=scale>bits: <i>0</i><i class=c1>4</i><i class=c2>6</i><i class=c3>8</i><i class=c4>10</i><i
 class=c5>12</i><i class=c6>14</i><i class=c7>16</i><i class=c8>18 or more</i></p>
<button id=previous title="key: p">&lsaquo; Surprise</button>
<button id=next title="key: n; left and right go from token to token">Surprise &rsaquo;</button>
<noscript><p>The colours need JavaScript; nothing is loaded from anywhere.</p></noscript>
)";

inline constexpr std::string_view kHeatMapMap =
    "<aside id=map aria-hidden=true title=\"the whole document: click or drag to go there\"><canvas></canvas>"
    "<div></div></aside>\n<output hidden></output>\n";

}  // namespace unroll
