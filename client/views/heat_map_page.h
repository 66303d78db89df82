// The parts of the heat map's page that are the same for every document: head, style, and what people press.
// The script is in heat_map_script.h.
#pragma once

#include <string_view>

namespace unroll {

/// The policy makes a browser refuse whatever would come from somewhere else.
inline constexpr std::string_view kHeatMapHead = R"(<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<meta http-equiv=Content-Security-Policy
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
)";

/// --cN is the background from 2 + 2 N bits on, --tN the text on it. Lightness changes in one direction only,
/// so that the order is visible without hue: ColorBrewer's YlOrBr on a light page, matplotlib's inferno on a
/// dark one.
inline constexpr std::string_view kHeatMapStyle = R"(<style>
:root { color-scheme: light dark; --page: #fff; --ink: #1b1b1b; --soft: #5c5c5c; --line: #d8d8d8; --mark: #0b62d6;
  --c0: transparent; --c1: #fff7bc; --c2: #fee391; --c3: #fec44f; --c4: #fe9929; --c5: #ec7014; --c6: #cc4c02;
  --c7: #993404; --c8: #662506; --t5: #000; --t6: #fff; --map: 6rem; }
@media (prefers-color-scheme: dark) { :root { --page: #14151a; --ink: #e4e2de; --soft: #a09e9a; --line: #3a3b42;
  --mark: #7ab8ff; --c1: #2f0f5c; --c2: #57106e; --c3: #85206a; --c4: #b0315b; --c5: #d84c3e; --c6: #f1711f;
  --c7: #fbb01a; --c8: #f5f083; --t6: #000; } }
@media (max-width: 40rem) { :root { --map: 2.5rem; } }
* { box-sizing: border-box; }
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
details ol { position: absolute; left: 1.25rem; right: 1.25rem; margin: .5rem 0; padding: .75rem 1rem .75rem 3rem;
  max-height: 70vh; overflow: auto; background: var(--page); border: 1px solid var(--line); border-radius: .3rem;
  box-shadow: 0 .4rem 1.5rem #0004; font-size: .875rem; }
details a { color: var(--mark); }
main { padding: 1rem 1.25rem 50vh; max-width: 62rem; width: 100%; margin: 0 auto; outline: none; }
section { white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 8; font: .9rem/1.65 ui-monospace, monospace;
  content-visibility: auto; contain-intrinsic-size: auto 80rem; }
i { font-style: normal; color: var(--ink); }
i:hover { outline: 1px solid var(--ink); }
i.on { outline: 2px solid var(--mark); outline-offset: 1px; }
i[class*=c1] { background: var(--c1); } i[class*=c2] { background: var(--c2); }
i[class*=c3] { background: var(--c3); } i[class*=c4] { background: var(--c4); }
i[class*=c5] { background: var(--c5); color: var(--t5); } i[class*=c6] { background: var(--c6); color: var(--t6); }
i[class*=c7] { background: var(--c7); color: var(--t6); } i[class*=c8] { background: var(--c8); color: var(--t6); }
output { position: fixed; z-index: 2; max-width: 22rem; padding: .25rem .6rem; border-radius: .3rem;
  pointer-events: none; background: var(--ink); color: var(--page); font-size: .875rem; overflow-wrap: anywhere; }
output[hidden] { display: none; }
output b { font-family: ui-monospace, monospace; white-space: pre-wrap; }
aside { position: fixed; top: 0; right: 0; bottom: 0; width: var(--map); z-index: 1; cursor: pointer;
  background: var(--page); border-left: 1px solid var(--line); touch-action: none; }
aside canvas { display: block; width: 100%; height: 100%; }
aside div { position: absolute; left: 0; right: 0; min-height: 3px; border: 1px solid var(--mark);
  background: color-mix(in srgb, var(--mark) 25%, transparent); }
@media print { aside, button, details { display: none; } header { position: static; } body { margin: 0; } }
</style>
)";

inline constexpr std::string_view kHeatMapControls =
    R"(<p class=scale>bits: <i>0</i><i class=c1>4</i><i class=c2>6</i><i class=c3>8</i><i class=c4>10</i><i
 class=c5>12</i><i class=c6>14</i><i class=c7>16</i><i class=c8>18 or more</i></p>
<button id=previous title="key: p">&lsaquo; Surprise</button>
<button id=next title="key: n; left and right go from token to token">Surprise &rsaquo;</button>
<noscript><p>The colours need JavaScript; nothing is loaded from anywhere.</p></noscript>
)";

inline constexpr std::string_view kHeatMapMap =
    "<aside title=\"the whole document: click or drag to go there\"><canvas></canvas><div></div></aside>\n"
    "<output hidden></output>\n";

}  // namespace unroll
