#!/usr/bin/env python3
"""Compares unroll with the reference, side by side: same weights, tokens and threads, alternating in one run.

    python3 -m venv reference && reference/bin/pip install torch==2.11.0 \\
        block-recurrent-transformer-pytorch==0.4.4 safetensors einops
    reference/bin/python bench/compare.py --unroll build/bin/unroll [--format json]

The model is that of the reference's README (20,000 tokens, dim 512, depth 6, blocks of 512), with random weights.
Both programs stream documents block by block with states and memories. The reference computes logits; unroll also
computes the tokens' log-probabilities, as it always does. First both compute the logits of the same three blocks,
which must agree.

The limit is what the machine multiplies at that moment: square matrices of 2,048 in fp32 and bf16 by LibTorch, in
int8 by oneDNN through LibTorch. The operations of a token do not count masked positions and padding.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from block_recurrent_transformer_pytorch import BlockRecurrentTransformer
from safetensors.torch import load_file, save_file

README = dict(
    num_tokens=20000, dim=512, depth=6, dim_head=64, heads=8, max_seq_len=1024, block_width=512,
    num_state_vectors=512, recurrent_layers=(4,), use_flash_attn=True,
)
WIDTH = README["block_width"]
LIKENESS = {"fp32": 1e-4, "bf16": 2e-2, "int8": 5e-2}  # of logits: root mean square of the difference, relative


def operations_per_token():
    """Floating-point operations (two per multiply-add) of a token in the middle of a long document."""
    dim, depth, states = README["dim"], README["depth"], README["num_state_vectors"]
    inner, kv = README["dim_head"] * README["heads"], README["dim_head"]
    feed_forward = int(dim * 4 * 2 / 3)
    layer = dim * inner + dim * 2 * kv + inner * dim + dim * 2 * feed_forward + feed_forward * dim
    seen = WIDTH + (WIDTH + 1) / 2  # keys: the memories, and half of the block
    attention = 2 * inner * seen
    cell = 2 * dim * inner + dim * 2 * kv + 2 * inner * dim + dim * dim  # per state
    cell_attention = 2 * inner * (states + WIDTH)
    read = dim * inner + inner * dim + 2 * inner * states
    per_state = (cell + cell_attention) * states / WIDTH
    return 2 * (depth * (layer + attention) + read + per_state + dim * README["num_tokens"])


def best_rate(call, operations, seconds=1.0):
    """Operations per second of the fastest call."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return operations / best


def limit(dtype):
    """Operations per second of multiplication alone."""
    size = 2048
    if dtype == "int8":
        left = torch.randint(0, 255, (size, size), dtype=torch.uint8)
        right = torch.ops.onednn.qlinear_prepack(torch.randint(-127, 127, (size, size), dtype=torch.int8), [size, size])
        scales, zeros = torch.ones(size), torch.zeros(size, dtype=torch.int32)
        product = lambda: torch.ops.onednn.qlinear_pointwise(
            left, 1.0, 128, right, scales, zeros, None, 1.0, 0, torch.bfloat16, "none", [], ""
        )
    else:
        number = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
        a, b = torch.randn(size, size).to(number), torch.randn(size, size).to(number)
        product = lambda: torch.mm(a, b)
    return best_rate(product, 2 * size**3)


def step(model, tokens, memories, states):
    return model(tokens, xl_memories=memories, states=states, return_memories_and_states=True)


class Reference:
    """Streams a batch of documents with the reference, on the device of its model."""

    def __init__(self, model, batch):
        self.model, self.memories, self.states = model, [], []
        device = next(model.parameters()).device
        self.tokens = torch.randint(0, README["num_tokens"], (batch, WIDTH), device=device)

    @torch.inference_mode()
    def block(self):
        logits, self.memories, self.states = step(self.model, self.tokens, self.memories, self.states)
        logits[0, 0, 0].item()  # waits for the device
        return logits

    def rate(self, seconds):
        self.block()
        count, start = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - start < seconds:
            self.block()
            count += self.tokens.numel()
        return count / (time.perf_counter() - start)


