#!/usr/bin/env bash
# Runs fuzz targets one after another: run.sh BUILD-FOLDER SECONDS [TARGET...]. Findings are stored in
# BUILD-FOLDER/findings/TARGET, inputs that reach new code in BUILD-FOLDER/corpus/TARGET. Exits with 1 on a finding.
set -euo pipefail
build="$(realpath "$1")" seconds="$2"
shift 2
cd "$(dirname "$0")"
targets=("$@")
((${#targets[@]})) || for program in "$build"/bin/fuzz_*; do targets+=("${program##*/fuzz_}"); done

export OMP_NUM_THREADS=1
export TMPDIR="${TMPDIR:-$([ -d /dev/shm ] && echo /dev/shm || echo /tmp)}"  # each input is a file for some targets
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0:allocator_may_return_null=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
found=0
for target in "${targets[@]}"; do
  findings="$build/findings/$target" corpus="$build/corpus/$target" log="$build/findings/$target.log"
  mkdir -p "$findings" "$corpus"
  seeds=()
  [ ! -d "corpus/$target" ] || seeds=("corpus/$target")
  dictionary=()
  [ ! -e "$target.dict" ] || dictionary=(-dict="$target.dict")
  status=0
  "$build/bin/fuzz_$target" "$corpus" "${seeds[@]}" "${dictionary[@]}" -max_total_time="$seconds" -timeout=30 \
    -rss_limit_mb=3000 -malloc_limit_mb=1000 -max_len=8192 -detect_leaks=0 -print_funcs=0 -print_final_stats=1 -artifact_prefix="$findings/" \
    >"$log" 2>&1 || status=$?
  runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  coverage="$(grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$log" | tail -n 1 || true)"
  printf 'fuzz: %-16s %10s runs, %s\n' "$target" "${runs:-?}" "${coverage:-no coverage}"
  if ((status)); then
    found=1
    printf 'fuzz: %s found something: %s, %s\n' "$target" "$log" "$(ls -t "$findings"/* 2>/dev/null | head -n 1)"
    grep -E '^(==.*ERROR|SUMMARY|.*runtime error|does not hold|terminate called|  what)' "$log" | head -n 5
  fi
done
exit "$found"
