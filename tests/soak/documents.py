"""Documents from a seed, and the expected outputs of each: those of reading it alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import unroll_client as unroll

PLUGINS: dict[str, dict[str, dict[str, Any]]] = {
    "score": {"score": {"granularity": "line"}},
    "anomaly": {"anomaly": {}},
    "both": {"score": {"granularity": "line"}, "anomaly": {}},
}
SIZES = (0, 1, 300, 300, 2_000, 2_000, 5_000, 5_000, 20_000, 60_000, 200_000)  # large ones are chosen more rarely
_WORDS = "the a of whale server größer 答え error started in 10.0.0.7 time river failed, was and".split()


class Mismatch(Exception):
    """An output that differs from that of an undisturbed reading. Never contains a document's text."""


@dataclass(frozen=True)
class Source:
    name: str
    data: bytes
    path: Path
    weight: float
    outputs: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)  # by name of PLUGINS: plugin and JSON

    @property
    def is_text(self) -> bool:
        try:
            return self.data.decode() is not None
        except UnicodeDecodeError:
            return False


def make_sources(seed: int, marker: str, folder: Path, largest: int) -> list[Source]:
    """`marker` is in all but the shortest, to search for where no document's text belongs."""
    rng = random.Random(f"{seed}/documents")
    sources = []
    for number, size in enumerate(size for size in SIZES if size <= largest):
        data = _text(rng, marker, size)
        if number % 3 == 2:
            data = _damaged(rng, data)
        path = folder / f"document-{number}"
        path.write_bytes(data)
        sources.append(Source(path.name, data, path, weight=1 / (1_000 + size)))
    return sources


def read_alone(socket: str, sources: list[Source]) -> None:
    """Sets `outputs`, one document at a time."""
    for source in sources:
        for plugins, options in PLUGINS.items():
            with unroll.Client(socket, patience=60) as client, client.open(options, path=source.path) as document:
                source.outputs[plugins] = [(output.plugin, encode(output.data)) for output in document.outputs()]


def encode(data: Any) -> bytes:
    """As the daemon writes JSON, byte for byte, to compare HTTP's lines directly."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def pieces(rng: random.Random, data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = start + rng.choice((1, 7, 100, 1_000, 5_000, 20_000))
        yield data[start:end]
        start = end


class Comparison:
    """Checks a document's outputs in order."""

    def __init__(self, source: Source, plugins: str, way: str):
        self._what = f"{source.name} ({len(source.data)} bytes, {plugins}, {way})"
        self._source = source
        self._expected = source.outputs[plugins]
        self.next_sequence = 0
        self.bytes = 0

    def take_event(self, event: unroll.Event) -> None:
        if isinstance(event, unroll.Output):
            if event.sequence != self.next_sequence:
                raise Mismatch(f"{self._what}: output {event.sequence} where {self.next_sequence} was to come")
            self.take(event.plugin, encode(event.data))
        elif isinstance(event, unroll.Done):
            self.end({"bytes": event.bytes, "outputs": event.outputs})

    def take(self, plugin: str, data: bytes) -> None:
        number = self.next_sequence
        if number == len(self._expected):
            raise Mismatch(f"{self._what}: more than {number} outputs")
        if (plugin, data) != self._expected[number]:
            raise Mismatch(f"{self._what}: output {number} differs from that of the undisturbed reading")
        self.next_sequence += 1
        self.bytes += len(data)

    def end(self, summary: Mapping[str, Any]) -> None:
        if self.next_sequence != len(self._expected):
            raise Mismatch(f"{self._what}: {self.next_sequence} outputs of {len(self._expected)}")
        if (summary["bytes"], summary["outputs"]) != (len(self._source.data), len(self._expected)):
            raise Mismatch(f"{self._what}: done tells of {summary['bytes']} bytes, {summary['outputs']} outputs")


def _text(rng: random.Random, marker: str, size: int) -> bytes:
    lines = []
    length = 0
    while length < size:
        words = [str(rng.randrange(10_000)), *rng.choices(_WORDS, k=rng.randint(1, 14))]
        if rng.random() < 0.1:
            words.insert(rng.randrange(len(words)), marker)
        lines.append((" ".join(words) + "\n").encode())
        length += len(lines[-1])
    return b"".join(lines)[:size].decode(errors="ignore").encode()


def _damaged(rng: random.Random, text: bytes) -> bytes:
    """With bytes that are not UTF-8 at some places."""
    data = bytearray(text)
    for _ in range(1 + len(data) // 200):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)
