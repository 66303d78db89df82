"""A real unrolld in a folder of its own, and its figures in /proc."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import unroll_client as unroll
from attacks import FLOOD, REQUEST_TIMEOUT


class Daemon:
    def __init__(self, program: Path, model: Path, folder: Path):
        self.socket = str(folder / "s")
        self.log = folder / "log"
        limits = {
            "documents_per_connection": FLOOD // 2,  # a flood must meet a limit
            "documents_per_user": 600,
            "outgoing_bytes": 65536,  # a slow reader's outputs wait in the journal
            "input_buffer_bytes": 65536,
            "request_timeout_ms": int(REQUEST_TIMEOUT * 1000),
        }
        mode = "0666" if os.geteuid() == 0 else "0600"  # if possible, hostile clients are another user
        settings = {"limits": limits, "socket": {"mode": mode}, "log_level": "debug"}
        (folder / "settings.json").write_text(json.dumps(settings))
        arguments = {"config": folder / "settings.json", "socket": self.socket, "journal": folder / "journal"}
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [program, *(f"--{key}={value}" for key, value in arguments.items()), f"--model={model}"],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        with unroll.Client(self.socket, patience=60) as client:
            client.ping()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def descriptor_names(self) -> Counter[str]:
        folder = Path(f"/proc/{self._process.pid}/fd")
        return Counter(os.readlink(entry).split("[")[0] for entry in folder.iterdir())

    def settle(self, descriptors: int | None = None, seconds: float = 120) -> int:
        """Waits until only this connection is open (and at most this many descriptors); returns their number.

        Reloads first: plugins that were busy have more workers than those that were just loaded.
        """
        until = time.monotonic() + seconds
        with unroll.Client(self.socket, patience=30) as client:
            client.reload()
        while True:
            with unroll.Client(self.socket, patience=30) as client:
                stats = client.stats()
            time.sleep(0.3)  # until this one is closed
            found = self.descriptors()
            idle = stats["open_documents"] == 0 and stats["connections"] <= 1
            if (idle and (descriptors is None or found <= descriptors)) or time.monotonic() > until:
                return found

    def terminate(self) -> int:
        """Returns its exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        self._process.kill()
        return self._process.wait()
