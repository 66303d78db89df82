"""Clients that take all resources that one user can get: connections, descriptors, memory, the daemon's time."""

from __future__ import annotations

import array
import contextlib
import encodings.idna  # noqa: F401  for socket's addresses: the other user may not be able to read it
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from attacks import MAX_LINE_BYTES, Attacker, answers, line, opening, received

SILENT_FUSE = Path(__file__).with_name("silent_fuse.py")


def hold_connections(a: Attacker) -> None:
    """As many as possible, each in the middle of a line."""
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(a.connect())
            with contextlib.suppress(OSError):
                connection.sendall(b"{")
        a.stop.wait(a.rng.uniform(1, 5))


def pipes(a: Attacker) -> None:
    """Documents from pipes to which nothing is ever written."""
    with a.connect() as connection, contextlib.ExitStack() as stack:
        for _ in range(400):
            reading, writing = os.pipe()
            stack.callback(os.close, writing)
            try:
                socket.send_fds(connection, [opening(fd=True)], [reading])
            finally:
                os.close(reading)
            if "error" in (answers(connection, 1) or [{"error": None}])[0]:
                break
        a.stop.wait(a.rng.uniform(0, 2))


def unfinished_lines(a: Attacker) -> None:
    """Lines of 8 MiB that never end."""
    part = b'{"jsonrpc":"2.0","id":1,"method":"' + a.marker.encode() + b"x" * (MAX_LINE_BYTES - 1000)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(a.connect()) for _ in range(20)]
        sent = [0] * len(connections)
        for connection in connections:
            connection.setblocking(False)
        for _ in range(100):
            for number, connection in enumerate(connections):
                with contextlib.suppress(OSError):
                    sent[number] += connection.send(part[sent[number] :])
            if a.stop.wait(0.05):
                return


def costly_requests(a: Attacker) -> None:
    """Requests that are slow to parse, execute or answer, all at once on many connections."""
    values = b"[" + b"[]," * ((MAX_LINE_BYTES - 1000) // 3) + b"0]"
    costly = [
        b'{"jsonrpc":"2.0","id":1,"method":"server.ping","params":{"' + a.marker.encode() + b'":' + values + b"}}\n",
        line("document.append", {"document": a.marker, "base64": "QUJD" * ((MAX_LINE_BYTES - 1000) // 4)}),
        line("document.list", {"limit": 10_000}) * 200,
        line("rpc.discover", {}) * 200,
        line("server.ping", {}) * 5_000,
        b"GET /metrics HTTP/1.1\r\nHost: soak\r\n\r\n" * 200,
    ]
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(a.connect())
            with contextlib.suppress(OSError):
                connection.sendall(a.rng.choice(costly))
                connection.shutdown(socket.SHUT_WR)
                received(connection, 60)
            if a.stop.is_set():
                return


def lingering_sockets(a: Attacker) -> None:
    """TCP sockets whose last close waits for a peer that receives nothing."""
    with a.connect() as connection, contextlib.ExitStack() as stack:
        for _ in range(3):
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            sending = socket.create_connection(listening.getsockname())
            stack.enter_context(listening.accept()[0])
            sending.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while sending.send(b"x" * 65536):
                    pass
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
            data = a.rng.choice((b"{", b" \n", opening(fd=True), line("server.ping", {})))
            connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sending.fileno()]))])
            # Closed in a process of its own: it waits if the daemon has closed its copy already.
            subprocess.Popen(["sleep", "0.5"], pass_fds=[sending.fileno()])
            sending.close()
        a.stop.wait(a.rng.uniform(0, 2))


def silent_file_system(a: Attacker) -> None:
    """A file of a FUSE file system that never answers FLUSH; nothing if it cannot be mounted."""
    path = a.connect()
    name = path.getpeername()
    path.close()
    with subprocess.Popen([sys.executable, "-B", SILENT_FUSE, name], stdin=subprocess.PIPE) as process:
        a.stop.wait(a.rng.uniform(5, 20))
        process.kill()


KINDS: dict[str, Callable[[Attacker], None]] = {
    "hold connections": hold_connections,
    "pipes": pipes,
    "unfinished lines": unfinished_lines,
    "costly requests": costly_requests,
    "lingering sockets": lingering_sockets,
    "silent file system": silent_file_system,
}
