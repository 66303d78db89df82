#!/usr/bin/env python3
"""Runs good and hostile clients against a real unrolld for a long time, and compares every byte that the good ones
get.

Exit code 0 if everything holds: each output equals that of an undisturbed reading, memory is flat, no descriptor
stays open, the daemon answers until the end and exits with 0 on SIGTERM, and its log holds nothing of what clients
sent.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients/python"))

import unroll_client as unroll  # noqa: E402
from daemon import Daemon  # noqa: E402
from documents import make_sources, read_alone  # noqa: E402
from good import Crowd, administrate  # noqa: E402
from hostile import Gang  # noqa: E402
from pinger import Pinger  # noqa: E402

MiB = 1 << 20
PROGRESS_SECONDS = 30.0
MOST_FAILURES = 20  # different ones to report
MOST_P99 = 0.1  # seconds, of another user's ping
MOST_SECONDS_TO_END = 25.0  # drain_ms, and what the daemon may take after that


def say(text: str) -> None:
    print(text, flush=True)


class Watch:
    """Memory, descriptors and how long a ping takes, each second."""

    def __init__(self, daemon: Daemon):
        self._daemon = daemon
        self.began = time.monotonic()
        self.resident: list[tuple[float, int]] = []
        self.descriptors: list[int] = []
        self.slowest_ping = 0.0

    async def run(self) -> None:
        async with unroll.aio.Client(self._daemon.socket) as client:
            while True:
                before = time.monotonic()
                await client.ping()
                self.slowest_ping = max(self.slowest_ping, time.monotonic() - before)
                self.resident.append((before - self.began, self._daemon.resident_bytes()))
                self.descriptors.append(self._daemon.descriptors())
                await asyncio.sleep(1)

    def most_resident(self, quarter: int, seconds: float) -> int:
        begin, end = (quarter - 1) * seconds / 4, quarter * seconds / 4
        return max((size for at, size in self.resident if begin <= at < end), default=0)


class Soak:
    def __init__(self, arguments: argparse.Namespace, folder: Path):
        self.arguments = arguments
        rng = random.Random(f"{arguments.seed}/markers")
        # Six letters, as the requests' lengths assume; none is a hexadecimal digit, because documents' ids are in the
        # log.
        self.markers = ["zq" + "".join(rng.choices("ghjkmnpqrstvwxyz", k=4)) for _ in range(2)]
        folder.chmod(0o711)
        self.public = folder / "public"
        self.public.mkdir()
        self.public.chmod(0o777)
        self.sources = make_sources(arguments.seed, self.markers[0], folder, arguments.largest)
        self.daemon = Daemon(arguments.unrolld, arguments.model, folder)
        self.failures: list[str] = []

    def run(self) -> bool:
        arguments = self.arguments
        read_alone(self.daemon.socket, self.sources)
        descriptors = self.daemon.settle()
        names = self.daemon.descriptor_names()
        say(f"soak: {len(self.sources)} documents read alone; {descriptors} descriptors, "
            f"{self.daemon.resident_bytes() / MiB:.0f} MiB; seed {arguments.seed}")  # fmt: skip
        gang = Gang(self.daemon.socket, arguments.seed, self.markers[1], str(self.public), arguments.hostile)
        pinger = Pinger(self.daemon.socket)
        crowd = Crowd(self.daemon.socket, self.sources, arguments.seed, gang.tell)
        watch = Watch(self.daemon)
        reloads = asyncio.run(self._mix(crowd, gang, watch))
        seconds = time.monotonic() - watch.began
        self._check_pings(pinger.stop())
        self.failures += gang.stop() + crowd.failures
        self._report(crowd, gang, watch, seconds)
        say(f"ways: {dict(sorted(crowd.ways.items()))}")
        say(f"hostile connections: {gang.connections}{' by another user' if gang.other_user else ''}")
        say(f"{reloads} reloads, {crowd.interruptions} interruptions, {crowd.refusals} refusals at limits, "
            f"slowest ping {watch.slowest_ping:.1f} s, at most {max(watch.descriptors)} descriptors")  # fmt: skip
        if gang.other_user and crowd.refusals > 0:
            self.failures.append(f"{crowd.refusals} refusals at limits, which are each user's own")
        if (crowd.documents == 0 and arguments.good > 0) or min(gang.connections.values()) == 0:
            self.failures.append("some clients never got to work")
        self._check_memory(watch)
        self._check_end(descriptors, names)
        for failure, times in Counter(self.failures).most_common(MOST_FAILURES):
            say(f"FAILED: {failure} ({times} times)")
        say("soak: " + (f"{len(self.failures)} FAILED" if self.failures else "all holds"))
        return not self.failures

    async def _mix(self, crowd: Crowd, gang: Gang, watch: Watch) -> int:
        arguments = self.arguments
        watching = asyncio.create_task(watch.run())
        administrator = asyncio.create_task(administrate(self.daemon.socket, arguments.reload_every, crowd))
        clients = asyncio.create_task(crowd.run(arguments.good))
        told = watch.began
        while (now := time.monotonic()) - watch.began < arguments.seconds and not self._broken(watching, gang):
            if now - told >= PROGRESS_SECONDS:
                told += PROGRESS_SECONDS
                self._report(crowd, gang, watch, now - watch.began)
            await asyncio.sleep(0.5)
        crowd.stopping = True
        await clients
        watching.cancel()
        try:
            async with asyncio.timeout(arguments.reload_every + 60):
                return await administrator
        except TimeoutError:
            self.failures.append("the last reload was never answered")
            return 0

    def _broken(self, watching: asyncio.Task[None], gang: Gang) -> bool:
        self.failures += gang.surprises()
        if watching.done():
            self.failures.append(f"the daemon does not answer any more: {watching.exception()!r}")
            return True
        return False

    def _report(self, crowd: Crowd, gang: Gang, watch: Watch, seconds: float) -> None:
        resident, descriptors = (watch.resident[-1][1], watch.descriptors[-1]) if watch.resident else (0, 0)
        say(f"{seconds:6.0f} s: {crowd.documents} documents, {crowd.document_bytes} bytes of them; "
            f"{crowd.compared_bytes} bytes compared; {sum(gang.connections.values())} hostile connections; "
            f"{resident / MiB:.0f} MiB, {descriptors} descriptors; "
            f"{len(crowd.failures) + len(self.failures)} failures")  # fmt: skip

    def _check_pings(self, times: list[float]) -> None:
        if not times:
            self.failures.append("not one ping of another user was answered")
            return
        p50, p99 = (times[int(len(times) * share)] for share in (0.5, 0.99))
        say(f"{len(times)} pings of another user: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, "
            f"most {times[-1] * 1000:.1f} ms")  # fmt: skip
        if p99 > MOST_P99:
            self.failures.append(f"p99 of another user's ping is {p99 * 1000:.0f} ms, more than {MOST_P99 * 1000:.0f}")

    def _check_memory(self, watch: Watch) -> None:
        quarters = [watch.most_resident(quarter, self.arguments.seconds) for quarter in range(1, 5)]
        say("most memory in each quarter: " + ", ".join(f"{quarter / MiB:.1f} MiB" for quarter in quarters))
        if quarters[3] > quarters[1] * 1.1 + 16 * MiB:
            self.failures.append("memory grows: more in the last quarter than in the second, by over 10 % and 16 MiB")

    def _check_end(self, descriptors: int, before: Counter[str]) -> None:
        if not self.daemon.running:
            self.failures.append("the daemon ended by itself")
        else:
            left = self.daemon.settle(descriptors)
            say(f"descriptors: {descriptors} before, {left} after; {self.daemon.resident_bytes() / MiB:.0f} MiB")
            if left > descriptors:
                names = dict(self.daemon.descriptor_names() - before)
                self.failures.append(f"{left - descriptors} descriptors are left open: {names}")
            read_again = self.sources[2]
            expected = {name: list(outputs) for name, outputs in read_again.outputs.items()}
            read_alone(self.daemon.socket, [read_again])
            if read_again.outputs != expected:
                self.failures.append("a document that is read alone at the end is not what it was")
            began = time.monotonic()
            if (code := self.daemon.terminate()) != 0:
                self.failures.append(f"the daemon ended with {code} on SIGTERM")
            if time.monotonic() - began > MOST_SECONDS_TO_END:
                self.failures.append(f"the daemon took {time.monotonic() - began:.0f} s to end on SIGTERM")
        log = self.daemon.log.read_bytes()
        say(f"log: {len(log)} bytes, {log.count(b' error: ')} errors, {log.count(b' warning: ')} warnings")
        for number, text in enumerate(log.splitlines(), 1):
            if any(marker.encode() in text for marker in self.markers):
                self.failures.append(f"what a client sent is in line {number} of the log")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unrolld", type=Path, default=ROOT / "build/bin/unrolld")
    parser.add_argument("--model", type=Path, default=ROOT / "build/tests/clients/tiny_model")
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--good", type=int, default=100, help="good clients")
    parser.add_argument("--hostile", type=int, default=2, help="hostile clients of each kind")
    parser.add_argument("--largest", type=int, default=40_000, help="bytes of the largest document")
    parser.add_argument("--reload-every", type=float, default=30, help="seconds")
    parser.add_argument("--keep-log", type=Path, help="a copy of the daemon's log goes here")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        soak = Soak(arguments, Path(name))
        try:
            return 0 if soak.run() else 1
        finally:
            soak.daemon.kill()
            if arguments.keep_log:
                shutil.copyfile(soak.daemon.log, arguments.keep_log)


if __name__ == "__main__":
    sys.exit(main())
