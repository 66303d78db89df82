#!/usr/bin/env bash
# Measures the accuracies of docs/experiments.md with the stored checkpoints: each with its memory, and with that
# dropped after every block as the control.
#     training/recall/reproduce.sh OUT [DOCUMENTS]
# Writes OUT/NAME.json, and their table and plot. Takes a quarter of an hour on two cores with 40 documents per
# distance, most of it for routed memory at 250,000 tokens.
set -euo pipefail
cd "$(dirname "$0")/../.."
recall="${RECALL:-build/bin/recall}"
out="${1:?OUT is missing: where results go}"
documents="${2:-40}"
mkdir -p "$out"

measure() {
  local name="$1" model="$2"
  shift 2
  echo "$name" >&2
  "$recall" test --model "${MODELS:-models}/$model" --documents "$documents" --together 10 --format json "$@" >"$out/$name.json"
}

measure states recall-states
measure states-dropped recall-states --drop states
for other in states-fixed states-memformer; do
  if [ -d "${MODELS:-models}/recall-$other" ]; then measure "$other" "recall-$other"; fi
done
measure routed recall-routed
measure routed-dropped recall-routed --drop routed
training/recall/report.py "$out" docs/images/recall.svg
