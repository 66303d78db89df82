from __future__ import annotations

import asyncio
import contextlib
import os
import unittest
from collections.abc import AsyncIterator
from typing import Any

from .fixture import LINES, SECONDS, DaemonTest, in_pieces, some_text

from unroll_client import ConnectionLostError, Done, NotConnectedError, errors, results
from unroll_client.aio import Client


class AioTest(DaemonTest, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # unittest sets it, and it warns about blocking set-up

    async def connect_async(self, **how: Any) -> Client:
        client = await Client(self.socket(), patience=SECONDS, **how).connect()
        self.addAsyncCleanup(client.close)
        return client

    async def pieces(self, text: str, size: int = 1000) -> AsyncIterator[bytes]:
        for piece in in_pieces(text.encode(), size):
            await asyncio.sleep(0)
            yield piece

    async def test_every_source_side_by_side_on_one_connection(self) -> None:
        text = some_text(60)
        (self.folder / "text").write_text(text)
        expected = self.expected(text)
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        async with Client(self.socket()) as client:

            async def read(**how: Any) -> list[Any]:
                return [data async for data in client.run("score", LINES["score"], **how)]

            sources: list[dict[str, Any]] = [
                {"text": text},
                {"path": self.folder / "text"},
                {"fd": reading},
                {"stream": self.pieces(text)},
                {"stream": in_pieces(text.encode(), 700)},
            ]
            tasks = [asyncio.create_task(read(**how)) for how in sources]
            with open(writing, "w") as pipe:
                pipe.write(text)
            await client.ping()
            self.assertEqual(await asyncio.gather(*tasks), [expected] * len(tasks))

    async def test_each_method(self) -> None:
        client = await self.connect_async()
        self.assertEqual((await client.info()).protocol, 1)
        self.assertGreater((await client.stats())["uptime_seconds"], 0)
        with contextlib.suppress(errors.MethodNotFoundError):  # it may not exist yet
            await client.reload()
        for plugin, kind in (
            (client.score(text="a\nb\n"), results.DocumentScore),
            (client.anomaly({"top": 3}, text="a\nb\n"), results.DocumentAnomaly),
            (client.summarize(text="One. Two."), results.Summary),
            (client.embed(text="One. Two."), results.DocumentVector),
        ):
            self.assertIsInstance([found async for found in plugin][-1], kind)
        document = await client.open("score", text="x\n", name="named")
        events = [event async for event in document]
        self.assertIsInstance(events[-1], Done)
        self.assertIsNone(await document.next_event())
        self.assertEqual((await client.list(limit=1))[0].name, "named")
        self.assertEqual((await client.status(document.id)).phase, "done")
        self.assertEqual((await client.create_snapshot("a", text="x\n")).bytes, 2)
        stored = await client.export_snapshot("a")
        self.assertEqual((await client.import_snapshot(stored, "b")).bytes, 2)
        self.assertEqual([one.name for one in await client.snapshots()], ["a", "b"])
        await client.delete_snapshot("a")
        self.assertIsInstance([found async for found in client.score(text="y", after="b")][-1], results.DocumentScore)

    async def test_errors(self) -> None:
        client = await self.connect_async()
        with self.assertRaisesRegex(errors.PluginUnknownError, "sc0re"):
            await client.open("sc0re", text="x")
        with self.assertRaises(errors.SourceError):
            await client.open("score", path=self.folder)
        with self.assertRaises(errors.DocumentUnknownError):
            await client.attach("0123")
        with self.assertRaises(NotConnectedError):
            await Client(self.socket()).ping()
        with self.assertRaises(NotConnectedError):
            await Client("/nowhere/s").connect()

        async def source() -> AsyncIterator[bytes]:
            yield b"one line\n"
            raise RuntimeError("no more to be had")

        with self.assertRaisesRegex(RuntimeError, "no more"):
            async for _ in client.score(stream=source()):
                pass
        while (await client.stats())["open_documents"] > 0:
            await asyncio.sleep(0.01)

    async def test_cancel_and_attach(self) -> None:
        client, other = await self.connect_async(), await self.connect_async()
        document = await client.open(LINES, stream=True)
        await document.append(some_text(20).encode())
        attached = await other.attach(document.id)
        await document.cancel()
        with self.assertRaises(errors.DocumentStateError):  # another connection is subscribed
            async for _ in document:
                pass
        with self.assertRaises(errors.DocumentCancelledError):
            async for _ in attached:
                pass

    async def test_a_wait_that_is_cancelled_costs_nothing_else(self) -> None:
        client = await self.connect_async()
        async with await client.open(LINES, stream=True) as document:
            for _ in range(3):
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(document.next_event(), 0.02)
            calls = [asyncio.create_task(client.stats()) for _ in range(20)]
            await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            self.assertTrue(all(isinstance(answer, dict) for answer in answers[1::2]), answers)
            await document.append(b"one line\n")
            await document.end()
            self.assertIsInstance([event async for event in document][-1], Done)

    async def test_left_early_it_is_cancelled(self) -> None:
        client = await self.connect_async()

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"the same line\n" * 50

        async with await client.open(LINES, stream=endless()) as document:
            await document.next_event()
        while (status := await client.status(document.id)).phase == "open":
            await asyncio.sleep(0.01)
        self.assertIsInstance(status.error, errors.DocumentCancelledError)

    async def test_a_stream_is_drawn_from_no_faster_than_the_model_reads(self) -> None:
        self.start(limits={"input_buffer_bytes": 16384})
        drawn = furthest = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal drawn
            while True:
                drawn += len(piece)
                yield piece

        piece = some_text(100).encode()
        client, watcher = await self.connect_async(), await self.connect_async()
        async with await client.open({"score": {"granularity": "document"}}, stream=endless()) as document:
            while (read := (await watcher.status(document.id)).bytes) < 50_000:
                furthest = max(furthest, drawn - read)
                await asyncio.sleep(0.01)
        self.assertGreater(drawn, 50_000)
        self.assertLess(furthest, 50_000)

    async def test_a_stream_waits_for_who_takes_its_events(self) -> None:
        client = await self.connect_async()
        line = b"one\n" * 100

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield line

        async with await client.open(LINES, stream=endless()) as document:
            waited = 0
            while waited < 30:  # until it stops
                before = len(document._mailbox.waiting)
                await asyncio.sleep(0.01)
                waited = waited + 1 if len(document._mailbox.waiting) == before > 0 else 0
            self.assertLess(len(document._mailbox.waiting), 100_000)
            for _ in range(5000):  # and it continues
                await document.next_event()

    async def test_killed_and_resumed_nothing_is_lost_and_nothing_comes_twice(self) -> None:
        text = some_text(400)
        expected = self.expected(text)
        got: list[Any] = []
        document = None
        for life in range(3):
            self.start(journal={"commit_blocks": 2}, limits={"input_buffer_bytes": 8192})
            client = await self.connect_async(reconnect=0)
            if document is None:
                document = await client.open(LINES, stream=self.pieces(text))
            else:
                stream = self.pieces(text)
                document = await client.resume(document.id, LINES, document.next_sequence, stream=stream)
            try:
                async for output in document.outputs():
                    self.assertEqual(output.sequence, len(got))
                    got.append(output.data)
                    if life < 2 and len(got) % 150 == 100:
                        self.kill()
                self.assertEqual(life, 2, "it ended before it was killed")
            except ConnectionLostError:
                self.assertLess(life, 2)
        self.assertEqual(got, expected)


if __name__ == "__main__":
    unittest.main()
