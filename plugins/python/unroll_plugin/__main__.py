"""`python3 -m unroll_plugin FILE.py`: a worker. `python3 -m unroll_plugin --try FILE.py TEXTFILE`: a trial run."""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys

from . import loading, sandbox, wire
from .worker import Worker


def main() -> int:
    parser = argparse.ArgumentParser("python3 -m unroll_plugin", description="Runs plugins for unroll.")
    parser.add_argument("file", help="a Python file with classes derived from unroll_plugin.Plugin")
    parser.add_argument("text", nargs="?", help="with --try: a document")
    parser.add_argument("--try", dest="by_hand", action="store_true", help="run it over TEXT with made-up numbers")
    parser.add_argument("--options", default="{}", help="with --try: a JSON object")
    parser.add_argument("--permissions", type=int, default=0, help="bits: 1 network, 2 write files, 4 processes")
    parser.add_argument("--memory", type=int, default=0, help="bytes, 0 no limit")
    arguments = parser.parse_args()
    if arguments.by_hand != (arguments.text is not None):
        parser.error("--try needs FILE.py and a text; a worker only FILE.py")
    if arguments.by_hand:
        from . import trying

        return trying.main(arguments.file, arguments.text, arguments.options)
    return work(arguments.file, arguments.permissions, arguments.memory)


def work(file: str, permissions: int, memory: int) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal: the host ends its workers
    faulthandler.enable(all_threads=False)
    sys.stdout = sys.stderr  # output of print appears line by line
    channel = wire.Channel.of_worker()
    try:
        sandbox.enter(permissions, memory)
        plugins = loading.load_file(os.path.abspath(file))
    except OSError as error:
        channel.send({"type": "refused", "error": f"cannot enter the sandbox: {error}"})
        return 1
    except loading.Refused as error:
        channel.send({"type": "refused", "error": str(error)})
        return 1
    try:
        channel.send(loading.hello(plugins))
        Worker(channel, file, plugins, memory).serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the host is gone
    except wire.ProtocolError as error:
        print(f"unroll_plugin: protocol error: {error}", file=sys.stderr)
        return 2
    return 0


status = main()
sys.stderr.flush()
os._exit(status)  # without waiting for threads of a plugin
