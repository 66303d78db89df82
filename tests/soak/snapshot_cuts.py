#!/usr/bin/env python3
"""Cuts documents of random bytes at random bytes: reading the second part after a snapshot of the first must give, bit
for bit, what reading the whole gives: log-probability, entropy and hidden state of each token, score of each line.

    python3 tests/soak/snapshot_cuts.py --model models/unroll-small --cuts 200

Exit code 0 if all are equal. Run it with one model of each kind: recurrent, pretrained, and with routed memory. Every
fifth cut also goes by way of an exported and imported file.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients/python"))

import unroll_client as unroll  # noqa: E402
from daemon import Daemon  # noqa: E402

PLUGINS: dict[str, dict[str, Any]] = {"token-numbers": {}, "anomaly": {}}
WORDS = "the a of whale server größer 答え error started in 10.0.0.7 time river failed, was and 🙂".split()


def make_plugins(build: Path, folder: Path) -> None:
    """The built-in ones, and the one that gives every number."""
    shutil.copytree(build / "lib/unroll/plugins", folder)
    subprocess.run(
        ["c++", "-std=c++20", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-I", ROOT / "plugins/include"]
        + [ROOT / "tests/soak/token_numbers.cc", "-o", folder / "token_numbers.so"],
        check=True,
    )


def make_text(rng: random.Random, most: int) -> bytes:
    """Words, lines, bytes that are no UTF-8, repeated passages."""
    text = b""
    length = rng.randrange(1, most + 1)
    while len(text) < length:
        kind = rng.random()
        if kind < 0.7:
            text += rng.choice(WORDS).encode() + rng.choice([b" ", b" ", b" ", b"\n", b"\r\n", b"  "])
        elif kind < 0.85:
            text += rng.randbytes(rng.randrange(1, 9))
        elif text:
            begin = rng.randrange(len(text))
            text += text[begin : begin + 40]
    return text[:length]


Read = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def read(client: unroll.Client, path: Path, after: str | None = None) -> Read:
    """Tokens and lines, each beginning with its first and last byte."""
    tokens: list[tuple[Any, ...]] = []
    lines: list[tuple[Any, ...]] = []
    how = {"after": after} if after else {}
    for output in client.open(PLUGINS, path=path, **how).outputs():
        data = output.data
        if output.plugin == "token-numbers":
            tokens += [tuple(token) for token in data["tokens"]]
        elif "line" in data:
            lines.append((data["start"], data["end"], data["line"], data["score"]))
    return tokens, lines


def end_of(whole: Read, text: bytes, cut: int) -> Read:
    """What has bytes after the cut, counted from there. A line has its line end, too. An empty document has no lines."""

    def after_cut(part: list[tuple[Any, ...]], is_in: Callable[[int], bool]) -> list[tuple[Any, ...]]:
        return [(max(begin, cut) - cut, max(end, cut) - cut, *rest) for begin, end, *rest in part if is_in(end)]

    tokens = after_cut(whole[0], lambda end: end > cut)
    is_empty = cut == len(text)
    lines = after_cut(whole[1], lambda end: not is_empty and not 0 <= text.find(b"\n", end) < cut)
    return tokens, [(begin, end, 1 + number, score) for number, (begin, end, _, score) in enumerate(lines)]


def compare_cut(client: unroll.Client, rng: random.Random, folder: Path, most: int, number: int) -> int:
    """Returns how many tokens it compared."""
    text = make_text(rng, most)
    cut = rng.randrange(len(text) + 1)
    parts = {"whole": text, "before": text[:cut], "after": text[cut:]}
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    expected = end_of(read(client, folder / "whole"), text, cut)
    client.create_snapshot("cut", path=folder / "before", plugins=PLUGINS)
    if number % 5 == 0:
        file = client.export_snapshot("cut")
        client.delete_snapshot("cut")
        client.import_snapshot(file)
    found = read(client, folder / "after", "cut")
    for what, left, right in zip(("tokens", "lines"), expected, found, strict=True):
        if left != right:
            first = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
            raise SystemExit(f"cut {number} at {cut} of {len(text)}: {what} differ from number {first} on: "
                             f"{left[first:first + 2]} and {right[first:first + 2]}")  # fmt: skip
    return len(found[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--model", type=Path, default=ROOT / "models/unroll-small")
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--bytes", type=int, default=2_000, help="of the longest document")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_plugins(options.build, folder / "plugins")
        os.environ["UNROLL_PLUGIN_PATH"] = str(folder / "plugins")
        daemon = Daemon(options.build / "bin/unrolld", options.model.resolve(), folder)
        try:
            with unroll.Client(daemon.socket, patience=120) as client:
                rng = random.Random(f"{options.seed}/cuts")
                cuts = range(options.cuts)
                tokens = sum(compare_cut(client, rng, folder, options.bytes, number) for number in cuts)
        finally:
            daemon.terminate()
    print(f"{options.model.name}: {options.cuts} cuts, {tokens} tokens equal")


if __name__ == "__main__":
    main()
