"""Finds the daemon's socket, connects to it, and checks that it answers."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Union

from .errors import NotConnectedError, TimedOutError
from .timeouts import Patience, deadline

StrPath = Union[str, "os.PathLike[str]"]

SYSTEM_SOCKET = "/run/unroll/unroll.sock"
_MAX_PATH_BYTES = 107
_BUSY_PAUSE = 0.01
_PING = b'{"jsonrpc":"2.0","id":0,"method":"server.ping","params":{"loading":true}}\n'


def default_sockets() -> list[str]:
    """The default sockets in order: the user's own daemon ($XDG_RUNTIME_DIR; not root's), the system's."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    own = [] if os.geteuid() == 0 or not runtime else [os.path.join(runtime, "unroll", "unroll.sock")]
    return [*own, SYSTEM_SOCKET]


def connect(path: StrPath | None, patience: float, timeout: float | None = None) -> socket.socket:
    """A non-blocking connection. Tries for `patience` seconds, each time for at most `timeout`."""
    paths = default_sockets() if path is None else [os.fspath(path)]
    tries = Patience(patience)
    while True:
        refusals = []
        for candidate in paths:
            try:
                connection = _connect(candidate, timeout)
                connection.setblocking(False)
                return connection
            except TimeoutError:
                raise TimedOutError(f"the daemon on {candidate} took no connection in {timeout} s") from None
            except OSError as error:
                refusals.append(_why(candidate, error))
        pause = tries.pause()
        if pause is None:
            raise NotConnectedError("; ".join(refusals) + "; start a daemon with 'unrolld', or name its socket")
        time.sleep(pause)


def answers(path: str, timeout: float) -> bool:
    """Whether the daemon answers on a new connection, even if another one is silent or it still loads its model."""
    until = time.monotonic() + timeout
    with contextlib.suppress(OSError), _connect(path, timeout) as connection:
        connection.settimeout(max(0.001, until - time.monotonic()))
        connection.sendall(_PING)
        return bool(connection.recv(1))
    return False


def _connect(path: str, timeout: float | None) -> socket.socket:
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise OSError(f"a Unix socket's path has at most {_MAX_PATH_BYTES} bytes")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    until = deadline(timeout)
    try:
        connection.settimeout(timeout)
        while True:
            try:
                connection.connect(path)
                return connection
            except BlockingIOError:  # too many connections wait to be accepted
                if until is not None and time.monotonic() > until:
                    raise TimeoutError from None
                time.sleep(_BUSY_PAUSE)
    except BaseException:
        connection.close()
        raise


def _why(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no daemon socket at {path}"
    if isinstance(error, ConnectionRefusedError):
        return f"no daemon listens on {path}"
    if isinstance(error, PermissionError):
        return f"you may not connect to {path}; only its owner or group may"
    return f"cannot connect to {path}: {error}"
