"""How long a client waits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Timeouts:
    """Limits in seconds; None: no limit. A limit that is reached raises TimedOutError."""

    #: For the daemon to accept a connection.
    connect: float | None = 10.0
    #: How long the daemon may be silent. A silent daemon is pinged, so a document that waits to be scheduled, or for
    #: its writer, does not reach this limit.
    read: float | None = 60.0
    #: For one call, and for a document from its opening to its last event.
    total: float | None = None

    @classmethod
    def of(cls, timeout: Timeout) -> Timeouts:
        if isinstance(timeout, Timeouts):
            return timeout
        return cls(connect=timeout, read=timeout, total=None)


#: A number sets both `connect` and `read`.
Timeout = Union[Timeouts, float, None]


def deadline(seconds: float | None) -> float | None:
    """The time on time.monotonic()'s clock in `seconds`."""
    return None if seconds is None else time.monotonic() + seconds


def earlier(*moments: float | None) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)


class Patience:
    """Repeats a try for some seconds, because a daemon takes a moment to restart."""

    _FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5

    def __init__(self, seconds: float):
        self._until = time.monotonic() + seconds
        self._pause = self._FIRST_PAUSE

    def pause(self) -> float | None:
        """How long to wait before the next try; None if that was the last one."""
        if time.monotonic() + self._pause > self._until:
            return None
        pause, self._pause = self._pause, min(2 * self._pause, self._LONGEST_PAUSE)
        return pause
