#!/usr/bin/env python3
"""Writes the mean of the averaged weights of several checkpoints of one run as a model in fp32.

    training/average_weights.py OUT DIR/model DIR/finish-STEP/model
    unroll model convert OUT unroll-small --dtype int8

A run's checkpoint is `MODEL/trainer/checkpoint.safetensors`; tensors named `average.` are the moving average (--ema) of the
weights. Needs numpy.
"""

import json
import shutil
import struct
import sys
from pathlib import Path

import numpy


def averages(model):
    """The averaged weights by name."""
    file = model / "trainer/checkpoint.safetensors"
    with file.open("rb") as stream:
        size = struct.unpack("<Q", stream.read(8))[0]
        header = json.loads(stream.read(size))
    data = numpy.memmap(file, numpy.uint8, "r", 8 + size)
    weights = {}
    for name, entry in header.items():
        if name.startswith("average."):
            if entry["dtype"] != "F32":
                sys.exit(f"{file}: {name} is {entry['dtype']}, not F32")
            begin, end = entry["data_offsets"]
            weights[name.removeprefix("average.")] = data[begin:end].view(numpy.float32).reshape(entry["shape"])
    if not weights:
        sys.exit(f"{file} has no averaged weights: train with --ema")
    return weights


def write_safetensors(file, weights):
    header, end = {}, 0
    for name, tensor in weights.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + tensor.nbytes]}
        end += tensor.nbytes
    text = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for tensor in weights.values():
            stream.write(tensor.tobytes())


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    out, *models = map(Path, sys.argv[1:])
    runs = [averages(model) for model in models]
    for model, weights in zip(models, runs):
        if {name: tensor.shape for name, tensor in weights.items()} != {name: tensor.shape for name, tensor in runs[0].items()}:
            sys.exit(f"{model} is of another shape than {models[0]}")
    out.mkdir(parents=True, exist_ok=True)
    write_safetensors(out / "model.safetensors", {name: numpy.mean([weights[name] for weights in runs], 0) for name in runs[0]})
    for name in ("config.json", "tokenizer.model"):
        shutil.copy(models[0] / name, out)


if __name__ == "__main__":
    main()
