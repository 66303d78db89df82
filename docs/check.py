#!/usr/bin/env python3
"""Checks the manual: links and anchors of every *.md, and tables that the code defines, too.

    docs/check.py [--unrolld PROGRAM] [--list-external]

Prints one line per problem; exits with 1 if there is any. Standard library only: a test runs it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s*(\S+)", re.M)
FENCE = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.M | re.S)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.M)
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")  # on one line


def pages() -> Iterator[Path]:
    """Pages of the source, without those that were built or fetched into it."""
    for path in sorted(ROOT.rglob("*.md")):
        folders = path.relative_to(ROOT).parts[:-1]
        if not any(part.startswith(("build", ".", "_")) for part in folders):
            yield path


def blank(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n")


@cache
def anchors(page: Path) -> frozenset[str]:
    """Anchors of headings, as GitHub and MyST make them."""
    found: dict[str, int] = {}
    result = set()
    for heading in HEADING.findall(FENCE.sub(blank, page.read_text(encoding="utf-8"))):
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        times = found[slug] = found.get(slug, -1) + 1
        result.add(f"{slug}-{times}" if times else slug)
    return frozenset(result)


def links(page: Path) -> Iterator[tuple[int, str]]:
    text = CODE.sub("", FENCE.sub(blank, page.read_text(encoding="utf-8")))
    for match in LINK.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1) or match.group(2)


def is_external(target: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]*:", target) is not None


def wrong_links() -> Iterator[str]:
    for page in pages():
        for line, target in links(page):
            if is_external(target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            where = f"{page.relative_to(ROOT)}:{line}: "
            if not file.exists():
                yield f"{where}there is no {path}"
            elif not file.is_relative_to(ROOT):
                yield f"{where}{path} leads out of the repository"
            elif anchor and (file.suffix != ".md" or anchor not in anchors(file)):
                yield f"{where}{file.relative_to(ROOT)} has no heading #{anchor}"


def codes_without_advice() -> Iterator[str]:
    """Rows are | −32000 | `name` | HTTP | meaning | what to do |, with a real minus."""
    manual = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| −(\d+) \|(?:[^|\n]*\|){3}([^|\n]*)\|$", manual, re.M))
    codes = re.findall(r"\b(k\w+) = -(\d+)", (ROOT / "base/error.h").read_text(encoding="utf-8"))
    if not codes:
        yield "docs/check.py: no error codes found in base/error.h; correct the pattern here"
    for name, code in codes:
        if not rows.get(code, "").strip():
            yield f"docs/protocol.md: error {name} (−{code}) of base/error.h has no row with what to do"


def metrics_that_differ() -> Iterator[str]:
    code = (ROOT / "daemon/metrics.cc").read_text(encoding="utf-8")
    known = set(re.findall(r'(?:head|gauge|counter|histogram)\(\s*(?:metrics,\s*)?"(\w+)"', code))
    manual = (ROOT / "docs/service.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `((?:unroll|process)_\w+)", manual, re.M))
    if not known:
        yield "docs/check.py: no metrics found in daemon/metrics.cc; correct the pattern here"
    yield from (f"docs/service.md: metric {name} of daemon/metrics.cc has no row" for name in sorted(known - told))
    yield from (f"docs/service.md: metric {name} is not in daemon/metrics.cc" for name in sorted(told - known))


def metrics_used_that_are_not_told() -> Iterator[str]:
    manual = (ROOT / "docs/service.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `((?:unroll|process)_\w+)", manual, re.M))
    for file in sorted([*(ROOT / "systemd/prometheus").glob("*.rules.yml"), *(ROOT / "systemd/grafana").glob("*.json")]):
        used = set(re.findall(r"\b(?:unroll|process)_\w+", file.read_text(encoding="utf-8")))
        for name in sorted(used):
            if not {name, re.sub(r"_(?:bucket|sum|count)$", "", name)} & told:
                yield f"{file.relative_to(ROOT)}: metric {name} has no row in docs/service.md"


def http_that_differs() -> Iterator[str]:
    """Rows of the manual are | `GET /a`, `/b`; `PUT` or `POST /c/NAME?x=N` | ... |; names of parameters are in capitals."""
    description = json.loads((ROOT / "daemon/openapi.json").read_text(encoding="utf-8"))
    known = {
        f"{method.upper()} {re.sub(r'{(.*?)}', lambda name: name[1].upper(), path)}"
        for path, methods in description["paths"].items()
        for method in methods
    }
    manual = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    told = set()
    for row in re.findall(r"^\| (`(?:GET|PUT|POST|DELETE)\b[^|]*) \|", manual, re.M):
        methods: list[str] = []
        is_path_before = True
        for method, path in re.findall(r"`(GET|PUT|POST|DELETE)?(?: ?(/[^`?]*))?[^`]*`", row):
            if method:
                methods = [method] if is_path_before else [*methods, method]
            is_path_before = bool(path)
            told |= {f"{one} {path}" for one in methods if path}
    yield from (f"docs/protocol.md: {one} of daemon/openapi.json has no row" for one in sorted(known - told))
    yield from (f"docs/protocol.md: {one} is not in daemon/openapi.json" for one in sorted(told - known))


def configuration_that_differs(program: str) -> Iterator[str]:
    described = subprocess.run([program, "--describe-config"], check=True, capture_output=True, encoding="utf-8").stdout
    if described != (ROOT / "docs/configuration.md").read_text(encoding="utf-8"):
        yield f"docs/configuration.md is not what '{program} --describe-config' prints; regenerate it with that"


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks the manual.")
    parser.add_argument("--unrolld", metavar="PROGRAM", help="compare docs/configuration.md with its --describe-config")
    parser.add_argument("--list-external", action="store_true", help="print external links, which are not checked")
    options = parser.parse_args()
    if options.list_external:
        for page in pages():
            for line, target in links(page):
                if is_external(target):
                    print(f"{page.relative_to(ROOT)}:{line}: {target}")
    wrong = [*wrong_links(), *codes_without_advice(), *http_that_differs()]
    wrong += [*metrics_that_differ(), *metrics_used_that_are_not_told()]
    if options.unrolld:
        wrong += configuration_that_differs(options.unrolld)
    for problem in wrong:
        print(problem, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
