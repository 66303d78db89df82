#!/usr/bin/env python3
"""Makes the seeds in tests/fuzz/corpus/: small inputs that are well-formed, for the fuzzer to change.

Run it again after changing it; findings that were kept (finding-*) stay."""

import json
import pathlib
import struct

import hostile_documents as hostile

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "model" / "golden"
TEXT = "The whale said: error 42.\n  größer \t🙂\r\nagain and again, again and again\n"
AT_ONCE = b"\xff"
BYTE_BY_BYTE = b"\x00"


def rpc(method: str, **params: object) -> bytes:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return json.dumps(request, ensure_ascii=False).encode() + b"\n"


def json_rpc() -> dict[str, bytes]:
    score = [{"name": "score", "options": {"granularity": "line"}}]
    every = score + [{"name": name} for name in ("anomaly", "summarize", "embed")]
    stream = rpc("document.open", plugins=score, stream=True, name="s", priority=3, deadline_ms=60000,
                 flush_after_ms=1, keep_outputs=2, total_bytes=9)
    append = rpc("document.append", document="d0", text=TEXT) + rpc("document.append", document="d0", base64="QUJD")
    return {
        "text": AT_ONCE + rpc("document.open", plugins=every, text=TEXT),
        "stream": AT_ONCE + stream + append + rpc("document.end", document="d0"),
        "without_end": BYTE_BY_BYTE + stream + append,
        "cancel": AT_ONCE + stream + rpc("document.cancel", document="d0") + rpc("document.status", document="d0"),
        "resume": AT_ONCE + stream + rpc("document.cancel", document="d0")
                  + rpc("document.open", plugins=score, text=TEXT, resume="d0"),
        "attach": AT_ONCE + rpc("document.open", plugins=score, text=TEXT)
                  + rpc("document.attach", document="d0", **{"from": 1}) + rpc("document.list", limit=5),
        "descriptor": AT_ONCE + rpc("document.open", plugins=score, fd=True),
        "server": BYTE_BY_BYTE + b"".join(rpc("server." + name) for name in ("info", "stats", "reload", "ping")),
        "notification": AT_ONCE + b'{"jsonrpc":"2.0","method":"server.ping"}\n \n[]\n{"id":"\xc3\xa9"}\nno JSON',
    }


def http() -> dict[str, bytes]:
    def request(line: str, *fields: str, body: str = "") -> bytes:
        return ("\r\n".join([line, "Host: unroll", *fields, "", body])).encode()

    size = f"Content-Length: {len(TEXT.encode())}"
    chunks = f"{len(TEXT.encode()):x};x=y\r\n{TEXT}\r\n3\r\nend\r\n0\r\nTrailer: t\r\n\r\n"
    put = "PUT /v1/score?granularity=line&top=3 HTTP/1.1"
    return {
        "put": AT_ONCE + request(put, size, body=TEXT),
        "expect": AT_ONCE + request(put, size, "Expect: 100-continue", body=TEXT),
        "short": AT_ONCE + request(put, "Content-Length: 1000", body=TEXT),
        "chunks": b"\x02" + request("POST /v1/anomaly HTTP/1.1", "Transfer-Encoding: chunked", body=chunks),
        "old": AT_ONCE + request("POST /v1/embed HTTP/1.0", size, body=TEXT),
        "metrics": BYTE_BY_BYTE + request("GET /metrics HTTP/1.1"),
        "health": AT_ONCE + request("GET /healthz HTTP/1.1", "Connection: keep-alive"),
        "documents": AT_ONCE + request("GET /v1/documents HTTP/1.1"),
        "no_plugin": AT_ONCE + request("PUT /v1/n%C3%B6ne?a=1.5e3&b=true&c+d=%20 HTTP/1.1", size, body=TEXT),
        "no_method": AT_ONCE + request("DELETE /v1/score HTTP/1.1"),
    }


