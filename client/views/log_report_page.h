// The parts of a log report's page that are the same for every log: style, and what people press.
// The script is in log_report_script.h.
#pragma once

#include <string_view>

namespace unroll {

/// The list of events is beside the lines, on a narrow page above them. On paper, it is all there is.
inline constexpr std::string_view kLogReportStyle = R"(<style>
:root { --map: 4rem; --bar: 3rem; }
@media (max-width: 40rem) { :root { --map: 1.5rem; } }
body { margin: 0 var(--map) 0 0; background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
  display: grid; grid-template: "head head" auto "bar bar" var(--bar) "list log" auto / 26rem minmax(0, 1fr); }
header { grid-area: head; padding: .75rem 1.25rem .25rem; }
h1 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
header p { margin: .15rem 0; color: var(--soft); font-size: .875rem; }
form { grid-area: bar; position: sticky; top: 0; z-index: 2; height: var(--bar); padding: 0 1.25rem; display: flex;
  gap: .5rem; align-items: center; background: var(--page); border-bottom: 1px solid var(--line); }
input { flex: 1 1 8rem; min-width: 4rem; max-width: 28rem; }
input, button { font: .875rem/1.5 system-ui, sans-serif; color: var(--ink); background: transparent;
  border: 1px solid var(--line); border-radius: .3rem; padding: .15rem .6rem; white-space: nowrap; }
button { cursor: pointer; }
button:hover { border-color: var(--ink); }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 1px; }
output { color: var(--soft); font-size: .875rem; min-width: 5rem; white-space: nowrap; }
nav { grid-area: list; position: sticky; top: var(--bar); height: calc(100vh - var(--bar)); overflow: auto;
  border-right: 1px solid var(--line); }
nav ol { list-style: none; margin: 0; padding: 0; }
nav li { border-bottom: 1px solid var(--line); }
nav a { display: grid; grid-template-columns: 3.2rem minmax(0, 1fr); gap: 0 .7rem; padding: .5rem .75rem .5rem 1.25rem;
  color: inherit; text-decoration: none; font-size: .8125rem; }
nav a:hover { background: color-mix(in srgb, var(--mark) 8%, transparent); }
nav a.on { background: color-mix(in srgb, var(--mark) 16%, transparent); }
nav b { justify-self: end; align-self: start; font: 600 .8125rem/1.6 ui-monospace, monospace; padding: 0 .35rem;
  border-radius: .2rem; }
nav span { grid-column: 2; color: var(--soft); overflow-wrap: anywhere; }
nav code { grid-column: 2; font: .8125rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
nav code.known { color: var(--soft); }
nav p { padding: 0 1.25rem; }
main { grid-area: log; padding-bottom: 50vh; outline: none; min-width: 0; }
h2 { position: sticky; top: var(--bar); z-index: 1; margin: 0; padding: .35rem .75rem; font-size: .875rem; background: var(--page);
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
section { padding-left: 5.5rem; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 8;
  font: .8125rem/1.5 ui-monospace, monospace; content-visibility: auto; contain-intrinsic-size: auto 250rem; }
section p { position: relative; margin: 0 0 0 -5.5rem; padding: 0 .75rem 0 5.5rem; min-height: 1.5em; }
section p::before { content: attr(data-n); position: absolute; left: 0; width: 4.75rem; text-align: right;
  opacity: .6; }
section p.on { outline: 2px solid var(--mark); outline-offset: -2px; }
::highlight(found) { background: var(--mark); color: var(--page); }
@media (max-width: 60rem) {
  body { grid-template: "head" auto "bar" var(--bar) "list" auto "log" auto / minmax(0, 1fr); }
  nav { position: static; height: auto; max-height: 60vh; border-right: 0; border-bottom: 2px solid var(--line); }
  form { padding: 0 .5rem; } header, nav a { padding-left: .75rem; }
  output { min-width: 0; }
  section { padding-left: 3.5rem; }
  section p { margin-left: -3.5rem; padding-left: 3.5rem; } section p::before { width: 3rem; }
}
@media print {
  main, form, aside { display: none; } body { display: block; margin: 0; }
  nav { position: static; height: auto; max-height: none; border: 0; } li { break-inside: avoid; }
}
</style>
)";

/// `/`, n and p are keys for them.
inline constexpr std::string_view kLogReportControls = R"(<form role=search>
<input id=find type=search placeholder="Search, or :line" aria-label="Search the lines, or :line to go to one" title="key: /">
<button id=back type=button title="shift and enter">&lsaquo;</button>
<button id=forth type=button title="enter">&rsaquo;</button>
<output></output>
<button id=previous type=button title="key: p">&lsaquo; Odd</button>
<button id=next type=button title="key: n">Odd &rsaquo;</button>
<noscript>Colours and search need JavaScript; nothing is loaded from anywhere.</noscript>
</form>
)";

inline constexpr std::string_view kLogReportMap =
    "<aside title=\"all lines: click or drag to go there\"><canvas></canvas><div></div></aside>\n";

}  // namespace unroll
