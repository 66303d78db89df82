"""The programs of unroll, built for this platform, with all libraries but the C library's."""

import os
import sys
from pathlib import Path

__version__ = "@VERSION@"  # set by scripts/wheel.sh


def program(name: str) -> str:
    """The path of `unroll` or `unrolld`."""
    return str(Path(__file__).parent / "prefix" / "bin" / name)


def _run(name: str) -> None:
    os.execv(program(name), [name, *sys.argv[1:]])


def run_unroll() -> None:
    _run("unroll")


def run_unrolld() -> None:
    _run("unrolld")
