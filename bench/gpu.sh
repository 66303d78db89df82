#!/usr/bin/env bash
# Builds model/ alone, with only LibTorch and nlohmann_json, and prints its speed on this machine's GPU: with LibTorch's
# operators, with the own kernels (which need nvcc), with graphs. The build and 20 figures of 5 seconds each take about
# 8 minutes.
#     bench/gpu.sh [--reference PYTHON] [cuda|cpu [SECONDS of each figure]]
# CMAKE_PREFIX_PATH names LibTorch's folder; default: that of the Python package torch. PYTHON is one that has the
# packages for bench/compare.py; the reference is then timed on the same device.
set -euo pipefail
cd "$(dirname "$0")/.."

reference=""
if [ "${1:-}" = --reference ]; then
  reference="${2:?--reference needs a Python for bench/compare.py}"
  shift 2
fi
device="${1:-cuda}"
build="${BUILD:-build-model}"
if [ -z "${CMAKE_PREFIX_PATH:-}" ]; then
  CMAKE_PREFIX_PATH="$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path.removesuffix("/share/cmake"))')" ||
    { echo "gpu.sh: name LibTorch's folder in CMAKE_PREFIX_PATH" >&2; exit 1; }
fi
export CMAKE_PREFIX_PATH
if [ "$device" = cuda ] && ! command -v nvcc >/dev/null && [ -z "${CUDACXX:-}" ]; then
  PATH="$PATH:/usr/local/cuda/bin"
  command -v nvcc >/dev/null || echo "gpu.sh: no nvcc, so no kernels of its own; name it in CUDACXX" >&2
fi
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DUNROLL_MODEL_ONLY=ON -DUNROLL_BENCHMARKS=ON >"$build.log" 2>&1 ||
  { cat "$build.log" >&2; exit 1; }
cmake --build "$build" -j "$(nproc)" --target bench_model >>"$build.log" 2>&1 || { tail -n 40 "$build.log" >&2; exit 1; }
rm -f "$build.log"
if command -v nvidia-smi >/dev/null; then nvidia-smi --query-gpu=name --format=csv,noheader; fi
"$build/bin/bench_model" "$device" "${2:-5}"
if [ -n "$reference" ]; then "$reference" bench/model/reference_speed.py "$device" "${2:-5}"; fi
