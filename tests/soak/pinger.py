"""Another user who pings the daemon repeatedly: the durations show what a hostile user can do to them."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from typing import Any

ANOTHER = 65533
_BETWEEN = 0.05
_PING = b'{"jsonrpc":"2.0","id":1,"method":"server.ping"}\n'
_fork = multiprocessing.get_context("fork")


class Pinger:
    """Start before there are threads. If this process is root's, runs as a user of its own."""

    def __init__(self, path: str):
        self._stop = _fork.Event()
        self._times, sending = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=self._run, args=(path, sending))
        self._process.start()
        sending.close()

    def stop(self) -> list[float]:
        """The duration of each ping in seconds, sorted; the first half on one connection, the others on a new one
        each."""
        self._stop.set()
        times = sorted(self._times.recv())
        self._process.join()
        return times

    def _run(self, path: str, sending: Any) -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(ANOTHER, ANOTHER, ANOTHER)
            os.setresuid(ANOTHER, ANOTHER, ANOTHER)
        times = []
        kept = _connect(path)
        while not self._stop.wait(_BETWEEN):
            began = time.monotonic()
            _ping(kept)
            times.append(time.monotonic() - began)
            began = time.monotonic()
            with _connect(path) as connection:
                _ping(connection)
            times.append(time.monotonic() - began)
        sending.send(times)


def _connect(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(path)
    return connection


def _ping(connection: socket.socket) -> None:
    connection.sendall(_PING)
    answer = b""
    while not answer.endswith(b"\n"):
        answer += connection.recv(4096)
    if b'"result"' not in answer:
        raise RuntimeError(f"a ping was answered with {answer[:200]!r}")
