#!/usr/bin/env python3
"""Measures on BLiMP how often a model finds the grammatical sentence of a pair more probable than the ungrammatical one.

    bench/quality/blimp.py [--unrolld build/bin/unrolld] [--model smollm2-135m-instruct] [--transformers PATH] DATA

DATA is the folder data/ of github.com/alexwarstadt/blimp (Warstadt et al. 2020): 67 files of 1,000 pairs. `--pairs` pairs are
drawn from each file, by `--seed`. Each sentence is one document, read in fp32 by a daemon that this script starts. The score of
a sentence is the sum of the log-probabilities of its tokens; the first token is predicted from BOS. Prints the accuracy for
each linguistic term as a table in Markdown.

`--transformers` scores the same sentences with the Python packages transformers and torch (and gguf, for a GGUF file) from the
same checkpoint, a Hugging Face folder or a GGUF file, and prints the largest difference.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients/python"))

from unroll_client import aio  # noqa: E402

BATCH = 32  # sentences at a time for transformers
OPEN = 64  # documents at a time


def draw_pairs(data, count, seed):
    """(linguistic term, good sentence, bad sentence), the same ones for each seed."""
    files = sorted(data.glob("*.jsonl"))
    if not files:
        raise SystemExit(f"{data}: no *.jsonl; name the folder data/ of alexwarstadt/blimp")
    for file in files:
        lines = file.read_text().splitlines()
        for line in random.Random(f"{seed} {file.stem}").sample(lines, min(count, len(lines))):
            pair = json.loads(line)
            yield pair["linguistics_term"], pair["sentence_good"], pair["sentence_bad"]


def batches(sentences):
    return (sentences[begin : begin + BATCH] for begin in range(0, len(sentences), BATCH))


@contextlib.contextmanager
def running_daemon(program, model, dtype):
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "socket"
        command = [program, "--model", model, "--dtype", dtype, "--socket", socket, "--journal", ":memory:"]
        daemon = subprocess.Popen([*command, "--log-level", "error"])
        try:
            yield socket
        finally:
            daemon.terminate()
            daemon.wait()


async def score_all(socket, sentences):
    """Log-probability of each. Sums up the tokens: the daemon prints six digits of each number, too few for a sentence."""
    places = asyncio.Semaphore(OPEN)

    async def score(client, sentence):
        async with places, await client.open({"score": {"granularity": "token"}}, text=sentence) as document:
            outputs = [output.data async for output in document.outputs()]
        return -sum(sum(data["nats"]) for data in outputs if data["type"] == "tokens")

    async with aio.Client(socket, patience=120) as client:
        return await asyncio.gather(*(score(client, sentence) for sentence in sentences))


def by_unroll(program, model, sentences):
    with running_daemon(program, model, "fp32") as socket:
        return asyncio.run(score_all(socket, sentences))


def by_transformers(path, sentences):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": path}
    if path.is_file():
        source = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32).eval()
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    result = []
    for batch in batches(sentences):
        ids = [[begin, *tokenizer(sentence, add_special_tokens=False)["input_ids"]] for sentence in batch]
        width = max(map(len, ids))
        padded = torch.tensor([each + [begin] * (width - len(each)) for each in ids])  # attention is causal: padding is not seen
        with torch.no_grad():
            chances = model(padded[:, :-1]).logits.log_softmax(-1).gather(-1, padded[:, 1:, None])[..., 0]
        result += [row[: len(each) - 1].sum().item() for row, each in zip(chances, ids)]
    return result


def accuracies(pairs, scores):
    """(per cent, pairs) for each term, then for all; `scores` are good, bad, good, bad, ..."""
    right = collections.defaultdict(list)
    for (term, _, _), good, bad in zip(pairs, scores[::2], scores[1::2]):
        right[term].append(good > bad)
        right["all"].append(good > bad)
    terms = sorted(right, key=lambda term: (term == "all", term))
    return {term: (100 * sum(right[term]) / len(right[term]), len(right[term])) for term in terms}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unrolld", default=ROOT / "build/bin/unrolld", metavar="PROGRAM")
    parser.add_argument("--model", default="smollm2-135m-instruct", metavar="MODEL")
    parser.add_argument("--transformers", type=Path, metavar="PATH", help="the same model's folder or GGUF file")
    parser.add_argument("--pairs", type=int, default=20, help="of each of the 67 files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("data", type=Path, metavar="DATA")
    options = parser.parse_args()
    pairs = list(draw_pairs(options.data, options.pairs, options.seed))
    sentences = [sentence for _, good, bad in pairs for sentence in (good, bad)]
    scores = {"unroll": by_unroll(options.unrolld, options.model, sentences)}
    if options.transformers:
        scores["transformers"] = by_transformers(options.transformers, sentences)
    columns = {name: accuracies(pairs, each) for name, each in scores.items()}
    print("| term | pairs | " + " | ".join(columns) + " |\n|---|---|" + "---|" * len(columns))
    for term, (_, count) in columns["unroll"].items():
        print(f"| {term} | {count:,} | " + " | ".join(f"{column[term][0]:.1f} %" for column in columns.values()) + " |")
    if options.transformers:
        ours, theirs = scores.values()
        apart = max(zip((abs(a - b) for a, b in zip(ours, theirs)), sentences))
        other = sum((a > b) != (c > d) for a, b, c, d in zip(ours[::2], ours[1::2], theirs[::2], theirs[1::2]))
        print(f"\n{len(sentences):,} sentences; log-probabilities differ by at most {apart[0]:.2g} nats ({apart[1]!r}); "
              f"{other} pairs are ranked differently")


if __name__ == "__main__":
    main()
