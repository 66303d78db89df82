"""Client of unrolld, which reads documents of any length in constant memory and measures how surprising each part
is.

    import unroll_client

    with unroll_client.Client() as client:
        for line in client.score({"granularity": "line"}, path="book.txt"):
            print(line)

unroll_client.aio.Client is the same for asyncio. unroll_client.errors has an exception for each kind of error, and
unroll_client.results the results of the built-in plugins.
"""

from . import aio, errors, results
from .client import Client
from .document import Document
from .errors import ConnectionLostError, ForkedError, NotConnectedError, TimedOutError, UnrollError
from .events import Done, Event, Output, Plugins, Progress, Status
from .local import LocalDaemon, local
from .many import ReadDocument
from .sockets import default_sockets
from .timeouts import Timeouts

__version__ = "0.1.0"

__all__ = [
    "Client",
    "ConnectionLostError",
    "Document",
    "Done",
    "Event",
    "ForkedError",
    "LocalDaemon",
    "NotConnectedError",
    "Output",
    "Plugins",
    "Progress",
    "ReadDocument",
    "Status",
    "TimedOutError",
    "Timeouts",
    "UnrollError",
    "__version__",
    "aio",
    "default_sockets",
    "errors",
    "local",
    "results",
]
