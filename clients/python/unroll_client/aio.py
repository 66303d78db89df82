"""The client for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
import warnings
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import events, results
from .aio_connection import Connection
from .aio_document import Document, Source
from .core import Answer, Mailbox, import_pieces, open_params, snapshot_params
from .errors import ConnectionLostError, ForkedError, NotConnectedError, ShuttingDownError
from .events import Plugins, SnapshotOptions, Status
from .sockets import StrPath
from .timeouts import Patience, Timeout, Timeouts, deadline

if TYPE_CHECKING:
    from typing_extensions import Unpack  # type checkers know it; it need not be installed

Result = TypeVar("Result")


class OpenOptions(events.OpenOptions, total=False):
    stream: Source | Literal[True]


class Client:
    """unroll_client.Client with `await` and `async for`. Any number of tasks of one event loop may share it.

    While one task waits, events of other tasks are kept in memory. While no task waits, nothing is received. A lost
    connection is made again. Every wait can be cancelled or given a timeout. If open() is cancelled, the daemon
    cancels its document. A forked process cannot use the client.
    """

    _connection: Connection | None = None

    def __init__(
        self,
        socket: StrPath | None = None,
        *,
        patience: float = 0.0,
        timeout: Timeout = Timeouts(),
        reconnect: float = 30.0,
    ):
        """See unroll_client.Client. `async with` and connect() make the connection."""
        self._path, self._patience, self._reconnect = socket, patience, reconnect
        self._timeouts = Timeouts.of(timeout)
        self._closed = False
        self._lock = asyncio.Lock()
        self._connections: list[Connection] = []  # an earlier one may still have documents
        self._feeding: set[asyncio.Task[None]] = set()

    async def connect(self) -> Client:
        await self._connect(self._patience)
        return self

    async def __aenter__(self) -> Client:
        return await self.connect()

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __del__(self) -> None:
        connection = self._connection
        if connection is not None and not self._closed and connection.is_ours:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, source=self)
            connection.socket.close()

    async def close(self) -> None:
        """Streams that are not ended fail with `peer_gone` and can be resumed; complete documents continue."""
        self._closed = True
        feeding = [task for task in self._feeding if task is not asyncio.current_task()]
        for task in feeding:
            task.cancel()
        await asyncio.gather(*feeding, return_exceptions=True)
        for connection in self._connections:
            await connection.close("the client was closed")

    # Documents

    async def open(self, plugins: Plugins, **how: Unpack[OpenOptions]) -> Document:
        """Opens a document whose bytes come from one of `text`, `path`, `fd` and `stream`.

        With `stream=True` you send the bytes by append() and end(). An iterable, async or not, is read by a task, no
        faster than the daemon reads and the document's events are taken.
        """
        return await self._open(plugins, dict(how))

    async def attach(self, document: str, next_sequence: int = 0) -> Document:
        """Delivers the outputs of a document from that number on, then new ones."""
        connection, mailbox = await self._attach(document, next_sequence)
        return Document(self, connection, mailbox, None)

    async def resume(
        self, document: str, plugins: Plugins, next_sequence: int = 0, **how: Unpack[OpenOptions]
    ) -> Document:
        """Continues a document of an earlier process or client: see unroll_client.Client.resume."""
        if not (await self.status(document)).must_be_resumed:
            return await self.attach(document, next_sequence)
        resumed = await self._open(plugins, {**how, "resume": document})
        if resumed.next_sequence > next_sequence:
            await resumed._listen_from(next_sequence)
        return resumed

    async def status(self, document: str) -> Status:
        return Status.from_json(await self.call("document.status", {"document": document}))

    async def list(self, limit: int = 1000) -> Sequence[Status]:
        """The newest documents, newest first."""
        answer = await self.call("document.list", {"limit": limit})
        return [Status.from_json(one) for one in answer["documents"]]

    async def cancel(self, document: str) -> None:
        await self.call("document.cancel", {"document": document})

    async def delete(self, document: str) -> None:
        """Deletes a document that is not being read, and its outputs."""
        await self.call("document.delete", {"document": document})

    # Snapshots: see unroll_client.Client

    async def create_snapshot(self, name: str, **how: Unpack[SnapshotOptions]) -> results.Snapshot:
        connection, answer = await self._call("snapshot.create", lambda: snapshot_params(name, how))
        return results.Snapshot.from_json(answer.result)

    async def snapshots(self) -> Sequence[results.Snapshot]:
        return [results.Snapshot.from_json(one) for one in (await self.call("snapshot.list"))["snapshots"]]

    async def delete_snapshot(self, name: str) -> None:
        await self.call("snapshot.delete", {"name": name})

    async def export_snapshot(self, name: str) -> bytes:
        with tempfile.TemporaryFile() as file:
            await self._call("snapshot.export", lambda: ({"name": name, "fd": True}, os.dup(file.fileno())))
            file.seek(0)
            return file.read()

    async def import_snapshot(
        self, file: bytes, name: str | None = None, model: str | None = None, expires_s: int | None = None
    ) -> results.Snapshot:
        answer: Any = None
        for params in import_pieces(file, {"name": name, "model": model, "expires_s": expires_s}):
            answer = await self.call("snapshot.import", params)
        return results.Snapshot.from_json(answer)

    # One document through one plugin: an iterator over the results. If it is left early, the document is cancelled.

    def score(
        self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]
    ) -> AsyncGenerator[results.ScoreResult, None]:
        """How surprising each part is; options: granularity, top."""
        return _typed(results.score, self.run("score", options, **how))

    def anomaly(
        self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]
    ) -> AsyncGenerator[results.AnomalyResult, None]:
        """How unusual each line of a log is; options: top, top_window, alert_rate."""
        return _typed(results.anomaly, self.run("anomaly", options, **how))

    def summarize(
        self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]
    ) -> AsyncGenerator[results.SummaryResult, None]:
        """The most important sentences; options: words, every."""
        return _typed(results.summary, self.run("summarize", options, **how))

    def embed(
        self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]
    ) -> AsyncGenerator[results.EmbedResult, None]:
        """A vector for each segment, and one for the document; options: segment_tokens."""
        return _typed(results.embedding, self.run("embed", options, **how))

    async def run(
        self, plugin: str, options: Mapping[str, Any], **how: Unpack[OpenOptions]
    ) -> AsyncGenerator[Any, None]:
        """Runs any plugin: yields its outputs unchanged."""
        async with await self.open({plugin: options}, **how) as document:
            async for output in document.outputs():
                yield output.data

    # The daemon

    async def info(self) -> results.ServerInfo:
        return results.ServerInfo.from_json(await self.call("server.info"))

    async def stats(self) -> dict[str, Any]:
        return dict(await self.call("server.stats"))

    async def ping(self) -> None:
        await self.call("server.ping")

    async def reload(self) -> results.ModelInfo:
        return results.ModelInfo.from_json((await self.call("server.reload"))["model"])

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Calls any method of the protocol and returns its result."""
        return (await self._call(method, lambda: (params or {}, None)))[1].result

    # Below: connections

    async def _connect(self, patience: float) -> Connection:
        self._connection = await Connection.open(self._path, patience, self._timeouts)
        self._connections = [one for one in self._connections if one.core.broken is None] + [self._connection]
        return self._connection

    async def _connected(self) -> Connection:
        """The connection; a new one if it was lost."""
        async with self._lock:
            if self._closed:
                raise ConnectionLostError("the client was closed")
            connection = self._connection
            if connection is None:
                raise NotConnectedError("this client is not connected; use 'async with', or await connect()")
            if not connection.is_ours:
                raise ForkedError("a client for asyncio does not outlive a fork; make one in this process")
            if connection.core.broken is None or self._reconnect <= 0:
                return connection
            await connection.close("the connection is lost")
            return await self._connect(self._reconnect)

    async def _leave(self, connection: Connection) -> None:
        """The connection's daemon is stopping: its documents continue for a while, new calls go to the next daemon."""
        async with self._lock:
            if self._connection is connection and self._reconnect > 0:
                await self._connect(self._reconnect)

    async def _call(
        self, method: str, make: Callable[[], tuple[Mapping[str, Any], int | None]]
    ) -> tuple[Connection, Answer]:
        """`make` returns the parameters and a descriptor for each try; the descriptor is closed here."""
        until, tries = deadline(self._timeouts.total), Patience(self._reconnect)
        while True:
            connection = await self._connected()
            try:
                answer = await connection.call(method, *make(), until)
                answer.take()
                return connection, answer
            except (ConnectionLostError, ShuttingDownError):
                pause = tries.pause()
                if self._closed or pause is None or (until is not None and time.monotonic() > until):
                    raise
                await asyncio.sleep(pause)
                if connection.core.broken is None:
                    await self._leave(connection)

    async def _open(self, plugins: Plugins, how: dict[str, Any]) -> Document:
        connection, mailbox = await self._reopen(plugins, how)
        return Document(self, connection, mailbox, (plugins, how))

    async def _reopen(self, plugins: Plugins, how: Mapping[str, Any]) -> tuple[Connection, Mailbox]:
        connection, answer = await self._call("document.open", lambda: open_params(plugins, how))
        return connection, answer.take_mailbox()

    async def _attach(self, document: str, next_sequence: int) -> tuple[Connection, Mailbox]:
        params = {"document": document, "from": next_sequence}
        connection, answer = await self._call("document.attach", lambda: (params, None))
        return connection, answer.take_mailbox()


async def _typed(make: Callable[[Any], Result], outputs: AsyncGenerator[Any, None]) -> AsyncGenerator[Result, None]:
    async with contextlib.aclosing(outputs):
        async for output in outputs:
            yield make(output)