def unroll_rate(options, folder, dtype, batch):
    command = [options.unroll, "bench", "--model", folder, "--dtype", dtype, "--batch", str(batch),
               "--seconds", str(options.seconds), "--format", "json"]
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    return json.loads(done.stdout)["tokens_per_second"]


def check_logits(options, folder, model):
    """Relative differences of unroll's logits from the reference's, by dtype. Exits if they are too large."""
    tokens = torch.randint(0, README["num_tokens"], (1, 3 * WIDTH))
    with torch.inference_mode():
        parts, memories, states = [], [], []
        for block in tokens.split(WIDTH, dim=1):
            logits, memories, states = step(model, block, memories, states)
            parts.append(logits)
    expected = torch.cat(parts, dim=1)
    save_file({"tokens": tokens}, folder / "tokens.safetensors")
    found = {}
    for dtype in options.dtype:
        out = folder / "logits.safetensors"
        subprocess.run([options.unroll, "logits", "--model", folder, "--dtype", dtype, "--tokens",
                        folder / "tokens.safetensors", "--out", out], check=True)
        difference = load_file(out)["logits"] - expected
        found[dtype] = (difference.norm() / expected.norm()).item()
        if not found[dtype] <= LIKENESS[dtype]:
            sys.exit(f"compare: {dtype}: logits differ by {found[dtype]:.2g} of their size, "
                     f"more than {LIKENESS[dtype]:g}")
    return found


def measure(options, folder, model):
    rows = []
    operations = operations_per_token()
    for batch in options.batch:
        reference = Reference(model, batch)
        rates = {name: [] for name in ("reference", *options.dtype)}
        for _ in range(options.rounds):
            rates["reference"].append(reference.rate(options.seconds))
            for dtype in options.dtype:
                rates[dtype].append(unroll_rate(options, folder, dtype, batch))
        for dtype in options.dtype:
            most = limit(dtype)
            ratios = [own / other for own, other in zip(rates[dtype], rates["reference"])]
            rate = statistics.median(rates[dtype])
            rows.append({
                "batch": batch, "dtype": dtype, "tokens_per_second": rate,
                "reference_tokens_per_second": statistics.median(rates["reference"]),
                "ratio": statistics.median(ratios), "least_ratio": min(ratios), "greatest_ratio": max(ratios),
                "operations_per_second": rate * operations, "limit": most,
                "share_of_limit": rate * operations / most,
            })
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", type=Path, default=Path("build/bin/unroll"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], help="documents at once")
    parser.add_argument("--dtype", choices=LIKENESS, nargs="+", default=list(LIKENESS), help="supported by this CPU")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each turn")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = BlockRecurrentTransformer(**README).eval()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
        config = dict(README, model_type="block_recurrent_transformer", recurrent_layers=[4])
        (folder / "config.json").write_text(json.dumps(config))
        likeness = check_logits(options, folder, model)
        rows = measure(options, folder, model)
    for row in rows:
        row["logits_differ_by"] = likeness[row["dtype"]]
    if options.format == "json":
        print(json.dumps({"threads": options.threads, "operations_per_token": operations_per_token(), "rows": rows}))
        return
    print(f"{options.threads} threads, {operations_per_token() / 1e6:.1f} million operations per token\n")
    print("| documents | numbers | tokens/s | reference | ratio | GFLOP/s | limit | share | logits differ by |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['batch']} | {row['dtype']} | {row['tokens_per_second']:,.0f} | "
              f"{row['reference_tokens_per_second']:,.0f} | {row['ratio']:.2f} ({row['least_ratio']:.2f} to "
              f"{row['greatest_ratio']:.2f}) | {row['operations_per_second'] / 1e9:.0f} | {row['limit'] / 1e9:.0f} | "
              f"{row['share_of_limit']:.0%} | {row['logits_differ_by']:.1e} |")


if __name__ == "__main__":
    main()
