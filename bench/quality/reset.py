#!/usr/bin/env python3
"""What a model's memory of a document is worth: bits per byte of whole documents when it is kept from the first byte to the
last, against forgotten every so many tokens.

    bench/quality/reset.py [--unroll build/bin/unroll] [--model models/unroll-small] [--every 512 4096] FILE...

Forgotten is all there is: recurrent states, memories of the block before, and the document cache where the checkpoint has
one; the table has each document with the cache and by the network alone. A model forgets between blocks, so the least that
can be asked for is its block's width. Prints a table in Markdown.
"""

import argparse
import tempfile
from pathlib import Path

from compressors import unroll_bits, without_cache


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll", metavar="PROGRAM")
    parser.add_argument("--model", default="models/unroll-small", metavar="DIR")
    parser.add_argument("--every", type=int, nargs="+", default=[512, 4096], metavar="TOKENS")
    parser.add_argument("files", nargs="+", metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = {"with": arguments.model, "without": without_cache(arguments.model, folder)}
        print("| document | cache | kept | " + " | ".join(f"every {n:,}" for n in arguments.every) + " |")
        print("|---|---|---|" + "---|" * len(arguments.every))
        for file in arguments.files:
            for name, model in models.items():
                bits = [unroll_bits(arguments.unroll, model, file, "--reset-tokens", str(n)) for n in [0, *arguments.every]]
                print(f"| {Path(file).stem} | {name} | " + " | ".join(f"{value:.3f}" for value in bits) + " |", flush=True)


if __name__ == "__main__":
    main()
