"""The class that plugins are made from."""

from __future__ import annotations

import copy
import json
import sys
from typing import Any, ClassVar

import numpy as np

from .block import Block, End, Vocabulary
from .errors import OptionsError


class Host:
    """What an instance talks to. This one is for instances made by hand: it logs to stderr and takes no outputs."""

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
    """One instance for each document. Derive from it, give it a name, and define process().

    All calls for an instance come one after another, on one thread. What process() remembers for later has to be in
    the state, as a document may go on in another process after any block. Either `state` is set, a dict that each
    instance gets its own copy of as self.state and that is kept from then on (numbers, texts, bytes, lists, tuples,
    dicts, deques, NumPy arrays), or save() -> bytes and load(bytes) are defined, or nothing is kept."""

    name: ClassVar[str] = ""
    """[a-z][a-z0-9-]{0,31}: what a document asks for. A class without one is no plugin."""
    version: ClassVar[str] = ""
    """Free text. A `state` is refused by another version."""
    description: ClassVar[str] = ""
    """One line for people."""
    wants: ClassVar[tuple[str, ...]] = ()
    """Some of "entropy", "hidden", "text". What nobody wants is not computed."""
    top_k: ClassVar[int] = 0
    """How many likely tokens it wants for each token: 1 to 64, or 0."""
    options_schema: ClassVar[dict[str, Any]] = {}
    """A JSON Schema of the options, for `unroll plugin list`."""
    state: dict[str, Any]

    log: Log
    _host: Host

    def __new__(cls, *_: Any, **__: Any) -> Plugin:
        """Before __init__, so that no __init__ has to call the one here."""
        instance = super().__new__(cls)
        instance._attach(Host())
        if hasattr(cls, "state"):
            instance.state = copy.deepcopy(cls.state)
        return instance

    def __init__(self, options: dict[str, Any]):
        """`options`: those of the document, {} where none were given. This one refuses all."""
        for key in options:
            raise OptionsError(f"option {json.dumps(key)} is unknown; {type(self).name} takes no options")

    def process(self, block: Block) -> None:
        """Each block, in order."""
        raise NotImplementedError

    def finish(self, end: End) -> None:
        """The document has ended: emit what is left. Not called where it failed or was cancelled."""

    def emit(self, value: Any) -> None:
        """One output: what json.dumps takes, NumPy's numbers and arrays too. From process() and finish() only."""
        self._host.emit(encode_output(value))

    @property
    def vocabulary(self) -> Vocabulary:
        """The bytes of each token id."""
        return self._host.vocabulary

    def _attach(self, host: Host) -> None:
        self._host = host
        self.log = Log(host)


def encode_output(value: Any) -> bytes:
    """As compact JSON in UTF-8. Throws ValueError and TypeError."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_of_numpy)
        return text.encode()
    except UnicodeEncodeError:
        hint = 'decode the document\'s bytes with str(..., "utf-8", "replace")'
        raise ValueError(f"an output holds a text that is not UTF-8: {hint}") from None
    except ValueError as error:
        if "Circular" in str(error):
            raise
        raise ValueError("an output holds NaN or an infinity, which JSON cannot say: emit None instead") from None


def _of_numpy(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind in "biuf":
        return value.tolist()
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError('an output holds bytes: make a text of them with str(..., "utf-8", "replace")')
    raise TypeError(f"an output holds {type(value).__name__}, which is no JSON")
