#!/usr/bin/env python3
"""Makes tests/model/golden/: what the reference computes, for parity_test.cc to compare with.

The reference is PyPI block-recurrent-transformer-pytorch 0.4.4. To make the environment (Python 3.11, CPU):

    python3 -m venv reference && reference/bin/pip install torch==2.11.0 \\
        block-recurrent-transformer-pytorch==0.4.4 colt5-attention==0.11.2 safetensors einops
    reference/bin/python tests/model/make_golden.py [case...]

Each folder of golden/ is a checkpoint (config.json, model.safetensors) with random parameters and expected.safetensors:

    tokens            int64 [batch, BLOCKS * block_width + partial]
    logits            fp32 [batch, as many, num_tokens], each block fed by itself, memories and states passed on
    memories.I        fp32 [2, batch, positions, dim_head] after the last full block, I as in the reference's list
    states.I          fp32 [batch, num_state_vectors, dim] after the last full block
    partial.states.I  the same after the partial block, which leaves memories as they are
    loss.tokens       int64 [batch, 3 * block_width + 1]
    loss              fp32 [], of one forward over three blocks, nothing detached between them
    grad.NAME         fp32, the gradient of `loss` by the parameter NAME; absent where it plays no part

tests/model/coordinate_descent.safetensors is of PyPI colt5-attention 0.11.2, for routed_memory_test.cc: of each case NAME.scores,
NAME.settings (k, iterations, epsilon, first epsilon, decay), NAME.chosen, and NAME.gradient of (chosen * NAME.weights).sum()
by the scores.

The same script on the same versions writes the same parameters and tokens; the rest to rounding.
"""

import json
import sys
from pathlib import Path

import torch
from block_recurrent_transformer_pytorch import BlockRecurrentTransformer
from colt5_attention.coor_descent import coor_descent
from safetensors.torch import save_file

BLOCKS = 8
LOSS_BLOCKS = 3
IGNORED = 7  # a token of the vocabulary, to see that ignore_index is kept to

SMALL = dict(num_tokens=40, dim=16, depth=2, dim_head=8, heads=2, ff_mult=1.5, block_width=8, max_seq_len=24)
ABSENT = None  # the key is left out

# Each case: what differs from SMALL, then batch and the length of the partial block.
CASES = {
    "defaults": (dict(ff_mult=ABSENT), 1, 3),
    "depth_1": (dict(depth=1, recurrent_layers=[1]), 2, 1),
    "no_recurrence": (dict(recurrent_layers=[]), 1, 5),
    "several_recurrent": (dict(depth=4, recurrent_layers=[2, 4], max_seq_len=64), 2, 7),
    # Written out of order; layer 1 reads three states, one of them its own, layer 4 its own.
    "reads_elsewhere": (
        dict(depth=4, recurrent_layers=[3, 1, 2, 4], read_recurrent_layers=[1, 1, 1, 4], num_state_vectors=5), 2, 2),
    "all_qk_rmsnorm": (dict(depth=3, all_layers_qk_rmsnorm=True), 1, 4),
    "fractional_ff": (dict(dim=20, ff_mult=2.7), 1, 6),
    "few_states": (dict(num_state_vectors=3, ignore_index=IGNORED), 2, 3),
    "many_states": (dict(num_state_vectors=19, heads=3), 1, 3),
    "compressed_2": (dict(use_compressed_mem=True, compressed_mem_factor=2), 2, 5),
    "compressed_4": (dict(use_compressed_mem=True, depth=3), 1, 3),
    # A factor that divides nothing evenly, and half a block that is not whole.
    "compressed_3": (dict(use_compressed_mem=True, compressed_mem_factor=3, block_width=11, max_seq_len=33), 2, 9),
    "compressed_1": (dict(use_compressed_mem=True, compressed_mem_factor=1), 1, 1),
    # Nothing is left of a block after compression.
    "compressed_9": (dict(use_compressed_mem=True, compressed_mem_factor=9), 1, 2),
    "wide_block": (dict(block_width=16, max_seq_len=48, dim_head=16), 1, 11),
    "flash": (dict(use_flash_attn=True, depth=3, recurrent_layers=[2, 3], read_recurrent_layers=[2, 2]), 2, 4),
}

