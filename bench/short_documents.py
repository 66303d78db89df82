#!/usr/bin/env python3
"""What short documents cost beside a long one: CPU time per token with `unroll batch --input`, documents per second,
and bytes written. Rounds alternate, so that a busy machine disturbs all alike.

    bench/short_documents.py --unroll build/bin/unroll TEXT...
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", type=Path, metavar="TEXT")
    parser.add_argument("--unroll", default="build/bin/unroll")
    parser.add_argument("--model", help="default: unroll's")
    parser.add_argument("--bytes", type=int, default=400_000, help="of text in each round")
    parser.add_argument("--sizes", type=int, nargs="+", default=[60, 250, 2000])
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def run(given, folder, name):
    """CPU seconds, seconds, tokens of one run."""
    out = folder / "out"
    command = [given.unroll, "batch", "--input", str(folder / f"{name}.jsonl"), "--out", str(out), "--embedded"]
    command += ["--format", "json", *(["--model", given.model] if given.model else [])]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    subprocess.run(["rm", "-rf", str(out)], check=True)
    return cpu, seconds, json.loads(printed)["tokens"], (after.ru_oublock - before.ru_oublock) * 512


def main():
    given = arguments()
    text = b" ".join(b"".join(path.read_bytes() for path in given.texts).split()).decode(errors="ignore")[: given.bytes]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents = {"empty": [""], "long": [text]}
        documents |= {str(size): [text[at : at + size] for at in range(0, len(text), size)] for size in given.sizes}
        for kind, texts in documents.items():
            lines = (json.dumps({"text": text}) + "\n" for text in texts)
            (folder / f"{kind}.jsonl").write_text("".join(lines))
        best = {}
        for _ in range(given.rounds):
            for kind in documents:
                result = run(given, folder, kind)
                best[kind] = min(best.get(kind, result), result)
    start = best["empty"][0]
    long = (best["long"][0] - start) / best["long"][2]
    print(f"{os.cpu_count()} cores; best of {given.rounds} rounds by CPU time, without {start:.2f} s to start")
    print(f"{'documents':>10} {'bytes':>7} {'tokens':>8} {'us CPU/token':>13} {'of a long one':>14} {'documents/s':>12} {'written':>8}")
    for kind, (cpu, seconds, tokens, written) in best.items():
        if kind == "empty":
            continue
        cost = (cpu - start) / tokens
        count = len(documents[kind])
        print(
            f"{count:10,} {kind:>7} {tokens:8,} {cost * 1e6:13.1f} {cost / long:14.2f}"
            f" {count / seconds:12.1f} {written / len(text):8.2f}"
        )


if __name__ == "__main__":
    main()
