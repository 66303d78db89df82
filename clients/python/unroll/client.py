"""The synchronous client."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from . import events, sockets
from .core import RECEIVE_BYTES, Answer, Core, DocumentState, Mailbox, Pieces, open_params
from .errors import ConnectionLostError, DocumentStateError, UnrollError
from .events import Event, Output, Plugins, Status
from .sockets import StrPath

if TYPE_CHECKING:
    from typing_extensions import Unpack  # every type checker knows it; it need not be installed

Source = Iterable[bytes]


class OpenOptions(events.OpenOptions, total=False):
    stream: Source | Literal[True]


class Client:
    """One connection to the daemon, which serves any number of documents at once.

    Threads may share a client; a document is iterated over by one thread at a time, its append(), end() and cancel()
    may be called by others. What is received while one thing is waited for waits in memory for whoever wants it, so
    iterate over all documents of a connection, or give a slow reader a client of its own. Where nobody waits, nothing is
    read, and outputs wait in the daemon's journal. Not to be used across a fork.
    """

    def __init__(self, socket: StrPath | None = None, *, patience: float = 0.0):
        """Connects to `socket`, else where daemons listen by default, trying for `patience` seconds."""
        self._socket = sockets.connect(socket, patience)
        self._core = Core()
        self._changed = threading.Condition()  # guards the core and the two below
        self._waiters = 0  # the reader reads while somebody waits
        self._closed = False
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="unroll.Client", daemon=True)
        self._reader.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Streams that are not ended fail with `peer_gone` and can be resumed; complete documents go on."""
        with self._changed:
            self._closed = True
            self._core.fail(ConnectionLostError("the client was closed"))
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reader, and whoever sends
        self._reader.join()
        with self._sending:
            self._socket.close()

    # Documents

    def open(self, plugins: Plugins, **how: Unpack[OpenOptions]) -> Document:
        """Opens a document of which one of `text`, `path`, `fd` and `stream` gives the bytes.

        `stream=True` leaves them to append() and end(). An iterable is drawn from while the document is iterated over,
        never faster than the daemon reads; what waits between two of its items, as a log's tail does, keeps events
        waiting, too: append() from a thread of its own then.
        """
        return self._open(plugins, how)

    def attach(self, document: str, next_sequence: int = 0) -> Document:
        """The outputs of a document again from that number on, then those still to come."""
        params = {"document": document, "from": next_sequence}
        return Document(self, self._call("document.attach", params).take_mailbox(), None, opened=False)

    def resume(
        self, document: str, plugins: Plugins, next_sequence: int = 0, **how: Unpack[OpenOptions]
    ) -> Document:
        """Goes on with a document after it failed, or the connection broke, so that nothing is lost or comes twice.

        `document` and `next_sequence` are those of the Document so far; plugins and bytes the same as before. An
        iterable begins at the document's begin: what was read of it is skipped. With `stream=True` append from
        `resume_bytes` on. One that needs no resuming is attached to.
        """
        if not self.status(document).must_be_resumed:
            return self.attach(document, next_sequence)
        resumed = self._open(plugins, {**how, "resume": document})
        if resumed.next_sequence > next_sequence:
            resumed._listen_anew(self.attach(document, next_sequence))
        return resumed

    def status(self, document: str) -> Status:
        return Status.from_json(self.call("document.status", {"document": document}))

    def list(self, limit: int = 1000) -> Sequence[Status]:
        """The newest so many, newest first."""
        return [Status.from_json(one) for one in self.call("document.list", {"limit": limit})["documents"]]

    def cancel(self, document: str) -> None:
        self.call("document.cancel", {"document": document})

    # One document through one plugin: an iterator over its data. Left early, the document is cancelled.

    def score(self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]) -> Iterator[Any]:
        """How surprising each part is; options: granularity, top."""
        return self.run("score", options, **how)

    def anomaly(self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]) -> Iterator[Any]:
        """How odd each line of a log is; options: top, top_window, alert_rate."""
        return self.run("anomaly", options, **how)

    def summarize(self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]) -> Iterator[Any]:
        """Its own sentences that say most; options: words, every."""
        return self.run("summarize", options, **how)

    def embed(self, options: Mapping[str, Any] = {}, **how: Unpack[OpenOptions]) -> Iterator[Any]:
        """A vector a segment, and one of the document; options: segment_tokens."""
        return self.run("embed", options, **how)

    def run(self, plugin: str, options: Mapping[str, Any], **how: Unpack[OpenOptions]) -> Iterator[Any]:
        with self.open({plugin: options}, **how) as document:
            for output in document.outputs():
                yield output.data

    # The daemon

    def info(self) -> dict[str, Any]:
        return dict(self.call("server.info"))

    def stats(self) -> dict[str, Any]:
        return dict(self.call("server.stats"))

    def ping(self) -> None:
        self.call("server.ping")

    def reload(self) -> dict[str, Any]:
        return dict(self.call("server.reload"))

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Any method of the protocol; its result."""
        return self._call(method, params or {}).take()

    # Below: one thread reads, whoever waits wakes it

    def _open(self, plugins: Plugins, how: Mapping[str, Any]) -> Document:
        params, fd = open_params(plugins, how)
        try:
            mailbox = self._call("document.open", params, fd).take_mailbox()
        finally:
            if fd is not None:
                os.close(fd)
        stream = how.get("stream")
        return Document(self, mailbox, None if stream is True else stream, opened=True)

    def _call(self, method: str, params: Mapping[str, Any], fd: int | None = None) -> Answer:
        answer = self._post(method, params, fd)
        try:
            self._wait(lambda: answer.done)
        except BaseException:
            with self._changed:
                self._core.forget(answer)
            raise
        return answer

    def _post(self, method: str, params: Mapping[str, Any], fd: int | None = None) -> Answer:
        with self._changed:
            answer, line = self._core.request(method, params)
        with self._waiting(), self._sending:  # read meanwhile: a daemon that cannot send takes nothing, either
            try:
                sent = 0 if fd is None else socket.send_fds(self._socket, [line], [fd])
                self._socket.sendall(memoryview(line)[sent:])
            except (BrokenPipeError, ConnectionResetError):
                pass  # the reader finds out why, and tells whoever waits for the answer
            except BaseException:  # half a line is sent, perhaps: nothing can follow it
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                raise
        return answer

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        with self._changed:
            self._waiters += 1
            if self._waiters == 1:
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._waiters -= 1

    def _wait(self, ready: Callable[[], bool], until: float | None = None) -> bool:
        """False where it is not ready at that time."""
        with self._changed:
            if ready():
                return True
            with self._waiting():
                return self._changed.wait_for(ready, None if until is None else until - time.monotonic())

    def _read(self) -> None:
        while self._core.broken is None:
            with self._changed:
                self._changed.wait_for(lambda: self._waiters > 0 or self._closed)
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except OSError:
                data = b""
            with self._changed:
                self._core.receive(data)
                self._changed.notify_all()


class Document(DocumentState):
    """A document that is being read: an iterator over its events, the last of which is Done.

    How it failed is raised instead of Done. A `with` block that is left before that cancels it, unless it was only
    attached to.
    """

    def __init__(self, client: Client, mailbox: Mailbox, source: Source | None, opened: bool):
        super().__init__(mailbox, opened)
        self._client = client
        self._append: Answer | None = None  # on its way
        self._params = None if source is None else self._cut(source)

    def __enter__(self) -> Document:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._opened and not self._mailbox.ended:
            with contextlib.suppress(UnrollError):
                self.cancel()
        with self._client._changed:
            self._client._core.drop(self._mailbox)

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
        """None behind the last one. Raises TimeoutError where none comes in so many seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while self._client._wait(lambda: self._mailbox.ready or self._has_room(), until):
            if self._mailbox.ready:
                with self._client._changed:
                    return self._mailbox.take()
            self._feed()
        raise TimeoutError(f"document {self.id}: no event in {timeout} s")

    def append(self, data: bytes) -> None:
        """The next bytes of a stream. Returns when there is room for more."""
        for params in Pieces(self.id, 0).of(data):
            self._client.call("document.append", params)

    def end(self) -> None:
        """The stream is complete."""
        self._client.call("document.end", {"document": self.id})

    def cancel(self) -> None:
        self._client.cancel(self.id)

    def _cut(self, source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
        pieces = Pieces(self.id, self.resume_bytes)
        for chunk in source:
            for params in pieces.of(chunk):
                yield "document.append", params
        yield "document.end", pieces.end()

    def _has_room(self) -> bool:
        return self._params is not None and (self._append is None or self._append.done)

    def _feed(self) -> None:
        assert self._params is not None
        try:
            if self._append is not None:
                self._append.take()
            step = next(self._params, None)
            self._append = None if step is None else self._client._post(*step)
            if step is None:
                self._params = None
        except (DocumentStateError, ConnectionLostError):
            self._params = None  # it is over: its last event says why
        except BaseException:  # of the source: the document must not look as if it ended there
            self._params = None
            with contextlib.suppress(UnrollError):
                self.cancel()
            raise
