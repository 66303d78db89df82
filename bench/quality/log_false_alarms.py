#!/usr/bin/env python3
"""Counts the false alarms of `unroll anomaly --baseline` about times and numbers: logs of a machine on which nothing happens are
compared with an earlier stretch of themselves.

    bench/quality/log_false_alarms.py [--unroll build/bin/unroll] [--learn 14] [--days 28] [--seed 1]

Three simulated services: requests by day, night and weekend, with bursts of a few minutes; a heartbeat every 10 s; jobs every 5 minutes and
every night, whose durations and sizes vary and sometimes are long. Prints for each the lines judged, the events about times, the lines with a
number out of range, and both for each day.
"""

import argparse
import json
import math
import random
import subprocess
import tempfile
import time
from pathlib import Path


def lines(seed, first_day, days):
    """Of a service; the same seed and day give the same lines."""
    for day in range(first_day, first_day + days):
        chance = random.Random(f"{seed} {day}")
        busy = (0.4 if day % 7 > 4 else 1.0) * (0.5 + seed / 4)
        bursts = [chance.randrange(86400) for _ in range(chance.randrange(3))]
        out = []
        for second in range(0, 86400, 2):
            rate = busy * (0.02 + 0.18 * max(0, math.sin((second / 86400 - 0.25) * 2 * math.pi)))
            rate *= 3 if any(begin <= second < begin + 180 for begin in bursts) else 1
            if second % 10 == 0:
                out.append((second, "INFO heartbeat"))
            if chance.random() < rate:
                out.append((second, f"INFO GET /items/{chance.randrange(5000)} status={chance.choices([200, 304, 404, 500], [90, 7, 2.9, .1])[0]} "
                                    f"bytes={int(chance.lognormvariate(7, 1))} took {int(chance.lognormvariate(3, .8))} ms"))
            if second % 300 == 0:
                out.append((second, f"INFO flushed {int(chance.lognormvariate(5, .6))} rows in {chance.randrange(4, 40)} ms"))
            if second == 7200:
                out += [(second, "INFO nightly backup begins"),
                        (second + int(chance.lognormvariate(6, .3)), f"INFO nightly backup of {chance.randrange(900, 1100)} files done")]
        for second, text in sorted(out, key=lambda each: each[0]):
            yield time.strftime("%Y-%m-%dT%H:%M:%S ", time.gmtime(1_772_409_600 + day * 86400 + second)) + text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll")
    parser.add_argument("--learn", type=int, default=14, help="days")
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| service | lines | about times | numbers | times per day | numbers per day |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        good, log = Path(folder, "good.log"), Path(folder, "app.log")
        for service in range(options.seed, options.seed + 3):
            good.write_text("\n".join(lines(service, 0, options.learn)) + "\n")
            log.write_text("\n".join(lines(service, options.learn, options.days)) + "\n")
            output = subprocess.run([options.unroll, "anomaly", log, "--baseline", good, "--format", "ndjson"], check=True,
                                    capture_output=True, text=True).stdout
            found = [json.loads(line) for line in output.splitlines()]
            times = [each for each in found if each.get("type") == "rate"]
            numbers = [each for each in found if "number" in each]
            print(f"| {service} | {len(found) - len(times):,} | {len(times)} | {len(numbers)} | {len(times) / options.days:.2f} | "
                  f"{len(numbers) / options.days:.2f} |", flush=True)
            for each in times[:5] + numbers[:5]:
                print("    ", json.dumps({key: each[key] for key in ("rate", "seconds", "usual", "count", "number", "text") if key in each}))


if __name__ == "__main__":
    main()
