"""The base class of plugins."""

from __future__ import annotations

import copy
import json
import sys
from typing import Any, ClassVar

import numpy as np

from .block import Block, End, Vocabulary
from .errors import OptionsError


class Host:
    """The host of an instance. This one is for instances created by hand: it logs to stderr and takes no outputs."""

    vocabulary = Vocabulary()

    def emit(self, text: bytes) -> None:
        raise RuntimeError("emit() may only be called while process() or finish() is called")

    def log(self, level: int, text: str) -> None:
        print(("debug", "info", "warning", "error")[level] + ":", text, file=sys.stderr)


class Log:
    """Lines for the daemon's log. Never the document's text."""

    def __init__(self, host: Host):
        self._host = host

    def debug(self, text: str) -> None:
        self._host.log(0, str(text))

    def info(self, text: str) -> None:
        self._host.log(1, str(text))

    def warning(self, text: str) -> None:
        self._host.log(2, str(text))

    def error(self, text: str) -> None:
        self._host.log(3, str(text))


class Plugin:
    """One instance per document. Derive from it, give it a name, and define process().

    All calls for an instance come one after another, on one thread. Everything that process() remembers must be in
    the state, because a document may continue in another process after any block. Either set `state`, a dict: each
    instance gets its own copy as self.state, which is saved (numbers, strings, bytes, lists, tuples, dicts, deques,
    NumPy arrays). Or define save() -> bytes and load(bytes). Otherwise nothing is kept.
    """

    name: ClassVar[str] = ""
    """[a-z][a-z0-9-]{0,31}: requested by documents. A class without a name is not a plugin."""
    version: ClassVar[str] = ""
    """Free text. A `state` is refused by another version."""
    description: ClassVar[str] = ""
    """One line."""
    wants: ClassVar[tuple[str, ...]] = ()
    """Some of "entropy", "hidden", "text", "word_end", "ranks". What no plugin wants is not computed."""
    top_k: ClassVar[int] = 0
    """Number of most probable tokens for each token: 1 to 64, or 0."""
    options_schema: ClassVar[dict[str, Any]] = {}
    """A JSON Schema of the options, for `unroll plugin list`."""
    state: dict[str, Any]

    log: Log
    _host: Host

    def __new__(cls, *_: Any, **__: Any) -> Plugin:
        """Runs before __init__, so that no __init__ has to call the one of this class."""
        instance = super().__new__(cls)
        instance._attach(Host())
        if hasattr(cls, "state"):
            instance.state = copy.deepcopy(cls.state)
        return instance

    def __init__(self, options: dict[str, Any]):
        """`options`: those of the document, {} if none were given. This __init__ refuses all options."""
        for key in options:
            raise OptionsError(f"option {json.dumps(key)} is unknown; {type(self).name} takes no options")

    def process(self, block: Block) -> None:
        """Called for each block, in order."""
        raise NotImplementedError

    def finish(self, end: End) -> None:
        """The document has ended: emit the rest. Not called if the document failed or was cancelled."""

    # def fork(self, point: Fork) -> None: optional. The document before has ended, and a new one begins.

    def emit(self, value: Any) -> None:
        """Emits one output: anything that json.dumps takes, and NumPy's numbers and arrays. Only in process() and
        finish()."""
        self._host.emit(encode_output(value))

    @property
    def vocabulary(self) -> Vocabulary:
        """The bytes of each token id."""
        return self._host.vocabulary

    def _attach(self, host: Host) -> None:
        self._host = host
        self.log = Log(host)


def encode_output(value: Any) -> bytes:
    """Encodes as compact JSON in UTF-8. Raises ValueError and TypeError."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_of_numpy)
        return text.encode()
    except UnicodeEncodeError:
        hint = 'decode the document\'s bytes with str(..., "utf-8", "replace")'
        raise ValueError(f"an output holds a text that is not UTF-8: {hint}") from None
    except ValueError as error:
        if "Circular" in str(error):
            raise
        raise ValueError("an output holds NaN or an infinity, which JSON cannot represent: emit None instead") from None


def _of_numpy(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind in "biuf":
        return value.tolist()
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError('an output holds bytes: decode them with str(..., "utf-8", "replace")')
    raise TypeError(f"an output holds {type(value).__name__}, which is not JSON")
