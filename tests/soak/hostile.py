"""Hostile clients, in a process of their own; as another user if this process is root's."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from attacks import KINDS as PETTY
from attacks import Attacker, Surprise
from greedy_attacks import KINDS as GREEDY

NOBODY = 65534
KINDS = PETTY | GREEDY
_SLOT = 32  # bytes of a document's id
_SLOTS = 64
_fork = multiprocessing.get_context("fork")


class Gang:
    """Started before there are threads. The counters are shared memory."""

    def __init__(self, socket: str, seed: int, marker: str, folder: str, each: int):
        self.other_user = os.geteuid() == 0
        self._targets = _fork.Array(ctypes.c_char, _SLOT * _SLOTS)
        self._told = 0
        self._stop = _fork.Event()
        self._connections = {kind: _fork.Value(ctypes.c_uint64) for kind in KINDS}
        self._surprises, sending = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=self._run, args=(socket, seed, marker, folder, each, sending))
        self._process.start()
        sending.close()

    @property
    def connections(self) -> dict[str, int]:
        return {kind: counter.value for kind, counter in self._connections.items()}

    def tell(self, document: str) -> None:
        """Names a good client's document to attack."""
        start = self._told % _SLOTS * _SLOT
        self._targets[start : start + _SLOT] = document.encode()
        self._told += 1

    def surprises(self) -> list[str]:
        """New ones: the daemon did not do what the protocol says."""
        found = []
        with contextlib.suppress(EOFError):
            while self._surprises.poll():
                found.append(self._surprises.recv())
        return found

    def stop(self) -> list[str]:
        self._stop.set()
        self._process.join(180)
        found = self.surprises()
        if self._process.exitcode != 0:
            found.append(f"the process of the hostile clients ended with {self._process.exitcode}")
            self._process.kill()
        return found

    def _target(self, rng: random.Random) -> str | None:
        """A user may cancel their own documents, so only another user's are attacked."""
        start = rng.randrange(_SLOTS) * _SLOT
        document = self._targets[start : start + _SLOT].rstrip(b"\0").decode(errors="replace")
        return document if self.other_user and len(document) == _SLOT else None

    def _run(self, path: str, seed: int, marker: str, folder: str, each: int, sending: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        if self.other_user:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        lock = threading.Lock()

        def report(text: str) -> None:
            with lock:
                sending.send(text)

        threads = []
        for kind, attack in KINDS.items():
            for number in range(each):
                rng = random.Random(f"{seed}/{kind}/{number}")

                def connect(counter: Any = self._connections[kind]) -> socket.socket:
                    connection = socket.socket(socket.AF_UNIX)
                    connection.settimeout(60)
                    connection.connect(path)
                    with counter.get_lock():
                        counter.value += 1
                    return connection

                attacker = Attacker(rng, connect, marker, folder, self._target, self._stop)
                threads.append(threading.Thread(target=self._attack, args=(kind, attack, attacker, report)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _attack(
        self, kind: str, attack: Callable[[Attacker], None], attacker: Attacker, report: Callable[[str], None]
    ) -> None:
        while not self._stop.wait(attacker.rng.uniform(0.05, 0.8)):
            began = time.monotonic()
            try:
                attack(attacker)
            except Surprise as surprise:
                report(f"{kind}: {surprise}")
            except TimeoutError:
                report(f"{kind}: the daemon neither took nor answered anything in {time.monotonic() - began:.0f} s")
            except OSError:
                pass  # the daemon ended the connection, as it may
            except Exception as error:
                report(f"{kind}: this test is wrong: {type(error).__name__}: {error}")
                return