def randomise(model, generator):
    """Every parameter far from what it starts as, so that nothing hides behind a one or a zero."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith(("gamma", "q_scale", "k_scale")):
                parameter.copy_(1 + 0.3 * noise)
            elif name.endswith((".bias", "learned_ema_beta", "init_state")):
                parameter.copy_(0.5 * noise)
            elif parameter.ndim >= 2 and not name.endswith(("token_emb.weight", "state_pos_ids")):
                parameter.copy_(1.2 * noise / parameter[0].numel() ** 0.5)
            else:
                parameter.copy_(noise)
        for name, buffer in model.named_buffers():
            if name.endswith(".beta"):
                buffer.copy_(0.2 * torch.randn(buffer.shape, generator=generator))


def make_model(config):
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    return BlockRecurrentTransformer(**arguments).eval()


@torch.no_grad()
def stream(model, tokens, memories=(), states=()):
    """Block by block, as a document is read. Yields (logits, memories, states) after each block."""
    memories, states = list(memories), list(states)
    for block in tokens.split(model.block_width, dim=1):
        logits, memories, states = model(
            block, xl_memories=memories, states=states, return_memories_and_states=True)
        yield logits, memories, states


def expected_of(model, batch, partial, generator):
    vocabulary, width = model.token_emb.num_embeddings, model.block_width
    tokens = torch.randint(0, vocabulary, (batch, BLOCKS * width + partial), generator=generator)
    steps = list(stream(model, tokens))
    _, memories, states = steps[BLOCKS - 1]
    expected = {"tokens": tokens, "logits": torch.cat([step[0] for step in steps], dim=1)}
    expected |= {f"memories.{i}": memory for i, memory in enumerate(memories)}
    expected |= {f"states.{i}": state for i, state in enumerate(states)}
    expected |= {f"partial.states.{i}": state for i, state in enumerate(steps[-1][2])}

    loss_tokens = torch.randint(0, vocabulary, (batch, LOSS_BLOCKS * width + 1), generator=generator)
    loss = model(loss_tokens, return_loss=True)[0]
    loss.backward()
    expected |= {"loss.tokens": loss_tokens, "loss": loss}
    expected |= {f"grad.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: tensor.detach().contiguous().clone() for name, tensor in expected.items()}


def make(folder, changes, batch, partial, seed):
    config = {key: value for key, value in (SMALL | changes).items() if value is not ABSENT}
    generator = torch.Generator().manual_seed(seed)
    model = make_model(config)
    randomise(model, generator)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"model_type": "block_recurrent_transformer"} | config, indent=2)
    (folder / "config.json").write_text(text + "\n")
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    save_file(expected_of(model, batch, partial, generator), folder / "expected.safetensors")


# k, iterations, epsilon, first epsilon, decay; scores are [3, 40].
DESCENTS = {"annealed": (4.5, 20, 0.1, 4.0, 0.7), "plain": (3.0, 50, 0.5, 0.5, 1.0), "all": (40.0, 20, 0.1, 4.0, 0.7)}


def make_descents(file):
    generator = torch.Generator().manual_seed(len(CASES))
    tensors = {}
    for name, settings in DESCENTS.items():
        k, iterations, epsilon, first, decay = settings
        scores = torch.randn(3, 40, generator=generator).requires_grad_()
        weights = torch.randn(3, 40, generator=generator)
        chosen = coor_descent(scores, n_iters=iterations, k=k, eps=epsilon, eps_init=first, eps_decay=decay)
        (chosen * weights).sum().backward()
        tensors |= {f"{name}.scores": scores.detach(), f"{name}.settings": torch.tensor(settings),
                    f"{name}.weights": weights, f"{name}.chosen": chosen.detach(), f"{name}.gradient": scores.grad}
    save_file(tensors, file)


def main():
    torch.set_num_threads(1)
    golden = Path(__file__).resolve().parent / "golden"
    wanted = sys.argv[1:] or list(CASES)
    for seed, (name, (changes, batch, partial)) in enumerate(CASES.items()):
        if name in wanted:
            make(golden / name, changes, batch, partial, seed)
            print(name)
    if not sys.argv[1:] or "coordinate_descent" in wanted:
        make_descents(golden.parent / "coordinate_descent.safetensors")
        print("coordinate_descent")


if __name__ == "__main__":
    main()
