"""For the tests of plugins in Python: a plugin's file, real workers, and documents with made-up numbers."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import textwrap
import unittest
from typing import Any

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
sys.path.insert(0, os.path.join(SOURCE, "plugins/python"))

from unroll_plugin.hosting import Arena, PluginFailed, WorkerGone, WorkerProcess  # noqa: E402
from unroll_plugin.trying import Document, Reading  # noqa: E402

# Each test ends on its own, also where a worker hangs.
SECONDS = 60

HEAD = """
import numpy as np
from collections import deque
from unroll_plugin import Plugin, Error, OptionsError, StateError

class Base(Plugin):
    version = "1"
"""

TEXT = b"The quick brown fox, \xff\x00 caf\xc3\xa9 and the rest of it. " * 20


class PluginTest(unittest.TestCase):
    def setUp(self) -> None:
        import signal

        signal.alarm(SECONDS)
        self.addCleanup(signal.alarm, 0)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.stderr = open(os.path.join(self.folder, "stderr"), "w+b")
        self.addCleanup(self.stderr.close)

    def write(self, body: str, head: str = HEAD, name: str = "tried.py") -> str:
        file = os.path.join(self.folder, name)
        with open(file, "w") as out:
            out.write(head + textwrap.dedent(body))
        return file

    def line(self, needle: str) -> int:
        """Of the written file, where the needle stands."""
        with open(os.path.join(self.folder, "tried.py")) as source:
            return next(i for i, line in enumerate(source, 1) if needle in line)

    def start(self, body: str, environment: dict[str, str] | None = None) -> WorkerProcess:
        worker = WorkerProcess(self.write(body), environment=environment, stderr=self.stderr)
        self.addCleanup(worker.close)
        return worker

    def words(self) -> str:
        """The worker's stderr so far."""
        self.stderr.seek(0)
        return self.stderr.read().decode()

    def refusal(self, body: str, head: str = HEAD) -> str:
        with self.assertRaises(PluginFailed) as caught:
            WorkerProcess(self.write(body, head), stderr=self.stderr)
        return str(caught.exception)

    def read(self, worker: WorkerProcess, options: str = "{}", resumed: bool = False, width: int = 16) -> list[bytes]:
        document = Document.made_up(TEXT, dim=8)
        return list(Reading(worker, worker.plugins[0], options, resumed).outputs(document, width))

    def failure(self, body: str, options: str = "{}") -> PluginFailed:
        with self.assertRaises(PluginFailed) as caught:
            self.read(self.start(body), options)
        return caught.exception


class OneBlock:
    """An instance, and a block for it in an arena; the calls are the test's."""

    def __init__(self, worker: WorkerProcess, width: int = 16):
        self.worker = worker
        document = Document.made_up(TEXT, dim=8)
        self.layout, data = next(document.blocks(worker.plugins[0], width))
        self.document = document
        self.arena = Arena(max(4096, len(data)))
        self.arena.fill(data)
        worker.use(self.arena)
        create = {"type": "create", "instance": 1, "plugin": worker.plugins[0]["name"], "options": "{}"}
        _, self.state = worker.call(create)

    def frame(self, **changed: Any) -> dict[str, Any]:
        return {"type": "process", "instance": 1, **dataclasses.asdict(self.layout), **changed}

    def process(self) -> list[bytes]:
        outputs, self.state = self.worker.call(self.frame())
        return outputs


__all__ = ["Arena", "Document", "OneBlock", "PluginFailed", "PluginTest", "Reading", "SOURCE", "TEXT", "WorkerGone",
           "WorkerProcess"]  # fmt: skip
