#!/usr/bin/env python3
"""Compares the bits per byte of models on whole documents with those of compressors.

    bench/quality/compressors.py [--unroll build/bin/unroll] [--model MODEL]... [--cache 32768] FILE...

Each file is streamed from its first byte to its last, with no previous knowledge of it: once with a document cache of
`--cache` tokens, once by the network alone. xz is `-9e`, zstd `--ultra -22 --long=31`, bzip2 `-9`, PPMd 7-Zip's
(`-m0=PPMd:o=32:mem=1g`; package 7zip); programs that are not installed are left out. Sizes are whole files with their
headers. Prints a table in Markdown; the least of each row is bold.
"""

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path


def xz(file):
    return len(subprocess.run(["xz", "-9e", "-k", "-c", file], check=True, capture_output=True).stdout)


def zstd(file):
    command = ["zstd", "--ultra", "-22", "--long=31", "-q", "-c", file]
    return len(subprocess.run(command, check=True, capture_output=True).stdout)


def bzip2(file):
    return len(subprocess.run(["bzip2", "-9", "-k", "-c", file], check=True, capture_output=True).stdout)


def ppmd(file):
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "a.7z"
        subprocess.run(["7zz", "a", "-bd", "-m0=PPMd:o=32:mem=1g", archive, file], check=True, capture_output=True)
        return archive.stat().st_size


def unroll_bits(program, model, file, *options):
    command = [program, "eval", "--model", model, file, "--format", "json", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["bits_per_byte"]


def cache(tokens):
    return "--set", f"document_cache_tokens={tokens}"


def row(name, size, columns):
    least = min(columns)
    cells = [f"**{value:.3f}**" if value == least else f"{value:.3f}" for value in columns]
    return f"| {name} | {size:,} | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll", metavar="PROGRAM")
    parser.add_argument("--model", action="append", metavar="MODEL", help="a name, a folder or a GGUF file; may be repeated")
    parser.add_argument("--cache", type=int, default=32768, metavar="TOKENS")
    parser.add_argument("files", nargs="+", metavar="FILE")
    arguments = parser.parse_args()
    compressors = {"xz -9e": xz, "zstd -22": zstd, "bzip2": bzip2} | ({"PPMd": ppmd} if shutil.which("7zz") else {})
    models = arguments.model or ["models/unroll-small"]
    names = [name for model in models for name in (Path(model).name, f"{Path(model).name}, network alone")]
    print("| document | bytes | " + " | ".join([*names, *compressors]) + " |")
    print("|---|---|" + "---|" * (len(names) + len(compressors)))
    total, sums = 0, None
    for file in arguments.files:
        size = Path(file).stat().st_size
        bits = [unroll_bits(arguments.unroll, model, file, *cache(tokens)) for model in models for tokens in (arguments.cache, 0)]
        bits += [8 * compress(file) / size for compress in compressors.values()]
        name = re.sub(r"^[a-z]+-", "", Path(file).stem)
        print(row(name, size, bits), flush=True)
        total += size
        sums = [a + size * b for a, b in zip(sums or [0] * len(bits), bits)]
    print(row("all", total, [value / total for value in sums]))


if __name__ == "__main__":
    main()
