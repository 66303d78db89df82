"""One connection to the daemon, for the synchronous client."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import sockets
from .core import RECEIVE_BYTES, Answer, Core
from .errors import ConnectionLostError, TimedOutError
from .timeouts import Timeouts, deadline, earlier

_ABANDONED_SECONDS = 1.0  # time for the answer of an abandoned request


class Connection:
    """Threads may share it. It has no thread of its own: one of the waiting threads reads for all."""

    def __init__(self, path: sockets.StrPath | None, patience: float, timeouts: Timeouts):
        self.socket = sockets.connect(path, patience, timeouts.connect)
        self.core = Core()
        self._path = str(self.socket.getpeername())
        self._timeouts = timeouts
        self._owner = os.getpid()
        self._changed = threading.Condition(threading.Lock())  # guards the core and the two below
        self._reading = False  # a thread reads, or is about to
        self._heard = time.monotonic()  # when the daemon last sent something
        self._sending = threading.Lock()
        self._close = weakref.finalize(self, self.socket.close)
        self._close.atexit = False

    @property
    def is_ours(self) -> bool:
        """False after a fork."""
        return self._owner == os.getpid()

    @property
    def usable(self) -> bool:
        return self.is_ours and self.core.broken is None

    @contextlib.contextmanager
    def locked(self) -> Iterator[Core]:
        with self._changed:
            yield self.core

    def close(self, reason: str) -> None:
        """Every waiting call raises `error`."""
        if not self.is_ours:
            self._close()  # only this process's descriptor: the connection is the parent's
            return
        with self._changed:
            self.core.fail(ConnectionLostError(reason))
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes threads that read or send
        with self._sending, self._changed:
            self._changed.wait_for(lambda: not self._reading)
            self._close()

    def call(self, method: str, params: Mapping[str, Any], fd: int | None, until: float | None) -> Answer:
        """Returns the answer when it has come."""
        answer = self.post(method, params, fd)
        try:
            if not self.wait(lambda: answer.done, until):
                raise TimedOutError(f"{method} was not answered in {self._timeouts.total} s")
        except BaseException:
            self._abandon(answer)
            raise
        return answer

    def post(self, method: str, params: Mapping[str, Any], fd: int | None = None) -> Answer:
        with self._changed:
            answer, line = self.core.request(method, params)
        try:
            self._send(line, fd)
        except BaseException:
            with self._changed:
                self.core.forget(answer)
            raise
        return answer

    def wait(self, ready: Callable[[], bool], until: float | None = None) -> bool:
        """False if it is not ready by then. Raises TimedOutError if the daemon has been silent for too long."""
        began = time.monotonic()
        while True:
            with self._changed:
                while not ready():
                    now = time.monotonic()
                    if until is not None and now >= until:
                        return False
                    check = self._check_at(began)
                    if check is not None and now >= check:
                        break
                    limit = earlier(until, check)
                    if self._reading:
                        self._changed.wait(None if limit is None else limit - now)
                    else:
                        self._read(limit)
                else:
                    return True
            self._check()

    # Below: reading and sending

    def _abandon(self, answer: Answer) -> None:
        with self._changed:
            self.core.forget(answer)
        with contextlib.suppress(Exception):
            if answer.opens and not answer.done:
                self.wait(lambda: answer.done, deadline(_ABANDONED_SECONDS))
            self._send_unsent()

    def _read(self, until: float | None) -> None:
        """Reads once, for all that wait. Called with the lock held, which it releases meanwhile."""
        self._reading = True
        self._changed.release()
        data = None
        try:
            if self._poll(select.POLLIN, until) & ~select.POLLOUT:
                data = self._receive()
        finally:
            self._changed.acquire()
            self._reading = False
            if data is not None:
                self._heard = time.monotonic()
                self.core.receive(data)
            self._changed.notify_all()
        self._changed.release()
        try:
            self._send_unsent()
        finally:
            self._changed.acquire()

    def _receive(self) -> bytes | None:
        try:
            return self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _poll(self, events: int, until: float | None) -> int:
        poll = select.poll()
        poll.register(self.socket, events)
        ready = poll.poll(None if until is None else max(0.0, until - time.monotonic()) * 1000)
        return ready[0][1] if ready else 0

    def _send_unsent(self) -> None:
        with self._changed:
            lines = self.core.take_unsent()
        if lines:
            self._send(lines)

    def _send(self, line: bytes, fd: int | None = None) -> None:
        began, rest, sent = time.monotonic(), memoryview(line), False
        with self._sending:
            try:
                while rest and self.core.broken is None:
                    try:
                        count = self.socket.send(rest) if fd is None else socket.send_fds(self.socket, [rest], [fd])
                    except BlockingIOError:
                        self._make_room(began)
                        continue
                    except (BrokenPipeError, ConnectionResetError):
                        return  # the reading thread sees the cause and fails the waiting calls
                    rest, fd, sent = rest[count:], None, True
            except BaseException:
                if sent:  # nothing can follow an incomplete line
                    with self._changed:
                        self.core.fail(ConnectionLostError("a request was sent in part only"))
                        self._changed.notify_all()
                raise

    def _make_room(self, began: float) -> None:
        """Waits until the daemon takes more. Reads meanwhile, because a daemon that cannot send takes nothing."""
        check = self._check_at(began)
        if check is not None and time.monotonic() >= check:
            self._check()
            check = self._check_at(began)
        with self._changed:
            reads, self._reading = not self._reading, True
        data = None
        try:
            ready = self._poll(select.POLLOUT | (select.POLLIN if reads else 0), check)
            if reads and ready & ~select.POLLOUT:
                data = self._receive()
        finally:
            with self._changed:
                if reads:
                    self._reading = False
                if data is not None:
                    self._heard = time.monotonic()
                    self.core.receive(data)
                self._changed.notify_all()

    def _check_at(self, began: float) -> float | None:
        """When the daemon must be pinged if it stays silent."""
        if self._timeouts.read is None:
            return None
        return max(began, self._heard) + self._timeouts.read / 2

    def _check(self) -> None:
        assert self._timeouts.read is not None
        if not sockets.answers(self._path, self._timeouts.read / 2):
            raise TimedOutError(
                f"the daemon on {self._path} has not answered for {self._timeouts.read} s; read its log"
            )
        self._heard = time.monotonic()
