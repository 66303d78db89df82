#!/usr/bin/env python3
"""Follows logs that are rotated at random, kills the command at random, and sends its alerts to a webhook that fails half
its calls: every alert must arrive, with one id each time it is sent.

    python3 tests/soak/follow_rotations.py --unroll build/bin/unroll --model MODEL [--rotations 200] [--logs 3] [--seed 1]

Kinds of rotation: rename, twice at once, copy and truncate, compress, compress the generation before, remove. A file is
truncated or removed only after its last line was read: what was not read then is lost to every reader.
"""

import argparse
import collections
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Log:
    """A growing log and its generations."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path, self.chance = path, chance
        self.lines = 0
        self.alerts: set[str] = set()

    def write(self, count: int, alerts: int) -> None:
        """Lines of which `alerts`, at random places, must be shown."""
        odd = set(self.chance.sample(range(count), alerts))
        with self.path.open("a") as out:
            for i in range(count):
                self.lines += 1
                if i in odd:
                    text = f"FATAL disk array of {self.path.stem} lost, incident {self.lines}"
                    self.alerts.add(text)
                else:
                    text = f"INFO {self.path.stem} job done in {self.chance.randrange(90)} ms"
                out.write(f"2026-03-02T08:{self.lines // 60 % 60:02}:{self.lines % 60:02} {text}\n")
                out.flush()

    def last(self) -> str:
        return self.path.read_text().splitlines()[-1] if self.path.exists() and self.path.stat().st_size else ""

    def generation(self, number: int, ending: str = "") -> Path:
        return Path(f"{self.path}.{number}{ending}")

    def shift(self) -> None:
        for number in range(6, 0, -1):
            for ending in ("", ".gz"):
                if self.generation(number, ending).exists():
                    self.generation(number, ending).rename(self.generation(number + 1, ending))

    def compress(self, number: int) -> None:
        plain = self.generation(number)
        if not plain.exists():
            return
        stat = plain.stat()
        with plain.open("rb") as source, gzip.open(self.generation(number, ".gz"), "wb") as target:
            shutil.copyfileobj(source, target)
        os.utime(self.generation(number, ".gz"), ns=(stat.st_atime_ns, stat.st_mtime_ns))
        plain.unlink()

    def rotate(self, kind: str) -> None:
        if not self.path.exists():
            return
        if kind == "remove":
            self.path.unlink()
            return
        self.shift()
        if kind == "truncate":
            shutil.copy2(self.path, self.generation(1))
            os.truncate(self.path, 0)
            return
        self.path.rename(self.generation(1))
        if kind == "compress":
            self.compress(1)
        if kind == "delayed":
            self.compress(2)
        if kind == "twice":
            self.write(5, 1)
            self.shift()
            self.path.rename(self.generation(1))


class Follower:
    def __init__(self, command: list[str], errors: Path) -> None:
        self.command, self.errors = command, errors
        self.process: subprocess.Popen | None = None
        self.kills = 0

    def start(self) -> None:
        with self.errors.open("a") as errors:
            self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=errors)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()

    def alive(self) -> bool:
        return self.process.poll() is None


def eventually(happened, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            sys.exit(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll")
    parser.add_argument("--model", required=True)
    parser.add_argument("--rotations", type=int, default=200)
    parser.add_argument("--logs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="rotations-"))
    (folder / "logs").mkdir()
    logs = [Log(folder / "logs" / f"app{i}.log", chance) for i in range(options.logs)]
    server = subprocess.Popen([sys.executable, HERE.parent / "client/webhook_server.py", folder / "port", folder / "calls"])
    eventually((folder / "port").exists, 30, "the webhook listens")
    port = (folder / "port").read_text()
    follower = Follower([options.unroll, "follow", str(folder / "logs/*.log"), "--webhook", f"http://127.0.0.1:{port}/hook",
                         "--state", str(folder / "state"), "--embedded", "--model", options.model, "--quiet-ms", "100"],
                        folder / "errors")

    def is_kept(log: Log) -> bool:
        last = log.last()
        return not last or any(last.encode() in path.read_bytes() for path in (folder / "state").glob("*.text"))

    kinds = ["rename", "twice", "truncate", "compress", "delayed", "remove"]
    done: collections.Counter[str] = collections.Counter()
    for log in logs:
        log.write(80, 0)
    follower.start()
    for log in logs:  # what was rotated away before the first look is not followed
        eventually(lambda log=log: is_kept(log), 300, f"{log.path} was read")
    try:
        for rotation in range(options.rotations):
            log, kind = chance.choice(logs), kinds[rotation % len(kinds)]
            log.write(chance.randrange(8, 25), 1)
            if chance.random() < 0.25:
                follower.kill()
                if chance.random() < 0.5:
                    follower.start()
            if kind in ("truncate", "remove"):
                if not follower.alive():
                    follower.start()
                eventually(lambda: is_kept(log), 120, f"{log.path} was read before it is rotated by {kind}")
                if chance.random() < 0.3:
                    follower.kill()
            log.rotate(kind)
            done[kind] += 1
            log.write(chance.randrange(5, 20), 1)
            if not follower.alive():
                follower.start()
            time.sleep(chance.random() * 0.6)
        wanted = set().union(*(log.alerts for log in logs))

        def calls() -> list[dict]:
            return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]

        def missing() -> set[str]:
            return wanted - {call["body"]["text"].split(" ", 1)[1].split("  (")[0] for call in calls() if call["status"] == 204}

        try:
            eventually(lambda: not missing(), 900, "every alert arrives")
        except SystemExit as error:
            print(f"missing: {sorted(missing())[:10]}")
            raise error
        exit_code = follower.stop()
        of_id: dict[str, set[str]] = collections.defaultdict(set)
        for call in calls():
            of_id[call["body"]["id"]].add(json.dumps([call["body"][key] for key in ("source", "line", "text", "score")]))
        changed = [texts for texts in of_id.values() if len(texts) > 1]
        accepted = collections.Counter(call["body"]["id"] for call in calls() if call["status"] == 204)
        print(f"{options.rotations} rotations ({dict(done)}), {follower.kills} kills, {sum(log.lines for log in logs)} lines: "
              f"{len(wanted)} of {len(wanted)} alerts arrived in {len(calls())} calls, {len(changed)} ids with two texts, "
              f"{sum(count > 1 for count in accepted.values())} taken more than once, exit code {exit_code}")
        if changed or exit_code != 0:
            sys.exit(f"see {folder}")
        shutil.rmtree(folder)
    finally:
        server.kill()
        if follower.process and follower.alive():
            follower.process.kill()


if __name__ == "__main__":
    main()
