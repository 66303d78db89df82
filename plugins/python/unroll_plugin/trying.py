"""`--try`: runs a file's plugins over a text without a model, with artificial numbers from a seed."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from .block import Float32Array, Int32Array, Layout, UInt64Array
from .hosting import Arena, PluginFailed, WorkerGone, WorkerProcess
from .loading import WANT_TOP_K, WANTS

_VOCABULARY = 8192
_WIDTH = 512  # tokens per block, as in the shipped model
_DIM = 64
_ALIGNMENT = 64
_TOKEN = re.compile(rb" ?[^\W_]{1,12}|\s{1,8}|[\x00-\xff]")


@dataclasses.dataclass
class Document:
    """All arrays of a whole document's Block. The same text and seed give the same numbers."""

    text: bytes
    tokens: Int32Array
    offsets: UInt64Array
    logprobs: Float32Array
    entropy: Float32Array
    word_end: Float32Array
    ranks: Int32Array
    hidden: Float32Array
    top_ids: Int32Array
    top_logprobs: Float32Array

    @classmethod
    def made_up(cls, text: bytes, top_k: int = 5, dim: int = _DIM, seed: int = 1) -> Document:
        """Tokens are words and punctuation. hidden is a random vector for each word, so that similar texts have
        similar vectors."""
        random = np.random.Generator(np.random.PCG64(seed))
        ends = [match.end() for match in _TOKEN.finditer(text)]
        length = len(ends)
        words: dict[bytes, int] = {}
        for start, end in zip([0, *ends], ends):
            words.setdefault(text[start:end].strip().lower(), len(words) % _VOCABULARY)
        tokens = [words[text[start:end].strip().lower()] for start, end in zip([0, *ends], ends)]
        vectors = random.standard_normal((_VOCABULARY, dim), np.float32)
        return cls(
            text, np.array(tokens, np.int32), np.array([0, *ends], np.uint64),
            -random.exponential(3, length).astype(np.float32), 5 * random.random(length, np.float32),
            -3 * random.random(length, np.float32), random.integers(1, _VOCABULARY, length, np.int32),
            vectors[tokens].reshape(length, dim),
            random.integers(0, _VOCABULARY, (length, top_k), np.int32),
            -np.cumsum(random.random((length, top_k), np.float32) + np.float32(0.1), axis=1))  # fmt: skip

    def blocks(self, about: dict[str, Any], width: int = _WIDTH) -> Iterator[tuple[Layout, bytes]]:
        """For each block: its layout for the hello message, and an arena's bytes."""
        for index, first in enumerate(range(0, len(self.tokens), width)):
            yield self._block(about, index, first, min(width, len(self.tokens) - first))

    def _block(self, about: dict[str, Any], index: int, first: int, length: int) -> tuple[Layout, bytes]:
        start, end = int(self.offsets[first]), int(self.offsets[first + length])
        arrays = {"tokens": self.tokens, "logprobs": self.logprobs}
        arrays |= {name: getattr(self, name) for name in WANTS if name != "text" and about["wants"] & WANTS[name]}
        top_k = about["top_k"] if about["wants"] & WANT_TOP_K else 0
        if top_k:
            arrays |= {"top_ids": self.top_ids[:, :top_k], "top_logprobs": self.top_logprobs[:, :top_k]}
        pieces = {name: array[first : first + length].tobytes() for name, array in arrays.items()}
        pieces["offsets"] = self.offsets[first : first + length + 1].tobytes()
        if about["wants"] & WANTS["text"]:
            pieces["text"] = self.text[start:end]
        at, data = {}, bytearray()
        for name, piece in pieces.items():
            at[name] = len(data)
            data += piece + bytes(-len(piece) % _ALIGNMENT)
        dim = self.hidden.shape[1] if "hidden" in at else 0
        return Layout(index, first, length, top_k, dim, end - start if "text" in at else 0, at), bytes(data)


class Reading:
    """A document read by one plugin of a worker. `resumed`: by a new instance before each block and the end."""

    _numbers = itertools.count(1)

    def __init__(self, worker: WorkerProcess, about: dict[str, Any], options: str = "{}", resumed: bool = False):
        self._worker, self._about, self._options, self._resumed = worker, about, options, resumed
        self._instance = 0
        self._state = b""

    def outputs(self, document: Document, width: int = _WIDTH) -> Iterator[bytes]:
        """Raises PluginFailed and WorkerGone."""
        blocks = list(document.blocks(self._about, width))
        arena = Arena(max([4096, *(len(data) for _, data in blocks)]))
        self._worker.use(arena)
        self._create()
        for layout, data in blocks:
            arena.fill(data)
            yield from self._call({"type": "process", **dataclasses.asdict(layout)})
        arena.fill(b"")
        totals = {"tokens": len(document.tokens), "bytes": len(document.text), "word_end": -0.5}
        yield from self._call({"type": "finish", **totals})
        self._worker.send({"type": "destroy", "instance": self._instance})

    def _create(self) -> None:
        self._instance = next(self._numbers)
        create = {
            "type": "create",
            "instance": self._instance,
            "plugin": self._about["name"],
            "options": self._options,
        }
        _, self._state = self._worker.call(create)

    def _call(self, fields: dict[str, Any]) -> list[bytes]:
        if self._resumed:
            state = self._state
            self._worker.send({"type": "destroy", "instance": self._instance})
            self._create()
            if self._about["saves"]:
                self._worker.call({"type": "load", "instance": self._instance}, state)
        outputs, self._state = self._worker.call({**fields, "instance": self._instance})
        return outputs


def main(file: str, text_file: str, options: str) -> int:
    """Prints the outputs, one per line, then on stderr whether a resumed document has the same ones."""
    with open(text_file, "rb") as source:
        text = source.read()
    try:
        json.loads(options)
        with WorkerProcess(file) as worker:
            good = [_try(worker, about, text, options) for about in worker.plugins]
    except ValueError as error:
        print(f"--options is not JSON: {error}", file=sys.stderr)
        return 2
    except (PluginFailed, WorkerGone) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0 if all(good) else 1


def _try(worker: WorkerProcess, about: dict[str, Any], text: bytes, options: str) -> bool:
    document = Document.made_up(text, max(about["top_k"], 1))
    outputs = []
    for output in Reading(worker, about, options).outputs(document):
        print(output.decode(), flush=True)
        outputs.append(output)
    for level, line in worker.logs:
        print(("debug", "info", "warning", "error")[level] + ":", line, file=sys.stderr)
    worker.logs.clear()
    again = list(Reading(worker, about, options, resumed=True).outputs(document, _WIDTH))
    same = again == outputs
    verdict = "PASSED" if same else "FAILED"
    detail = "the same when" if same else "other ones when"
    print(
        f"{verdict}: {about['name']}: {len(outputs)} outputs; {detail} resumed before every block",
        file=sys.stderr,
    )
    if not same:
        print("what process() remembers for later has to be in its state, as a copy", file=sys.stderr)
    return same
