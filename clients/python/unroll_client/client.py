"""The synchronous client."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from . import events, results
from .connection import Connection
from .document import Document, Source
from .core import Answer, Mailbox, import_pieces, open_params, snapshot_params
from .errors import ConnectionLostError, ShuttingDownError, UnrollError
from .events import Plugins, SnapshotOptions, Status
from .many import DOCUMENT_SCORE, ReadDocument, read_many
from .sockets import StrPath
from .timeouts import Patience, Timeout, Timeouts, deadline

if TYPE_CHECKING:
    from typing_extensions import Unpack  # type checkers know it; it need not be installed

Result = TypeVar("Result")


class OpenOptions(events.OpenOptions, total=False):
    stream: Source | Literal[True]


class Client:
    """A connection to the daemon for any number of documents at once; it is made again if it is lost.

    Threads may share a client. Only one thread at a time may iterate over a document; others may call its append(),
    end() and cancel(). While one thread waits, events of other documents are kept in memory, so iterate over all
    documents of a client, or give a slow reader a client of its own. While no thread waits, nothing is received, and
    outputs stay in the daemon's journal. A forked process gets a connection of its own.
    """

    def __init__(
        self,
        socket: StrPath | None = None,
        *,
        patience: float = 0.0,
        timeout: Timeout = Timeouts(),
        reconnect: float = 30.0,
    ):
        """Connects to `socket`, by default to the user's or the system's daemon, trying for `patience` seconds.

        `reconnect`: number of seconds to wait for a daemon that went away; then calls and documents continue. With 0
        they raise ConnectionLostError at once.
        """
        self._path, self._reconnect, self._timeouts = socket, reconnect, Timeouts.of(timeout)
        self._closed = False
        self._lock = threading.Lock()
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()  # an earlier one may still have documents
        self._connection = self._connect(patience)
        _clients.add(self)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        connection: Connection | None = getattr(self, "_connection", None)
        if connection is not None and not self._closed and connection.is_ours:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, source=self)
            self.close()

    def close(self) -> None:
        """Streams that are not ended fail with `peer_gone` and can be resumed; complete documents continue."""
        self._closed = True
        for connection in list(self._connections):
            connection.close("the client was closed")

    # Documents

    def open(self, plugins: Plugins, **how: Unpack[OpenOptions]) -> Document:
        """Opens a document whose bytes come from one of `text`, `path`, `fd` and `stream`.

        With `stream=True` you send the bytes by append() and end(). An iterable is read while you iterate over the
        document, no faster than the daemon reads. If the iterable itself waits between items, as the tail of a log
        does, events wait, too: then call append() from another thread.
        """
        return self._open(plugins, dict(how))

    def attach(self, document: str, next_sequence: int = 0) -> Document:
        """Delivers the outputs of a document from that number on, then new ones."""
        connection, mailbox = self._attach(document, next_sequence)
        return Document(self, connection, mailbox, None)

    def resume(self, document: str, plugins: Plugins, next_sequence: int = 0, **how: Unpack[OpenOptions]) -> Document:
        """Continues a document of an earlier process or client, without losing or repeating outputs.

        `document` and `next_sequence` are those of the earlier Document; plugins and bytes must be the same as
        before. An iterable starts at the document's beginning: bytes that were already read are skipped. With
        `stream=True` append from `resume_bytes` on. If the document need not be resumed, attaches to it.
        """
        if not self.status(document).must_be_resumed:
            return self.attach(document, next_sequence)
        resumed = self._open(plugins, {**how, "resume": document})
        if resumed.next_sequence > next_sequence:
            resumed._listen_from(next_sequence)
        return resumed

    def status(self, document: str) -> Status:
        return Status.from_json(self.call("document.status", {"document": document}))

    def list(self, limit: int = 1000) -> Sequence[Status]:
        """The newest documents, newest first."""
        return [Status.from_json(one) for one in self.call("document.list", {"limit": limit})["documents"]]

    def cancel(self, document: str) -> None:
        self.call("document.cancel", {"document": document})

    def delete(self, document: str) -> None:
        """Deletes a document that is not being read, and its outputs."""
        self.call("document.delete", {"document": document})

    # Snapshots

    def create_snapshot(self, name: str, **how: Unpack[SnapshotOptions]) -> results.Snapshot:
        """Makes a snapshot of an open document so far, or reads a document and makes one of its end."""
        connection, answer = self._call("snapshot.create", lambda: snapshot_params(name, how))
        return results.Snapshot.from_json(answer.result)

    def snapshots(self) -> Sequence[results.Snapshot]:
        """By name."""
        return [results.Snapshot.from_json(one) for one in self.call("snapshot.list")["snapshots"]]

    def delete_snapshot(self, name: str) -> None:
        """Documents that went on from it are not affected."""
        self.call("snapshot.delete", {"name": name})

    def export_snapshot(self, name: str) -> bytes:
        """Its file, for import_snapshot() of any daemon with the same checkpoint."""
        with tempfile.TemporaryFile() as file:
            self._call("snapshot.export", lambda: ({"name": name, "fd": True}, os.dup(file.fileno())))
            file.seek(0)
            return file.read()

    def import_snapshot(
        self, file: bytes, name: str | None = None, model: str | None = None, expires_s: int | None = None
    ) -> results.Snapshot:
        answer: Any = None
        for params in import_pieces(file, {"name": name, "model": model, "expires_s": expires_s}):
            answer = self.call("snapshot.import", params)
        return results.Snapshot.from_json(answer)

    # One document through one plugin: an iterator over the results. If it is left early, the document is cancelled.

    def score(
        self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]
    ) -> Generator[results.ScoreResult, None, None]:
        """How surprising each part is; options: granularity, top."""
        return _typed(results.score, self.run("score", options, **how))

    def anomaly(
        self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]
    ) -> Generator[results.AnomalyResult, None, None]:
        """How unusual each line of a log is; options: top, top_window, alert_rate."""
        return _typed(results.anomaly, self.run("anomaly", options, **how))

    def summarize(
        self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]
    ) -> Generator[results.SummaryResult, None, None]:
        """The most important sentences; options: words, every."""
        return _typed(results.summary, self.run("summarize", options, **how))

    def embed(
        self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]
    ) -> Generator[results.EmbedResult, None, None]:
        """A vector for each segment, and one for the document; options: segment_tokens."""
        return _typed(results.embedding, self.run("embed", options, **how))

    def run(self, plugin: str, options: Mapping[str, Any], **how: Unpack[OpenOptions]) -> Generator[Any, None, None]:
        """Runs any plugin: yields its outputs unchanged."""
        with self.open({plugin: options}, **how) as document:
            for output in document.outputs():
                yield output.data

    # Many documents, in order. What is wrong with one is returned as an error, what is wrong with all is raised.

    def read_many(
        self, plugins: Plugins, texts: Iterable[str], *, in_flight: int = 64, **how: Unpack[events.OpenOptions]
    ) -> Generator[ReadDocument, None, None]:
        """Reads each text as a document, `in_flight` at a time, and takes no more texts than that ahead."""
        return read_many(self, plugins, texts, in_flight, dict(how))

    def score_many(
        self, texts: Iterable[str], *, in_flight: int = 64, **how: Unpack[events.OpenOptions]
    ) -> Generator[results.DocumentScore | UnrollError, None, None]:
        """How surprising each text is, in their order."""
        with contextlib.closing(self.read_many(DOCUMENT_SCORE, texts, in_flight=in_flight, **how)) as documents:
            for document in documents:
                yield document.error or cast(results.DocumentScore, results.score(document.outputs["score"]))

    # The daemon

    def info(self) -> results.ServerInfo:
        return results.ServerInfo.from_json(self.call("server.info"))

    def stats(self) -> dict[str, Any]:
        return dict(self.call("server.stats"))

    def ping(self) -> None:
        self.call("server.ping")

    def reload(self) -> results.ModelInfo:
        return results.ModelInfo.from_json(self.call("server.reload")["model"])

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Calls any method of the protocol and returns its result."""
        return self._call(method, lambda: (params or {}, None))[1].result

    # Below: connections

    def _connect(self, patience: float) -> Connection:
        connection = Connection(self._path, patience, self._timeouts)
        self._connections.add(connection)
        return connection

    def _connected(self) -> Connection:
        """The connection; a new one if it was lost."""
        with self._lock:
            if self._closed:
                raise ConnectionLostError("the client was closed")
            if self._connection.usable or (self._connection.is_ours and self._reconnect <= 0):
                return self._connection
            self._connection = self._connect(self._reconnect)
            return self._connection

    def _leave(self, connection: Connection) -> None:
        """The connection's daemon is stopping: its documents continue for a while, new calls go to the next daemon."""
        with self._lock:
            if self._connection is connection and self._reconnect > 0:
                self._connection = self._connect(self._reconnect)

    def _call(self, method: str, make: Callable[[], tuple[Mapping[str, Any], int | None]]) -> tuple[Connection, Answer]:
        """`make` returns the parameters and a descriptor for each try; the descriptor is closed here."""
        until, tries = deadline(self._timeouts.total), Patience(self._reconnect)
        while True:
            params, fd = make()
            connection = None
            try:
                connection = self._connected()
                answer = connection.call(method, params, fd, until)
                answer.take()
                return connection, answer
            except (ConnectionLostError, ShuttingDownError):
                pause = tries.pause()
                if self._closed or pause is None or (until is not None and time.monotonic() > until):
                    raise
                time.sleep(pause)
                if connection is not None and connection.usable:
                    self._leave(connection)
            finally:
                if fd is not None:
                    os.close(fd)

    def _open(self, plugins: Plugins, how: dict[str, Any]) -> Document:
        connection, mailbox = self._reopen(plugins, how)
        return Document(self, connection, mailbox, (plugins, how))

    def _reopen(self, plugins: Plugins, how: Mapping[str, Any]) -> tuple[Connection, Mailbox]:
        connection, answer = self._call("document.open", lambda: open_params(plugins, how))
        return connection, answer.take_mailbox()

    def _attach(self, document: str, next_sequence: int) -> tuple[Connection, Mailbox]:
        params = {"document": document, "from": next_sequence}
        connection, answer = self._call("document.attach", lambda: (params, None))
        return connection, answer.take_mailbox()


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _forget_parent() -> None:
    """In a forked process: another thread may have held a lock, and the connections are the parent's."""
    for client in list(_clients):
        client._lock = threading.Lock()
        for connection in list(client._connections):
            connection.close("the process was forked")


os.register_at_fork(after_in_child=_forget_parent)


def _typed(make: Callable[[Any], Result], outputs: Generator[Any, None, None]) -> Generator[Result, None, None]:
    with contextlib.closing(outputs):
        for output in outputs:
            yield make(output)
