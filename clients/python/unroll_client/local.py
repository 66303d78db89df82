"""A daemon of this program's own: started, watched, and ended with it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .client import Client
from .errors import ConnectionLostError, NotConnectedError
from .sockets import StrPath

_PATIENCE = 120.0  # seconds to load a model
_LOOK = 0.2  # seconds between looks at the daemon
_PAUSE = 1.0  # seconds before one that ended by itself is started again
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)  # not after a fork, where it could deadlock


class LocalDaemon:
    """Keeps an unrolld running on `socket`; a killed one is started again, and open documents continue.

    Processes that name the same `folder` share one daemon: one of them runs it, and if that process ends, another one
    takes over. The folder also holds the journal and the log; by default it is temporary. `settings` are keys of the
    daemon's configuration, as in {"limits": {...}}. `program`: by default that of the distribution unroll-programs,
    else the `unrolld` on PATH.
    """

    def __init__(
        self,
        *,
        model: StrPath | None = None,
        folder: StrPath | None = None,
        settings: Mapping[str, Any] = {},
        program: StrPath | None = None,
    ):
        self._temporary = tempfile.mkdtemp(prefix="unroll-") if folder is None else None
        self._folder = Path(self._temporary or os.fspath(folder or ""))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.stat().st_uid != os.geteuid():
            raise PermissionError(f"{self._folder} belongs to another user; name another folder")
        self.socket = str(self._folder / "s")
        self._model, self._settings = model, dict(settings)
        self._program = _find(program)
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="unrolld", daemon=True)
        self._watcher.start()

    @classmethod
    def of_node(cls, *, model: StrPath | None, settings: Mapping[str, Any], program: StrPath | None) -> LocalDaemon:
        """The daemon that this user's processes on this machine share if they name the same model and settings."""
        key = hashlib.sha256(repr((model and os.path.abspath(model), sorted(settings.items()))).encode()).hexdigest()[
            :12
        ]
        folder = Path(tempfile.gettempdir()) / f"unroll-{os.geteuid()}-{key}"
        return cls(model=model, folder=folder, settings=settings, program=program)

    def __enter__(self) -> LocalDaemon:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def client(self, patience: float = _PATIENCE, **how: Any) -> Client:
        """A client, when the daemon has loaded its model. Raises NotConnectedError with the end of the daemon's log."""
        client = None
        try:
            client = Client(self.socket, **{"reconnect": patience, **how}, patience=patience)
            client.info()
            return client
        except (NotConnectedError, ConnectionLostError) as error:
            if client is not None:
                client.close()
            raise NotConnectedError(f"{error}; the daemon's log ends with: {self._last_words()}") from None

    def close(self) -> None:
        """Stops the daemon, unless another process runs it."""
        self._stop.set()
        self._watcher.join()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return " ".join((self._folder / "log").read_text(errors="replace").splitlines()[-3:])
        return "(it has none)"

    def _watch(self) -> None:
        # Whoever holds the lock runs the daemon. The lock goes with the process.
        with open(self._folder / "lock", "w") as lock:
            while not self._stop.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._stop.wait(_LOOK)
            while not self._stop.is_set():
                self._run()
                self._stop.wait(_PAUSE)

    def _run(self) -> None:
        """Runs the daemon until it ends or close() is called."""
        config = self._folder / "settings.json"
        config.write_text(json.dumps(self._settings))
        command = [
            self._program,
            f"--config={config}",
            f"--socket={self.socket}",
            f"--journal={self._folder / 'journal'}",
        ]
        if self._model is not None:
            command.append(f"--model={os.fspath(self._model)}")
        with open(self._folder / "log", "ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_end_with_parent
            )
        while process.poll() is None and not self._stop.wait(_LOOK):
            pass
        process.terminate()
        process.wait()


def _find(program: StrPath | None) -> str:
    if program is None and importlib.util.find_spec("unroll_programs") is not None:
        return str(importlib.import_module("unroll_programs").program("unrolld"))
    name = os.fspath(program or "unrolld")
    found = shutil.which(name)
    if found is None:
        raise NotConnectedError(
            f"there is no program {name}; install unroll or unroll-programs, or name the daemon's program"
        )
    return found


def _end_with_parent() -> None:
    """Runs in the daemon before exec: SIGTERM when the thread that started it ends, as it does with its process."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def local(**how: Any) -> Iterator[Client]:
    """A client of a daemon that lives as long as the `with` block; the parameters are LocalDaemon's."""
    with LocalDaemon(**how) as daemon, daemon.client() as client:
        yield client
