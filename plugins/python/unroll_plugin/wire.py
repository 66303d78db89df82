"""The frames between host and worker: a header of 16 bytes, a JSON object, raw bytes."""

from __future__ import annotations

import array
import dataclasses
import fcntl
import json
import os
import socket
import struct
import threading
from typing import Any

_HEADER = struct.Struct("<IIQ")  # magic, bytes of JSON, bytes of data
_MAGIC = 0x4C525055
_MOST_JSON = 16 << 20
_MOST_DATA = 64 << 20
_FLUSH_BYTES = 64 << 10
HOST_DESCRIPTOR = 3


class ProtocolError(Exception):
    """The host sent something that is not of the protocol: the worker cannot continue."""


@dataclasses.dataclass
class Frame:
    """One message. The receiver owns `descriptor`; -1 if there is none."""

    fields: dict[str, Any]
    data: bytes
    descriptor: int = -1

    @property
    def type(self) -> Any:
        return self.fields.get("type")

    def number(self, name: str, most: int = 2**63 - 1) -> int:
        value = self.fields.get(name)
        if type(value) is not int or not 0 <= value <= most:
            raise ProtocolError(f'"{name}" of "{self.type}" must be a whole number from 0 to {most}')
        return value

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise ProtocolError(f'"{name}" of "{self.type}" must be a text')
        return value


class Channel:
    """One end of the socket. send() from any thread; receive() from one."""

    def __init__(self, connection: socket.socket):
        self._socket = connection
        self._waiting = bytearray()
        self._lock = threading.Lock()

    @classmethod
    def of_worker(cls) -> Channel:
        """Uses descriptor 3, which is closed here, so that stray writes to it do not reach the host."""
        descriptor = fcntl.fcntl(HOST_DESCRIPTOR, fcntl.F_DUPFD_CLOEXEC, 10)
        os.close(HOST_DESCRIPTOR)
        return cls(socket.socket(fileno=descriptor))

    @staticmethod
    def frame(fields: dict[str, Any], data: bytes = b"") -> bytes:
        text = json.dumps(fields, separators=(",", ":")).encode()
        return b"".join((_HEADER.pack(_MAGIC, len(text), len(data)), text, data))

    def send(self, fields: dict[str, Any], data: bytes = b"", now: bool = True) -> None:
        """`now` false: may be delayed until the next frame."""
        frame = self.frame(fields, data)
        with self._lock:
            self._waiting += frame
            if now or len(self._waiting) >= _FLUSH_BYTES:
                waiting, self._waiting = self._waiting, bytearray()
                self._socket.sendall(waiting)

    def receive(self) -> Frame | None:
        """None at the end of the connection. Raises ProtocolError."""
        header, descriptors = self._receive_header()
        if not header:
            return None
        magic, json_bytes, data_bytes = _HEADER.unpack(header)
        if magic != _MAGIC or json_bytes > _MOST_JSON or data_bytes > _MOST_DATA:
            raise ProtocolError("a header that is none, or of a frame too long")
        try:
            fields = json.loads(self._receive_exactly(json_bytes))
        except (ValueError, RecursionError) as error:
            raise ProtocolError("a frame whose JSON is none") from error
        if not isinstance(fields, dict) or len(descriptors) > 1:
            raise ProtocolError("a frame that is no JSON object with at most one descriptor")
        return Frame(fields, self._receive_exactly(data_bytes), descriptors[0] if descriptors else -1)

    def _receive_header(self) -> tuple[bytes, list[int]]:
        room = socket.CMSG_SPACE(4 * struct.calcsize("i"))
        header, ancillary, _, _ = self._socket.recvmsg(_HEADER.size, room, socket.MSG_CMSG_CLOEXEC)
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        if header and len(header) < _HEADER.size:
            header += self._receive_exactly(_HEADER.size - len(header))
        return header, list(descriptors)

    def _receive_exactly(self, count: int) -> bytes:
        data = bytearray(count)
        view = memoryview(data)
        while view:
            received = self._socket.recv_into(view)
            if received == 0:
                raise ProtocolError("the connection ended inside a frame")
            view = view[received:]
        return bytes(data)