def tensors(header: dict[str, object], data: bytes) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors() -> dict[str, bytes]:
    def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    sizes = {"I64": 8, "F64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, size in sizes.items():
        header["t." + name] = entry(name, [2, 1], place, place + 2 * size)
        place += 2 * size
    return {
        "every_type": tensors(header, b"\x01" * place),
        "empty": tensors({}, b""),
        "scalar_and_nothing": tensors({"a": entry("F32", [], 0, 4), "b": entry("F32", [3, 0], 4, 4)}, b"\0\0\x80?"),
        "unaligned": tensors({"a": entry("U8", [1], 0, 1), "b": entry("F32", [1], 1, 5)}, b"\0" * 5),
        "recall": (GOLDEN.parent / "coordinate_descent.safetensors").read_bytes()[:4096],
    }


def config() -> dict[str, bytes]:
    names = ("defaults", "few_states", "compressed_4", "several_recurrent")
    seeds = {name: (GOLDEN / name / "config.json").read_bytes() for name in names}
    seeds["routed"] = (HERE.parents[1] / "models/recall-routed/config.json").read_bytes()
    seeds["daemon"] = (HERE.parents[1] / "config/unrolld.json").read_bytes()
    return seeds


def wire() -> dict[str, bytes]:
    def frame(head: dict[str, object], data: bytes = b"") -> bytes:
        text = json.dumps(head).encode()
        return b"UPRL" + struct.pack("<IQ", len(text), len(data)) + text + data

    plugin = {"name": "p", "version": "1", "description": "", "wants": 7, "top_k": 4, "saves": True, "options": ""}
    at = {"tokens": 0, "offsets": 64, "logprobs": 128, "entropy": 192, "text": 256, "top_ids": 320,
          "top_logprobs": 384, "hidden": 448}
    process = {"type": "process", "instance": 1, "index": 0, "first_token": 0, "length": 4, "top_k": 2, "dim": 4,
               "text_bytes": 9, "at": at}
    return {
        "hello": AT_ONCE + frame({"type": "hello", "abi": 1, "plugins": [plugin]}),
        "block": AT_ONCE + frame(process),
        "outputs": BYTE_BY_BYTE + frame({"type": "output"}, b'{"a":\n [1, "\\"x\\n"]}') + frame({"type": "output"}, b"7")
                   + frame({"type": "done", "status": 0, "error": ""}, b"state"),
        "log": b"\x03" + frame({"type": "log", "level": 2}, b"words \xff\n") + frame({"type": "refused", "error": "no"}),
    }


def journal() -> dict[str, bytes]:
    """As journal.cc takes it apart: damage to values or not, how many steps, each of a kind, a column and a value."""
    integer = lambda column, value: struct.pack("<BBBq", 4, column, 0, value)
    text = lambda column, value: struct.pack("<BBBH", 4, column, 2, len(value)) + value
    blob = lambda column, value: struct.pack("<BBBH", 4, column, 3, len(value)) + value
    return {
        "undamaged": b"\x00",
        "phase": b"\x01\x00" + integer(7, 9),
        "plugins": b"\x01\x00" + text(5, b"["),
        "states": b"\x01\x02" + blob(17, b"short") + blob(22, b"") + text(26, b"no JSON"),
        "places": b"\x01\x02" + integer(14, -1) + integer(15, 1 << 62) + integer(16, 5),
        "version": b"\x01\x00" + struct.pack("<BBi", 0, 0, 3),
        "empty": b"\x01\x00" + bytes([1, 1]),
        "no_outputs": b"\x01\x00" + bytes([2, 23]),
        "bytes": b"\x00\x02" + struct.pack("<IBIB", 100, 5, 5000, 255),
    }


def tokenizer_split() -> dict[str, bytes]:
    sizes = bytes(range(0, 48, 3))
    odd = b"\x00\xff\xed\xa0\x80\xc0\x80<s></s><0x0A> \xe2\x96\x81\xe2\x96\x81"
    return {
        "text": sizes + TEXT.encode(),
        "odd": bytes(16) + odd * 3,
        "long_line": b"\xff" * 16 + ("word\u2581🙂 " * 450).encode(),
        "spaces": b"\x80" * 16 + b" " * 5000 + b"\n\n x",
    }


def tokenizer_json() -> dict[str, bytes]:
    level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}

    def file(pre_tokenizer: object, **more: object) -> bytes:
        tokens = [chr(byte) for byte in range(33, 127)] + ["Ġ", "Ċ", "Ġa", "ab", "abc"]
        model = {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "merges": [["Ġ", "a"], ["a", "b"], "ab c"]}
        return json.dumps({"model": model | more, "added_tokens": [{"id": len(tokens), "content": "</s>", "special": True}],
                           "normalizer": {"type": "NFC"}, "pre_tokenizer": pre_tokenizer}, ensure_ascii=False).encode()

    def split(pattern: str) -> dict[str, object]:
        return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}

    def characters(**more: object) -> bytes:
        tokens = ["<s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "é", "x", "▁a", "ab", "xx", "▁▁", "b▁"]
        model = {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "byte_fallback": True,
                 "merges": ["▁ a", "a b", "x x", "▁ ▁", "b ▁"]}
        return json.dumps({"model": model, "added_tokens": [{"id": 0, "content": "<s>", "special": True}]} | more, ensure_ascii=False).encode()

    marks = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    return {
        "gpt2": file(level | {"use_regex": True}),
        "qwen2": file({"type": "Sequence", "pretokenizers": [split(r"\p{L}+|\p{N}|\s*[\r\n]+|\s+(?!\S)|\s+"), level]}),
        "smollm": file({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level]}, ignore_merges=True),
        "splits": file({"type": "Sequence", "pretokenizers": [split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s+$"), level]}, unk_token="a"),
        "mistral": characters(normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, marks]}),
        "metaspace": characters(pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}),
    }


