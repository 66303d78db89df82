"""Attacks of hostile clients: each kind is a function that does it once; KINDS has them all.

Where the protocol defines the result, an attack that gets another one raises Surprise.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import random
import re
import select
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any

from http_attacks import SMUGGLED

MAX_LINE_BYTES = 8 << 20
REQUEST_TIMEOUT = 10.0  # limits.request_timeout_ms of the soak's daemon
GRACE = 60.0  # added for a busy machine
FLOOD = 300  # documents that one connection tries to open; the soak's daemon allows fewer
DOCUMENT_UNKNOWN, INVALID_PARAMS, LIMIT = -32000, -32602, -32004


class Surprise(Exception):
    pass


@dataclass
class Attacker:
    rng: random.Random
    connect: Callable[[], socket.socket]
    marker: str  # in whatever is sent, to search for in the log
    folder: str  # of files that this user may read
    target: Callable[[random.Random], str | None]  # a good client's document
    stop: Event

    def garbage(self, size: int) -> bytes:
        return self.rng.randbytes(size) + self.marker.encode() + self.rng.randbytes(size)

    def text(self, lines: int) -> str:
        return "".join(f"{self.marker} {self.rng.randrange(1000)} is here\n" for _ in range(lines))


def line(method: str, params: Any, number: int = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


def opening(**how: Any) -> bytes:
    return line("document.open", {"plugins": [{"name": "score", "options": {"granularity": "line"}}], **how})


def received(connection: socket.socket, seconds: float, enough: Callable[[bytearray], bool] = lambda _: False) -> bytes:
    """Receives until the end, `enough`, or TimeoutError."""
    connection.settimeout(seconds)
    data = bytearray()  # grows without being copied
    with contextlib.suppress(ConnectionError):
        while not enough(data) and (some := connection.recv(1 << 16)):
            data += some
    return bytes(data)


def answers(connection: socket.socket, count: int) -> list[dict[str, Any]]:
    """This many responses, fewer if the connection ended; notifications are ignored."""
    found: list[dict[str, Any]] = []
    rest = b""
    connection.settimeout(GRACE)
    with contextlib.suppress(ConnectionError):
        while len(found) < count and (some := connection.recv(1 << 16)):
            *lines, rest = (rest + some).split(b"\n")
            found += [message for message in map(json.loads, lines) if "method" not in message]
    return found


def stops(a: Attacker) -> bool:
    """Whether the daemon is stopping: it closes connections between two answers."""
    for _ in range(50):
        try:
            a.connect().close()
        except OSError:
            return True
        time.sleep(0.1)
    return False


def error_codes(responses: list[dict[str, Any]]) -> list[int | None]:
    return [response.get("error", {}).get("code") for response in responses]


def slow_loris(a: Attacker) -> None:
    """Sends a byte at a time. A header must end within the timeout; a line may take longer."""
    with a.connect() as connection:
        http = a.rng.random() < 0.5
        text = f"PUT /v1/score?{a.marker}=1 HTTP/1.1\r\nX-{a.marker}: " if http else '{"jsonrpc":"2.0","' + a.marker
        began = time.monotonic()
        most = REQUEST_TIMEOUT + GRACE if http else a.rng.uniform(2, 20)
        for byte in (text + "x" * 1_000_000).encode():
            try:
                connection.send(bytes([byte]))
            except ConnectionError:
                if time.monotonic() - began < REQUEST_TIMEOUT / 2 and not http:
                    raise Surprise("a slow line was cut off") from None
                return
            if a.stop.wait(0.2):
                return
            if time.monotonic() - began > most:
                if http:
                    raise Surprise(f"a header without an end was waited for for {most:.0f} s")
                return


def half_open(a: Attacker) -> None:
    """Connects and sends nothing, or sends requests and never reads."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(a.connect()) for _ in range(a.rng.randint(1, 6))]
        if a.rng.random() < 0.5:
            until = time.monotonic() + REQUEST_TIMEOUT + GRACE
            while connections and not a.stop.is_set():
                try:
                    received(connections[-1], 0.5)
                    connections.pop()
                except TimeoutError:
                    if time.monotonic() > until:
                        raise Surprise("a connection that says nothing is not closed") from None
            return
        for connection in connections:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.send(opening(text=a.text(500)))
                for _ in range(2_000):
                    connection.send(line("server.info", {}))
        a.stop.wait(a.rng.uniform(0.5, 5))


