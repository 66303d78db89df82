"""Gives up all that a plugin must not do, for good: by the C++ library that the other workers use, too."""

import ctypes
import os


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
