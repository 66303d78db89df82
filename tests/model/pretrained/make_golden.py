#!/usr/bin/env python3
"""Makes tests/model/pretrained/golden/: what the definition of the stream computes, for stream_test.cc to compare with.

The weights are those of small random models of transformers. To make the environment (Python 3.11, CPU):

    python3 -m venv reference && reference/bin/pip install torch==2.11.0 transformers safetensors
    reference/bin/python tests/model/pretrained/make_golden.py

Each folder of golden/ is a checkpoint as transformers saves it (config.json, model.safetensors), and expected.safetensors:

    tokens                 int64 [1, BLOCKS * WIDTH + PARTIAL], the first of them the one that a document begins after
    logits.MEMORIES.SINKS  fp32 [1, as many, vocabulary], for memory_blocks and attention_sinks

In the first 1 + memory_blocks blocks the stream is what transformers gives for them as one sequence; this script checks it.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM,
                          Qwen3Config, Qwen3ForCausalLM)

WIDTH, BLOCKS, PARTIAL = 8, 7, 3
MEMORIES, SINKS = (1, 3), (0, 4)
BOS = 1

# head_dim * num_attention_heads is not hidden_size, so that neither is taken for the other.
SMALL = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, head_dim=8, max_position_embeddings=512, bos_token_id=BOS, eos_token_id=2,
             use_cache=False)

# With head_dim 8 one frequency is kept, one is between, two are scaled.
LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=128, rope_theta=10000.0)

CASES = {
    "llama": (LlamaForCausalLM, LlamaConfig, dict(tie_word_embeddings=False)),
    "llama3_biases": (LlamaForCausalLM, LlamaConfig,
                      dict(tie_word_embeddings=True, attention_bias=True, mlp_bias=True, rope_scaling=LLAMA3,
                           rms_norm_eps=1e-3)),
    "mistral": (MistralForCausalLM, MistralConfig,
                dict(tie_word_embeddings=False, num_key_value_heads=1, sliding_window=None, rope_theta=1000.0)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, dict(tie_word_embeddings=True, hidden_size=32)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, dict(tie_word_embeddings=True, num_key_value_heads=4)),
}


def rotate(x, cosine, sine):  # [heads, length, head_dim]; a pair is dimensions i and i + head_dim / 2
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat((-second, first), -1) * sine


class Stream:
    """The definition. Each block attends to the document's first `sinks` positions, to the `memories` blocks before it and,
    causally, to itself. Keys are kept before rotation; a key's position is its place among those that the block sees."""

    def __init__(self, model, memories, sinks):
        self.model, self.memories, self.sinks = model.model, memories, sinks
        self.head = model.lm_head
        self.kept = [[] for _ in self.model.layers]  # (keys, values) [kv_heads, n, head_dim]: sinks, then whole blocks

    @torch.no_grad()
    def block(self, tokens):
        x = self.model.embed_tokens(torch.tensor(tokens))
        for layer, kept in zip(self.model.layers, self.kept):
            x = x + self.attend(layer.self_attn, layer.input_layernorm(x), kept)
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        return self.head(self.model.norm(x)).float()

    def attend(self, attention, x, kept):
        length, size = x.shape[0], attention.head_dim
        q, k, v = (project(x).view(length, -1, size) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
        if hasattr(attention, "q_norm"):
            q, k = attention.q_norm(q), attention.k_norm(k)
        q, k, v = (part.transpose(0, 1) for part in (q, k, v))
        keys, values = (torch.cat([pair[i] for pair in kept] + [own], 1) for i, own in enumerate((k, v)))
        seen = keys.shape[1]
        angle = torch.outer(torch.arange(seen, dtype=torch.float32), self.model.rotary_emb.inv_freq.float())
        angle = torch.cat((angle, angle), -1)
        cosine, sine = angle.cos(), angle.sin()
        q, keys = rotate(q, cosine[-length:], sine[-length:]), rotate(keys, cosine, sine)
        group = q.shape[0] // keys.shape[0]
        mask = torch.ones(length, seen, dtype=torch.bool).tril(seen - length)
        out = F.scaled_dot_product_attention(q, keys.repeat_interleave(group, 0), values.repeat_interleave(group, 0), mask)
        if length == WIDTH:  # only whole blocks are kept
            if not kept:
                kept.append((k[:, :self.sinks], v[:, :self.sinks]))
                k, v = k[:, self.sinks:], v[:, self.sinks:]
            kept.append((k, v))
            if len(kept) > 1 + self.memories:
                del kept[1]
        return attention.o_proj(out.transpose(0, 1).reshape(length, -1))


def randomize(model):
    """Numbers of the size that training leaves: with transformers' own the logits would be nearly equal."""
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            parameter.data.normal_(1, 0.3)
        elif name.endswith("bias"):
            parameter.data.normal_(0, 0.5)
        elif "embed_tokens" in name:
            parameter.data.normal_(0, 1)
        else:
            parameter.data.normal_(0, 1.5 / parameter.shape[1] ** 0.5)


def make(folder, model_class, config_class, changes):
    torch.manual_seed(len(folder.name))
    model = model_class(config_class(**{**SMALL, **changes})).eval()
    randomize(model)
    tokens = [BOS] + torch.randint(3, SMALL["vocab_size"], (BLOCKS * WIDTH + PARTIAL - 1,)).tolist()
    expected = {"tokens": torch.tensor([tokens])}
    for memories in MEMORIES:
        with torch.no_grad():
            whole = model(torch.tensor([tokens[:(1 + memories) * WIDTH]])).logits[0]
        for sinks in SINKS:
            stream = Stream(model, memories, sinks)
            logits = torch.cat([stream.block(tokens[i:i + WIDTH]) for i in range(0, len(tokens), WIDTH)])
            difference = (logits[:len(whole)] - whole).abs().max().item()
            print(f"{folder.name}: memory_blocks {memories}, attention_sinks {sinks}: {difference:.1e} from transformers")
            assert difference < 2e-5, "the stream does not begin as transformers does"
            expected[f"logits.{memories}.{sinks}"] = logits[None].contiguous()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    json.loads((folder / "config.json").read_text())
    save_file(expected, folder / "expected.safetensors")


for name, case in CASES.items():
    make(Path(__file__).parent / "golden" / name, *case)