def garbage(a: Attacker) -> None:
    with a.connect() as connection:
        begin = a.rng.choice((b"", b"{", b"[", b" ", b"\0", b"GET ", b"{}\n"))
        connection.sendall(begin + a.garbage(a.rng.randrange(5_000)))
        if a.rng.random() < 0.5:
            connection.shutdown(socket.SHUT_WR)
            received(connection, REQUEST_TIMEOUT + GRACE)


def long_lines(a: Attacker) -> None:
    with a.connect() as connection:
        if a.rng.random() < 0.7:
            header = b"GET /healthz HTTP/1.1\r\n" + b"".join(
                f"X-{number}: {a.marker * 50}\r\n".encode() for number in range(200)
            )
            with contextlib.suppress(ConnectionError):
                connection.sendall(header + b"\r\n")
            answer = received(connection, GRACE)
            if answer and b" 431 " not in answer.split(b"\r\n")[0] and b'"limit"' not in answer:
                raise Surprise(f"a header of {len(header)} bytes was answered with {answer[:40]!r}")
            return
        with contextlib.suppress(ConnectionError):
            connection.sendall(b'{"' + a.marker.encode() + b"x" * MAX_LINE_BYTES)
            connection.sendall(b"x" * 100_000)
        answer = received(connection, GRACE)
        if answer and b'"limit"' not in answer:
            raise Surprise(f"a line that is too long was answered with {answer[:100]!r}")


def bad_json(a: Attacker) -> None:
    m = a.marker
    nested = a.rng.choice((65, 1_000, 200_000))
    with a.connect() as connection:
        bad = [
            "[" * nested,
            '{"a":' * nested + "1" + "}" * nested,
            '{"jsonrpc":"2.0","id":1,"method":"server.ping","params":' + "[" * 70 + "]" * 70 + "}",
            f'{{"jsonrpc":"2.0","id":1,"method":"{m}"',
            f'{{"jsonrpc":"2.0","id":1,"method":"{m}","params":{{}}}}',
            f'{{"jsonrpc":"2.0","id":{{"{m}":1}},"method":"server.ping"}}',
            f'{{"jsonrpc":"1.0","id":1,"method":"server.ping","params":["{m}"]}}',
            '{"jsonrpc":"2.0","id":1e999,"method":"server.ping"}',
            '{"jsonrpc":"2.0","id":1,"id":2,"method":"document.open","method":"server.ping","x":"\\ud800"}',
            '{"jsonrpc":"2.0","id":1,"method":"document.open","params":{"plugins":[],"text":"\\ud800' + m + '"}}',
            f'{{"{m}":NaN}}',
            '{"\\u0000":"\\u0000"}',
            "\ufeff{}",
            "{}" * 100,
            "[{}]",
            "true",
        ]
        chosen = a.rng.choices(bad, k=10)
        connection.sendall("".join(f"\n{text}\n" for text in chosen).encode() + b'"\xff\xfe"\n')
        responses = answers(connection, len(chosen) + 1)
        if error_codes(responses) == [LIMIT] or not responses:
            return
        if (len(responses) != len(chosen) + 1 or error_codes(responses[-1:]) != [-32700]) and not stops(a):
            raise Surprise(f"{len(chosen) + 1} broken lines had {len(responses)} answers")


def smuggling(a: Attacker) -> None:
    name, request, refused = a.rng.choice(SMUGGLED)
    with a.connect() as connection:
        connection.sendall(request.replace(b"MARKER", a.marker.encode()))
        connection.shutdown(socket.SHUT_WR)
        answer = received(connection, GRACE)
    count = len(re.findall(rb"HTTP/1\.[01] \d\d\d ", answer))
    if count > (1 if refused else 2):
        raise Surprise(f"{name}: {count} responses on one connection")
    # 429: this user has too many connections; 503: all users have more than the half that any may take.
    at_a_limit = answer.startswith(b"{") or b" 429 " in answer[:20] or b" 503 " in answer[:20]
    if refused and answer and not at_a_limit and b" 400 " not in answer[:20]:
        raise Surprise(f"{name}: answered with {answer[:40]!r}")


