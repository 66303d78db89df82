"""What a plugin receives: blocks of a document as views of shared memory, the document's end, and the vocabulary."""

from __future__ import annotations

import builtins
import dataclasses
import mmap
import os
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
UInt64Array = npt.NDArray[np.uint64]
Float32Array = npt.NDArray[np.float32]


def map_read_only(descriptor: int, size: int) -> mmap.mmap:
    """Maps a memfd and closes it. Raises ValueError if the file is shorter, because reading there would kill the
    process."""
    try:
        if size <= 0 or os.fstat(descriptor).st_size < size:
            raise ValueError(f"a memory file shorter than {size} bytes")
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Location of a block's arrays in the arena: byte offsets by name, only of what the plugin wants."""

    index: int
    first_token: int
    length: int
    top_k: int
    dim: int
    text_bytes: int
    at: dict[str, int]

    def array(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """One of the arrays, with its shape."""
        arrays: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
            "tokens": (np.dtype(np.int32), (self.length,)),
            "offsets": (np.dtype(np.uint64), (self.length + 1,)),
            "logprobs": (np.dtype(np.float32), (self.length,)),
            "entropy": (np.dtype(np.float32), (self.length,)),
            "word_end": (np.dtype(np.float32), (self.length,)),
            "ranks": (np.dtype(np.int32), (self.length,)),
            "hidden": (np.dtype(np.float32), (self.length, self.dim)),
            "top_ids": (np.dtype(np.int32), (self.length, self.top_k)),
            "top_logprobs": (np.dtype(np.float32), (self.length, self.top_k)),
            "text": (np.dtype(np.uint8), (self.text_bytes,)),
        }
        return arrays[name]


class Block:
    """`length` consecutive tokens of one document. Blocks can end anywhere, also inside a word or a UTF-8 sequence.

    The arrays are read-only views of memory that is shared with the host: nothing is copied, and nothing can be
    written. After process() has returned, the memory is used for other blocks: copy what you keep. The block then
    raises RuntimeError. What the plugin does not want raises AttributeError.
    """

    def __init__(self, layout: Layout, arena: mmap.mmap):
        self._layout = layout
        self._arena: mmap.mmap | None = arena
        self._text: bytes | None = None

    def __len__(self) -> int:
        return self._layout.length

    @property
    def index(self) -> int:
        """Index of this block in the document, from 0."""
        return self._layout.index

    @property
    def first_token(self) -> int:
        """Index of tokens[0] in the document, from 0."""
        return self._layout.first_token

    @property
    def length(self) -> int:
        """Tokens in this block, at least 1."""
        return self._layout.length

    @property
    def tokens(self) -> Int32Array:
        """[length] vocabulary ids."""
        return self._view("tokens")

    @property
    def offsets(self) -> UInt64Array:
        """[length + 1] bytes of the original document: token i is offsets[i] up to offsets[i + 1]."""
        return self._view("offsets")

    @property
    def logprobs(self) -> Float32Array:
        """[length] nats, 0 or less: log p(token i | everything before it)."""
        return self._view("logprobs")

    @property
    def entropy(self) -> Float32Array:
        """[length] nats, of the distribution that token i was drawn from. Wants "entropy"."""
        return self._view("entropy")

    @property
    def word_end(self) -> Float32Array:
        """[length] nats: log of the probability that a word ends before token i, that of all tokens that begin with
        white space or end a text. Wants "word_end"."""
        return self._view("word_end")

    @property
    def ranks(self) -> Int32Array:
        """[length] of token i in that distribution: 1 is the most probable token. Wants "ranks"."""
        return self._view("ranks")

    @property
    def hidden(self) -> Float32Array:
        """[length, dim] the last layer's output from which token i is predicted. Wants "hidden"."""
        return self._view("hidden")

    @property
    def top_ids(self) -> Int32Array:
        """[length, top_k] the most probable tokens, best first. Only for plugins with a top_k."""
        return self._view("top_ids")

    @property
    def top_logprobs(self) -> Float32Array:
        """[length, top_k] nats, for top_ids."""
        return self._view("top_logprobs")

    @property
    def text(self) -> bytes:
        """The bytes offsets[0] up to offsets[length]; may be invalid UTF-8. A copy, made once. Wants "text"."""
        view = self._view("text")
        if self._text is None:
            self._text = view.tobytes()
        return self._text

    def token_text(self, i: int) -> bytes:
        """The bytes of token i; some tokens have none. Wants "text"."""
        length = self._layout.length
        if not -length <= i < length:
            raise IndexError(f"token {i} of a block of {length}")
        offsets, i = self.offsets, i % length
        return self.text[int(offsets[i] - offsets[0]) : int(offsets[i + 1] - offsets[0])]

    def _view(self, name: str) -> npt.NDArray[Any]:
        if self._arena is None:
            raise RuntimeError(f"block.{name} was read after process() had returned: the block is over, keep a copy")
        if name not in self._layout.at:
            add = "give the plugin a top_k" if name.startswith("top_") else f'add "{name}" to the plugin\'s wants'
            raise AttributeError(f"block.{name} is not there: {add}")
        kind, shape = self._layout.array(name)
        return np.ndarray(shape, kind, self._arena, self._layout.at[name])

    def _end(self) -> None:
        self._arena = self._text = None


@dataclasses.dataclass(frozen=True)
class End:
    """The end of a document, with its totals."""

    tokens: int
    bytes: int
    word_end: float = 0.0
    """With "word_end" wanted: nats, after the last token."""


@dataclasses.dataclass(frozen=True)
class Fork:
    """The document before has ended, and a new one begins: blocks count from 0 again."""

    tokens: int
    """Of the document before, in the blocks that came."""
    bytes: int
    """Of the document before."""
    head: builtins.bytes
    """With "text" wanted: its bytes of the token that comes next, of which the block has the rest."""


class Vocabulary(Sequence[bytes]):
    """vocabulary[id] is the bytes of that token. Empty if the host has no vocabulary."""

    def __init__(self, count: int = 0, table: mmap.mmap | None = None):
        """`table`: uint64 offsets [count + 1], then the bytes. Raises ValueError."""
        self._bytes: bytes | mmap.mmap = b"" if table is None else table
        self._offsets = np.zeros(1, np.uint64) if table is None else np.frombuffer(table, np.uint64, count + 1)
        self._start = self._offsets.nbytes
        if np.any(self._offsets[1:] < self._offsets[:-1]) or (
            table is not None and int(self._offsets[-1]) > len(table) - self._start
        ):
            raise ValueError("a vocabulary whose offsets are not in order")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> list[bytes]: ...
    def __getitem__(self, i: int | slice) -> bytes | list[bytes]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not 0 <= i < len(self):
            raise IndexError(f"token id {i} of a vocabulary of {len(self)}")
        return self._bytes[self._start + int(self._offsets[i]) : self._start + int(self._offsets[i + 1])]
