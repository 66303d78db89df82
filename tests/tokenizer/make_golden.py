#!/usr/bin/env python3
"""Makes tests/tokenizer/golden/: small vocabularies, and what their own packages make of texts, for golden_test.cc.

    python3 -m venv reference && reference/bin/pip install tokenizers==0.22.1 sentencepiece==0.1.97 gguf==0.19.0
    reference/bin/python tests/tokenizer/make_golden.py

Each folder of golden/ holds a vocabulary (tokenizer.json or tokenizer.model, tokenizer_config.json) trained on the text below, with the
pre-tokenizer and normalizer of the family that it is named after, and expected.json: [[text, [token, ...]], ...]. Added tokens are
left out when the texts are encoded, because text of a document is data.

The same script on the same versions writes the same files.
"""

import io
import json
import random
from pathlib import Path

import gguf
import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

GOLDEN = Path(__file__).parent / "golden"
TRAINING = [
    "The quick brown fox jumps over the lazy dog. It's what they'd do; we'll see, I'm sure you've heard.",
    "2026-01-02 03:04:05 ERROR [worker-17] connection refused: 10.0.0.1:8080 (attempt 3 of 10)\n",
    "def read(self, size=-1):\n    if size < 0:\n        return self.rest()\n\treturn None\n\n\n",
    "Der große Bär läuft über die Straße, naïve café, señor, façade, Žluťoučký kůň. Smørrebrød",
    "Быстрая коричневая лиса прыгает через ленивую собаку. Съешь же ещё этих мягких французских булок",
    "敏捷的棕色狐狸跳过了懒狗。日本語のテキスト、カタカナとひらがな。한국어 문장입니다",
    "हिन्दी में लिखा हुआ पाठ। ภาษาไทยไม่มีช่องว่าง العربية من اليمين إلى اليسار",
    "    four spaces   and\t\ttabs  \r\n\r\n  🙂🙃 👩‍👩‍👧 ½ ² Ⅷ ﬁ ﷺ x⁴ — “quotes” … !!! ??? ==== ---- ////",
]
TEXTS = TRAINING + [
    "", " ", "  ", "\n", "\n\n", " \n", "\n ", "a", " a", "a ", "  a", "a  b", "a   b  ", "a \n b", "a\r\nb\r\n", "\t\n \t\n x", "x\u00a0y\u3000z",
    "1", "12", "123", "1234567", " 1", "  12  345", "v1.2.3-rc4", "١٢٣", "Ⅷ², ½",
    "it's IT'S It'S don'T we'Ll you'VE I'd ''s ' s 'ſ", "'", "''", "hello!\n\n", "hello !\nworld", "...\r\n\r\n...", "foo(bar)[0]->baz;",
    "<|endoftext|> <|im_start|>user <s></s><unk><0x0A>", "a<|endoftext|>b", "\x00\x01\x04\x7f", "nul\x00in\x00text", "\ufeffbom", "�",
    "e\u0301 é a\u0308\u0323 ạ̈ x\u0315\u0301x\u0315\u0301 \u0301", "\u212b \u2126 \u0958 \u0915\u093c \u1100\u1161\u11a8 각 \ud55c\uae00", "x",
    "\u0958 ड़ फ़ \u2adc \ufb1d \u0344 \U0001d160" + TRAINING[0], "😀" * 20, "é" * 50, "e\u0301" * 50, " " * 300, "\n" * 300, "a" * 700, "=" * 700, "ab" * 400 + " c",
    "١" * 40, "字" * 300, " a" * 200, "a\u0301" * 3 + "\u0301" * 80, "  \u2028\u2029 \x85 \x0b\x0c x", "▁ ▁▁ a▁b",
]


def random_texts():
    chance = random.Random(20260101)
    parts = [" ", " ", "  ", "\n", "\r\n", "\t", "a", "Z", "é", "e\u0301", "\u0323", "\u0315", "1", "23", "'s", "'LL", ".", "!?", "-", "字", "한", "\u1161",
             "क", "\u093c", "😀", "\u00a0", "\u200b", "\x04", "ﷺ", "word", " Word", "ſ"]
    return ["".join(chance.choice(parts) * chance.choice([1, 1, 1, 2, 5]) for _ in range(60)) for _ in range(30)]


def save(name, files, expected):
    folder = GOLDEN / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        if isinstance(content, bytes):
            (folder / file).write_bytes(content)
        else:
            (folder / file).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    lines = [json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in expected]
    (folder / "expected.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(with_pattern):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=with_pattern)


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def pre_tokenizer(*parts):
    return pre_tokenizers.Sequence(list(parts))


# Normalizer, pre-tokenizer, ignore_merges, and whether every byte has a token.
FAMILIES = {
    "gpt2": (None, byte_level(True), False, True),
    "llama3": (None, pre_tokenizer(split(LETTERS % r"\p{N}{1,3}"), byte_level(False)), True, True),
    "qwen2": (normalizers.NFC(), pre_tokenizer(split(LETTERS % r"\p{N}"), byte_level(False)), False, True),
    "smollm": (None, pre_tokenizer(pre_tokenizers.Digits(individual_digits=True), byte_level(True)), False, False),
    "splits": (None, pre_tokenizer(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?[!-/:-~]+"), split(r"\s+$"), split("[一-龥]+"),
                                   pre_tokenizers.Digits(individual_digits=False), byte_level(False)), False, True),
}


def make_bpe(name):
    normalizer, pre, whole_words, all_bytes = FAMILIES[name]
    tokenizer = Tokenizer(models.BPE(ignore_merges=whole_words))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet() if all_bytes else []
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TRAINING * 3, trainer)
    plain = json.loads(tokenizer.to_str())
    count = len(plain["model"]["vocab"])
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    plain["added_tokens"] = [{"id": count + i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                              "special": True} for i, content in enumerate(special)]
    config = {"bos_token": None if name == "qwen2" else "<|im_start|>", "eos_token": {"content": "<|im_end|>"}}
    # A last word of bytes without tokens alone has one all the same here, and none there.
    end = "" if all_bytes else " fox"
    texts = [text + end for text in TEXTS + random_texts()]
    expected = [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in texts]
    save(name, {"tokenizer.json": plain, "tokenizer_config.json": config}, expected)
    if name in GGUF_NAMES:
        vocab = plain["model"]["vocab"]
        tokens = sorted(vocab, key=vocab.get) + special
        save_gguf(name, "gpt2", GGUF_NAMES[name], tokens, [1] * count + [3] * len(special), None,
                  [" ".join(merge) for merge in plain["model"]["merges"]], None if name == "qwen2" else count + 1, count + 2)