def model_state() -> dict[str, bytes]:
    """As model_state.cc takes it: places, widths (1 << n bytes) and numbers; or all that follows the tag."""
    change = lambda place, number: struct.pack("<IBI", place, 2, number)
    tensor = struct.pack("<I4q", 4, 2, 1, 4, 8) + bytes(2 * 4 * 8 * 4)
    return {
        "as_saved": b"\x00",
        "token": b"\x00" + change(0, 49),
        "counts": b"\x00" + change(4, 0),
        "shape": b"\x00" + change(16, 1) + change(32, 0xFFFFFFFF),
        "anew": b"\x01" + struct.pack("<iII", 3, 2, 1) + tensor * 2,
        "finding-empty_tensor": b"\x01" + struct.pack("<iII", 3, 2, 1) + struct.pack("<Iq", 1, 0),
    }


def snapshot_file() -> dict[str, bytes]:
    """As snapshot_file.cc takes it: a number in the header, and its new value; then bytes of the states, or a header."""
    change = lambda which, number: struct.pack("<BBQ", 0, which, number)
    byte = lambda place, value: struct.pack("<BIB", 1, place, value)
    seeds = {f"number{i}": change(i, 3) for i in range(14)}
    return seeds | {
        "as_written": b"",
        "huge": change(0, (1 << 64) - 1) + change(4, 1 << 63),
        "states": byte(10, 0) + byte(1000, 255),
        "header": b"\x02" + b'{"name": "a", "point": {}}',
    }


