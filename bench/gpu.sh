#!/usr/bin/env bash
# Checks and measures model/ on this machine's GPU, step by step: what teaches most comes first, and the first wrong step
# ends it. Everything is also written to a file, after each step. Builds model/ alone; a build and all steps take about 8 minutes.
#     bench/gpu.sh [--device cuda|cpu] [--seconds N] [--report FILE] [--model PRETRAINED] [--reference PYTHON]
#     bench/gpu.sh --bundle FILE [--programs]
#   --seconds N         of each figure (default: 2)
#   --report FILE       default: gpu-report.txt in the build's folder
#   --model PRETRAINED  a pretrained model to measure, too: a Hugging Face folder or a GGUF file
#   --reference PYTHON  a Python with the packages for bench/compare.py: the reference is then timed on the same device
#   --bundle FILE       makes a .tar.gz for a machine without network: the sources and nlohmann_json; with --programs also the
#                       programs, built here. Unpack it there and start unroll-gpu/bench/gpu.sh.
#   --configure-only    ends before the build
# LibTorch is the one in CMAKE_PREFIX_PATH, otherwise that of python3's package torch.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

die() { printf 'gpu.sh: %s\n' "$*" >&2; exit 1; }
. "$here/scripts/find_libtorch.sh"

device=cuda seconds=2 report='' model='' reference='' bundle='' programs='' configure_only=''
while [ $# -gt 0 ]; do
  case "$1" in
    --device) device="${2:?}" && shift 2 ;;
    --seconds) seconds="${2:?}" && shift 2 ;;
    --report) report="${2:?}" && shift 2 ;;
    --model) model="$(realpath "${2:?}")" && shift 2 ;;
    --reference) reference="${2:?}" && shift 2 ;;
    --bundle) bundle="$(realpath "${2:?}")" && shift 2 ;;
    --programs) programs=yes && shift ;;
    --configure-only) configure_only=yes && shift ;;
    *) sed -n '2,15s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
done
cd "$here"
build="${BUILD:-build-model}"

build_programs() {
  export CMAKE_PREFIX_PATH="$prefix${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}:$here/third_party"
  if ! command -v nvcc >/dev/null && [ -z "${CUDACXX:-}" ]; then
    PATH="$PATH:/usr/local/cuda/bin:$prefix/../nvidia/cu13/bin"
    command -v nvcc >/dev/null || [ "$device" = cpu ] || echo "gpu.sh: no nvcc, so no kernels; name it in CUDACXX" >&2
  fi
  mkdir -p "$build"
  cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DUNROLL_MODEL_ONLY=ON -DUNROLL_BENCHMARKS=ON >"$build/gpu.log" 2>&1 ||
    { cat "$build/gpu.log" >&2; die "CMake failed"; }
  [ -z "$configure_only" ] || exit 0
  cmake --build "$build" -j "$(nproc)" --target bench_model >>"$build/gpu.log" 2>&1 ||
    { tail -n 40 "$build/gpu.log" >&2; die "the build failed; its output is in $here/$build/gpu.log"; }
}

make_bundle() {
  local json prefixes
  work="$(mktemp -d)"  # not local: the trap needs it
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work"/unroll-gpu/{bench,scripts} "$work/unroll-gpu/third_party/include" "$work/unroll-gpu/third_party/share/cmake"
  cp -a CMakeLists.txt cmake base model "$work/unroll-gpu/"
  cp -a scripts/find_libtorch.sh "$work/unroll-gpu/scripts/"
  cp -a bench/gpu.sh bench/compare.py bench/model "$work/unroll-gpu/bench/"
  IFS=: read -r -a prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for json in "${prefixes[@]}" /usr/local /usr ''; do
    if [ -d "$json/include/nlohmann" ] && [ -d "$json/share/cmake/nlohmann_json" ]; then break; fi
  done
  [ -n "$json" ] || die "nlohmann_json is not installed here; scripts/setup.sh installs it"
  cp -a "$json/include/nlohmann" "$work/unroll-gpu/third_party/include/"
  cp -a "$json/share/cmake/nlohmann_json" "$work/unroll-gpu/third_party/share/cmake/"
  if [ -n "$programs" ]; then
    find_libtorch
    build_programs
    mkdir "$work/unroll-gpu/programs"
    cp "$build/bin/bench_model" "$work/unroll-gpu/programs/"
    if [ -e "$build/bin/libunroll_cuda.so" ]; then cp "$build/bin/libunroll_cuda.so" "$work/unroll-gpu/programs/"; fi
  fi
  tar -czf "$bundle" -C "$work" unroll-gpu
  printf '%s: %s\n' "$bundle" "$(du -h "$bundle" | cut -f 1)"
}

if [ -n "$bundle" ]; then
  make_bundle
  exit
fi

find_libtorch
bench="$build/bin/bench_model"
# Programs that came with a bundle find LibTorch's libraries in the environment; if they do not start here, build.
usage=''
if [ -x programs/bench_model ] && [ -z "$configure_only" ]; then
  usage="$(LD_LIBRARY_PATH="$prefix/lib" programs/bench_model 2>&1 || true)"
fi
if [[ "$usage" = usage:* ]]; then
  bench=programs/bench_model
  export LD_LIBRARY_PATH="$prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
else
  build_programs
fi
mkdir -p "$build"
report="${report:-$build/gpu-report.txt}"
: >"$report"

# step TITLE COMMAND...: its output goes to the terminal and to the report.
step() {
  printf '\n## %s\n\n' "$1" | tee -a "$report"
  shift
  local start=$SECONDS status=0
  "$@" 2>&1 | tee -a "$report" || status=$?
  printf '(%d s)\n' $((SECONDS - start)) | tee -a "$report"
  if [ $status != 0 ]; then
    printf '\nWrong: the later steps were not run. What is known so far is in %s\n' "$(realpath "$report")" | tee -a "$report"
    exit 1
  fi
}
device_facts() {
  if [ "$device" = cuda ] && command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv || return
  else
    grep -m 1 '^model name' /proc/cpuinfo
  fi
  "$bench" device "$device" "$seconds"
}

step "Device" device_facts
step "Row programs without graphs, launches blocking" env CUDA_LAUNCH_BLOCKING=1 "$bench" programs "$device" "$seconds"
step "Graphs of 1, 2, 4 and 8 documents" "$bench" graphs "$device" "$seconds"
step "Agreement with the CPU" "$bench" agreement "$device" "$seconds"
step "Speed" "$bench" speed "$device" "$seconds"
step "Rows per launch" "$bench" rows "$device" "$seconds"
if [ -n "$model" ]; then step "Pretrained: $(basename "$model")" "$bench" pretrained "$device" "$seconds" "$model"; fi
if [ -n "$reference" ]; then step "Reference" "$reference" bench/model/reference_speed.py "$device" "$seconds"; fi
printf '\nAll steps ran. The report is %s\n' "$(realpath "$report")" | tee -a "$report"