GGUF_NAMES = {"gpt2": "gpt-2", "llama3": "llama-bpe", "qwen2": "qwen2", "smollm": "smollm"}  # tokenizer.ggml.pre


def save_gguf(name, model, pre, tokens, types, scores, merges, begin, end):
    """The same vocabulary as a GGUF file without tensors."""
    writer = gguf.GGUFWriter(GOLDEN / name / "vocabulary.gguf", "llama")
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if scores:
        writer.add_token_scores(scores)
    if merges:
        writer.add_token_merges(merges)
    if begin is not None:
        writer.add_bos_token_id(begin)
    writer.add_eos_token_id(end)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


# How SentencePiece is trained.
SENTENCEPIECE = {
    "llama2": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=True, remove_extra_whitespaces=False,
                   split_digits=True, allow_whitespace_only_pieces=True),
    "gemma": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
                  user_defined_symbols=["\n", "\n\n", "\n\n\n", "▁▁", "▁▁▁", "▁▁▁▁", "\t"], allow_whitespace_only_pieces=True),
    "t5": dict(model_type="unigram", normalization_rule_name="nmt_nfkc", add_dummy_prefix=True, remove_extra_whitespaces=True, bos_id=-1),
}


def make_sentencepiece(name):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter([line for text in TRAINING * 3 for line in text.split("\n")]), model_writer=model,
                                             vocab_size=700 if name != "t5" else 330, character_coverage=0.999, minloglevel=2, num_threads=1,
                                             hard_vocab_limit=False, **SENTENCEPIECE[name])
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    # NUL and U+2581 are read as bytes here. Text of which nothing is left has a token here, and text with more tokens than bytes is
    # not normalised.
    texts = [text for text in TEXTS + random_texts() if "\0" not in text and "▁" not in text]
    expected = [[text, processor.encode(text)] for text in texts]
    save(name, {"tokenizer.model": model.getvalue()}, [case for case in expected if not case[0] or 0 < len(case[1]) <= len(case[0].encode()) + 1])
    if name == "llama2":
        ids = range(processor.vocab_size())
        types = [2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i) else 1 for i in ids]
        save_gguf(name, "llama", "default", [processor.id_to_piece(i) for i in ids], types, [processor.get_score(i) for i in ids], None,
                  processor.bos_id(), processor.eos_id())


# SentencePiece's BPE as tokenizer.json: normalizer, pre-tokenizer, and whether it is the vocabulary of golden/llama2. Otherwise it is trained
# here, without words: its pieces continue after spaces.
MARKED = normalizers.Replace(" ", "▁")
CHARACTER_BPE = {
    "mistral": (normalizers.Sequence([normalizers.Prepend("▁"), MARKED]), None, True),
    "mistral3": (None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), True),
    "yi": (MARKED, None, False),
    "words": (None, pre_tokenizers.Metaspace(prepend_scheme="always", split=True), False),
}
CONTROL = ["<unk>", "<s>", "</s>"]


def pieces_of_llama2():
    """Pieces by id, and every pair of them that is a piece, the best first."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=(GOLDEN / "llama2/tokenizer.model").read_bytes())
    pieces = {processor.id_to_piece(i): i for i in range(processor.vocab_size())}
    pairs = [(piece[:i], piece[i:]) for piece in pieces for i in range(1, len(piece)) if piece[:i] in pieces and piece[i:] in pieces]
    return pieces, sorted(pairs, key=lambda pair: -processor.get_score(pieces[pair[0] + pair[1]]))


def trained_pieces():
    trained = Tokenizer(models.BPE())
    trained.normalizer = MARKED
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False, special_tokens=CONTROL + [f"<0x{byte:02X}>" for byte in range(256)])
    trained.train_from_iterator(TRAINING * 3, trainer)
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def make_character_bpe(name):
    normalizer, pre, is_llama2 = CHARACTER_BPE[name]
    vocab, merges = pieces_of_llama2() if is_llama2 else trained_pieces()
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre:
        tokenizer.pre_tokenizer = pre
    plain = json.loads(tokenizer.to_str())
    plain["added_tokens"] = [{"id": vocab[content], "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                              "special": True} for content in CONTROL]
    texts = [text for text in TEXTS + random_texts() if "▁" not in text]  # U+2581 is read as bytes here
    save(name, {"tokenizer.json": plain, "tokenizer_config.json": {"bos_token": "<s>", "eos_token": "</s>"}},
         [[text, tokenizer.encode(text).ids] for text in texts])


if __name__ == "__main__":
    for family in FAMILIES:
        make_bpe(family)
    for family in SENTENCEPIECE:
        make_sentencepiece(family)
    for family in CHARACTER_BPE:
        make_character_bpe(family)
