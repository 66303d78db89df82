"""Daemons that stop, hang and return; processes that fork; clients that are never closed."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import threading
import time
import unittest
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from .fixture import LINES, SECONDS, DaemonTest, in_pieces, some_text

import unroll_client
from unroll_client import Client, ConnectionLostError, Done, ForkedError, TimedOutError, Timeouts, aio, errors

SETTINGS = {"journal": {"commit_blocks": 2}, "limits": {"input_buffer_bytes": 8192}, "drain_ms": 20}


def in_child(work: Callable[[], Any]) -> str:
    """Runs it in a forked process; returns its result, or the name of the exception."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        try:
            said = str(work())
        except BaseException as error:
            said = type(error).__name__
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


class TimeoutTest(DaemonTest):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.signal, signal.SIGCONT)

    def test_a_daemon_that_hangs(self) -> None:
        client = self.connect(timeout=0.4)
        document = client.open(LINES, stream=True)
        self.signal(signal.SIGSTOP)
        for call in (client.ping, document.next_event, lambda: client.open(LINES, text="x\n" * 2_000_000)):
            with self.assertRaisesRegex(TimedOutError, f"{self.socket()} has not answered for 0.4 s") as caught:
                call()
            self.assertIsInstance(caught.exception, TimeoutError)
        with self.assertRaises(TimedOutError):
            self.connect(timeout=0.2).ping()

    def test_a_daemon_that_has_nothing_to_say_does_not_hang(self) -> None:
        client = self.connect(timeout=Timeouts(read=0.2))
        with client.open(LINES, stream=True) as document:
            with self.assertRaisesRegex(TimedOutError, "no event in 1.0 s"):
                document.next_event(timeout=1.0)

    def test_a_limit_of_all(self) -> None:
        client = self.connect(timeout=Timeouts(total=0.3))
        document = client.open(LINES, stream=True)
        with self.assertRaisesRegex(TimedOutError, "not read in 0.3 s"):
            list(document)
        while client.status(document.id).phase == "open":
            time.sleep(0.01)
        self.signal(signal.SIGSTOP)
        with self.assertRaisesRegex(TimedOutError, "server.ping was not answered in 0.3 s"):
            client.ping()

    def test_asyncio(self) -> None:
        async def main() -> None:
            async with aio.Client(self.socket(), timeout=Timeouts(read=0.4)) as client:
                document = await client.open(LINES, stream=True)
                with self.assertRaisesRegex(TimedOutError, "no event in 1.0 s"):
                    await document.next_event(timeout=1.0)
                self.signal(signal.SIGSTOP)
                for call in (client.ping(), document.next_event()):
                    with self.assertRaisesRegex(TimedOutError, "has not answered for 0.4 s"):
                        await call

        asyncio.run(main())

    def test_an_open_that_is_given_up_is_cancelled(self) -> None:
        client, watcher = self.connect(timeout=Timeouts(read=0.2)), self.connect()
        self.signal(signal.SIGSTOP)
        with self.assertRaises(TimedOutError):
            client.open("score", text=some_text(60_000))
        self.signal(signal.SIGCONT)
        client.ping()  # its reading receives the document's events
        self.assertEqual(len(watcher.list(limit=1)), 1)
        while (status := watcher.list(limit=1)[0]).phase == "open":
            time.sleep(0.01)
        self.assertIsInstance(status.error, errors.DocumentCancelledError)


class ReconnectTest(DaemonTest):
    def test_calls_go_to_the_next_daemon(self) -> None:
        client = self.connect(reconnect=SECONDS)
        for _ in range(2):
            pid = client.info().pid
            self.start()
            self.assertNotEqual(client.info().pid, pid)
        never = self.connect(reconnect=0)
        self.start()
        with self.assertRaises(ConnectionLostError):
            never.ping()

    def test_a_call_waits_for_a_daemon_that_is_away(self) -> None:
        client = self.connect(reconnect=SECONDS)
        self.kill()
        starting = threading.Timer(0.5, self.start)
        starting.start()
        client.ping()
        starting.join()
        self.kill()
        with self.assertRaises(ConnectionError):
            self.gone = Client(self.socket(), reconnect=0.2)

    def sources(self, text: str) -> dict[str, Any]:
        (self.folder / "text").write_text(text)
        return {"text": text, "path": self.folder / "text", "stream": in_pieces(text.encode(), 3000)}

    def read_over_restarts(self, number: int, **how: Any) -> list[Any]:
        self.start(**SETTINGS)
        got: list[Any] = []
        with self.connect(reconnect=SECONDS).open(LINES, **how) as document:
            for output in document.outputs():
                self.assertEqual(output.sequence, len(got))
                got.append(output.data)
                if len(got) == 100:
                    self.signal(number)
                    assert self.process is not None
                    self.process.wait()
                    self.start(**SETTINGS)
        return got

    def test_a_document_goes_on_and_nothing_is_lost_or_comes_twice(self) -> None:
        text = some_text(400)
        expected = self.expected(text)
        for how, source in self.sources(text).items():
            with self.subTest(how):
                self.assertEqual(self.read_over_restarts(signal.SIGKILL, **{how: source}), expected)

    def test_a_daemon_that_is_stopped_in_order(self) -> None:
        text = some_text(400)
        self.assertEqual(self.read_over_restarts(signal.SIGTERM, text=text), self.expected(text))

    def test_a_stream_by_hand_goes_on(self) -> None:
        self.start(**SETTINGS)
        text = some_text(400).encode()
        client = self.connect(reconnect=SECONDS)
        document = client.open(LINES, stream=True)
        got: list[Any] = []

        def listen() -> None:
            got.extend(output.data for output in document.outputs())

        listener = threading.Thread(target=listen)
        listener.start()
        for i, piece in enumerate(in_pieces(text, 1000)):
            document.append(piece)
            if i == 5:
                self.start(**SETTINGS)
        document.end()
        self.start(**SETTINGS)
        listener.join()
        self.assertEqual(got, self.expected(text.decode()))

    def test_asyncio(self) -> None:
        text = some_text(400)
        expected = self.expected(text)

        async def pieces() -> AsyncIterator[bytes]:
            for piece in in_pieces(text.encode(), 3000):
                yield piece

        async def read(**how: Any) -> None:
            self.start(**SETTINGS)
            async with aio.Client(self.socket(), reconnect=SECONDS) as client:
                got: list[Any] = []
                async with await client.open(LINES, **how) as document:
                    async for output in document.outputs():
                        got.append(output.data)
                        if len(got) == 100:
                            await asyncio.to_thread(self.start, **SETTINGS)
                self.assertEqual(got, expected)
                await client.ping()

        for how, source in {**self.sources(text), "stream": pieces()}.items():
            with self.subTest(how):
                asyncio.run(read(**{how: source}))

    def test_a_pipe_cannot_be_read_again(self) -> None:
        self.start(**SETTINGS)
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        document = self.connect(reconnect=SECONDS).open(LINES, fd=reading)
        os.close(reading)
        os.write(writing, some_text(100).encode())
        next(document.outputs())
        self.start(**SETTINGS)
        with self.assertRaisesRegex(errors.SourceError, "descriptor"):
            list(document)


