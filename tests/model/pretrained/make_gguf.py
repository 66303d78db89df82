#!/usr/bin/env python3
"""Makes the GGUF files in tests/model/pretrained/:

  gguf/NAME.gguf   the weights of golden/NAME as llama.cpp's convert_hf_to_gguf.py writes them, in F32;
  blocks.gguf      for each quantised type, rows of random blocks, and as expected.TYPE what the Python package `gguf`
                   decodes them to.

    python3 -m venv reference && reference/bin/pip install gguf==0.19.0 safetensors
    reference/bin/python tests/model/pretrained/make_gguf.py
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, MODEL_ARCH, get_tensor_name_map, quants
from safetensors.numpy import load_file

HERE = Path(__file__).parent
ARCHITECTURES = {"llama": MODEL_ARCH.LLAMA, "mistral": MODEL_ARCH.LLAMA, "qwen2": MODEL_ARCH.QWEN2, "qwen3": MODEL_ARCH.QWEN3}


def permuted(rows, heads):
    """LlamaModel.permute() of the converter: rows of a head from halves to neighbours."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def rope_factors(rope, head_dim):
    """LlamaModel.generate_extra_tensors() of the converter."""
    factors = []
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    for frequency in 1.0 / (rope["rope_theta"] ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)):
        wavelength = 2 * math.pi / frequency
        if wavelength < high:
            factors.append(1)
        elif wavelength > low:
            factors.append(rope["factor"])
        else:
            smooth = (rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]) / (
                rope["high_freq_factor"] - rope["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return torch.tensor(factors, dtype=torch.float32).numpy()


def convert(folder, file):
    config = json.loads((folder / "config.json").read_text())
    architecture = ARCHITECTURES[config["model_type"]]
    names = get_tensor_name_map(architecture, config["num_hidden_layers"])
    rope = config["rope_parameters"]
    heads, kv_heads, head_dim = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    writer = GGUFWriter(file, "llama" if architecture == MODEL_ARCH.LLAMA else config["model_type"])
    writer.add_type("model")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    if architecture == MODEL_ARCH.LLAMA:
        writer.add_vocab_size(config["vocab_size"])
        writer.add_rope_dimension_count(head_dim)
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_factors(rope, head_dim))
    for name, tensor in load_file(folder / "model.safetensors").items():
        if architecture == MODEL_ARCH.LLAMA and ".q_proj." in name:
            tensor = permuted(tensor, heads)
        if architecture == MODEL_ARCH.LLAMA and ".k_proj." in name:
            tensor = permuted(tensor, kv_heads)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), np.ascontiguousarray(tensor))
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_blocks(file):
    # Where a block has its halves, which are not to be infinite; the rest of it is any bytes.
    halves = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2],
              "Q6_K": [208]}
    random = np.random.default_rng(1)
    writer = GGUFWriter(file, "llama")
    for name, places in halves.items():
        kind = GGMLQuantizationType[name]
        numbers, size = GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (2, 512 // numbers, size), dtype=np.uint8)
        for place in places:
            scales = random.normal(0, 0.1, blocks.shape[:2]).astype(np.float16)
            blocks[:, :, place:place + 2] = scales[..., None].view(np.uint8)
        rows = blocks.reshape(2, -1)
        writer.add_tensor(name, rows, raw_dtype=kind)
        writer.add_tensor("expected." + name, quants.dequantize(rows, kind).reshape(2, 512))
    numbers = random.normal(0, 1, (2, 512)).astype(np.float32)
    for kind in (GGMLQuantizationType.F16, GGMLQuantizationType.BF16):
        rows = quants.quantize(numbers, kind)
        writer.add_tensor(kind.name, rows, raw_dtype=kind)
        writer.add_tensor("expected." + kind.name, quants.dequantize(rows, kind).astype(np.float32).reshape(2, 512))
    finish(writer)


make_blocks(HERE / "blocks.gguf")
(HERE / "gguf").mkdir(exist_ok=True)
for folder in sorted((HERE / "golden").iterdir()):
    convert(folder, HERE / "gguf" / (folder.name + ".gguf"))
