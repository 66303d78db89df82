#!/usr/bin/env python3
"""Compares the speed of tokenizer/ with the `tokenizers` package, one thread each, alternating: bench/tokenizer.py
FOLDER FILE...

FOLDER holds a tokenizer.json. A document's text is data, so the package reads it without the added tokens. Also
prints whether both find the same number of tokens. Needs tokenizers 0.22.1 and build/bin/bench_tokenizer
(-DUNROLL_BENCHMARKS=ON).
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402

BENCH = Path(__file__).resolve().parent.parent / "build/bin/bench_tokenizer"
folder = Path(sys.argv[1])
description = json.loads((folder / "tokenizer.json").read_text())
description["added_tokens"] = []
description["post_processor"] = None
package = Tokenizer.from_str(json.dumps(description))
for file in sys.argv[2:]:
    text = Path(file).read_text(errors="replace")
    best = 0.0
    for _ in range(3):
        begin = time.perf_counter()
        tokens = len(package.encode(text, add_special_tokens=False).ids)
        best = max(best, len(text.encode()) / 1e6 / (time.perf_counter() - begin))
    print(f"{file}: {subprocess.run([BENCH, folder, file], capture_output=True, text=True, check=True).stdout.strip()}; "
          f"tokenizers {best:.2f} MB/s, {tokens} tokens", flush=True)
