"""Where the daemon's socket is, and connecting to it."""

from __future__ import annotations

import os
import socket
import time
from typing import Union

from .errors import NotConnectedError

StrPath = Union[str, "os.PathLike[str]"]

SYSTEM_SOCKET = "/run/unroll/unroll.sock"
_MAX_PATH_BYTES = 107
_LONGEST_PAUSE = 0.5


def default_sockets() -> list[str]:
    """Where unroll looks, in this order: the user's own daemon ($XDG_RUNTIME_DIR; not root's), the system's."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    own = [] if os.geteuid() == 0 or not runtime else [os.path.join(runtime, "unroll", "unroll.sock")]
    return [*own, SYSTEM_SOCKET]


def connect(path: StrPath | None, patience: float) -> socket.socket:
    """Tries for `patience` seconds: a daemon that is started again takes a moment."""
    paths = default_sockets() if path is None else [os.fspath(path)]
    until, pause = time.monotonic() + patience, 0.02
    while True:
        refusals = []
        for candidate in paths:
            try:
                return _connect(candidate)
            except OSError as error:
                refusals.append(_why(candidate, error))
        if time.monotonic() + pause > until:
            raise NotConnectedError("; ".join(refusals) + "; start a daemon with 'unrolld', or name its socket")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _connect(path: str) -> socket.socket:
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise OSError(f"a Unix socket's path has at most {_MAX_PATH_BYTES} bytes")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _why(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no daemon's socket at {path}"
    if isinstance(error, ConnectionRefusedError):
        return f"nobody listens on {path} any more"
    if isinstance(error, PermissionError):
        return f"you may not connect to {path}: its owner or group may"
    return f"cannot connect to {path}: {error}"