class ForkTest(DaemonTest):
    def test_a_child_gets_a_connection_of_its_own(self) -> None:
        client, text = self.connect(), some_text(50)
        expected = self.expected(text)
        with client.open(LINES, text=text) as document:
            next(document)

            def read() -> bool:
                return list(client.run("score", LINES["score"], text="other\n")) == self.expected("other\n")

            def leave() -> None:
                with document:
                    raise KeyError

            self.assertEqual(in_child(read), "True")
            self.assertEqual(in_child(lambda: next(document)), "ForkedError")
            self.assertEqual(in_child(document.cancel), "ForkedError")
            self.assertEqual(in_child(leave), "KeyError")
            self.assertEqual(in_child(client.close), "None")
            self.assertIsInstance(list(document)[-1], Done)
        self.assertEqual(list(client.run("score", LINES["score"], text=text)), expected)

    def test_while_another_thread_uses_it(self) -> None:
        client = self.connect()
        with client._lock:
            self.assertEqual(in_child(client.ping), "None")
        stop = threading.Event()

        def use() -> None:
            while not stop.is_set():
                client.ping()

        user = threading.Thread(target=use)
        user.start()
        try:
            self.assertEqual([in_child(client.ping) for _ in range(10)], ["None"] * 10)
        finally:
            stop.set()
            user.join()

    def test_asyncio(self) -> None:
        async def main() -> None:
            async with aio.Client(self.socket()) as client:
                await client.ping()

                def use() -> str:
                    try:
                        client.ping().send(None)
                    except StopIteration:
                        return "answered"
                    return "waits"

                self.assertEqual(in_child(use), ForkedError.__name__)
                await client.ping()

        asyncio.run(main())


class LeftTest(DaemonTest):
    def descriptors(self) -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    def test_a_client_that_is_never_closed_warns_and_leaves_nothing(self) -> None:
        before, threads = self.descriptors(), threading.active_count()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(5):
                list(Client(self.socket()).score(text="x"))
            self.assertEqual(self.descriptors(), before)
        self.assertEqual([one.category for one in caught], [ResourceWarning] * 5)
        self.assertIn("never closed", str(caught[0].message))
        self.assertEqual(threading.active_count(), threads)

    def test_asyncio(self) -> None:
        async def leave() -> None:
            client = await aio.Client(self.socket()).connect()
            await client.ping()

        before = self.descriptors()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            asyncio.run(leave())
            self.assertEqual(self.descriptors(), before)
        self.assertEqual([one.category for one in caught], [ResourceWarning])

    def test_what_is_closed_does_not_warn(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with Client(self.socket()) as client:
                client.ping()
            del client
            gc.collect()
        self.assertEqual(caught, [])

    def test_an_open_that_is_cancelled_cancels_its_document(self) -> None:
        text = some_text(5000)

        async def main(closes: bool) -> None:
            async with aio.Client(self.socket()) as watcher:
                async with aio.Client(self.socket()) as client:
                    opening = asyncio.create_task(client.open("score", text=text))
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)  # the line is being sent
                    opening.cancel()
                    with self.assertRaises(asyncio.CancelledError):
                        await opening
                    while not closes and not await watcher.list(limit=1):
                        await asyncio.sleep(0.01)
                while (status := (await watcher.list(limit=1))[0]).phase == "open":
                    await asyncio.sleep(0.01)
                self.assertIsInstance(status.error, errors.DocumentCancelledError)

        for closes in (False, True):
            with self.subTest(closes=closes):
                asyncio.run(main(closes))


class VersionTest(unittest.TestCase):
    def test_is_the_project_s(self) -> None:
        project = (Path(__file__).resolve().parents[3] / "CMakeLists.txt").read_text()
        self.assertEqual(re.findall(r"project\(unroll VERSION (\S+)", project), [unroll_client.__version__])


if __name__ == "__main__":
    unittest.main()
