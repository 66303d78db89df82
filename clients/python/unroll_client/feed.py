"""A stream's bytes on their way to the daemon."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from .errors import SourceError

#: A document's bytes go in pieces of so many: small, that others get their turn on the connection.
PIECE_BYTES = 64 << 10
#: More than lies between what a daemon took and what it committed: its buffer of a document, and a commit's blocks.
KEPT_BYTES = 4 << 20

Request = tuple[str, dict[str, Any]]


class Feed:
    """Cuts bytes for document.append; keeps the last ones, for a daemon that died before they were safe."""

    def __init__(self, document: str, offset: int):
        self._document = document
        self._begin = offset  # of the bytes that are here, in the document
        self._bytes = bytearray()
        self._position = offset  # of what is to be sent next
        self._complete = False
        self._ended = False  # the end was sent

    @property
    def pending(self) -> bool:
        """next() has something."""
        return self._position < self._end or (self._complete and not self._ended)

    @property
    def ended(self) -> bool:
        """The end is sent, or being sent."""
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
        """Begins again at that place of the document."""
        if not self._begin <= offset <= self._end:
            raise SourceError(
                f"document {self._document} goes on at byte {offset} of its stream, and only bytes {self._begin} to "
                f"{self._end} are still here; resume it with the stream from its beginning"
            )
        self._position, self._ended = offset, False

    @property
    def _end(self) -> int:
        return self._begin + len(self._bytes)


class Skipped:
    """Passes over the bytes that were read before a document was resumed, if they are those that the daemon read."""

    def __init__(self, document: str, count: int, sha256: str | None):
        self._document = document
        self._left, self._count = count, count
        self._expected = sha256
        self._digest = hashlib.sha256()

    def behind(self, chunk: bytes) -> bytes:
        """What of the next bytes lies behind them."""
        if self._left == 0:
            return chunk
        skipped = chunk[: self._left]
        self._digest.update(skipped)
        self._left -= len(skipped)
        if self._left == 0 and self._expected not in (None, self._digest.hexdigest()):
            raise SourceError(
                f"document {self._document}: the first {self._count} bytes of the stream are not those that were read "
                "before; resume it with the same bytes, or open it anew"
            )
        return chunk[len(skipped) :]

    def end(self) -> None:
        if self._left > 0:
            raise SourceError(
                f"document {self._document}: {self._left} bytes more were read before than the stream has now; resume "
                "it with the same bytes, or open it anew"
            )
