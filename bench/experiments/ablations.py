#!/usr/bin/env python3
"""Trains the variants of docs/experiments.md on bytes, one after the other, and measures each on books that none was
trained on.

    bench/experiments/ablations.py --data DIR --heldout DIR --out DIR [--unroll build/bin/unroll] [--only VARIANT...]
    bench/experiments/ablations.py --set options ...       # the extensions of docs/model.md
    bench/experiments/ablations.py --set twins ...         # with and without recurrence, 15 million bytes, two seeds

`--data` is the corpus of training/corpus/build_corpus.py: the first 200,000 bytes of each of its English books and
technical manuals are read. Held out are the English books of `--heldout`. Finished work is not repeated, and a run
that was stopped resumes from its last checkpoint. All variants see the same bytes in the same order, with the same
number of steps and of parameters (the width of the feed-forward layers compensates for what a variant lacks). OUT
then holds

    text/, bytes.model              the training text; the vocabulary, one piece per byte
    VARIANT-SEED-STEPS/             config.json, the trained checkpoint, trainer/loss.csv
    heldout.json                  the results of `unroll eval`, by book and reset interval

bench/experiments/ablations_report.py makes the table and the plot from it. Needs spm_train (Debian: sentencepiece).
"""

import argparse
import json
import os
import subprocess
from pathlib import Path

BYTES_OF_A_FILE = 200_000
BASE = dict(
    model_type="block_recurrent_transformer", num_tokens=260, dim=128, depth=4, dim_head=32, heads=4, ff_mult=4,
    block_width=64, max_seq_len=128, recurrent_layers=[3], num_state_vectors=64, all_layers_qk_rmsnorm=True)
STEPS, LONG_STEPS, TWIN_STEPS = 500, 1500, 7500
TRAIN = ["--lanes", "8", "--blocks-per-step", "4", "--piece-blocks", "128", "--learning-rate", "0.003",
         "--final-learning-rate", "0.0003", "--warmup-steps", "50", "--checkpoint-steps", "50", "--dtype", "bf16", "--save-dtype", "fp32", "--threads", "1"]

PLAIN = dict(recurrent_layers=[], use_memories=False)
# Differences from BASE, and from TRAIN.
VARIANTS = {
    "full": ({}, []),
    "no_memories": (dict(use_memories=False), []),
    "no_states": (dict(recurrent_layers=[]), []),
    "neither": (PLAIN, []),
    "fixed_gate": (PLAIN | dict(gate_residuals=True), []),
    "reference_scale": ({}, ["--qk-scale", "1"]),
    "scale_fix": (dict(apply_qk_rmsnorm_scale=True), ["--qk-scale", "1"]),
    "full_heads": (dict(multi_query=False), []),
}
COMPRESSED = dict(use_compressed_mem=True)
OPTIONS = {
    "lstm_gate": (dict(state_gate="lstm"), []),
    "single_cell": (dict(state_cell="single"), []),
    "dual_cell": (dict(state_cell="dual"), []),
    "memformer": (dict(state_gate="memformer"), []),
    "position_bias": (dict(dynamic_position_bias=True), []),
    "enhanced_recurrence": (dict(enhanced_recurrence=True), []),
    "four_blocks": (dict(memory_blocks=4), []),
    "compressed": (COMPRESSED, []),
    "compressed_loss": (COMPRESSED, ["--compression-loss", "1"]),
    "compressed_mean": (COMPRESSED | dict(compressed_mem_method="mean"), []),
    "generations": (COMPRESSED | dict(compressed_mem_generations=2), []),
    "routed": (dict(routed_memory_layer=3, routed_memory_tokens=65536), []),
}
ABLATIONS = list(VARIANTS)
VARIANTS |= OPTIONS
MOST_IMPORTANT = ["full", "neither", "no_states", "no_memories"]
# Variant, seed, steps.
RUNS_OF = {
    "ablations": [(variant, 1, STEPS) for variant in ABLATIONS] + [(variant, 1, LONG_STEPS) for variant in MOST_IMPORTANT] +
                 [(variant, 2, STEPS) for variant in MOST_IMPORTANT],
    "options": [(variant, seed, STEPS) for seed in (1, 2) for variant in ["full", *OPTIONS]] +
               [(variant, 1, LONG_STEPS) for variant in ("full", "position_bias")],
    "twins": [(variant, seed, TWIN_STEPS) for seed in (1, 2) for variant in ("full", "neither")] +
             [("no_states", seed, TWIN_STEPS) for seed in (1, 2)],
}
# Reset intervals in bytes, to see how far back memory helps; 0: never.
FORGET = [0, 64, 256, 1024, 4096]


