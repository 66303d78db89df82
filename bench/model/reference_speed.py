#!/usr/bin/env python3
"""Tokens a second of the reference on a device, as bench/gpu.sh prints those of unroll: the model of its README with random
weights, documents side by side, states and memories carried on.

    PYTHON bench/model/reference_speed.py cuda|cpu [SECONDS of each figure]

PYTHON has torch, block-recurrent-transformer-pytorch 0.4.4 and einops. The reference stops at logits; unroll goes on to the
tokens' log-probabilities.
"""

import sys
import time

import torch
from block_recurrent_transformer_pytorch import BlockRecurrentTransformer

CONFIG = dict(num_tokens=20000, dim=512, depth=6, dim_head=64, heads=8, max_seq_len=1024, block_width=512,
              num_state_vectors=512, recurrent_layers=(4,), use_flash_attn=True)


@torch.inference_mode()
def speed(model, device, documents, bf16, seconds):
    tokens = torch.randint(0, CONFIG["num_tokens"], (documents, CONFIG["block_width"]), device=device)
    memories, states, blocks = [], [], 0

    def block():
        nonlocal memories, states
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            logits, memories, states = model(tokens, xl_memories=memories, states=states, return_memories_and_states=True)
        logits[0, 0, 0].item()  # waits for the device

    block()
    block()
    start = time.perf_counter()
    while blocks == 0 or time.perf_counter() - start < seconds:
        block()
        blocks += 1
    return blocks * tokens.numel() / (time.perf_counter() - start)


def main():
    device, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    model = BlockRecurrentTransformer(**CONFIG).to(device).eval()
    print("\n| reference, numbers | documents | tokens/s |\n|---|---|---|")
    for bf16 in (False, True):
        for documents in (1, 8, 64) if device == "cuda" else (1,):
            rate = speed(model, device, documents, bf16, seconds)
            print(f"| {'bf16 (autocast)' if bf16 else 'fp32'} | {documents} | {rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
