// What the HTML pages have in common: a head that forbids any network, colours, and text in them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace unroll {

/// The policy makes a browser refuse whatever would come from somewhere else.
inline constexpr std::string_view kPageHead = R"(<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<meta http-equiv=Content-Security-Policy
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
)";

/// --cN is the background of level N, from 1 to 8, --tN the text on it. Lightness changes in one direction
/// only, so that the order is visible without hue: ColorBrewer's YlOrBr on a light page, matplotlib's inferno
/// on a dark one.
inline constexpr std::string_view kPageStyle = R"(<style>
:root { color-scheme: light dark; --page: #fff; --ink: #1b1b1b; --soft: #5c5c5c; --line: #d8d8d8; --mark: #0b62d6;
  --c0: transparent; --c1: #fff7bc; --c2: #fee391; --c3: #fec44f; --c4: #fe9929; --c5: #ec7014; --c6: #cc4c02;
  --c7: #993404; --c8: #662506; --t5: #000; --t6: #fff; --map: 6rem; }
@media screen and (prefers-color-scheme: dark) { :root { --page: #14151a; --ink: #e4e2de; --soft: #a09e9a; --line: #3a3b42;
  --mark: #7ab8ff; --c1: #2f0f5c; --c2: #57106e; --c3: #85206a; --c4: #b0315b; --c5: #d84c3e; --c6: #f1711f;
  --c7: #fbb01a; --c8: #f5f083; --t6: #000; } }
@media (max-width: 40rem) { :root { --map: 2.5rem; } }
* { box-sizing: border-box; }
i { font-style: normal; color: var(--ink); }
[class*=c1] { background: var(--c1); } [class*=c2] { background: var(--c2); }
[class*=c3] { background: var(--c3); } [class*=c4] { background: var(--c4); }
[class*=c5] { background: var(--c5); color: var(--t5); } [class*=c6] { background: var(--c6); color: var(--t6); }
[class*=c7] { background: var(--c7); color: var(--t6); } [class*=c8] { background: var(--c8); color: var(--t6); }
aside { position: fixed; top: 0; right: 0; bottom: 0; width: var(--map); z-index: 1; cursor: pointer;
  background: var(--page); border-left: 1px solid var(--line); touch-action: none; }
aside canvas { display: block; width: 100%; height: 100%; }
aside div { position: absolute; left: 0; right: 0; min-height: 3px; border: 1px solid var(--mark);
  background: color-mix(in srgb, var(--mark) 25%, transparent); }
</style>
)";

/// Text escaped for HTML, and the number of UTF-16 units that a script counts in it.
struct PageText {
  std::string html;
  std::size_t units = 0;
};
PageText page_text(std::string_view text);

/// The digits in which pages hold numbers for their scripts: base 79, printable, and not special in a quoted
/// attribute.
inline constexpr std::size_t kPageBase = 79;
char page_digit(std::size_t value);
/// Hundredths in two digits; numbers from 62.4 up are the same, and those below 0.
std::string page_hundredths(double number);

}  // namespace unroll
