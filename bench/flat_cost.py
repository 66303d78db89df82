#!/usr/bin/env python3
"""Measures time per token and memory, from 10 thousand tokens of a document to 10 million.

    bench/flat_cost.py [--unroll build/bin/unroll] [--model DIR] FILE...
    bench/flat_cost.py --within BYTES [--minutes N] FILE...

The files are joined to one document. Its first 40 KB, 400 KB, and so on (about 10 thousand tokens, 100 thousand,
...) are each read by a new process, from the first byte to the last. On a busy machine, use the CPU time.

`--within` reads the document once, with `unroll score`. Each row is about one stretch of so many bytes: its tokens, what they
cost, and the memory at its end (proportional set size of the process and its plugin workers). `--minutes` stops reading
before the end of the document; the last row is then a shorter stretch.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

FIRST_BYTES = 40_000
CHUNK = 1 << 20
TICK = os.sysconf("SC_CLK_TCK")


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


def family(pid):
    """The process and its children."""
    children = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [pid, *(int(child) for each in children for child in each)]


def cpu_seconds(pids):
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICK


def resident_mib(pids):
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in pids]
    return sum(int(line.split()[1]) for each in rollups for line in each if line.startswith("Pss:")) / 1024


def read_within(options, path):
    command = [options.unroll, "score", "--embedded", "--granularity", "sentence", "--format", "ndjson",
               "--model", options.model, "--dtype", options.dtype, "--raw", path]
    print("| read to byte | tokens | tokens/s | CPU time per token | memory |\n|---|---|---|---|---|", flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        began = last = time.monotonic()
        tokens, cpu, mark = 0, None, options.within
        for part in map(json.loads, reader.stdout):
            if part["type"] != "sentence":
                return
            if cpu is None:  # the first output: the model is loaded
                cpu, last = cpu_seconds(family(reader.pid)), time.monotonic()
                continue
            tokens += part["tokens"]
            late = options.minutes and time.monotonic() - began > 60 * options.minutes
            if part["end"] < mark and not late:
                continue
            pids, now = family(reader.pid), time.monotonic()
            used = cpu_seconds(pids)
            print(f"| {part['end']:,} | {tokens:,} | {tokens / (now - last):,.0f} | {(used - cpu) / tokens * 1e6:,.0f} µs | "
                  f"{resident_mib(pids):.1f} MiB |", flush=True)
            tokens, cpu, last, mark = 0, used, now, mark + options.within
            if late:
                reader.terminate()
                return


def read_beginnings(options):
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll")
    parser.add_argument("--model", default="models/unroll-small")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--within", type=int, metavar="BYTES", help="read the document once, print a row for every so many bytes")
    parser.add_argument("--minutes", type=float, metavar="N", help="with --within: stop after this time")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    if not options.within:
        return read_beginnings(options)
    with tempfile.NamedTemporaryFile() as file:
        copy_beginning(options.files, 1 << 62, file)
        read_within(options, file.name)


if __name__ == "__main__":
    main()
