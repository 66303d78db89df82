#!/usr/bin/env python3
"""Measures how long `unroll anomaly` takes for a large ordinary log: with a baseline, and with a budget.

    bench/log_throughput.py [--unroll build/bin/unroll] [--model DIR] [--megabytes 1000] [--budget 20] [--folder /tmp]

The log is made from a seed: 200 statements of a dozen services, of which a few make most lines, with times, numbers,
addresses and identifiers. The baseline is a tenth as long. Prints, for each, wall and CPU seconds, MB/s, the
peak of memory, and how many of the statements that only the log has are among the 20 most unusual lines.
"""

import argparse
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

VERBS = "opened closed read wrote sent received queued flushed cached served loaded parsed merged renewed checked moved".split()
THINGS = "connection session request record index segment batch table page file job lease token route partition volume".split()
ADDED = ["ERROR volume {n} is read-only, giving up", "FATAL no quorum among {n} peers", "INFO entering safe mode after {n} s",
         "WARN clock is {n} ms ahead of the peers", "ERROR checksum of segment {h} does not match"]


def statements(chance):
    made = []
    for number in range(200):
        service = f"svc-{chance.choice('abcdefghijkl')}"
        words = [chance.choice(VERBS), chance.choice(THINGS), chance.choice(["from", "to", "of", "for"]), chance.choice(THINGS)]
        level = "WARN" if number % 25 == 24 else "DEBUG" if number % 10 == 9 else "INFO"
        fields = chance.sample(["id={h}", "took={n}ms", "peer=10.0.{b}.{b}:{p}", "bytes={n}", "user=u{b}", "status=200", "count={n}"], 3)
        made.append(f"{level} {service}[{{b}}] {' '.join(words)} {' '.join(fields)}")
    return made


def write(path, size, chance, made, added):
    weights = [1 / (rank + 1) for rank in range(len(made))]
    now, written, left = 1_772_000_000.0, 0, list(added)
    with path.open("w") as out:
        while written < size:
            block = []
            for template in chance.choices(made, weights, k=10_000):
                now += chance.random() / 50
                day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
                block.append(f"{day}.{int(now * 1000) % 1000:03}Z " + template.format(
                    h=f"{chance.getrandbits(48):012x}", n=chance.randrange(900), b=chance.randrange(250), p=chance.randrange(1024, 65535)))
            if left and written > size // 2:
                block[chance.randrange(len(block))] = f"{day}.000Z " + left.pop().format(n=7, h="3fa9c1d0aa11")
            text = "\n".join(block) + "\n"
            written += len(text)
            out.write(text)


def measure(command):
    with tempfile.TemporaryFile() as output:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
        output.seek(0)
        return output.read().decode(), status, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll")
    parser.add_argument("--model", default="models/unroll-small")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--budget", type=int, nargs="*", default=[20])
    parser.add_argument("--folder")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.environ["TMPDIR"] = folder
        chance = random.Random(options.seed)
        made = statements(chance)
        log, good, base = Path(folder, "app.log"), Path(folder, "good.log"), f"{folder}/base"
        write(log, options.megabytes * 1_000_000, chance, made, ADDED)
        write(good, options.megabytes * 100_000, chance, made, [])
        model = ["--embedded", "--model", options.model]
        runs = [("learn", ["learn", good, "--out", base], good), ("anomaly --baseline", ["anomaly", log, "--baseline", base], log)]
        runs += [(f"anomaly --budget {n}", ["anomaly", log, "--budget", str(n), *model], log) for n in options.budget]
        print("| | wall s | CPU s | MB/s | peak MiB | found |\n|---|---|---|---|---|---|")
        for name, arguments, file in runs:
            output, status, wall, cpu, peak = measure([options.unroll, *arguments])
            if status != 0:
                raise SystemExit(f"{name} failed")
            words = [text.split("{")[0].strip() for text in ADDED]
            found = sum(word in output for word in words)
            size = file.stat().st_size / 1e6
            print(f"| {name} | {wall:.1f} | {cpu:.1f} | {size / wall:.1f} | {peak:.0f} | {found} of {len(words)} |", flush=True)


if __name__ == "__main__":
    main()