def parameters(config, ff_inner):
    """The number that `unroll model info` counts."""
    dim, inner, head = config["dim"], config["dim_head"] * config["heads"], config["dim_head"]
    kv = head if config.get("multi_query", True) else inner
    recurrent = len(config["recurrent_layers"])
    attention = dim + inner * dim + 2 * kv * dim + dim * inner + 2 * head
    feed_forward = dim + 3 * ff_inner * dim
    gates = 2 * dim if config.get("gate_residuals") else 0
    others = 0
    if config.get("use_compressed_mem") and config.get("compressed_mem_method", "convolution") == "convolution":
        others += config["depth"] * (2 * kv * kv * config.get("compressed_mem_factor", 4) + 2 * kv)
    if config.get("dynamic_position_bias"):
        width = max(dim // 4, 8)
        others += 3 * width + width * width + config["heads"] * (width + 1)
    if config.get("routed_memory_layer"):
        others += 2 * inner * dim + 2 * config.get("routed_memory_dim", 32) * dim
    gate = (lambda inputs: 3 * dim * inputs + 3 * dim) if config.get("state_gate") == "lstm" else (
        lambda inputs: dim * inputs + 2 * dim)
    cell = config.get("state_cell", "skip")
    if config.get("state_gate") == "memformer":
        others -= inner * dim + 2 * head + dim * inner + dim * dim + 2 * dim
    elif cell == "single":
        others += 2 * ff_inner * 2 * inner + gate(ff_inner) - 2 * inner * dim - dim * dim - 2 * dim
    else:
        others += gate(dim) - dim * dim - 2 * dim
        others += 2 * ff_inner * dim + dim + gate(ff_inner) if cell == "dual" else 0
    states = (dim + 3 * inner * dim + 2 * kv * dim + 2 * config["num_state_vectors"] * dim + 2 * inner * dim + dim * dim +
              2 * dim + 6 * head + dim * inner)  # the last: to_out also reads the states
    return (config["depth"] * (attention + feed_forward + gates) + recurrent * states + others + dim +
            2 * config["num_tokens"] * dim)


def config_of(variant):
    """BASE with the variant's changes, and feed-forward layers wide enough for the same number of parameters."""
    config = BASE | VARIANTS[variant][0]
    wanted = parameters(BASE, BASE["dim"] * BASE["ff_mult"] * 2 // 3)
    ff_inner = min(range(1, 4096), key=lambda width: abs(parameters(config, width) - wanted))
    if ff_inner != BASE["dim"] * BASE["ff_mult"] * 2 // 3:
        config["ff_mult"] = (ff_inner + 0.5) * 3 / 2 / config["dim"]
    return config


def prepare(data, out):
    text, vocabulary = out / "text", out / "bytes.model"
    if vocabulary.exists():
        return
    text.mkdir(parents=True, exist_ok=True)
    for pattern in ("book-en-*", "manual-en-*"):
        for file in sorted(data.glob(pattern)):
            (text / file.name).write_bytes(file.read_bytes()[:BYTES_OF_A_FILE])
    # <unk>, <s>, </s>, 256 bytes and the mark of a space leave no room for any other piece.
    subprocess.run(
        ["spm_train", f"--input={sorted(text.iterdir())[0]}", f"--model_prefix={out / 'bytes'}", "--model_type=char",
         "--vocab_size=260", "--byte_fallback=true", "--unk_id=0", "--bos_id=1", "--eos_id=2",
         "--normalization_rule_name=identity", "--add_dummy_prefix=false", "--remove_extra_whitespaces=false"],
        check=True, capture_output=True)


def folder_of(out, run):
    return out / "-".join(map(str, run))


def train(unroll, out, run):
    variant, seed, steps = run
    folder = folder_of(out, run)
    if (folder / "trained").exists():
        return
    folder.mkdir(exist_ok=True)
    wanted = folder / "wanted.json"
    wanted.write_text(json.dumps(config_of(variant)))
    print(f"{folder.name}: trains", flush=True)
    with open(folder / "train.log", "a") as log:
        subprocess.run(
            [unroll, "train", "--data", out / "text", "--vocabulary", out / "bytes.model", "--config", wanted,
             "--out", folder, "--seed", str(seed), "--steps", str(steps), *TRAIN, *VARIANTS[variant][1]], check=True, stdout=log)
    if len((folder / "trainer" / "loss.csv").read_text().splitlines()) != steps + 1:
        raise SystemExit(f"{folder.name} was stopped; run the same command to continue")
    info = subprocess.run([unroll, "model", "info", "--model", folder, "--format", "json"], check=True, capture_output=True)
    counted = json.loads(info.stdout)["parameters"]
    config = config_of(variant)
    expected = parameters(config, int(config["dim"] * config["ff_mult"] * 2 / 3))
    if counted != expected:
        raise SystemExit(f"{folder} has {counted} parameters, not {expected}; parameters() in this script is out of date")
    (folder / "trained").write_bytes(info.stdout)


def measure(unroll, out, run, book, forget):
    folder = folder_of(out, run)
    file = folder / "heldout.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    key = f"{book.stem} {forget}"
    if key in results:
        return
    done = subprocess.run([unroll, "eval", "--model", folder, book, "--format", "json", "--reset-tokens", str(forget)],
                          check=True, capture_output=True)
    results[key] = json.loads(done.stdout)
    file.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{folder.name}: {key}: {results[key]['bits_per_byte']:.4f} bits per byte", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--unroll", default="build/bin/unroll")
    parser.add_argument("--set", default="ablations", choices=list(RUNS_OF))
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    prepare(arguments.data, arguments.out)
    books = sorted(arguments.heldout.glob("book-en-*"), key=lambda file: file.stat().st_size)
    runs = [run for run in RUNS_OF[arguments.set] if run[0] in arguments.only]
    # First the shortest book with each run, so that there is a table early; the others when all are trained.
    for run in runs:
        train(arguments.unroll, arguments.out, run)
        for forget in FORGET if run[2] >= LONG_STEPS else (0, BASE["block_width"]):
            measure(arguments.unroll, arguments.out, run, books[0], forget)
    for book in books[1:]:
        for run in runs:
            measure(arguments.unroll, arguments.out, run, book, 0)


if __name__ == "__main__":
    main()
