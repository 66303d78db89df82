"""A document of the synchronous client."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .connection import Connection
from .core import Answer, DocumentState, Mailbox, Opening
from .errors import (
    GONE,
    ConnectionLostError,
    DocumentStateError,
    ForkedError,
    PeerGoneError,
    ShuttingDownError,
    TimedOutError,
    UnrollError,
)
from .events import Event, Output
from .feed import Feed, Skipped
from .timeouts import Patience, deadline, earlier

if TYPE_CHECKING:
    from .client import Client

Source = Iterable[bytes]


class Document(DocumentState):
    """A document that is being read: an iterator over its events, the last of which is Done.

    If the document fails, the iteration raises the error instead of yielding Done. If the daemon restarts, the
    document continues with the next one. Leaving a `with` block before the end cancels the document, unless it was
    only attached to.
    """

    def __init__(self, client: Client, connection: Connection, mailbox: Mailbox, opening: Opening | None):
        super().__init__(mailbox, opening)
        self._client = client
        self._connection = connection
        self._until = deadline(client._timeouts.total)
        self._source: Iterator[bytes] | None = None  # None once it is exhausted
        self._feed: Feed | None = None
        self._manual = False  # fed by append() and end()
        self._feeding = threading.Lock()  # keeps what the feed returns in order
        self._append: Answer | None = None  # to an append that the iterating thread sent
        self._halted = False  # nothing more can be appended: the document's last event gives the reason
        self._reviving = threading.Lock()
        stream = None if opening is None else opening[1].get("stream")
        if stream is not None:
            self._feed = Feed(self.id, self.resume_bytes)
            self._manual = stream is True
            if stream is not True:
                self._source = self._behind(iter(stream), Skipped(self.id, self.resume_bytes, self.resume_sha256))

    def __enter__(self) -> Document:
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._connection.is_ours:
            return
        if self._opening is not None and not self._mailbox.ended:
            with contextlib.suppress(UnrollError):
                self._connection.call("document.cancel", {"document": self.id}, None, None)
        with self._connection.locked() as core:
            core.drop(self._mailbox)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = self.next_event()
        if event is None:
            raise StopIteration
        return event

    def outputs(self) -> Iterator[Output]:
        return (event for event in self if isinstance(event, Output))

    def next_event(self, timeout: float | None = None) -> Event | None:
        """The next event; None after the last one. Raises TimedOutError, a TimeoutError, after `timeout` seconds."""
        until = deadline(timeout)
        while True:
            self._check_owner()
            mailbox = self._mailbox
            try:
                while self._connection.wait(lambda: mailbox.ready or self._has_room(), earlier(until, self._until)):
                    if mailbox.ready:
                        with self._connection.locked():
                            return mailbox.take()
                    self._draw()
                break
            except (ConnectionLostError, ShuttingDownError) as lost:
                self._revive(mailbox, lost)
        if self._until is not None and time.monotonic() >= self._until:
            with contextlib.suppress(UnrollError):
                self.cancel()
            raise TimedOutError(f"document {self.id} was not read in {self._client._timeouts.total} s")
        raise TimedOutError(f"document {self.id}: no event in {timeout} s")

    def append(self, data: bytes) -> None:
        """Sends the next bytes of a stream. Returns when there is room for more."""
        feed = self._fed()
        for start in range(0, len(data), 1 << 20):
            feed.add(data[start : start + (1 << 20)])
            self._send_all(feed)

    def end(self) -> None:
        """Marks the stream as complete."""
        feed = self._fed()
        feed.complete()
        self._send_all(feed)

    def cancel(self) -> None:
        self._check_owner()
        self._client.cancel(self.id)

    # Below: bytes on their way

    def _fed(self) -> Feed:
        self._check_owner()
        if self._feed is None or not self._manual:
            raise DocumentStateError(f"document {self.id} was not opened with stream=True by this client")
        return self._feed

    def _send_all(self, feed: Feed) -> None:
        while True:
            mailbox, connection = self._mailbox, self._connection
            try:
                with self._feeding:
                    request = feed.next()
                    answer = self._append if request is None else connection.post(*request)
                if answer is not None:
                    connection.wait(lambda: answer.done)
                if request is None:
                    return
                assert answer is not None
                answer.take()
            except (ConnectionLostError, ShuttingDownError) as lost:
                self._revive(mailbox, lost)
            except DocumentStateError:
                if not isinstance(mailbox.error, ShuttingDownError):
                    raise
                self._revive(mailbox, mailbox.error)

    def _behind(self, source: Iterator[bytes], skipped: Skipped) -> Iterator[bytes]:
        for chunk in source:
            yield skipped.behind(chunk)
        skipped.end()

    def _has_room(self) -> bool:
        """Whether to read the source or send what is there; append() and end() usually do that themselves."""
        if self._halted or self._feed is None or (self._manual and self._feeding.locked()):
            return False
        if self._append is not None:
            return self._append.done
        return self._source is not None or self._feed.pending

    def _draw(self) -> None:
        assert self._feed is not None
        try:
            answer, self._append = self._append, None
            if answer is not None:
                answer.take()
            if not self._feed.pending and self._source is not None:
                chunk = next(self._source, None)
                if chunk is None:
                    self._source = None
                    self._feed.complete()
                else:
                    self._feed.add(chunk)
            with self._feeding:
                request = self._feed.next()
                if request is not None:
                    self._append = self._connection.post(*request)
        except (DocumentStateError, ConnectionLostError, ShuttingDownError):
            self._halted = True
        except BaseException:  # of the source: the document must not look complete
            self._halted = True
            with contextlib.suppress(UnrollError):
                self.cancel()
            raise

    # Below: going on with the next daemon

    def _revive(self, seen: Mailbox, lost: UnrollError) -> None:
        """Raises `lost` if the document cannot continue."""
        with self._reviving:
            if self._mailbox is not seen:
                return  # another thread has done it
            tries = Patience(self._client._reconnect)
            while self._client._reconnect > 0 and not self._client._closed:
                with contextlib.suppress(*GONE):
                    if self._go_on(lost):
                        return
                pause = tries.pause()
                if pause is None:
                    break
                time.sleep(pause)
            raise lost

    def _go_on(self, lost: UnrollError) -> bool:
        """False if it must be tried again."""
        if isinstance(lost, ShuttingDownError):
            self._client._leave(self._connection)
        status = self._client.status(self.id)
        failed_for_good = status.error is not None and not isinstance(status.error, (PeerGoneError, ShuttingDownError))
        if status.must_be_resumed and not failed_for_good:
            plugins, how = self._openable(lost)
            connection, mailbox = self._client._reopen(plugins, {**how, "resume": self.id})
            if mailbox.next_sequence > self.next_sequence:
                mailbox = self._attached(connection, mailbox, self.next_sequence)
        elif self._feed is not None and not self._feed.ended and status.phase == "open":
            return False  # the daemon has not noticed yet that its connection is gone
        else:
            connection, mailbox = self._client._attach(self.id, self.next_sequence)
        mailbox.expect(self.next_sequence)
        if self._feed is not None and status.must_be_resumed:
            self._feed.go_to(mailbox.resume_bytes)
        self._connection, self._append, self._halted = connection, None, False
        self._mailbox = mailbox
        return True

    def _listen_from(self, next_sequence: int) -> None:
        """Outputs before those of the resumed document come first."""
        self._mailbox = self._attached(self._connection, self._mailbox, next_sequence)

    def _attached(self, connection: Connection, mailbox: Mailbox, next_sequence: int) -> Mailbox:
        params = {"document": self.id, "from": next_sequence}
        attached = connection.call("document.attach", params, None, None).take_mailbox()
        attached.resume_bytes, attached.resume_sha256 = mailbox.resume_bytes, mailbox.resume_sha256
        return attached

    def _check_owner(self) -> None:
        if not self._connection.is_ours:
            raise ForkedError(
                f"document {self.id} was opened before this process was forked; open one here, or attach to it by a "
                "client of this process"
            )
