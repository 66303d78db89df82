#!/usr/bin/env python3
"""Checks a heat map in a headless browser: axe's findings, the time until it is drawn, and pictures to look at.

    bench/quality/heat_map_page.py [--axe axe.min.js] [--pictures FOLDER] PAGE.html

axe is that of PyPI's axe-playwright-python, if none is named; versions before 4.6 find fault with what closed lists hide.
It looks at the page as it opens, with each list open, and as it is printed. Pictures: light.png, dark.png, phone.png, print.pdf, and with the
lists open: chapters.png, tokens.png. The time is the page's own, from the beginning of navigation until its scripts have
run; the best of three. Exits with 1 if axe finds a violation.
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSER = "/usr/bin/chromium-headless-shell"
SIZES = {"light": ("1200,800", []), "dark": ("1200,800", ["--blink-settings=preferredColorScheme=0"]), "phone": ("390,844", [])}
LISTS = ("chapters", "passages", "words")
OPEN = "<script>for (const list of document.querySelectorAll('details')) list.open = list.id == '%s';</script>"
CHOOSE = "<script>addEventListener('load', () => setTimeout(() => surprise(1), 100));</script>"


def browse(page, *options, size="1200,800", seconds=120):
    with tempfile.TemporaryDirectory() as profile:
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}",
                   f"--user-data-dir={profile}", *options, f"file://{page}"]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds).stdout


def with_script(page, script, folder):
    changed = folder / "changed.html"
    changed.write_text(page.read_text(encoding="utf-8") + script, encoding="utf-8")
    return changed


def found(dump, mark):
    text = re.search(rf'<pre id="{mark}">(.*?)</pre>', dump, re.S)[1]
    return json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def violations(page, axe, folder, size, options, opened=""):
    """`opened`: the id of a list to open, whole, because axe takes what is behind rows out of view for their background."""
    script = f"""<script>{axe}</script><script>
      addEventListener("load", async () => {{
        const list = document.getElementById("{opened}");
        if (list) {{
          list.open = true;
          list.lastElementChild.style.maxHeight = "none";
        }}
        const {{violations}} = await axe.run(document, {{resultTypes: ["violations"]}});
        const pre = Object.assign(document.createElement("pre"), {{id: "axe"}});
        pre.textContent = JSON.stringify(violations.map(v => [v.id, v.impact, v.nodes.length, v.nodes[0].html.slice(0, 200)]));
        document.body.append(pre);
      }});</script>"""
    dump = browse(with_script(page, script, folder), "--virtual-time-budget=60000", "--dump-dom", *options, size=size)
    return found(dump, "axe")


def as_printed(page, folder):
    printed = folder / "printed.html"
    printed.write_text(page.read_text(encoding="utf-8").replace("@media print", "@media all"), encoding="utf-8")
    return printed


def seconds_until_drawn(page, folder):
    script = """<script>addEventListener("load", () => {
      const pre = Object.assign(document.createElement("pre"), {id: "time"});
      pre.textContent = JSON.stringify(performance.now() / 1000);
      document.body.append(pre);
    });</script>"""
    changed = with_script(page, script, folder)
    return min(found(browse(changed, "--dump-dom"), "time") for _ in range(3))


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("page", type=Path)
    options.add_argument("--axe", type=Path)
    options.add_argument("--pictures", type=Path)
    arguments = options.parse_args()
    if arguments.axe is None:
        arguments.axe = Path(importlib.util.find_spec("axe_playwright_python").origin).parent / "axe.min.js"
    bad = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{arguments.page.stat().st_size / 1e6:.1f} MB, drawn after {seconds_until_drawn(arguments.page, folder):.2f} s")
        axe = arguments.axe.read_text(encoding="utf-8")
        checks = [(kind, arguments.page, kind, "") for kind in SIZES] + [("print", as_printed(arguments.page, folder), "light", "")]
        checks += [(f"{kind}, {opened} open", arguments.page, kind, opened) for kind in ("light", "dark") for opened in LISTS]
        for label, page, kind, opened in checks:
            listed = violations(page, axe, folder, *SIZES[kind], opened)
            bad = bad or bool(listed)
            print(f"axe, {label}: {len(listed)} violations", *[f"\n  {v}" for v in listed], flush=True)
        if arguments.pictures:
            arguments.pictures.mkdir(exist_ok=True)
            target = arguments.pictures.resolve()
            page = arguments.page.resolve()
            for kind, (size, extra) in SIZES.items():
                chosen = with_script(page, CHOOSE, folder)
                browse(chosen, "--virtual-time-budget=5000", f"--screenshot={target / (kind + '.png')}", *extra, size=size)
            for list_id in ("chapters", "words"):
                opened = with_script(page, OPEN % list_id, folder)
                browse(opened, "--virtual-time-budget=5000", f"--screenshot={target / (list_id + '.png')}")
            browse(page, "--virtual-time-budget=20000", f"--print-to-pdf={target / 'print.pdf'}", "--no-pdf-header-footer")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
