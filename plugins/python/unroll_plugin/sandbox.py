"""Gives up all that a plugin must not do, for good: by the C++ library that the other workers use, too."""

from __future__ import annotations

import ctypes
import os
import sys

_NETWORK, _PROCESSES = 1, 4
_AUDITED = {
    "socket.__new__": (_NETWORK, "use the network", "network"),
    **dict.fromkeys(("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec"),
                    (_PROCESSES, "start processes", "processes")),
}  # fmt: skip


def enter(permissions: int, memory: int) -> None:
    """`permissions`: bits, 1 network, 2 write files, 4 start processes. `memory`: bytes, 0 no limit.

    Does nothing where $UNROLL_SANDBOX_LIBRARY is unset: by hand. Throws OSError."""
    library = os.environ.get("UNROLL_SANDBOX_LIBRARY")
    if not library:
        return
    function = ctypes.CDLL(library).unroll_sandbox_enter
    function.argtypes, function.restype = [ctypes.c_uint32, ctypes.c_uint64], ctypes.c_int
    if error := function(permissions, memory):
        raise OSError(error, os.strerror(error))
    explain(permissions)


def explain(permissions: int) -> None:
    """Makes an exception that says what to do of what the kernel would refuse with a bare number, or kill for. Holds
    nobody back: that is the kernel's part."""

    def hook(event: str, _: object) -> None:
        if event in _AUDITED and not permissions & _AUDITED[event][0]:
            _, what, key = _AUDITED[event]
            raise PermissionError(f'a plugin may not {what} unless its manifest permits it: {{"{key}":true}}')

    sys.addaudithook(hook)
