#!/bin/sh
# Trains the SentencePiece vocabulary on a balanced sample of the corpus.
# Usage: train_tokenizer.sh CORPUS OUT [SEED]
#   CORPUS  what build_corpus.py wrote (only its train/ is read)
#   OUT     the folder that receives tokenizer.model
# Needs spm_train (Debian: sentencepiece).
set -eu

if [ $# -lt 2 ]; then
    sed -n '2,6s/^# //p' "$0" >&2
    exit 2
fi
corpus=$1/train
out=$2
seed=${3:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# sample BYTES PATTERN...: about BYTES of lines drawn at random from the documents whose names match.
sample() {
    bytes=$1
    shift
    for pattern in "$@"; do
        find "$corpus" -name "$pattern" -type f
    done | LC_ALL=C sort >"$work/names"
    tr '\n' '\0' <"$work/names" | xargs -0 cat >"$work/all"
    LC_ALL=C awk -v seed="$seed" -v keep="$bytes" -v total="$(wc -c <"$work/all")" \
        'BEGIN { srand(seed) } rand() * total < keep' "$work/all" >>"$work/sample"
}

sample 7500000 'english-*'
sample 1500000 'technical-*'
sample 1200000 'code-*'
sample 3200000 'log-*'
sample 800000 'synthetic-log-*'
echo "sample: $(wc -c <"$work/sample") bytes"

spm_train --input="$work/sample" --model_prefix="$work/tokenizer" --model_type=unigram --vocab_size=8192 \
    --byte_fallback=true --character_coverage=0.9995 --normalization_rule_name=identity \
    --add_dummy_prefix=false --remove_extra_whitespaces=false --allow_whitespace_only_pieces=true \
    --split_digits=true --split_by_unicode_script=true --unk_id=0 --bos_id=1 --eos_id=2 --pad_id=-1 \
    --max_sentence_length=4192 --input_sentence_size=0 --hard_vocab_limit=true --num_threads=2 \
    --minloglevel=1
mkdir -p "$out"
cp "$work/tokenizer.model" "$out/tokenizer.model"