def descriptor_flood(a: Attacker) -> None:
    """Unexpected descriptors, with and without lines."""
    with a.connect() as connection, open("/dev/null", "rb") as null, contextlib.ExitStack() as stack:
        for _ in range(a.rng.randint(1, 30)):
            descriptors = [null.fileno()] * a.rng.choice((1, 2, 16, 100, 253))
            data = a.rng.choice((b" ", b'{"' + a.marker.encode(), b"\n", opening(fd=True), line("server.ping", {})))
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
            connection.sendmsg([data], [rights])
        # Connections inside connections, including this one.
        other = stack.enter_context(a.connect())
        connection.sendmsg([b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [other.fileno()]))])
        connection.sendmsg([b" "], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [connection.fileno()]))])
        a.stop.wait(a.rng.uniform(0, 1))


def vanish(a: Attacker) -> None:
    """Disconnects in mid-stream, after a whole text, or at the other end of a pipe."""
    with a.connect() as connection, contextlib.ExitStack() as stack:
        way = a.rng.choice(("stream", "text", "pipe", "http"))
        if way == "http":
            connection.sendall(b"POST /v1/anomaly HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + a.text(50).encode())
        elif way == "pipe":
            reading, writing = os.pipe()
            stack.callback(os.close, reading)
            stack.callback(os.close, writing)
            socket.send_fds(connection, [opening(fd=True)], [reading])
            os.write(writing, a.text(100).encode())
        elif way == "text":
            connection.sendall(opening(text=a.text(a.rng.randrange(100))))
        else:
            connection.sendall(opening(stream=True))
            if opened := answers(connection, 1):
                document = opened[0].get("result", {}).get("document", "")
                for number in range(2, a.rng.randint(3, 20)):
                    append = {"document": document, "text": a.text(20)}
                    connection.sendall(line("document.append", append, number))
        a.stop.wait(a.rng.uniform(0, 0.5))


def guess(a: Attacker) -> None:
    """Other users' documents, and ids that never existed."""
    ids = ["%032x" % a.rng.getrandbits(128) for _ in range(3)]
    ids += ["", "0" * 32, "../../etc/passwd", "' OR 1=1 --", a.marker * 1_000, "\0" * 32]
    target = a.target(a.rng)
    ids += [target] * 5 if target else []
    document = a.rng.choice(ids)
    requests = [
        line("document.status", {"document": document}),
        line("document.cancel", {"document": document}),
        line("document.attach", {"document": document, "from": a.rng.choice((0, 5, 2**62))}),
        line("document.append", {"document": document, "text": a.marker}),
        line("document.end", {"document": document}),
        opening(resume=document, text=a.marker),
        opening(resume=document, stream=True),
    ]
    with a.connect() as connection:
        connection.sendall(b"".join(requests))
        responses = answers(connection, len(requests))
    codes = error_codes(responses)
    if not codes or codes == [LIMIT]:
        return
    if len(codes) != len(requests) or not set(codes) <= {DOCUMENT_UNKNOWN, INVALID_PARAMS}:
        raise Surprise(f"a document of somebody else's: {codes} (document {document[:32]!r})")


def bad_options(a: Attacker) -> None:
    """Plugins and options that do not exist, and as many documents as allowed."""
    with a.connect() as connection:
        if a.rng.random() < 0.2:
            connection.sendall(b"".join(opening(stream=True, name=a.marker) for _ in range(FLOOD)))
            opened = error_codes(answers(connection, FLOOD)).count(None)
            if opened > FLOOD // 2:  # limits.documents_per_connection, as daemon.py and the booted test set it
                raise Surprise(f"{opened} documents were opened on one connection")
            return
        score: dict[str, Any] = {"name": "score"}
        bad: list[dict[str, Any]] = [
            {"plugins": [{"name": a.marker}], "text": a.marker},
            {"plugins": [score, score], "text": a.marker},
            {"plugins": [score] * 5_000, "text": a.marker},
            {"plugins": [{"name": "score", "options": {"granularity": a.marker}}], "text": a.marker},
            {"plugins": [{"name": "score", "options": {"top": -(2**63)}}], "text": a.marker},
            {"plugins": [{"name": "anomaly", "options": {"top_window": "x", "alert_rate": 1e308}}], "text": a.marker},
            {"plugins": [{"name": "embed", "options": {"segment_tokens": 0}}], "text": a.marker},
            {"plugins": [{"name": "../score"}], "text": a.marker},
            {"plugins": {"name": "score"}, "text": a.marker},
            {"plugins": [score], "text": a.marker, "priority": 11},
            {"plugins": [score], "text": a.marker, "total_bytes": -1},
            {"plugins": [score], "text": a.marker, "name": a.marker * 1_000},
            {"plugins": [score], "text": a.marker, "stream": True},
            {"plugins": [score], a.marker: 1},
        ]
        chosen = a.rng.choices(bad, k=8)
        connection.sendall(b"".join(line("document.open", params) for params in chosen))
        connection.sendall(opening(text=a.text(50), deadline_ms=1, keep_outputs=0, total_bytes=2**62))
        codes = error_codes(answers(connection, len(chosen) + 1))
        if None in codes[: len(chosen)]:
            raise Surprise(f"a bad document was opened: {codes}")


def bad_descriptors(a: Attacker) -> None:
    with a.connect() as connection, contextlib.ExitStack() as stack:
        name, descriptor = a.rng.choice(list(_descriptors(a, stack).items()))
        socket.send_fds(connection, [opening(fd=True)], [descriptor])
        responses = answers(connection, 1)
        if name in ("directory", "path only", "write only", "epoll", "eventfd") and None in error_codes(responses):
            raise Surprise(f"a document was opened whose descriptor is: {name}")
        a.stop.wait(a.rng.uniform(0, 0.3))


def _descriptors(a: Attacker, stack: contextlib.ExitStack) -> dict[str, int]:
    def keep(descriptor: int) -> int:
        stack.callback(os.close, descriptor)
        return descriptor

    gone, dead = os.pipe()  # its writer is closed: an empty document
    os.close(dead)
    reader, writer = os.pipe()
    left, right = (stack.enter_context(end) for end in socket.socketpair())
    right.close()
    bound = stack.enter_context(socket.socket(socket.AF_UNIX))
    deleted = tempfile.TemporaryFile(dir=a.folder)
    stack.enter_context(deleted)
    deleted.write(a.text(100).encode())
    deleted.flush()
    found = {
        "directory": keep(os.open("/", os.O_RDONLY)),
        "zeros without an end": keep(os.open("/dev/zero", os.O_RDONLY)),
        "null device": keep(os.open("/dev/null", os.O_RDONLY)),
        "path only": keep(os.open("/etc/passwd", os.O_PATH)),
        "write only": keep(os.open("/dev/null", os.O_WRONLY)),
        "proc": keep(os.open("/proc/self/mem", os.O_RDONLY)),
        "closed pipe": keep(gone),
        "pipe's end to write": keep(writer),
        "closed socket": left.fileno(),
        "socket that is not connected": bound.fileno(),
        "connection to the daemon": stack.enter_context(a.connect()).fileno(),
        "deleted file": deleted.fileno(),
    }
    keep(reader)
    found["memory"] = keep(os.memfd_create("soak"))
    epoll = select.epoll()
    stack.callback(epoll.close)
    found["epoll"] = epoll.fileno()
    if hasattr(os, "eventfd"):
        found["eventfd"] = keep(os.eventfd(1))
    if a.rng.random() < 0.3:
        deleted.truncate(10)
    return found


def forbidden(a: Attacker) -> None:
    """Requests that only the administrator may make."""
    with a.connect() as connection:
        connection.sendall(line("server.reload", {"model": a.marker}) + b"GET /metrics HTTP/1.1\r\n\r\n")
        codes = error_codes(answers(connection, 2))
        if None in codes:
            raise Surprise("server.reload with a parameter was carried out")


KINDS: dict[str, Callable[[Attacker], None]] = {
    "slow loris": slow_loris,
    "half open": half_open,
    "garbage": garbage,
    "long lines": long_lines,
    "bad json": bad_json,
    "smuggling": smuggling,
    "descriptor flood": descriptor_flood,
    "vanish": vanish,
    "guess": guess,
    "bad options": bad_options,
    "bad descriptors": bad_descriptors,
    "forbidden": forbidden,
}
