#!/bin/sh
# Trains the SentencePiece vocabulary on a balanced sample of the corpus.
# Usage: train_tokenizer.sh CORPUS OUT [PIECES [BYTES [SEED]]]
#   CORPUS  the output of build_corpus.py (only its train/ is read)
#   OUT     folder for tokenizer.model
#   PIECES  size of the vocabulary (16384)
#   BYTES   size of the sample (14000000)
# Needs spm_train (Debian: sentencepiece).
set -eu

if [ $# -lt 2 ]; then
    sed -n '2,8s/^# //p' "$0" >&2
    exit 2
fi
corpus=$1/train
out=$2
pieces=${3:-16384}
bytes=${4:-14000000}
seed=${5:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Groups are kinds and languages, from the names' prefixes. Each gets a share of the sample proportional to its size to
# the power 0.7, so that small groups get pieces, too.
find "$corpus" -type f -printf '%s %f\n' | LC_ALL=C sort -k 2 |
    awk '{ split($2, part, "-"); size[part[1] "-" part[2]] += $1 }
         END { for (group in size) print group, size[group], size[group] ^ 0.7 }' | LC_ALL=C sort >"$work/groups"
total=$(awk '{ sum += $3 } END { print sum }' "$work/groups")
while read -r group size weight; do
    find "$corpus" -type f -name "$group-*" -print0 | LC_ALL=C sort -z | xargs -0 cat |
        LC_ALL=C awk -v seed="$seed" -v chance="$(awk "BEGIN { print $bytes * $weight / $total / $size }")" \
            'BEGIN { srand(seed) } rand() < chance' >>"$work/sample"
done <"$work/groups"
echo "sample: $(wc -c <"$work/sample") bytes of $(wc -l <"$work/groups") kinds and languages"

spm_train --input="$work/sample" --model_prefix="$work/tokenizer" --model_type=unigram --vocab_size="$pieces" \
    --byte_fallback=true --character_coverage=0.998 --normalization_rule_name=identity \
    --add_dummy_prefix=false --remove_extra_whitespaces=false --allow_whitespace_only_pieces=true \
    --split_digits=true --split_by_unicode_script=true --unk_id=0 --bos_id=1 --eos_id=2 --pad_id=-1 \
    --max_sentence_length=4192 --input_sentence_size=0 --hard_vocab_limit=true --num_threads=2 \
    --minloglevel=1
mkdir -p "$out"
cp "$work/tokenizer.model" "$out/tokenizer.model"
