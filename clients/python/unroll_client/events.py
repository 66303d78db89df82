"""Events and status of a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Union

from .errors import UnrollError, error_from_json
from .sockets import StrPath

#: "score", several names, or names with options: {"score": {"granularity": "line"}, "anomaly": {}}.
Plugins = Union[str, Sequence[str], Mapping[str, Mapping[str, Any]]]


class OpenOptions(TypedDict, total=False):
    """The parameters of document.open besides plugins; see docs/protocol.md.

    One of `text`, `path`, `fd` and the clients' `stream` gives the document's bytes. The caller keeps `fd` and
    closes it.
    """

    text: str
    path: StrPath
    fd: int
    model: str
    name: str
    priority: int
    deadline_ms: int
    flush_after_ms: int
    keep_outputs: int
    total_bytes: int
    after: str  # the name of a snapshot to go on from; document.open calls it `from`
    snapshot: str | Mapping[str, Any]  # makes one of the document's end: a name, or {"name", "expires_s"}


class SnapshotOptions(TypedDict, total=False):
    """What a snapshot is made of: an open `document`, or one of `text`, `path` and `fd`, read with `plugins`."""

    document: str
    text: str
    path: StrPath
    fd: int
    plugins: Plugins
    model: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a plugin. `sequence` counts from 0 over all plugins of the document."""

    document: str
    plugin: str
    sequence: int
    data: Any


@dataclass(frozen=True, slots=True)
class Progress:
    document: str
    bytes: int
    tokens: int
    tokens_per_second: float
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of a document that was read to its end."""

    document: str
    bytes: int
    tokens: int
    outputs: int
    tokens_per_second: float


Event = Union[Output, Progress, Done]


@dataclass(frozen=True, slots=True)
class Status:
    """`phase` is "open", "done" or "failed". `resume_bytes` is set if the document waits to be resumed."""

    document: str
    name: str
    priority: int
    phase: str
    bytes: int
    tokens: int
    outputs: int
    tokens_per_second: float
    total_bytes: int | None = None
    error: UnrollError | None = None
    resume_bytes: int | None = None
    resume_sha256: str | None = None  # of the bytes before, in hexadecimal
    model: str = ""  # that reads it; empty: an older daemon opened it

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Status:
        known = {key: value[key] for key in cls.__slots__ if key in value}
        if "error" in known:
            known["error"] = error_from_json(known["error"])
        return cls(**known)

    @property
    def must_be_resumed(self) -> bool:
        """If false, attach to the document for its outputs."""
        return self.phase == "failed" or (self.phase == "open" and self.resume_bytes is not None)


_EVENTS = {"document.output": Output, "document.progress": Progress}


def event_from_json(method: str, params: dict[str, Any]) -> Event | None:
    """None for a notification of a later daemon, which is ignored, as are unknown fields."""
    if method == "document.done":
        kind: type[Event] = Done
        params = {"document": params["document"], **params["summary"]}
    elif method in _EVENTS:
        kind = _EVENTS[method]
    else:
        return None
    return kind(**{key: params[key] for key in kind.__slots__ if key in params})
