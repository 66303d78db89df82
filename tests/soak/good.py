"""Good clients: each reads one document after another, in every possible way, and compares the outputs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import unroll_client as unroll
from documents import PLUGINS, Comparison, Mismatch, Source, pieces
from unroll_client import errors, sockets

MOST_SECONDS = 600  # for one document: a hundred share the daemon
_MOST_ATTEMPTS = 50


class Crowd:
    """State that the clients share."""

    def __init__(self, socket: str, sources: list[Source], seed: int, told: Callable[[str], None]):
        self.socket, self.sources, self.seed = socket, sources, seed
        self.told = told  # called with each document's id
        self.stopping = False
        self.ways: Counter[str] = Counter()  # documents read and compared, by way
        self.document_bytes = 0
        self.compared_bytes = 0
        self.interruptions = 0
        self.refusals = 0  # at a limit: tried again
        self.failures: list[str] = []

    @property
    def documents(self) -> int:
        return self.ways.total()

    async def run(self, clients: int) -> None:
        """Returns when `stopping` is set and every document is read to its end."""
        await asyncio.gather(*(Good(self, number).run() for number in range(clients)))

    def count(self, way: str, source: Source, comparison: Comparison) -> None:
        self.ways[way] += 1
        self.document_bytes += len(source.data)
        self.compared_bytes += comparison.bytes


class Good:
    def __init__(self, crowd: Crowd, number: int):
        self._crowd, self._number = crowd, number
        self._rng = random.Random(f"{crowd.seed}/good/{number}")
        self._http = number % 8 == 7
        self._slow = number % 8 == 3

    async def run(self) -> None:
        while not self._crowd.stopping:
            try:
                async with asyncio.timeout(MOST_SECONDS):
                    await (self._over_http() if self._http else self._over_rpc())
            except errors.LimitError:
                self._crowd.refusals += 1
            except TimeoutError:
                self._fail(f"a document was not done within {MOST_SECONDS} s")
            except Mismatch as mismatch:
                self._fail(str(mismatch))
            except (unroll.UnrollError, OSError, ValueError, LookupError) as error:
                self._fail(f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._rng.uniform(0, 0.5))

    def _fail(self, text: str) -> None:
        self._crowd.failures.append(f"good client {self._number}: {text}")

    def _draw(self) -> tuple[Source, str]:
        sources = self._crowd.sources
        source = self._rng.choices(sources, [1.0 if self._slow else source.weight for source in sources])[0]
        return source, self._rng.choice(list(PLUGINS))

    # JSON-RPC

    async def _over_rpc(self) -> None:
        if self._number % 8 == 5:
            async with unroll.aio.Client(self._crowd.socket) as client:
                async with asyncio.TaskGroup() as group:
                    for _ in range(3):
                        group.create_task(self._shared(client))
            return
        source, plugins = self._draw()
        way = self._rng.choice(["fd", "stream", "pipe"] + ["text"] * source.is_text)
        comparison = Comparison(source, plugins, way)
        if way == "pipe":
            await self._pipe(source, plugins, comparison)
        else:
            await self._interrupted(source, plugins, way, comparison)
        self._crowd.count(("slow " if self._slow else "") + way, source, comparison)

    async def _shared(self, client: unroll.aio.Client) -> None:
        source, plugins = self._draw()
        comparison = Comparison(source, plugins, "shared")
        async with await client.open(PLUGINS[plugins], stream=pieces(self._rng, source.data)) as document:
            await self._listen(document, comparison)
        self._crowd.count("shared connection", source, comparison)

    async def _pipe(self, source: Source, plugins: str, comparison: Comparison) -> None:
        reading, writing = os.pipe()
        try:
            async with unroll.aio.Client(self._crowd.socket) as client:
                async with await client.open(PLUGINS[plugins], fd=reading) as document:
                    threading.Thread(target=_feed, args=(writing, list(pieces(self._rng, source.data)))).start()
                    writing = -1
                    await self._listen(document, comparison)
        finally:
            os.close(reading)
            if writing >= 0:
                os.close(writing)

    async def _interrupted(self, source: Source, plugins: str, way: str, comparison: Comparison) -> None:
        """Disconnects a few times in the middle of a document, and resumes each time."""
        breaks = self._rng.choice((0, 0, 0, 1, 2))
        document_id = None
        for _ in range(_MOST_ATTEMPTS):
            try:
                async with unroll.aio.Client(self._crowd.socket) as client:
                    how = self._how(source, way)
                    if document_id is None:
                        document = await client.open(PLUGINS[plugins], **how)
                        document_id = document.id
                        self._crowd.told(document_id)
                    else:
                        document = await client.resume(
                            document_id, PLUGINS[plugins], comparison.next_sequence, **how
                        )
                    most = self._rng.randrange(len(source.outputs[plugins]) + 1) if breaks > 0 else None
                    if await self._listen(document, comparison, most):
                        return
                breaks -= 1
                self._crowd.interruptions += 1
            except (errors.PeerGoneError, errors.DocumentStateError):
                pass  # the daemon has not noticed the disconnection yet: resume again
            except errors.LimitError:
                if document_id is None:
                    raise
                self._crowd.refusals += 1  # continue anyway
            await asyncio.sleep(self._rng.uniform(0.02, 1))
        raise Mismatch(f"{source.name} ({way}): not done in {_MOST_ATTEMPTS} attempts")

    def _how(self, source: Source, way: str) -> dict[str, Any]:
        if way == "text":
            return {"text": source.data.decode()}
        return {"path": source.path} if way == "fd" else {"stream": pieces(self._rng, source.data)}

    async def _listen(
        self, document: unroll.aio.Document, comparison: Comparison, most: int | None = None
    ) -> bool:
        """False if it stopped after this many events."""
        taken = 0
        async for event in document:
            comparison.take_event(event)
            taken += 1
            if isinstance(event, unroll.Done):
                return True
            if most is not None and taken >= most:
                return False
            if self._slow and self._rng.random() < 0.01:
                await asyncio.sleep(self._rng.uniform(0, 1))
        raise Mismatch(f"document {document.id} ended without done")

    # HTTP

    async def _over_http(self) -> None:
        source, _ = self._draw()
        plugin, query = self._rng.choice((("score", "?granularity=line"), ("anomaly", "")))
        comparison = Comparison(source, plugin, "http")
        # asyncio's own function treats a full queue of connections as a connection.
        connection = await asyncio.to_thread(sockets.connect, self._crowd.socket, 0)
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        try:
            sending = asyncio.create_task(self._send(writer, f"PUT /v1/{plugin}{query} HTTP/1.1", source.data))
            lines = self._response(reader)
            held = None
            async for line in lines:
                if held is not None:
                    comparison.take(plugin, held)
                held = line
            last = json.loads(held or b"{}")
            if "done" not in last:
                raise Mismatch(f"{source.name} over HTTP failed: {last.get('failed', {}).get('code')}")
            comparison.end(last["done"])
            await sending
        finally:
            sending.cancel()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self._crowd.count("http", source, comparison)

    async def _send(self, writer: asyncio.StreamWriter, request: str, data: bytes) -> None:
        chunked = self._rng.random() < 0.5
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(data)}"
        writer.write(f"{request}\r\nHost: soak\r\n{length}\r\n\r\n".encode())
        for piece in pieces(self._rng, data):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _response(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """The body's lines. Each of the daemon's chunks is one."""
        status = await reader.readline()
        if status.startswith(b"{"):  # at a limit of connections
            raise errors.error_from_json(json.loads(status)["error"])
        header = await reader.readuntil(b"\r\n\r\n")
        if not status.startswith(b"HTTP/1.1 200 "):
            length = int(header.lower().split(b"content-length:")[1].split()[0])
            raise errors.error_from_json(json.loads(await reader.readexactly(length))["error"])
        while size := int(await reader.readline(), 16):
            line = await reader.readexactly(size + 2)
            if not line.endswith(b"\n\r\n"):
                raise Mismatch("a chunk that is not one line")
            if not line.startswith(b'{"progress":'):  # a busy daemon sends it as a sign of life
                yield line[:-3]
        await reader.readexactly(2)


def _feed(writing: int, data: list[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb", 0) as end:
        for piece in data:
            end.write(piece)


async def administrate(socket: str, every: float, crowd: Crowd) -> int:
    """Reloads the model repeatedly. Returns how often."""
    reloads = 0
    while not crowd.stopping:
        for _ in range(int(every * 10)):
            if not crowd.stopping:
                await asyncio.sleep(0.1)
        try:
            async with asyncio.timeout(MOST_SECONDS), unroll.aio.Client(socket) as client:
                await client.reload()
            reloads += 1
        except (unroll.UnrollError, OSError) as error:
            crowd.failures.append(f"administrator: {type(error).__name__}: {error}")
    return reloads
