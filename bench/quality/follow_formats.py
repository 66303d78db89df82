#!/usr/bin/env python3
"""Measures what `unroll follow` shows at its default threshold of logs in the usual formats: a table with, for each, the
errors, warnings and routine lines that it shows.

    bench/quality/follow_formats.py [--unroll build/bin/unroll] [--model DIR] [--lines 400] [--seed 1] [FORMAT...]

The same invented events are written in each format: routine lines of nine statements, of which two speak of errors in passing, 5 warnings and
6 errors, of which one comes three times. The first problem is after line 150.
"""

import argparse
import json
import random
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROUTINE = ["request {n} served in {m} ms", "cache refreshed, {n} entries", "session {h} opened for user u{b}", "session {h} closed",
           "job {n} finished in {m} ms", "connected to 10.0.0.{b}:{p}", "flushed {n} rows", "health check done, 0 errors, failed=0",
           "error budget report sent, {m} requests"]
WARNINGS = ["queue is {m} % full", "retrying 10.0.0.{b}:{p}", "clock is {n} ms ahead", "lease of {h} expires soon", "slow query, {n} ms"]
ERRORS = ["cannot write block {n}: no space left", "connection to 10.0.0.{b} lost", "cannot write block {n}: no space left",
          "checksum of segment {h} differs", "cannot write block {n}: no space left", "worker {b} exited with status 137"]


def events(lines, chance):
    """(level, text), level 0 routine, 1 warning, 2 error."""
    made = [(0, chance.choice(ROUTINE)) for _ in range(lines)]
    places = sorted(chance.sample(range(150, lines), len(WARNINGS) + len(ERRORS)))
    problems = [(1, text) for text in WARNINGS] + [(2, text) for text in ERRORS]
    chance.shuffle(problems)
    for place, problem in zip(places, problems):
        made[place] = problem
    return [(level, text.format(n=chance.randrange(900), m=chance.randrange(1, 90), b=chance.randrange(1, 250),
                                p=chance.randrange(1024, 65535), h=f"{chance.getrandbits(48):012x}")) for level, text in made]


def seconds(i):
    return 1_772_438_400 + i


def day(i, form):
    return time.strftime(form, time.gmtime(seconds(i)))


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def docker(i, text):
    return compact({"log": text + "\n", "stream": "stderr", "time": day(i, "%Y-%m-%dT%H:%M:%S.5Z")})


def klog(i, level, text):
    return f"{'IWE'[level]}{day(i, '%m%d %H:%M:%S')}.{i % 1000:06}       1 server.go:{100 + len(text) % 7}] \"{text}\""


FORMATS = {
    "klog": klog,
    "klog in CRI": lambda i, level, text: f"{day(i, '%Y-%m-%dT%H:%M:%S')}.5Z stderr F {klog(i, level, text)}",
    "pino": lambda i, level, text: compact({"level": (30, 40, 50)[level], "time": seconds(i) * 1000, "pid": 1, "hostname": "a", "msg": text}),
    "pino in Docker's JSON": lambda i, level, text: docker(i, FORMATS["pino"](i, level, text)),
    "bunyan": lambda i, level, text: compact({"name": "api", "hostname": "a", "pid": 9, "level": (30, 40, 50)[level], "msg": text,
                                                  "time": day(i, "%Y-%m-%dT%H:%M:%S.000Z"), "v": 0}),
    "zap": lambda i, level, text: compact({"level": ("info", "warn", "error")[level], "ts": seconds(i) + 0.5, "caller": "a/b.go:1", "msg": text}),
    "logback": lambda i, level, text: f"{day(i, '%H:%M:%S')}.123 [main] {('INFO ', 'WARN ', 'ERROR')[level]} com.example.App - {text}",
    "logfmt": lambda i, level, text: f"ts={day(i, '%Y-%m-%dT%H:%M:%SZ')} level={('info', 'warn', 'error')[level]} component=app msg=\"{text}\"",
    "syslog with priority": lambda i, level, text: f"<{(30, 28, 27)[level]}>{day(i, '%b %e %H:%M:%S')} host app[812]: {text}",
    "journald's JSON": lambda i, level, text: compact({"__REALTIME_TIMESTAMP": str(seconds(i) * 1_000_000), "PRIORITY": "643"[level],
                                                           "SYSLOG_IDENTIFIER": "app", "MESSAGE": text}),
    "coloured": lambda i, level, text: f"\x1b[2m{day(i, '%H:%M:%S')}\x1b[0m \x1b[{(32, 33, 31)[level]}m{('INFO', 'WARN', 'ERROR')[level]}\x1b[0m \x1b[1mapp\x1b[0m: {text}",
    "plain": lambda i, level, text: f"{day(i, '%Y-%m-%d %H:%M:%S')} {('INFO', 'WARN', 'ERROR')[level]} app: {text}",
}


def shown_lines(options, log, folder):
    state = folder / "state"
    with (folder / "out").open("w") as out:
        process = subprocess.Popen([options.unroll, "follow", log, "--embedded", "--model", options.model, "--state", state,
                                    "--quiet-ms", "200", "--no-rates"], stdout=out, stderr=subprocess.STDOUT)
        lines, deadline, judged = log.read_text().count("\n"), time.monotonic() + 600, 0
        while judged < lines and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.2)
            for file in state.glob("*"):
                if re.search(r"-[0-9a-f]+$", file.name):
                    judged = max(judged, json.loads(file.read_text() or "{}").get("next_output", 0))
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.wait()
    return [int(line.split()[0].replace(",", "")) for line in (folder / "out").read_text().splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll")
    parser.add_argument("--model", default="models/unroll-small")
    parser.add_argument("--lines", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("formats", nargs="*", metavar="FORMAT")
    options = parser.parse_args()
    print("| format | errors shown | warnings | routine lines |\n|---|---|---|---|")
    for name in options.formats or FORMATS:
        made = events(options.lines, random.Random(options.seed))
        with tempfile.TemporaryDirectory() as temporary:
            log = Path(temporary, "app.log")
            log.write_text("".join(FORMATS[name](i, level, text) + "\n" for i, (level, text) in enumerate(made)))
            shown = shown_lines(options, log, Path(temporary))
        of = [sum(made[line - 1][0] == level for line in shown) for level in range(3)]
        all_of = [sum(each == level for each, _ in made) for level in range(3)]
        print(f"| {name} | {of[2]} of {all_of[2]} | {of[1]} of {all_of[1]} | {of[0]} of {all_of[0]} |", flush=True)


if __name__ == "__main__":
    main()
