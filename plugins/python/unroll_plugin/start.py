"""What a worker's process must be like before NumPy is imported. Needs nothing but the standard library."""

import importlib.util
import os
import sys

from . import wire

# One thread: a worker is one of many processes, and sums over several threads need not give the same bytes again.
_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def prepare() -> None:
    """Runs once, while `python3 -m unroll_plugin` looks for its module. May start this program anew."""
    os.environ.update(_THREADS)
    if os.environ.get("PYTHONHASHSEED", "random") == "random" and not sys.flags.ignore_environment:
        # A set of strings goes by their hashes, which differ from process to process unless the seed is fixed.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, sys.orig_argv)
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory: a file numpy.py there is not NumPy
    if importlib.util.find_spec("numpy") is None:
        refuse(f"{sys.executable} has no NumPy, which plugins in Python need (Debian: python3-numpy)")


def refuse(text: str) -> None:
    """Says why there is no worker, to the host or by hand on stderr, and ends the process."""
    if "--try" in sys.argv or "--try" in sys.orig_argv:
        sys.exit(f"unroll_plugin: {text}")
    wire.Channel.of_worker().send({"type": "refused", "error": text})
    sys.exit(1)
