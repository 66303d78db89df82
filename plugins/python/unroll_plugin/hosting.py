"""The host's side, for trial runs and tests: a worker process, and the arena of its blocks."""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import subprocess
import sys
from typing import Any

from .wire import HOST_DESCRIPTOR, Channel, Frame

_F_SEAL_FUTURE_WRITE = 0x10  # not in Python 3.11's fcntl


class PluginFailed(Exception):
    """A call returned a status, or the file was refused (status 0)."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class WorkerGone(Exception):
    """The process ended; the message says how."""


class Arena:
    """A sealed memfd: this process may write to it; processes that map it later may not."""

    def __init__(self, size: int):
        self.descriptor = os.memfd_create("unroll-arena", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, size)
        self.memory = mmap.mmap(self.descriptor, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL | _F_SEAL_FUTURE_WRITE
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)

    def fill(self, data: bytes) -> None:
        """Writes from the start on, and garbage after it, so that reading a view of an earlier block is noticed."""
        self.memory[: len(data)] = data
        self.memory[len(data) :] = b"\xaa" * (len(self.memory) - len(data))


class WorkerProcess:
    """A process `python3 -m unroll_plugin FILE.py`, with this process's stdin, stdout and stderr, or the given ones."""

    def __init__(self, file: str, arguments: tuple[str, ...] = (), environment: dict[str, str] | None = None,
                 stderr: Any = None):  # fmt: skip
        """Raises PluginFailed if the file is refused."""
        here, there = socket.socketpair()
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self._socket = here
        self._process = subprocess.Popen(
            [sys.executable, "-m", "unroll_plugin", file, *arguments], stderr=stderr, close_fds=False,
            env={**os.environ, "PYTHONPATH": package, "PYTHONHASHSEED": "0", **(environment or {})},
            preexec_fn=lambda: _pass(there.fileno()))  # fmt: skip
        there.close()
        self._channel = Channel(here)
        self.logs: list[tuple[int, str]] = []
        first = self._receive()
        if first.type == "refused":
            self.close()
            raise PluginFailed(0, first.text("error"))
        self.plugins: list[dict[str, Any]] = first.fields["plugins"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, fields: dict[str, Any], data: bytes = b"", descriptor: int = -1) -> None:
        if descriptor < 0:
            self._channel.send(fields, data)
        else:
            socket.send_fds(self._socket, [Channel.frame(fields, data)], [descriptor])

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def use(self, arena: Arena) -> None:
        self.send({"type": "arena", "bytes": len(arena.memory)}, descriptor=arena.descriptor)

    def call(self, fields: dict[str, Any], data: bytes = b"") -> tuple[list[bytes], bytes]:
        """The outputs, and the state after the call. Raises PluginFailed and WorkerGone."""
        self.send(fields, data)
        outputs = []
        while (frame := self._receive()).type != "done":
            if frame.type == "output":
                outputs.append(frame.data)
            else:
                self.logs.append((frame.number("level"), frame.data.decode()))
        if frame.fields["status"] != 0:
            raise PluginFailed(frame.fields["status"], frame.text("error"))
        return outputs, frame.data

    def close(self) -> int:
        """Ends the connection and waits; returns the exit status."""
        self._socket.close()
        return self._process.wait()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self) -> Frame:
        try:
            frame = self._channel.receive()
        except ConnectionResetError:
            frame = None
        if frame is None:
            raise WorkerGone(f"the worker ended with status {self.close()}")
        return frame


def _pass(descriptor: int) -> None:
    os.dup2(descriptor, HOST_DESCRIPTOR)
    os.set_inheritable(HOST_DESCRIPTOR, True)
