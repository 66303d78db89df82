"""Many documents at once, and a daemon of the program's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unroll_client import Client, LocalDaemon, NotConnectedError, local
from unroll_client.errors import TextError, UnrollError
from unroll_client.results import DocumentScore

from .fixture import SECONDS, DaemonTest, pids_with, some_text

DOCUMENT = {"score": {"granularity": "document", "top": 0}}
TEXTS = [some_text(i % 7) + "x" * i for i in range(60)]


class ManyTest(DaemonTest):
    def test_in_order_with_the_scores_that_each_has_alone(self) -> None:
        with Client(self.socket()) as client:
            alone = [list(client.score(DOCUMENT["score"], text=text))[-1] for text in TEXTS]
            many = list(client.score_many(TEXTS, in_flight=16))
        self.assertEqual(many, alone)
        self.assertEqual(
            [one.bytes for one in many if isinstance(one, DocumentScore)], [len(t.encode()) for t in TEXTS]
        )

    def test_texts_are_taken_only_a_little_ahead(self) -> None:
        taken = 0

        def texts() -> Iterator[str]:
            nonlocal taken
            for text in TEXTS * 1000:
                taken += 1
                yield text

        with Client(self.socket()) as client:
            scores = client.score_many(texts(), in_flight=8)
            for _ in range(20):
                next(scores)
            self.assertLessEqual(taken, 28)
            scores.close()  # cancels those that are open
            while client.stats()["open_documents"] > 0:  # what is being read is cancelled after its block
                time.sleep(0.01)
            self.assertEqual([status for status in client.list() if status.phase == "open"], [])

    def test_other_plugins_and_long_texts(self) -> None:
        long = some_text(60_000)
        self.assertGreater(len(long), 1 << 20)
        with Client(self.socket()) as client:
            first, second = client.read_many({**DOCUMENT, "embed": {}}, ["short", long], in_flight=2)
        self.assertEqual(first.outputs["embed"]["type"], "document")
        self.assertEqual(second.bytes, len(long.encode()))

    def test_one_that_is_no_text_has_an_error_and_the_others_are_read(self) -> None:
        long = "x" * (1 << 20) + "\ud800"
        texts: list[Any] = ["one", None, "half \ud800", float("nan"), b"bytes", long, "two"]
        with Client(self.socket()) as client:
            expected = list(client.score_many(["one", "two"]))
            scores = list(client.score_many(texts))
        self.assertEqual([scores[0], scores[-1]], expected)
        for score in scores[1:-1]:
            self.assertIsInstance(score, TextError)
        self.assertIn("NoneType", str(scores[1]))

    def test_what_is_wrong_with_all_is_raised(self) -> None:
        with Client(self.socket()) as client, self.assertRaises(UnrollError):
            list(client.read_many("nothing", TEXTS))


class LocalTest(unittest.TestCase):
    def setUp(self) -> None:
        signal.alarm(SECONDS)
        self.addCleanup(signal.alarm, 0)
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def daemon(self, folder: Path | None = None) -> LocalDaemon:
        daemon = LocalDaemon(program=os.environ["UNROLLD"], model=os.environ["UNROLL_MODEL"], folder=folder)
        self.addCleanup(daemon.close)
        return daemon

    def pids(self) -> list[int]:
        return pids_with(f"--socket={self.folder}/s")

    def test_one_with_block_is_enough(self) -> None:
        with local(program=os.environ["UNROLLD"], model=os.environ["UNROLL_MODEL"]) as client:
            (score,) = client.score_many(["some text"])
            self.assertIsInstance(score, DocumentScore)
            folder = Path(str(client._path)).parent
        self.assertFalse(folder.exists())

    def test_killed_in_the_middle_it_is_started_again_and_nothing_is_lost(self) -> None:
        daemon = self.daemon(self.folder)
        with daemon.client() as client:
            expected = list(client.score_many(TEXTS))
            scores = client.score_many(TEXTS, in_flight=8)
            read = [next(scores) for _ in range(5)]
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            read += scores
        self.assertEqual(read, expected)

    def test_processes_share_one_and_another_takes_over(self) -> None:
        code = (
            "import sys; from unroll_client import LocalDaemon; from pathlib import Path\n"
            f"daemon = LocalDaemon(program={os.environ['UNROLLD']!r}, model={os.environ['UNROLL_MODEL']!r},"
            f" folder={str(self.folder)!r})\n"
            "with daemon.client() as client: client.ping(); print('ready', flush=True); sys.stdin.read()"
        )
        first = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(first.communicate)
        assert first.stdout is not None
        self.assertEqual(first.stdout.readline(), b"ready\n")
        daemon = self.daemon(self.folder)
        with daemon.client() as client:
            client.ping()
            (before,) = self.pids()
            first.kill()
            first.wait()
            client.ping()
            list(client.score_many(TEXTS[:3]))
        while before in self.pids():
            time.sleep(0.05)
        with daemon.client() as client:
            client.ping()
        self.assertEqual(len(self.pids()), 1)
        daemon.close()
        self.assertEqual(self.pids(), [])

    def test_as_a_program_it_prints_its_socket_and_ends_with_a_signal(self) -> None:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "unroll_client", "--program", os.environ["UNROLLD"], "--model", os.environ["UNROLL_MODEL"],
             "--folder", str(self.folder)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.addCleanup(daemon.communicate)
        assert daemon.stdout is not None
        with Client(daemon.stdout.readline().strip()) as client:
            (score,) = client.score_many(["some text"])
            self.assertIsInstance(score, DocumentScore)
        self.assertEqual(len(self.pids()), 1)
        daemon.send_signal(signal.SIGINT)
        self.assertEqual(daemon.wait(), 0)
        self.assertEqual(self.pids(), [])

    def test_a_daemon_that_cannot_start_says_why(self) -> None:
        daemon = LocalDaemon(program=os.environ["UNROLLD"], model=self.folder / "nothing", folder=self.folder)
        self.addCleanup(daemon.close)
        with self.assertRaisesRegex(NotConnectedError, "log ends with: .*nothing"):
            daemon.client(patience=2.0)
        with self.assertRaisesRegex(NotConnectedError, "no program /no/unrolld"):
            LocalDaemon(program="/no/unrolld")
