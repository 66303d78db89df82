"""Prepares a worker's process before NumPy is imported. Needs only the standard library."""

import importlib.util
import os
import sys

from . import wire

# One thread: there are many workers, and sums over several threads need not give the same bytes each time.
_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def prepare() -> None:
    """Runs once, while `python3 -m unroll_plugin` looks for its module. May restart this program."""
    os.environ.update(_THREADS)
    if os.environ.get("PYTHONHASHSEED", "random") == "random" and not sys.flags.ignore_environment:
        # The order of a set of strings depends on their hashes, which differ between processes unless the seed is
        # fixed.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, sys.orig_argv)
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory: a numpy.py there is not NumPy
    if importlib.util.find_spec("numpy") is None:
        refuse(f"{sys.executable} has no NumPy, which plugins in Python need (Debian: python3-numpy)")


def refuse(text: str) -> None:
    """Reports why there is no worker, to the host or on stderr, and ends the process."""
    if "--try" in sys.argv or "--try" in sys.orig_argv:
        sys.exit(f"unroll_plugin: {text}")
    wire.Channel.of_worker().send({"type": "refused", "error": text})
    sys.exit(1)
