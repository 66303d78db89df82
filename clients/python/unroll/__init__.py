"""Client of unrolld, which reads documents of any length in constant memory and tells how surprising each part is.

    import unroll

    with unroll.Client() as client:
        for passage in client.score({"granularity": "line"}, path="book.txt"):
            print(passage["bits_per_byte"])

unroll.aio.Client is the same for asyncio; unroll.errors has an exception for each kind of error.
"""

from . import aio, errors
from .client import Client, Document
from .errors import ConnectionLostError, NotConnectedError, UnrollError
from .events import Done, Event, Output, Plugins, Progress, Status
from .sockets import default_sockets

__all__ = [
    "Client",
    "ConnectionLostError",
    "Document",
    "Done",
    "Event",
    "NotConnectedError",
    "Output",
    "Plugins",
    "Progress",
    "Status",
    "UnrollError",
    "aio",
    "default_sockets",
    "errors",
]