def gguf() -> dict[str, bytes]:
    """A llama of one layer whose matrices are of all types in turn, and files that are no model."""
    text = lambda value: struct.pack("<Q", len(value)) + value.encode()
    integer = lambda key, value: text(key) + struct.pack("<II", 4, value)
    string = lambda key, value: text(key) + struct.pack("<I", 8) + text(value)
    kinds = {0: (1, 4), 1: (1, 2), 30: (1, 2), 8: (32, 34), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24),
             12: (256, 144), 13: (256, 176), 14: (256, 210)}

    def file(keys: list[bytes], tensors: dict[str, tuple[int, list[int]]], version: int = 3) -> bytes:
        described, data = b"", b""
        for name, (kind, shape) in tensors.items():
            numbers, size = kinds[kind]
            described += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(data))
            count = 1
            for dimension in shape:
                count *= dimension
            data += bytes(count // numbers * size)
            data += bytes(-len(data) % 32)
        head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + described
        return head + bytes(-len(head) % 32) + data

    def model(matrix: int, hidden: int, architecture: str = "llama") -> bytes:
        keys = [string("general.architecture", architecture), integer(architecture + ".embedding_length", hidden),
                integer(architecture + ".block_count", 1), integer(architecture + ".feed_forward_length", hidden),
                integer(architecture + ".attention.head_count", 2),
                integer(architecture + ".attention.head_count_kv", 1),
                text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
                text(architecture + ".rope.freq_base") + struct.pack("<If", 6, 100.0)]
        tensors = {"token_embd.weight": (1, [hidden, 2]), "output_norm.weight": (0, [hidden])}
        for name, rows in (("attn_q", hidden), ("attn_k", hidden // 2), ("attn_v", hidden // 2),
                           ("attn_output", hidden), ("ffn_gate", hidden), ("ffn_up", hidden), ("ffn_down", hidden)):
            tensors[f"blk.0.{name}.weight"] = (matrix, [hidden, rows])
        for name in ("attn_norm", "ffn_norm"):
            tensors[f"blk.0.{name}.weight"] = (0, [hidden])
        if architecture == "qwen3":
            tensors |= {f"blk.0.attn_{name}_norm.weight": (0, [hidden // 2]) for name in "qk"}
        return file(keys, tensors)

    seeds = {f"type_{kind}": model(kind, 32 if numbers == 32 else 4) for kind, (numbers, _) in kinds.items()
             if numbers <= 32}
    wide = {f"type_{kind}": file([string("general.architecture", "llama")],
                                 {"token_embd.weight": (1, [256, 2]), "wide": (kind, [256, 2])}) for kind in (12, 13, 14)}
    return seeds | wide | {"qwen3": model(0, 4, "qwen3"), "empty": file([], {}, version=2)}


def pretrained() -> dict[str, bytes]:
    golden = HERE.parent / "model" / "pretrained" / "golden"
    config = json.loads((golden / "llama" / "config.json").read_text())
    header = (golden / "llama" / "model.safetensors").read_bytes()
    names = json.loads(header[8:8 + struct.unpack("<Q", header[:8])[0]])
    index = {"metadata": {}, "weight_map": {name: "a.safetensors" for name in names if name != "__metadata__"}}
    old = {key: value for key, value in config.items() if key != "rope_parameters"}
    scaling = {"type": "linear", "factor": 2.0}
    seeds = {path.name: (path / "config.json").read_bytes() for path in sorted(golden.iterdir())}
    return seeds | {
        "index": json.dumps(index).encode(),
        "old": json.dumps(old | {"rope_theta": 10000.0, "rope_scaling": scaling}).encode(),
        "settings": json.dumps(config | {"unroll": {"block_width": 8, "memory_blocks": 2}}).encode(),
        "window": json.dumps(config | {"model_type": "mistral", "sliding_window": 2048}).encode(),
    }


def documents() -> dict[str, bytes]:
    def members(kind: int, archive: str, *names: str) -> bytes:
        return bytes([kind]) + b"\x1e".join(hostile.ARCHIVES[archive][name] for name in names)

    line = "<line xMin='72' yMin='{0}' xMax='{1}' yMax='{2}'><word>{3}</word> <word>goes on-</word></line>"
    block = "".join(line.format(100 + 14 * i, 540 - i % 3 * 90, 112 + 14 * i, "The light") for i in range(6))
    page = f"<page width='612' height='792'>{line.format(20, 300, 32, 'Head')}<block>{block}</block></page>"
    return {
        "text": b"\x00" + hostile.LINES.encode(),
        "unwrap": b"\x18" + hostile.LINES.encode("utf-16"),
        "latin": b"\x20" + hostile.LINES.encode("latin-1"),
        "markdown": b"\x01" + hostile.MARKDOWN.encode(),
        "html": b"\x02" + hostile.XHTML.encode(),
        "fb2": b"\x00" + hostile.FB2.encode(),
        "fodt": b"\x00" + hostile.ODT.encode(),
        "rtf": b"\x00" + hostile.RTF.encode(),
        "pdf": b"\x03" + f"<html><body><doc>{page * 4}</doc></body></html>".encode(),
        "epub": members(4, "x.epub", "O/b.opf", "O/toc.ncx", "O/nav.xhtml", "O/a.xhtml", "O/b c.xhtml"),
        "docx": members(5, "x.docx", "word/styles.xml", "word/footnotes.xml", "word/document.xml"),
        "odt": members(6, "x.odt", "content.xml"),
        "zip": members(7, "x.zip", "d.md", "a.html", "b.txt"),
        "zip_bytes": b"\x00" + hostile.packed(hostile.ARCHIVES["x.docx"]),
    }


def main() -> None:
    makers = {"json_rpc": json_rpc, "http": http, "documents": documents, "safetensors": safetensors, "config": config, "plugin_wire": wire,
              "journal": journal, "model_state": model_state, "snapshot_file": snapshot_file, "gguf": gguf,
              "pretrained": pretrained, "tokenizer_json": tokenizer_json,
              "tokenizer_split": tokenizer_split}
    for target, make in makers.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in make().items():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
