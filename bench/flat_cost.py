#!/usr/bin/env python3
"""What a token costs, and how much memory is needed, from 10 thousand tokens of a document to 10 million.

    bench/flat_cost.py [--unroll build/bin/unroll] [--model DIR] FILE...

The files are joined to one document; its beginnings of 40 KB, 400 KB, and so on (about 10 thousand tokens, 100 thousand,
...) are read each by a process of its own, from the first byte to the last. Beside other work, CPU time is the fairer figure.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

FIRST_BYTES = 40_000
CHUNK = 1 << 20


def copy_beginning(files, size, out):
    """The first `size` bytes of the files, joined by line ends; False where they have fewer. Never all of it in memory, which would
    count as the reader's: it begins as a copy of this process."""
    for index, path in enumerate(files):
        if index > 0 and size > 0:
            size -= out.write(b"\n")
        with path.open("rb") as file:
            while size > 0 and (chunk := file.read(min(size, CHUNK))):
                out.write(chunk)
                size -= len(chunk)
    out.flush()
    return size == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll")
    parser.add_argument("--model", default="models/unroll-small")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    print("| bytes | tokens | tokens/s | CPU time a token | peak memory |\n|---|---|---|---|---|")
    size = FIRST_BYTES
    while True:
        with tempfile.NamedTemporaryFile() as file:
            if not copy_beginning(options.files, size, file):
                return
            command = [options.unroll, "eval", "--model", options.model, "--dtype", options.dtype, "--format", "json"]
            reader = subprocess.Popen([*command, file.name], stdout=subprocess.PIPE)
            figures = json.loads(reader.stdout.read())
            _, _, usage = os.wait4(reader.pid, 0)
        tokens, cpu = figures["tokens"], usage.ru_utime + usage.ru_stime
        print(f"| {size:,} | {tokens:,} | {figures['tokens_per_second']:,.0f} | {cpu / tokens * 1e6:.1f} µs | "
              f"{usage.ru_maxrss / 1024:.1f} MiB |", flush=True)
        size *= 10


if __name__ == "__main__":
    main()
