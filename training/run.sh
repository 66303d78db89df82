#!/bin/bash
# Starts the training run of the model that comes with unroll, or continues it. A run that is running is left alone.
# Usage: run.sh [--folder DIR] [--corpus DIR] [--unroll FILE] [--steps N] [--foreground] [-- OPTIONS OF unroll train]
#   --folder DIR   the run: tokens, checkpoints, log (default: ${XDG_DATA_HOME:-~/.local/share}/unroll/training)
#   --corpus DIR   the output of training/corpus/build_corpus.py; needed until its tokens are prepared
#   --unroll FILE  the program (default: build/bin/unroll of this tree)
#   --steps N      steps of 32,768 tokens in total (default: 4600, 150 million tokens)
#   --from DIR     start with the weights and the vocabulary of this model, such as models/unroll-small: a second stage, of 1,200
#                  steps if --steps says nothing else, with more documents side by side and a rate that falls to its end
#   --finish N     leave the run as it is, and start a branch in FOLDER/finish-STEP: from the checkpoint of the stopped run,
#                  N more steps with a rate that falls to its end. The result is the best model that the run gives now.
#   --foreground   do not return before the run ends
# It runs at the lowest priority, with CPU and disk time that nothing else uses. Stop it with
#   kill "$(cat FOLDER/pid)"      (it writes a checkpoint first; after kill -9 it repeats at most 10 steps)
# The best model so far is FOLDER/model; docs/training.md says how to publish it.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
folder=${XDG_DATA_HOME:-$HOME/.local/share}/unroll/training
corpus='' unroll=$here/../build/bin/unroll steps='' from='' finish='' foreground=''
while [ $# -gt 0 ]; do
    case $1 in
        --folder) folder=$2 && shift 2 ;;
        --corpus) corpus=$2 && shift 2 ;;
        --unroll) unroll=$2 && shift 2 ;;
        --steps) steps=$2 && shift 2 ;;
        --from) from=$(realpath "$2") && shift 2 ;;
        --finish) finish=$2 && shift 2 ;;
        --foreground) foreground=yes && shift ;;
        --) shift && break ;;
        *) sed -n '2,15s/^# //p' "$0" >&2 && exit 2 ;;
    esac
done
mkdir -p "$folder"
folder=$(realpath "$folder")
exec 9>"$folder/lock"
if ! flock -n 9; then
    echo "$folder: the run is already in progress, as process $(cat "$folder/pid")"
    exit 0
fi

# A branch remembers in its file `finish` where the run was: so many steps, and at which rate.
if [ -n "$finish" ]; then
    IFS=, read -r step _ _ rate _ < <(tail -n 1 "$folder/model/trainer/loss.csv")
    branch=$folder/finish-$step
    [ ! -e "$branch" ] || { echo "$branch exists: continue it with --folder $branch" >&2 && exit 2; }
    mkdir "$branch"
    cp -r "$folder/model" "$branch"
    ln "$folder"/{tokenizer.model,train.tokens,validation.tokens} "$branch"
    [ ! -e "$folder/from" ] || cp "$folder/from" "$branch"
    echo "$step $rate $((step + finish))" >"$branch/finish"
    flock -u 9
    exec "$0" --folder "$branch" --unroll "$unroll" ${foreground:+--foreground} -- "$@"
fi
# A second stage remembers its model in its file `from`.
[ -z "$from" ] || echo "$from" >"$folder/from"
[ ! -e "$folder/from" ] || from=$(cat "$folder/from")
learning_rate=0.008 warmup_steps=60 ema=0.995 default_steps=4600
stage=(--config "$here/run.json" --vocabulary "$folder/tokenizer.model" --lanes 16 --blocks-per-step 4 --memory-replay --piece-blocks 64)
english=1 logs=8
if [ -n "$from" ]; then
    learning_rate=0.004 warmup_steps=40 ema=0.99 default_steps=1200
    # The rate rises again, so the first validations are worse than the model was: with the patience of fine-tuning it would end there.
    stage=(--from "$from" --lanes 32 --blocks-per-step 2 --piece-blocks 32 --patience 0)
    english=3 logs=6
fi
steps=${steps:-$default_steps}
[ ! -e "$folder/finish" ] || { read -r warmup_steps learning_rate steps <"$folder/finish" && ema=0.98; }

if [ -z "$foreground" ]; then
    flock -u 9
    setsid nohup "$0" --folder "$folder" --corpus "$corpus" --unroll "$unroll" --steps "$steps" --foreground \
        -- "$@" >>"$folder/log" 2>&1 </dev/null &
    echo "the run continues in $folder: tail -f $folder/log"
    exit 0
fi

# Lowest priority for this session of processes (Linux groups them for fairness), and for its threads.
{ echo 19 >/proc/self/autogroup; } 2>/dev/null || true
renice -n 19 $$ >/dev/null
ionice -c 3 -p $$ || true
chrt --idle -p 0 $$ || true
echo $$ >"$folder/pid"

vocabulary=$folder/tokenizer.model
[ -z "$from" ] || cp "$from/tokenizer.model" "$vocabulary"
if [ ! -e "$vocabulary" ]; then
    [ -n "$corpus" ] || { echo "$folder has no tokens yet: name the corpus with --corpus" >&2 && exit 2; }
    "$here/corpus/train_tokenizer.sh" "$corpus" "$folder"
fi
for side in train validation; do
    [ -e "$folder/$side.tokens" ] ||
        "$unroll" prepare "${corpus:?--corpus is needed}/$side" --vocabulary "$vocabulary" --out "$folder/$side.tokens"
done
repeats=(--repeat "log-=$logs" --repeat wiki-=3 --repeat "book-en-=$english")
for language in de es fr it ja pl pt ru th uk zh; do
    repeats+=(--repeat "book-$language-=2")
done
exec "$unroll" train --data "$folder/train.tokens" --validation "$folder/validation.tokens" \
    --out "$folder/model" --steps "$steps" "${stage[@]}" --optimizer muon --learning-rate "$learning_rate" \
    --final-learning-rate 0.0002 --warmup-steps "$warmup_steps" --ema "$ema" --memory-dropout 0.05 --state-dropout 0.05 \
    --validation-steps 50 --checkpoint-steps 10 "${repeats[@]}" --save-dtype int8 --seed 1 "$@"
