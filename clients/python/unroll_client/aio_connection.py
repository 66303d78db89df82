"""One connection to the daemon, for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from . import sockets
from .core import RECEIVE_BYTES, Answer, Core
from .errors import ConnectionLostError, ForkedError, TimedOutError
from .timeouts import Timeouts, earlier

_ABANDONED_SECONDS = 1.0  # time for the answers of abandoned requests when the client is closed


class Connection:
    """Tasks of one event loop may share it. A task reads while at least one waits."""

    def __init__(self, connected: socket.socket, timeouts: Timeouts):
        self.socket = connected
        self.core = Core()
        self._path = str(connected.getpeername())
        self._timeouts = timeouts
        self._owner = os.getpid()
        self._changed = asyncio.Event()  # replaced after each change
        self._reading: asyncio.Task[None] | None = None
        self._heard = time.monotonic()  # when the daemon last sent something
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, path: sockets.StrPath | None, patience: float, timeouts: Timeouts) -> Connection:
        return cls(await asyncio.to_thread(sockets.connect, path, patience, timeouts.connect), timeouts)

    @property
    def is_ours(self) -> bool:
        """False after a fork."""
        return self._owner == os.getpid()

    async def close(self, reason: str) -> None:
        """Every waiting call raises `error`."""
        if not self.is_ours:
            return self.socket.close()
        abandoned = [task for task in self._tasks if task.get_name() == "abandoned"]
        if abandoned and self.core.broken is None:
            await asyncio.wait(abandoned, timeout=_ABANDONED_SECONDS)
        self.core.fail(ConnectionLostError(reason))
        self.notify()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.socket.close()

    async def call(self, method: str, params: Mapping[str, Any], fd: int | None, until: float | None) -> Answer:
        """Returns the answer when it has come. Closes `fd`."""
        try:
            if not self.is_ours:
                raise ForkedError("a client for asyncio does not outlive a fork; make one in this process")
            answer, line = self.core.request(method, params)
        except BaseException:
            if fd is not None:
                os.close(fd)
            raise
        try:
            self.start(self._send(line, fd))
            if not await self.wait(lambda: answer.done, until):
                raise TimedOutError(f"{method} was not answered in {self._timeouts.total} s")
        except BaseException:
            self.core.forget(answer)
            if answer.opens and self.core.broken is None:
                self.start(self._abandon(answer)).set_name("abandoned")
            raise
        return answer

    async def wait(self, ready: Callable[[], bool], until: float | None = None) -> bool:
        """False if it is not ready by then. Raises TimedOutError if the daemon has been silent for too long."""
        began = time.monotonic()
        while not ready():
            now, read = time.monotonic(), self._timeouts.read
            if until is not None and now >= until:
                return False
            check = None if read is None else max(began, self._heard) + read / 2
            if check is not None and now >= check:
                await self._check()
                continue
            if self._reading is None or self._reading.done():
                self._reading = self.start(self._read())
            limit = earlier(until, check)
            changed = self._changed
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), None if limit is None else limit - now)
        return True

    def notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Below: reading and sending

    async def _abandon(self, answer: Answer) -> None:
        """Reads until the answer has come, so that a document that it opens can be cancelled."""
        with contextlib.suppress(TimedOutError):
            await self.wait(lambda: answer.done)
        await self._send(b"", None)

    async def _read(self) -> None:
        """Reads once, for all that wait."""
        try:
            data = await asyncio.get_running_loop().sock_recv(self.socket, RECEIVE_BYTES)
        except OSError:
            data = b""
        self._heard = time.monotonic()
        self.core.receive(data)
        self._reading = None
        self.notify()

    async def _send(self, line: bytes, fd: int | None) -> None:
        """A task of its own, so that cancelling the caller does not cut a line. Closes `fd`."""
        loop = asyncio.get_running_loop()
        try:
            async with self._sending:
                sent = 0
                while fd is not None and sent == 0:
                    with contextlib.suppress(BlockingIOError):
                        sent = socket.send_fds(self.socket, [line], [fd])
                    if sent == 0:
                        await _writable(self.socket)
                await loop.sock_sendall(self.socket, memoryview(line)[sent:])
                await loop.sock_sendall(self.socket, self.core.take_unsent())
        except (BrokenPipeError, ConnectionResetError):
            pass  # the reader sees the cause and fails the waiting calls
        except OSError as error:
            self.core.fail(ConnectionLostError(f"cannot send to the daemon: {error}"))
            self.notify()
        finally:
            if fd is not None:
                os.close(fd)

    async def _check(self) -> None:
        assert self._timeouts.read is not None
        if not await asyncio.to_thread(sockets.answers, self._path, self._timeouts.read / 2):
            raise TimedOutError(
                f"the daemon on {self._path} has not answered for {self._timeouts.read} s; read its log"
            )
        self._heard = time.monotonic()


async def _writable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(connection, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(connection)
