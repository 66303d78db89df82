#!/usr/bin/env python3
"""Tokens a second of the reference on a device, as bench/gpu.sh prints those of unroll: the model of its README with random
weights, documents side by side, states and memories carried on.

    PYTHON bench/model/reference_speed.py cuda|cpu [SECONDS of each figure]

PYTHON has what bench/compare.py needs. The reference stops at logits; unroll goes on to the tokens' log-probabilities.
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from compare import README, BlockRecurrentTransformer, Reference  # noqa: E402


def main():
    device, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    model = BlockRecurrentTransformer(**README).to(device).eval()
    print("\n| reference, numbers | documents | tokens/s |\n|---|---|---|")
    for bf16 in (False, True):
        for documents in (1, 8, 64) if device == "cuda" else (1,):
            reference = Reference(model, documents)
            with torch.autocast(device, torch.bfloat16, enabled=bf16):
                reference.block()
                rate = reference.rate(seconds)
            print(f"| {'bf16 (autocast)' if bf16 else 'fp32'} | {documents} | {rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
