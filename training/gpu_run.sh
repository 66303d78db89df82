#!/usr/bin/env bash
# Trains a model of 40 MB on a GPU machine without network, in one command of less than 8 minutes.
#     training/gpu_run.sh --bundle FILE --corpus DIR [--unroll FILE] [--megabytes N]
#     training/gpu_run.sh [--device cuda|cpu] [--seconds N] [--out DIR] [-- OPTIONS OF unroll train]
#   --bundle FILE    makes a .tar.xz with the program, its libraries and the tokens. Unpack it there, start
#                    unroll-training/training/gpu_run.sh.
#   --corpus DIR     the output of training/corpus/build_corpus.py
#   --unroll FILE    the program (default: build/bin/unroll of this tree)
#   --megabytes N    of text: a part of each document, so that each source keeps its share (default: 140, an archive of about 54 MB)
#   --seconds N      of training (default: 400); the number of steps follows from the speed of the first ones
#   --out DIR        the model, and in DIR/trainer its loss (default: gpu-model)
# LibTorch is the one in CMAKE_PREFIX_PATH, otherwise that of python3's package torch; of the version that the program was
# built with. docs/training.md says how to publish the model.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

die() { printf 'gpu_run.sh: %s\n' "$*" >&2; exit 1; }
. "$here/scripts/find_libtorch.sh"

bundle='' corpus='' unroll="$here/build/bin/unroll" megabytes=140 device=cuda seconds=400 out=gpu-model
while [ $# -gt 0 ]; do
  case "$1" in
    --bundle) bundle="$(realpath "${2:?}")" && shift 2 ;;
    --corpus) corpus="$(realpath "${2:?}")" && shift 2 ;;
    --unroll) unroll="$(realpath "${2:?}")" && shift 2 ;;
    --megabytes) megabytes="${2:?}" && shift 2 ;;
    --device) device="${2:?}" && shift 2 ;;
    --seconds) seconds="${2:?}" && shift 2 ;;
    --out) out="${2:?}" && shift 2 ;;
    --) shift && break ;;
    *) sed -n '2,14s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
done

# select_text FROM TO: the beginning of each document of FROM, cut at a line's end, $megabytes in all.
select_text() {
  python3 - "$1" "$2" "$megabytes" <<'PYTHON'
import pathlib, sys

source, out, megabytes = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3])
files = sorted(path for path in source.iterdir() if path.is_file())
share = min(1, megabytes * 1e6 / sum(path.stat().st_size for path in files))
for path in files:
    text = path.read_bytes()
    end = text.rfind(b"\n", 0, int(len(text) * share)) + 1
    if end > 0:
        (out / path.name).write_bytes(text[:end])
PYTHON
}

# Copies the programs and the libraries that a Debian with LibTorch may lack.
copy_programs() {
  local program
  mkdir -p "$1"/{bin,libexec/unroll,lib}
  cp "$unroll" "$1/bin/"
  cp "$(dirname "$unroll")/../libexec/unroll/unroll-local" "$1/libexec/unroll/"
  for program in "$1/bin/unroll" "$1/libexec/unroll/unroll-local"; do
    ldd "$program" | awk '$3 ~ "^/" {print $3}' | grep -vE '/lib(torch[a-z_]*|c10|gomp|cupti|cudart|c|m|rt|dl|pthread|util)\.so'
  done | sort -u | xargs cp -t "$1/lib"
}

make_bundle() {
  local root
  [ -n "$corpus" ] || die "--bundle needs the text: name it with --corpus"
  work="$(mktemp -d)"  # not local: the trap needs it
  trap 'rm -rf "$work"' EXIT
  root="$work/unroll-training"
  mkdir -p "$root"/{training,scripts} "$work/text"
  cp -a "$here"/training/gpu_run.{sh,json} "$root/training/"
  cp -a "$here/scripts/find_libtorch.sh" "$root/scripts/"
  cp "$here/models/unroll-small/tokenizer.model" "$root/"
  copy_programs "$root"
  select_text "$corpus/train" "$work/text"
  "$unroll" prepare "$work/text" --vocabulary "$root/tokenizer.model" --out "$root/train.tokens"
  "$unroll" prepare "$corpus/validation" --vocabulary "$root/tokenizer.model" --out "$root/validation.tokens"
  XZ_OPT='-6 -T0' tar -cJf "$bundle" -C "$work" unroll-training
  printf '%s: %s\n' "$bundle" "$(du -h "$bundle" | cut -f 1)"
}

if [ -n "$bundle" ]; then
  make_bundle
  exit
fi

[ -e "$here/train.tokens" ] || die "there are no tokens here; make a bundle with --bundle, and start the script in it"
find_libtorch
export LD_LIBRARY_PATH="$prefix/lib:$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
# The GPU computes many lanes at once. A CPU only tries whether the script works.
lanes=64 blocks=2 trial_steps=40
[ "$device" = cuda ] || { lanes=2 blocks=1 trial_steps=2; }
limit=''
train() {
  $limit "$here/bin/unroll" train --device "$device" --data "$here/train.tokens" --vocabulary "$here/tokenizer.model" \
    --config "$here/training/gpu_run.json" --lanes $lanes --blocks-per-step $blocks --optimizer muon --piece-blocks 32 \
    --learning-rate 0.006 --final-learning-rate 0.0002 --ema 0.99 --memory-dropout 0.05 --state-dropout 0.05 \
    --save-dtype int8 --seed 1 "$@"
}
tokens_per_step=$((lanes * blocks * 512))
trial="$(mktemp -d)"
trap 'rm -rf "$trial"' EXIT
echo "gpu_run.sh: $trial_steps steps for the speed"
speed="$(train --out "$trial/model" --steps $trial_steps --report-steps 1 "$@" | sed -n 's/.* \([0-9]*\) tokens\/s.*/\1/p' | tail -n 1)"
[ -n "$speed" ] || die "the first steps failed"
steps=$((seconds * speed / tokens_per_step))
[ "$steps" -gt "$trial_steps" ] || steps=$trial_steps
echo "gpu_run.sh: $speed tokens/s, so $steps steps in $seconds s"
# A machine that grows slower still leaves a model: the end of the time ends training with a checkpoint.
limit="timeout --signal=TERM $((seconds + 30))"
train --out "$out" --steps "$steps" --warmup-steps $((steps / 20 + 1)) --checkpoint-steps "$steps" \
  --validation "$here/validation.tokens" --validation-steps $((steps / 5 + 1)) "$@" ||
  [ $? = 124 ]
echo "gpu_run.sh: the model is in $out, its loss in $out/trainer/loss.csv"
