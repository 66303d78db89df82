#!/usr/bin/env python3
"""Compares bench_pretrained with llama.cpp, alternating: the same weights, threads and machine.

    python3 -m venv llama && llama/bin/pip install llama-cpp-python numpy      # compiles llama.cpp for this machine
    llama/bin/python bench/pretrained_beside_llama_cpp.py MODEL.gguf

llama.cpp reads the file in its own type, and converted to Q8_0 and BF16. It computes the logits of all tokens
without using them. Its context is two blocks of 512 tokens, so a token sees 512 tokens before it on average, 772 in
unroll's stream. Each figure is the best of the rounds.
"""

import argparse
import ctypes
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import llama_cpp
import numpy

BLOCK = 512
CONVERTED = {"Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "BF16": llama_cpp.LLAMA_FTYPE_MOSTLY_BF16}


def convert(model, out, file_type):
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = file_type, True
    if llama_cpp.llama_model_quantize(str(model).encode(), str(out).encode(), params) != 0:
        raise SystemExit(f"{model}: llama.cpp cannot convert it")


class LlamaCpp:
    def __init__(self, path, threads):
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = 2 * BLOCK, BLOCK, BLOCK
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(model, params)
        self.tokens = numpy.random.default_rng(1).integers(5, 40_000, 2 * BLOCK)
        self.batch = llama_cpp.llama_batch_init(BLOCK, 0, 1)
        self.best = 0.0

    def run(self):
        began = time.perf_counter()
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        for begin in (0, BLOCK):
            self.batch.n_tokens = BLOCK
            for i in range(BLOCK):
                self.batch.token[i], self.batch.pos[i] = int(self.tokens[begin + i]), begin + i
                self.batch.n_seq_id[i], self.batch.seq_id[i][0], self.batch.logits[i] = 1, 0, 1
            if llama_cpp.llama_decode(self.context, self.batch) != 0:
                raise SystemExit("llama.cpp: llama_decode failed")
            llama_cpp.llama_get_logits(self.context)
        self.best = max(self.best, 2 * BLOCK / (time.perf_counter() - began))


def unroll_rates(options):
    command = [options.bench, "--model", options.model, "--threads", str(options.threads), "--rounds", "1", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--bench", type=Path, default=Path("build/bin/bench_pretrained"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder:
        theirs = {"as it is": LlamaCpp(options.model, options.threads)}
        for name, file_type in CONVERTED.items():
            convert(options.model, Path(folder) / name, file_type)
            theirs[name] = LlamaCpp(Path(folder) / name, options.threads)
        ours = {}
        for _ in range(options.rounds):
            for model in theirs.values():
                model.run()
            for dtype, rate in unroll_rates(options).items():
                ours[dtype] = max(ours.get(dtype, 0), rate)
    fastest = max(model.best for model in theirs.values())
    print("| | tokens/s | times llama.cpp's fastest |\n|---|---|---|")
    for name, model in theirs.items():
        print(f"| llama.cpp, {name} | {model.best:,.0f} | {model.best / fastest:.2f} |")
    for dtype, rate in ours.items():
        print(f"| unroll, {dtype} | {rate:,.0f} | {rate / fastest:.2f} |")


if __name__ == "__main__":
    main()
