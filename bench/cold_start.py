#!/usr/bin/env python3
"""Measures how long a command takes from its start: loading programs, libraries and weights.

    bench/cold_start.py [--rounds 7] [UNROLL...]

Each UNROLL (default: build/bin/unroll) is a program of a whole tree, built or installed; several alternate. Prints
milliseconds: the median, the least and the greatest. "First line": until the first result of a document can be read
from a pipe. The files are in the page cache, as on every use but the first.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
LINES = ["--embedded", "--format", "ndjson"]


def until_end(command):
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - begin


def until_first_line(command):
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        line = process.stdout.readline()
        seconds = time.perf_counter() - begin
        process.stdout.read()
    if not line or process.returncode != 0:
        raise SystemExit(f"cold_start: {' '.join(map(str, command))} printed nothing")
    return seconds


def cases(folder):
    text = README.read_bytes()
    short, long = folder / "short.md", folder / "long.md"
    short.write_bytes(text[:300])
    long.write_bytes(text * 6)
    return {
        "status, and no daemon": (until_end, ["status"]),
        "--version": (until_end, ["--version"]),
        "--help": (until_end, ["--help"]),
        "score, 300 bytes": (until_end, ["score", short, "--raw", "--embedded"]),
        "score README.md": (until_end, ["score", README, "--raw", "--embedded"]),
        "its first line": (until_first_line, ["score", README, "--raw", *LINES]),
        "first line of six times as much": (until_first_line, ["score", long, "--raw", *LINES]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("unroll", nargs="*", default=["build/bin/unroll"], metavar="UNROLL")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wanted = cases(Path(folder))
        seconds = {}
        for _ in range(options.rounds + 1):  # the first fills the page cache
            for name, (measure, arguments) in wanted.items():
                for program in options.unroll:
                    seconds.setdefault((name, program), []).append(measure([program, *arguments]))
        print("| | " + " | ".join(options.unroll) + " |\n|---|" + "---|" * len(options.unroll))
        for name in wanted:
            cells = []
            for program in options.unroll:
                times = [1000 * t for t in seconds[name, program][1:]]
                cells.append(f"{statistics.median(times):.0f} ({min(times):.0f} to {max(times):.0f})")
            print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
