#!/usr/bin/env python3
"""Checkpoints to the reference and back: the Python package loads strictly what `unroll train` saved, and unroll
loads what the package saved; in both cases the logits agree.

    round_trip.py UNROLL VOCABULARY

Runs in the environment that tests/model/make_golden.py describes. Exits with 1 if anything differs.
"""

import inspect
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from block_recurrent_transformer_pytorch import BlockRecurrentTransformer
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-4
TYPE = {"model_type": "block_recurrent_transformer"}
CONFIG = dict(num_tokens=8192, dim=32, depth=3, dim_head=16, heads=2, block_width=32, max_seq_len=64,
              recurrent_layers=[2], num_state_vectors=16, all_layers_qk_rmsnorm=True)


def reference(config):
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    return BlockRecurrentTransformer(**arguments).eval()


@torch.no_grad()
def logits_of(model, tokens):
    memories, states, logits = [], [], []
    for block in tokens.split(model.block_width, dim=1):
        block_logits, memories, states = model(block, xl_memories=memories, states=states,
                                               return_memories_and_states=True)
        logits.append(block_logits)
    return torch.cat(logits, dim=1)


def unroll_logits(unroll, checkpoint, tokens, folder):
    save_file({"tokens": tokens}, folder / "tokens.safetensors")
    subprocess.run([unroll, "logits", "--model", checkpoint, "--tokens", folder / "tokens.safetensors", "--out",
                    folder / "logits.safetensors"], check=True)
    return load_file(folder / "logits.safetensors")["logits"]


def compare(what, ours, theirs):
    difference = (ours - theirs).abs().max().item()
    print(f"{what}: logits differ by {difference:.1e} at most, of {theirs.abs().max().item():.1f}")
    return difference <= TOLERANCE


def train(unroll, vocabulary, folder):
    (folder / "data").mkdir()
    for i in range(4):
        text = "".join(f"line {n * n % 97} of text {i}: the server closed the connection\n" for n in range(60))
        (folder / "data" / f"{i}.txt").write_text(text)
    (folder / "config.json").write_text(json.dumps(TYPE | CONFIG))
    subprocess.run([unroll, "train", "--data", folder / "data", "--vocabulary", vocabulary, "--config",
                    folder / "config.json", "--out", folder / "trained", "--steps", "20", "--warmup-steps", "2",
                    "--learning-rate", "0.01", "--ema", "0.8", "--save-dtype", "fp32", "--threads", "1"],
                   check=True, stdout=subprocess.DEVNULL)
    return folder / "trained"


def main():
    unroll, vocabulary = sys.argv[1:]
    torch.set_num_threads(1)
    torch.manual_seed(1)
    tokens = torch.randint(0, CONFIG["num_tokens"], (2, 5 * CONFIG["block_width"] + 9))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = train(unroll, vocabulary, folder)
        config = json.loads((trained / "config.json").read_text())
        known = inspect.signature(BlockRecurrentTransformer.__init__).parameters
        config = {key: value for key, value in config.items() if key in known}  # Extensions, off by default.
        model = reference(config)
        model.load_state_dict(load_file(trained / "model.safetensors"), strict=True)
        theirs = logits_of(model, tokens)
        there = compare("trained here", unroll_logits(unroll, trained, tokens, folder), theirs)

        # Continue with the reference, and return.
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model.train()
        model(tokens[:, :65], return_loss=True)[0].backward()
        optimizer.step()
        model.eval()
        changed = folder / "changed"
        changed.mkdir()
        (changed / "config.json").write_text(json.dumps(TYPE | config))
        save_file(model.state_dict(), changed / "model.safetensors", metadata={"format": "pt"})
        ours = unroll_logits(unroll, changed, tokens, folder)
        back = compare("trained on there", ours, logits_of(model, tokens))
        moved = (ours - theirs).abs().max().item() > 100 * TOLERANCE
    sys.exit(0 if there and back and moved else 1)


if __name__ == "__main__":
    main()
