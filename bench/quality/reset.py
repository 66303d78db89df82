#!/usr/bin/env python3
"""Measures the value of a model's memory of a document: bits per byte of whole documents if it is kept from the
first byte to the last, and if it is reset every N tokens.

    bench/quality/reset.py [--unroll build/bin/unroll] [--model models/unroll-small] [--every 512 4096] FILE...

A reset clears everything: recurrent states, memories of the block before, and the document cache if the checkpoint
has one. The table has each document with and without the cache. A model can be reset only between blocks, so the
smallest N is its block width. Prints a table in Markdown.
"""

import argparse
from pathlib import Path

from compressors import cache, unroll_bits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll", metavar="PROGRAM")
    parser.add_argument("--model", default="models/unroll-small", metavar="DIR")
    parser.add_argument("--every", type=int, nargs="+", default=[512, 4096], metavar="TOKENS")
    parser.add_argument("files", nargs="+", metavar="FILE")
    arguments = parser.parse_args()
    print("| document | cache | kept | " + " | ".join(f"every {n:,}" for n in arguments.every) + " |")
    print("|---|---|---|" + "---|" * len(arguments.every))
    for file in arguments.files:
        for name, setting in {"with": (), "without": cache(0)}.items():
            bits = [unroll_bits(arguments.unroll, arguments.model, file, *setting, "--reset-tokens", str(n))
                    for n in [0, *arguments.every]]
            print(f"| {Path(file).stem} | {name} | " + " | ".join(f"{value:.3f}" for value in bits) + " |", flush=True)


if __name__ == "__main__":
    main()
