#!/usr/bin/env bash
# The bundle of bench/gpu.sh configures with nothing but what is in it, LibTorch, CMake and a compiler: whether LibTorch is
# named in CMAKE_PREFIX_PATH, is only python3's package torch, or CMAKE_PREFIX_PATH names something else.
#     bundle_test.sh LIBTORCH
set -euo pipefail
source="$(cd "$(dirname "$0")/../../.." && pwd)"
libtorch="$(realpath "$1")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

"$source/bench/gpu.sh" --bundle "$work/bundle.tar.gz"
tar -xzf "$work/bundle.tar.gz" -C "$work"
# As the wheel is laid out.
mkdir -p "$work/site/torch" "$work/other"
touch "$work/site/torch/__init__.py"
ln -s "$libtorch/lib" "$libtorch/include" "$work/site/torch/"

# configure BUILD VARIABLE...
configure() {
  local build="$1"
  shift
  env -u CMAKE_PREFIX_PATH -u PYTHONPATH CUDACXX=/nonexistent BUILD="$build" "$@" "$work/unroll-gpu/bench/gpu.sh" --device cpu --configure-only
}
expect() {
  grep -q "^$2" "$work/unroll-gpu/$1/CMakeCache.txt" ||
    { echo "$1: no $2 in $(grep -E 'nlohmann_json_DIR|TORCH_CPU_LIBRARY' "$work/unroll-gpu/$1/CMakeCache.txt")"; exit 1; }
}
configure named "CMAKE_PREFIX_PATH=$libtorch"
expect named "TORCH_CPU_LIBRARY:FILEPATH=$libtorch/lib/"
configure wheel "PYTHONPATH=$work/site"
expect wheel "TORCH_CPU_LIBRARY:FILEPATH=$work/site/torch/lib/"
configure other "PYTHONPATH=$work/site" "CMAKE_PREFIX_PATH=$work/other"
expect other "TORCH_CPU_LIBRARY:FILEPATH=$work/site/torch/lib/"
for build in named wheel other; do expect $build "nlohmann_json_DIR:PATH=$work/unroll-gpu/third_party/"; done
if configure none 2>"$work/error" PYTHONPATH=/nonexistent PATH=/usr/bin:/bin; then echo "configured without LibTorch"; exit 1; fi
grep -q 'no LibTorch: name its folder in CMAKE_PREFIX_PATH' "$work/error"
