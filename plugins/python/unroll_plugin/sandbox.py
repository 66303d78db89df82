"""Enters the sandbox for good, with the C++ library that the other workers use, too."""

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

    Does nothing if $UNROLL_SANDBOX_LIBRARY is unset, as in a trial run. Raises OSError.
    """
    library = os.environ.get("UNROLL_SANDBOX_LIBRARY")
    if not library:
        return
    function = ctypes.CDLL(library).unroll_sandbox_enter
    function.argtypes, function.restype = [ctypes.c_uint32, ctypes.c_uint64], ctypes.c_int
    if error := function(permissions, memory):
        raise OSError(error, os.strerror(error))
    explain(permissions)


def explain(permissions: int) -> None:
    """Raises an exception that says what to do, where the kernel would return a bare number or kill the process. It
    enforces nothing: the kernel does."""

    def hook(event: str, _: object) -> None:
        if event in _AUDITED and not permissions & _AUDITED[event][0]:
            _, what, key = _AUDITED[event]
            raise PermissionError(f'a plugin may not {what} unless its manifest permits it: {{"{key}":true}}')

    sys.addaudithook(hook)
