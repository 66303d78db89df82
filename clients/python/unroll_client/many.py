"""Many documents through one connection, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .document import Document
from .errors import PluginFailedError, TextError, UnrollError
from .events import Done, Output, Plugins

if TYPE_CHECKING:
    from .client import Client

#: Plugins for what score_many() yields: figures of the whole document alone.
DOCUMENT_SCORE: Plugins = {"score": {"granularity": "document", "top": 0}}

_LONG = 1 << 20  # sent in pieces, not in one request


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """`outputs`: the last output of each plugin, which describes the whole document. `error`: it is no text, or a
    plugin failed on it."""

    index: int
    tokens: int = 0
    bytes: int = 0
    outputs: dict[str, Any] = field(default_factory=dict)
    error: UnrollError | None = None


def read_many(
    client: Client, plugins: Plugins, texts: Iterable[str], in_flight: int, how: dict[str, Any]
) -> Generator[ReadDocument, None, None]:
    opened: deque[tuple[int, Document | TextError]] = deque()
    try:
        for index, text in enumerate(texts):
            opened.append((index, _open(client, plugins, text, how)))
            if len(opened) >= in_flight:
                yield _read(*opened.popleft())
        while opened:
            yield _read(*opened.popleft())
    finally:
        for _, document in opened:
            if isinstance(document, Document):
                with document:
                    pass  # cancels it


def _open(client: Client, plugins: Plugins, text: object, how: dict[str, Any]) -> Document | TextError:
    """One record without a text must not end the reading of all others."""
    if not isinstance(text, str):
        return TextError(f"the document is no text but of the type {type(text).__name__}")
    try:
        source = {"text": text} if len(text) < _LONG else {"stream": [text.encode()]}
        return client.open(plugins, **source, **how)
    except TextError as error:
        return error
    except UnicodeEncodeError:
        return TextError("the text holds half of a surrogate pair")


def _read(index: int, document: Document | TextError) -> ReadDocument:
    if isinstance(document, TextError):
        return ReadDocument(index, error=document)
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
