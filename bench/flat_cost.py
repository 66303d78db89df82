#!/usr/bin/env python3
"""Measures time per token and memory, from 10 thousand tokens of a document to 10 million.

    bench/flat_cost.py [--unroll build/bin/unroll] [--model DIR] FILE...

The files are joined to one document. Its first 40 KB, 400 KB, and so on (about 10 thousand tokens, 100 thousand,
...) are each read by a new process, from the first byte to the last. On a busy machine, use the CPU time.
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
    """Writes the first `size` bytes of the files, joined by newlines; returns False if they have fewer. Never holds
    all of it in memory: the reader starts as a copy of this process, and its memory would be counted."""
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
    print("| bytes | tokens | tokens/s | CPU time per token | peak memory |\n|---|---|---|---|---|")
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
