"""The client for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Union

from . import events, sockets
from .core import RECEIVE_BYTES, Answer, Core, DocumentState, Mailbox, Pieces, open_params
from .errors import ConnectionLostError, DocumentStateError, NotConnectedError, UnrollError
from .events import Event, Output, Plugins, Status
from .sockets import StrPath

if TYPE_CHECKING:
    from typing_extensions import Unpack  # every type checker knows it; it need not be installed

Source = Union[AsyncIterable[bytes], Iterable[bytes]]


class OpenOptions(events.OpenOptions, total=False):
    stream: Source | Literal[True]


#: A stream's iterable is not drawn from while so many events of its document wait to be taken.
_MOST_WAITING = 1000


class Client:
    """unroll.Client with `await` and `async for`: any number of tasks of one event loop may share it.

    As there, what is received while one thing is waited for waits in memory for whoever wants it, and where nobody
    waits nothing is read. Every wait may be cancelled or given a timeout.
    """

    _connection: socket.socket | None = None

    def __init__(self, socket: StrPath | None = None, *, patience: float = 0.0):
        """Where and how long to connect: see unroll.Client. `async with` and connect() do it."""
        self._path, self._patience = socket, patience
        self._core = Core()
        self._changed = asyncio.Event()  # a new one after each change
        self._wanted = asyncio.Event()  # the reader reads while somebody waits
        self._waiters = 0
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Future[Any]] = set()

    async def connect(self) -> Client:
        connection = await asyncio.to_thread(sockets.connect, self._path, self._patience)
        connection.setblocking(False)
        self._connection = connection
        self._start(self._read(connection))
        return self

    async def __aenter__(self) -> Client:
        return await self.connect()

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Streams that are not ended fail with `peer_gone` and can be resumed; complete documents go on."""
        self._core.fail(ConnectionLostError("the client was closed"))
        self._notify()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()

    # Documents

    async def open(self, plugins: Plugins, **how: Unpack[OpenOptions]) -> Document:
        """Opens a document of which one of `text`, `path`, `fd` and `stream` gives the bytes.

        `stream=True` leaves them to append() and end(). An iterable, async or not, is drawn from by a task, never
        faster than the daemon reads and the document's events are taken.
        """
        return await self._open(plugins, how)

    async def attach(self, document: str, next_sequence: int = 0) -> Document:
        """The outputs of a document again from that number on, then those still to come."""
        params = {"document": document, "from": next_sequence}
        return Document(self, (await self._call("document.attach", params)).take_mailbox(), None, opened=False)

    async def resume(
        self, document: str, plugins: Plugins, next_sequence: int = 0, **how: Unpack[OpenOptions]
    ) -> Document:
        """Goes on with a document after it failed, or the connection broke: see unroll.Client.resume."""
        if not (await self.status(document)).must_be_resumed:
            return await self.attach(document, next_sequence)
        resumed = await self._open(plugins, {**how, "resume": document})
        if resumed.next_sequence > next_sequence:
            resumed._listen_anew(await self.attach(document, next_sequence))
        return resumed

    async def status(self, document: str) -> Status:
        return Status.from_json(await self.call("document.status", {"document": document}))

    async def list(self, limit: int = 1000) -> Sequence[Status]:
        """The newest so many, newest first."""
        answer = await self.call("document.list", {"limit": limit})
        return [Status.from_json(one) for one in answer["documents"]]

    async def cancel(self, document: str) -> None:
        await self.call("document.cancel", {"document": document})

    # One document through one plugin: an iterator over its data. Left early, the document is cancelled.

    def score(self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]) -> AsyncIterator[Any]:
        """How surprising each part is; options: granularity, top."""
        return self.run("score", options, **how)

    def anomaly(self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]) -> AsyncIterator[Any]:
        """How odd each line of a log is; options: top, top_window, alert_rate."""
        return self.run("anomaly", options, **how)

    def summarize(self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]) -> AsyncIterator[Any]:
        """Its own sentences that say most; options: words, every."""
        return self.run("summarize", options, **how)

    def embed(self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]) -> AsyncIterator[Any]:
        """A vector a segment, and one of the document; options: segment_tokens."""
        return self.run("embed", options, **how)

    async def run(
        self, plugin: str, options: Mapping[str, Any], **how: Unpack[OpenOptions]
    ) -> AsyncIterator[Any]:
        async with await self.open({plugin: options}, **how) as document:
            async for output in document.outputs():
                yield output.data

    # The daemon

    async def info(self) -> dict[str, Any]:
        return dict(await self.call("server.info"))

    async def stats(self) -> dict[str, Any]:
        return dict(await self.call("server.stats"))

    async def ping(self) -> None:
        await self.call("server.ping")

    async def reload(self) -> dict[str, Any]:
        return dict(await self.call("server.reload"))

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Any method of the protocol; its result."""
        return (await self._call(method, params or {})).take()

    # Below: one task reads, whoever waits wakes it

    async def _open(self, plugins: Plugins, how: Mapping[str, Any]) -> Document:
        params, fd = open_params(plugins, how)
        mailbox = (await self._call("document.open", params, fd)).take_mailbox()
        stream = how.get("stream")
        return Document(self, mailbox, None if stream is True else stream, opened=True)

    async def _call(self, method: str, params: Mapping[str, Any], fd: int | None = None) -> Answer:
        try:
            if self._connection is None:
                raise NotConnectedError("this client is not connected; use 'async with', or await connect()")
            answer, line = self._core.request(method, params)
        except BaseException:
            if fd is not None:
                os.close(fd)
            raise
        try:
            self._start(self._send(self._connection, line, fd))
            await self._wait(lambda: answer.done)
        except BaseException:
            self._core.forget(answer)
            raise
        return answer

    async def _send(self, connection: socket.socket, line: bytes, fd: int | None) -> None:
        """A task of its own, as a line must go out whole whoever is cancelled. Closes `fd`."""
        loop = asyncio.get_running_loop()
        try:
            async with self._sending:
                sent = 0
                while fd is not None and sent == 0:
                    with contextlib.suppress(BlockingIOError):
                        sent = socket.send_fds(connection, [line], [fd])
                    if sent == 0:
                        await _writable(connection)
                await loop.sock_sendall(connection, memoryview(line)[sent:])
        except (BrokenPipeError, ConnectionResetError):
            pass  # the reader finds out why, and tells whoever waits for the answer
        except OSError as error:
            self._core.fail(ConnectionLostError(f"cannot send to the daemon: {error}"))
            self._notify()
        finally:
            if fd is not None:
                os.close(fd)

    async def _wait(self, ready: Callable[[], bool]) -> None:
        self._waiters += 1
        try:
            while not ready():
                self._wanted.set()
                await self._changed.wait()
        finally:
            self._waiters -= 1

    async def _read(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while self._core.broken is None:
            if self._waiters == 0:
                self._wanted.clear()
            await self._wanted.wait()
            try:
                data = await loop.sock_recv(connection, RECEIVE_BYTES)
            except OSError:
                data = b""
            self._core.receive(data)
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _start(self, work: Awaitable[None]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class Document(DocumentState):
    """A document that is being read: an async iterator over its events, the last of which is Done.

    How it failed is raised instead of Done. An `async with` block that is left before that cancels it, unless it was
    only attached to.
    """

    def __init__(self, client: Client, mailbox: Mailbox, source: Source | None, opened: bool):
        super().__init__(mailbox, opened)
        self._client = client
        self._source_error: Exception | None = None
        self._feeding = None if source is None else client._start(self._feed(source, mailbox.resume_bytes))

    async def __aenter__(self) -> Document:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
        if self._opened and not self._mailbox.ended:
            with contextlib.suppress(UnrollError):
                await self.cancel()
        self._client._core.drop(self._mailbox)

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

    async def next_event(self) -> Event | None:
        """None behind the last one."""
        await self._client._wait(lambda: self._mailbox.ready or self._source_error is not None)
        if self._source_error is not None and not self._mailbox.waiting:
            raise self._source_error
        event = self._mailbox.take()
        if len(self._mailbox.waiting) == _MOST_WAITING - 1:
            self._client._notify()  # the source may go on
        return event

    async def append(self, data: bytes) -> None:
        """The next bytes of a stream. Returns when there is room for more."""
        for params in Pieces(self.id, 0).of(data):
            await self._client.call("document.append", params)

    async def end(self) -> None:
        """The stream is complete."""
        await self._client.call("document.end", {"document": self.id})

    async def cancel(self) -> None:
        await self._client.cancel(self.id)

    async def _feed(self, source: Source, skip: int) -> None:
        pieces = Pieces(self.id, skip)
        try:
            async for chunk in _each(source):
                for params in pieces.of(chunk):
                    await self._client.call("document.append", params)
                    await self._client._wait(lambda: len(self._mailbox.waiting) < _MOST_WAITING)
            await self._client.call("document.end", pieces.end())
        except (DocumentStateError, ConnectionLostError):
            pass  # it is over: its last event says why
        except Exception as error:  # of the source: the document must not look as if it ended there
            self._source_error = error
            self._client._notify()
            with contextlib.suppress(UnrollError):
                await self.cancel()


socket_type = socket.socket


async def _each(source: Source) -> AsyncIterator[bytes]:
    if isinstance(source, AsyncIterable):
        async for chunk in source:
            yield chunk
    else:
        for chunk in source:
            yield chunk


async def _writable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(connection, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(connection)
