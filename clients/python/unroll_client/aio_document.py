"""A document of the client for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Union

from .aio_connection import Connection
from .core import DocumentState, Mailbox, Opening
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
    from .aio import Client

Source = Union[AsyncIterable[bytes], Iterable[bytes]]

#: A stream's iterable is not read while this many events of its document wait to be taken.
_MOST_WAITING = 1000


class Document(DocumentState):
    """A document that is being read: an async iterator over its events, the last of which is Done.

    If the document fails, the iteration raises the error instead of yielding Done. If the daemon restarts, the
    document continues with the next one. Leaving an `async with` block before the end cancels the document, unless
    it was only attached to.
    """

    def __init__(self, client: Client, connection: Connection, mailbox: Mailbox, opening: Opening | None):
        super().__init__(mailbox, opening)
        self._client = client
        self._connection = connection
        self._until = deadline(client._timeouts.total)
        self._source_error: Exception | None = None
        self._feed: Feed | None = None
        self._manual = False  # fed by append() and end()
        self._feeding: asyncio.Task[None] | None = None
        self._reviving = asyncio.Lock()
        stream = None if opening is None else opening[1].get("stream")
        if stream is not None:
            self._feed = Feed(self.id, self.resume_bytes)
            self._manual = stream is True
            if stream is not True:
                self._start_feeding(self._draw_from(stream))

    async def __aenter__(self) -> Document:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if not self._connection.is_ours:
            return
        if self._feeding is not None:
            self._feeding.cancel()
        if self._opening is not None and not self._mailbox.ended:
            with contextlib.suppress(UnrollError):
                await self._connection.call("document.cancel", {"document": self.id}, None, None)
        self._connection.core.drop(self._mailbox)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await self.next_event()
        if event is None:
            raise StopAsyncIteration
        return event

    async def outputs(self) -> AsyncIterator[Output]:
        async for event in self:
            if isinstance(event, Output):
                yield event

    async def next_event(self, timeout: float | None = None) -> Event | None:
        """The next event; None after the last one. Raises TimedOutError, a TimeoutError, after `timeout` seconds."""
        until = deadline(timeout)
        while True:
            self._check_owner()
            mailbox = self._mailbox
            try:
                if await self._connection.wait(
                    lambda: mailbox.ready or self._source_error is not None, earlier(until, self._until)
                ):
                    if self._source_error is not None and not mailbox.waiting:
                        raise self._source_error
                    event = mailbox.take()
                    if len(mailbox.waiting) == _MOST_WAITING - 1:
                        self._connection.notify()  # the source may continue
                    return event
                break
            except (ConnectionLostError, ShuttingDownError) as lost:
                await self._revive(mailbox, lost)
        if self._until is not None and time.monotonic() >= self._until:
            with contextlib.suppress(UnrollError):
                await self.cancel()
            raise TimedOutError(f"document {self.id} was not read in {self._client._timeouts.total} s")
        raise TimedOutError(f"document {self.id}: no event in {timeout} s")

    async def append(self, data: bytes) -> None:
        """Sends the next bytes of a stream. Returns when there is room for more."""
        feed = self._fed()
        for start in range(0, len(data), 1 << 20):
            feed.add(data[start : start + (1 << 20)])
            await self._send_all(feed)

    async def end(self) -> None:
        """Marks the stream as complete."""
        feed = self._fed()
        feed.complete()
        await self._send_all(feed)

    async def cancel(self) -> None:
        self._check_owner()
        await self._client.cancel(self.id)

    # Below: bytes on their way

    def _fed(self) -> Feed:
        self._check_owner()
        if self._feed is None or not self._manual:
            raise DocumentStateError(f"document {self.id} was not opened with stream=True by this client")
        return self._feed

    async def _send_all(self, feed: Feed) -> None:
        while True:
            mailbox = self._mailbox
            try:
                request = feed.next()
                if request is None:
                    return
                (await self._connection.call(*request, None, None)).take()
            except (ConnectionLostError, ShuttingDownError) as lost:
                await self._revive(mailbox, lost)
            except DocumentStateError:
                if not isinstance(mailbox.error, ShuttingDownError):
                    raise
                await self._revive(mailbox, mailbox.error)

    def _start_feeding(self, work: Coroutine[Any, Any, None]) -> None:
        self._feeding = asyncio.create_task(work)
        self._client._feeding.add(self._feeding)
        self._feeding.add_done_callback(self._client._feeding.discard)

    async def _send_again(self, feed: Feed) -> None:
        with contextlib.suppress(DocumentStateError, ConnectionLostError, ShuttingDownError):  # see its last event
            await self._send_all(feed)

    async def _draw_from(self, source: Source) -> None:
        skipped = Skipped(self.id, self.resume_bytes, self.resume_sha256)
        feed = self._feed
        assert feed is not None
        try:
            async for chunk in _each(source):
                feed.add(skipped.behind(chunk))
                await self._send_all(feed)
                await self._room()
            skipped.end()
            feed.complete()
            await self._send_all(feed)
        except (DocumentStateError, ConnectionLostError, ShuttingDownError):
            pass  # it has ended: its last event gives the reason
        except Exception as error:  # of the source: the document must not look complete
            self._source_error = error
            self._connection.notify()
            with contextlib.suppress(UnrollError):
                await self.cancel()

    async def _room(self) -> None:
        """Waits until few enough of the document's events wait to be taken."""
        while len(self._mailbox.waiting) >= _MOST_WAITING:
            mailbox = self._mailbox
            await self._connection.wait(lambda: len(mailbox.waiting) < _MOST_WAITING or mailbox.ended)
            if mailbox.ended:
                return

    # Below: going on with the next daemon

    async def _revive(self, seen: Mailbox, lost: UnrollError) -> None:
        """Raises `lost` if the document cannot continue."""
        async with self._reviving:
            if self._mailbox is not seen:
                return  # another task has done it
            tries = Patience(self._client._reconnect)
            while self._client._reconnect > 0 and not self._client._closed:
                with contextlib.suppress(*GONE):
                    if await self._go_on(lost):
                        return
                pause = tries.pause()
                if pause is None:
                    break
                await asyncio.sleep(pause)
            raise lost

    async def _go_on(self, lost: UnrollError) -> bool:
        """False if it must be tried again."""
        if isinstance(lost, ShuttingDownError):
            await self._client._leave(self._connection)
        status = await self._client.status(self.id)
        failed_for_good = status.error is not None and not isinstance(status.error, (PeerGoneError, ShuttingDownError))
        if status.must_be_resumed and not failed_for_good:
            plugins, how = self._openable(lost)
            connection, mailbox = await self._client._reopen(plugins, {**how, "resume": self.id})
            if mailbox.next_sequence > self.next_sequence:
                mailbox = await self._attached(connection, mailbox, self.next_sequence)
        elif self._feed is not None and not self._feed.ended and status.phase == "open":
            return False  # the daemon has not noticed yet that its connection is gone
        else:
            connection, mailbox = await self._client._attach(self.id, self.next_sequence)
        mailbox.expect(self.next_sequence)
        if self._feed is not None and status.must_be_resumed:
            self._feed.go_to(mailbox.resume_bytes)
        self._connection = connection
        self._mailbox = mailbox
        if self._feed is not None and self._feed.pending and (self._feeding is None or self._feeding.done()):
            self._start_feeding(self._send_again(self._feed))
        return True

    async def _listen_from(self, next_sequence: int) -> None:
        """Outputs before those of the resumed document come first."""
        self._mailbox = await self._attached(self._connection, self._mailbox, next_sequence)

    async def _attached(self, connection: Connection, mailbox: Mailbox, next_sequence: int) -> Mailbox:
        params = {"document": self.id, "from": next_sequence}
        attached = (await connection.call("document.attach", params, None, None)).take_mailbox()
        attached.resume_bytes, attached.resume_sha256 = mailbox.resume_bytes, mailbox.resume_sha256
        return attached

    def _check_owner(self) -> None:
        if not self._connection.is_ours:
            raise ForkedError(f"document {self.id} was opened before this process was forked")


async def _each(source: Source) -> AsyncIterator[bytes]:
    if isinstance(source, AsyncIterable):
        async for chunk in source:
            yield chunk
    else:
        for chunk in source:
            yield chunk
