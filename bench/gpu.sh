#!/usr/bin/env bash
# Builds model/ alone, against LibTorch and nlohmann_json and nothing else, and prints how fast it is on this machine's GPU.
#     bench/gpu.sh [cuda|cpu]
# CMAKE_PREFIX_PATH names LibTorch's folder; without one the Python package torch's is taken.
set -euo pipefail
cd "$(dirname "$0")/.."

device="${1:-cuda}"
build="${BUILD:-build-model}"
if [ -z "${CMAKE_PREFIX_PATH:-}" ]; then
  CMAKE_PREFIX_PATH="$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path.removesuffix("/share/cmake"))')" ||
    { echo "gpu.sh: name LibTorch's folder in CMAKE_PREFIX_PATH" >&2; exit 1; }
fi
export CMAKE_PREFIX_PATH
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DUNROLL_MODEL_ONLY=ON -DUNROLL_BENCHMARKS=ON >"$build.log" 2>&1 ||
  { cat "$build.log" >&2; exit 1; }
cmake --build "$build" -j "$(nproc)" --target bench_model >>"$build.log" 2>&1 || { tail -n 40 "$build.log" >&2; exit 1; }
rm -f "$build.log"
if command -v nvidia-smi >/dev/null; then nvidia-smi --query-gpu=name --format=csv,noheader; fi
"$build/bin/bench_model" "$device"
