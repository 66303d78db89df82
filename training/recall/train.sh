#!/usr/bin/env bash
# Trains the small models of models/recall-* again, some minutes each on one core: first with short blocks, in which
# there is little to search, then with longer ones.
#     training/recall/train.sh OUT [states|routed|states-fixed|states-memformer]...
set -euo pipefail
cd "$(dirname "$0")/../.."
recall="${RECALL:-build/bin/recall}"
out="${1:?OUT is missing: where checkpoints go}"
shift
[ $# -gt 0 ] || set -- states routed

train() { "$recall" train --threads "${THREADS:-1}" --seed 1 "$@"; }

# The same schedule for every cell; whatever is not learned when the steps are used up counts as not learned.
states() {
  local config="training/recall/configs/$1.json" steps="$2"
  train --config "$config" --block-width 16 --out "$out/$1-short" --first-distance 17 --distance 512 --learned 0.95 \
    --documents 64 --qk-scale 3 --steps "$steps" || true
  train --config "$config" --block-width 128 --from "$out/$1-short" --out "$out/$1" --first-distance 129 --growth 2 \
    --distance 8192 --learned 0.97 --documents 32 --learning-rate 5e-4 --steps-at-last 60 --steps "$steps"
  train --config "$config" --block-width 128 --from "$out/$1" --out "$out/$1" --first-distance 1024 --growth 8 \
    --distance 8192 --learned 0.985 --documents 32 --learning-rate 3e-4 --steps-at-last 40 --steps "$steps"
}

for model in "$@"; do
  case "$model" in
    states) states states-lstm 10000 ;;
    states-fixed | states-memformer) states "$model" 2500 ;;
    routed)
      train --config training/recall/configs/routed.json --block-width 32 --out "$out/routed-short" --first-distance 20 \
        --distance 518 --learned 0.95 --documents 64 --qk-scale 3 --learning-rate 1e-3 --steps-at-last 0
      train --config training/recall/configs/routed.json --block-width 64 --from "$out/routed-short" --out "$out/routed" \
        --first-distance 200 --growth 2 --distance 1600 --learned 0.97 --documents 32 --learning-rate 3e-4 --steps-at-last 0
      ;;
    *) echo "train.sh: no model '$model': states, routed, states-fixed or states-memformer" >&2; exit 2 ;;
  esac
done
