"""The bytes of a stream on their way to the daemon."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from .errors import SourceError

#: A document's bytes are sent in pieces of this size; small, so that other requests can be sent in between.
PIECE_BYTES = 64 << 10
#: More than a daemon can have taken without committing it: its buffer of a document, and a commit's blocks.
KEPT_BYTES = 4 << 20

Request = tuple[str, dict[str, Any]]


class Feed:
    """Cuts bytes for document.append; keeps the last ones for a daemon that dies before it commits them."""

    def __init__(self, document: str, offset: int):
        self._document = document
        self._begin = offset  # document offset of the first byte kept
        self._bytes = bytearray()
        self._position = offset  # document offset of the next byte to send
        self._complete = False
        self._ended = False  # the end was sent

    @property
    def pending(self) -> bool:
        """Whether next() has something."""
        return self._position < self._end or (self._complete and not self._ended)

    @property
    def ended(self) -> bool:
        """Whether the end was sent or is being sent."""
        return self._ended

    def add(self, chunk: bytes) -> None:
        if len(self._bytes) >= 2 * KEPT_BYTES:
            dropped = min(len(self._bytes) - KEPT_BYTES, self._position - self._begin)
            del self._bytes[:dropped]
            self._begin += dropped
        self._bytes += chunk

    def complete(self) -> None:
        self._complete = True

    def next(self) -> Request | None:
        """The next request to send; None: more must be added first, or all is sent."""
        if self._position < self._end:
            at = self._position - self._begin
            piece = self._bytes[at : at + PIECE_BYTES]
            self._position += len(piece)
            return "document.append", {"document": self._document, "base64": base64.b64encode(piece).decode()}
        if self._complete and not self._ended:
            self._ended = True
            return "document.end", {"document": self._document}
        return None

    def go_to(self, offset: int) -> None:
        """Continues from that offset of the document."""
        if not self._begin <= offset <= self._end:
            raise SourceError(
                f"document {self._document} continues at byte {offset} of its stream, but only bytes {self._begin} to "
                f"{self._end} are still here; resume it with the stream from its beginning"
            )
        self._position, self._ended = offset, False

    @property
    def _end(self) -> int:
        return self._begin + len(self._bytes)


class Skipped:
    """Skips the bytes that were read before a document was resumed, and checks that the daemon read the same ones."""

    def __init__(self, document: str, count: int, sha256: str | None):
        self._document = document
        self._left, self._count = count, count
        self._expected = sha256
        self._digest = hashlib.sha256()

    def behind(self, chunk: bytes) -> bytes:
        """The part of `chunk` that comes after the skipped ones."""
        if self._left == 0:
            return chunk
        skipped = chunk[: self._left]
        self._digest.update(skipped)
        self._left -= len(skipped)
        if self._left == 0 and self._expected not in (None, self._digest.hexdigest()):
            raise SourceError(
                f"document {self._document}: its first {self._count} bytes are not those that were read before; "
                "resume it with the same bytes, or open a new document"
            )
        return chunk[len(skipped) :]

    def end(self) -> None:
        if self._left > 0:
            raise SourceError(
                f"document {self._document}: it is shorter than the {self._count} bytes that were read before; "
                "resume it with the same bytes, or open a new document"
            )
