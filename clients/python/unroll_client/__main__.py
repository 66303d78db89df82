"""`python -m unroll_client`: runs a daemon of your own until Ctrl-C. Prints its socket when it is ready."""

from __future__ import annotations

import argparse
import signal
import sys

from .errors import UnrollError
from .local import LocalDaemon


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m unroll_client", description=__doc__)
    parser.add_argument(
        "--model", metavar="MODEL", help="name of an installed model, folder or GGUF file (default: unroll-small)"
    )
    parser.add_argument("--folder", metavar="DIR", help="for its socket, journal and log (default: temporary)")
    parser.add_argument(
        "--program", metavar="FILE", help="the unrolld to run (default: that of unroll-programs, or on PATH)"
    )
    given = parser.parse_args()
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda *_: sys.exit())  # through the `with` block, which ends the daemon
    try:
        with LocalDaemon(model=given.model, folder=given.folder, program=given.program) as daemon:
            daemon.client().close()
            print(daemon.socket, flush=True)
            print("unroll_client: the daemon listens there until Ctrl-C", file=sys.stderr, flush=True)
            while True:
                signal.pause()
    except (UnrollError, OSError) as error:
        print(f"unroll_client: {error}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
