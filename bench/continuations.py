#!/usr/bin/env python3
"""What continuations of one prefix cost: the time of many short documents after a snapshot, and the daemon's memory.

    bench/continuations.py TEXT...

A document after a snapshot goes on in the prefix's last block, if that is not full, so the prefix is cut at several
places.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "clients/python"))

import unroll_client  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", type=Path, metavar="TEXT")
    parser.add_argument("--unrolld", default=ROOT / "build/bin/unrolld")
    parser.add_argument("--model", default=ROOT / "models/unroll-small")
    parser.add_argument("--prefix", type=int, default=100_000, help="bytes of the shortest one")
    parser.add_argument("--cuts", type=int, default=8)
    parser.add_argument("--continuations", type=int, default=100)
    parser.add_argument("--bytes", type=int, default=200, help="of a continuation")
    return parser.parse_args()


def cpu_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(client, daemon, given, text, cut, folder):
    """Seconds of the continuations, the daemon's CPU time for them, and the memory of their states while all are open."""
    (folder / "prefix").write_bytes(text[:cut])
    client.create_snapshot("prefix", path=folder / "prefix")
    begins = [cut + i * given.bytes for i in range(given.continuations)]
    texts = [text[at : at + given.bytes].decode(errors="ignore") for at in begins]
    began, before = time.monotonic(), cpu_seconds(daemon)
    done = list(client.read_many("score", texts, in_flight=given.continuations, after="prefix"))
    seconds, cpu = time.monotonic() - began, cpu_seconds(daemon) - before
    assert all(document.error is None for document in done) and len(done) == given.continuations
    documents = [client.open("score", stream=True, after="prefix") for _ in texts]
    memory = client.stats()["memory_bytes"]
    for document in documents:
        client.cancel(document.id)
    return seconds, cpu, memory


def main():
    given = arguments()
    text = b"".join(path.read_bytes() for path in given.texts)
    step = 997  # no multiple of what a block has
    need = given.prefix + given.cuts * step + given.continuations * given.bytes
    if len(text) < need:
        sys.exit(f"the texts have {len(text)} bytes; give {need}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [given.unrolld, "--socket", folder / "s", "--model", given.model, "--journal", folder / "journal"]
        with open(folder / "log", "wb") as log:
            daemon = subprocess.Popen(command, stderr=log)
        try:
            with unroll_client.Client(folder / "s", patience=120) as client:
                cuts = [given.prefix + i * step for i in range(given.cuts)]
                results = [measure(client, daemon, given, text, cut, folder) for cut in cuts]
                model = client.info().model
        finally:
            daemon.terminate()
            daemon.wait()
    seconds, cpu, memory = zip(*results)
    print(f"{model.name}, {model.dtype}, {given.continuations} continuations of {given.bytes} bytes, {given.cuts} cuts")
    print(f"seconds: mean {statistics.mean(seconds):.2f}, {min(seconds):.2f} to {max(seconds):.2f}")
    print(f"CPU seconds: mean {statistics.mean(cpu):.2f}, {min(cpu):.2f} to {max(cpu):.2f}")
    print(f"memory of the open documents: {max(memory):,} bytes; one state: {model.state_bytes:,}")


if __name__ == "__main__":
    main()
