"""A real unrolld on a socket of its own: $UNROLLD with the model in $UNROLL_MODEL."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from unroll_client import Client, Done  # noqa: E402

SECONDS = 60  # each test ends on its own, even if something hangs
LINES = {"score": {"granularity": "line"}}


def some_text(lines: int) -> str:
    return "".join(
        f"line {i * 7919 % 1000}" + (" of the größer whale\n" if i % 3 == 0 else " is here\n") for i in range(lines)
    )


def pids_with(argument: str) -> list[int]:
    """The processes one of whose arguments begins with it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if any(word.startswith(argument.encode()) for word in (folder / "cmdline").read_bytes().split(b"\0")):
                found.append(int(folder.name))
    return found


def in_pieces(text: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


class DaemonTest(unittest.TestCase):
    folder: Path
    settings: dict[str, Any] = {}
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.addClassCleanup(cls.kill)
        cls.start(**cls.settings)

    def setUp(self) -> None:
        signal.alarm(SECONDS)
        self.addCleanup(signal.alarm, 0)

    @classmethod
    def start(cls, **settings: Any) -> None:
        """Restarts the daemon with these settings over the defaults; the journal stays."""
        cls.kill()
        (cls.folder / "settings.json").write_text(json.dumps(settings))
        arguments = {
            "config": "settings.json",
            "socket": "s",
            "journal": "journal",
            "model": os.environ["UNROLL_MODEL"],
        }
        with open(cls.folder / "log", "ab") as log:
            cls.process = subprocess.Popen(
                [os.environ["UNROLLD"], *(f"--{key}={cls.folder / value}" for key, value in arguments.items())],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        with Client(cls.socket(), patience=SECONDS) as client:
            client.ping()

    @classmethod
    def signal(cls, number: int) -> None:
        assert cls.process is not None
        cls.process.send_signal(number)

    @classmethod
    def kill(cls) -> None:
        if cls.process is not None:
            cls.process.kill()
            cls.process.wait()
            cls.process = None

    @classmethod
    def socket(cls) -> str:
        return str(cls.folder / "s")

    def connect(self, **how: Any) -> Client:
        client = Client(self.socket(), patience=SECONDS, **how)
        self.addCleanup(client.close)
        return client

    def expected(self, text: str) -> list[Any]:
        """The events of an undisturbed document of this text, read over a connection of its own."""
        with contextlib.closing(Client(self.socket())) as client, client.open(LINES, text=text) as document:
            events = list(document)
            self.assertIsInstance(events[-1], Done)
            return [event.data for event in events if hasattr(event, "data")]
