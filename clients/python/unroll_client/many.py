"""Many documents through one connection, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .document import Document
from .errors import PluginFailedError, UnrollError
from .events import Done, Output, Plugins

if TYPE_CHECKING:
    from .client import Client

#: Plugins for what score_many() yields: figures of the whole document alone.
DOCUMENT_SCORE: Plugins = {"score": {"granularity": "document", "top": 0}}

_LONG = 1 << 20  # sent in pieces, not in one request


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """`outputs`: the last output of each plugin, which describes the whole document. `error`: a plugin failed on it."""

    index: int
    tokens: int = 0
    bytes: int = 0
    outputs: dict[str, Any] = field(default_factory=dict)
    error: UnrollError | None = None


def read_many(
    client: Client, plugins: Plugins, texts: Iterable[str], in_flight: int, how: dict[str, Any]
) -> Generator[ReadDocument, None, None]:
    opened: deque[tuple[int, Document]] = deque()
    try:
        for index, text in enumerate(texts):
            source = {"text": text} if len(text) < _LONG else {"stream": [text.encode()]}
            opened.append((index, client.open(plugins, **source, **how)))
            if len(opened) >= in_flight:
                yield _read(*opened.popleft())
        while opened:
            yield _read(*opened.popleft())
    finally:
        for _, document in opened:
            with document:
                pass  # cancels it


def _read(index: int, document: Document) -> ReadDocument:
    outputs: dict[str, Any] = {}
    with document:
        try:
            for event in document:
                if isinstance(event, Output):
                    outputs[event.plugin] = event.data
                elif isinstance(event, Done):
                    return ReadDocument(index, event.tokens, event.bytes, outputs)
        except PluginFailedError as error:
            return ReadDocument(index, error=error)
    raise AssertionError("a document ends with Done or an error")
