"""Plugins for unroll, written in Python: a class with process() and finish() is one. See docs/python_plugins.md.

    from unroll_plugin import Block, End, Plugin

    class Surprise(Plugin):
        name, version, description = "surprise", "1", "The most surprising token"
        state = {"nats": 0.0, "start": 0}

        def process(self, block: Block) -> None:
            i = int(block.logprobs.argmin())
            if -block.logprobs[i] > self.state["nats"]:
                self.state.update(nats=float(-block.logprobs[i]), start=int(block.offsets[i]))

        def finish(self, end: End) -> None:
            self.emit(self.state)

`python3 -m unroll_plugin --try FILE.py TEXTFILE` runs a file's plugins by hand, `python3 -m unroll_plugin FILE.py` is
the worker process that unroll starts.
"""

import sys

if sys.argv[0] == "-m":  # run as a program: prepare before NumPy is imported
    from . import start

    start.prepare()

from .block import Block, End, Fork, Vocabulary
from .errors import Error, OptionsError, StateError
from .plugin import Plugin

__all__ = ["Block", "End", "Error", "Fork", "OptionsError", "Plugin", "StateError", "Vocabulary"]
