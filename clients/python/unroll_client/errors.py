"""One exception for each kind of error of docs/protocol.md, and some for the connection itself."""

from __future__ import annotations

from typing import Any, ClassVar


class UnrollError(Exception):
    """An error that the daemon returned: its text, its code, and advice."""

    code: ClassVar[int] = 0
    name: ClassVar[str] = ""

    def __init__(self, message: str, data: dict[str, Any] | None = None):
        super().__init__(message)
        self.message = message
        self.data = data or {}  # if a limit was reached: `limit` and `value`

    @property
    def advice(self) -> str:
        return str(self.data.get("advice", ""))

    def __str__(self) -> str:
        return f"{self.message} ({self.advice})" if self.advice else self.message


class NotConnectedError(UnrollError, ConnectionError):
    """No daemon listens on the socket, or this user may not connect."""


class ConnectionLostError(UnrollError, ConnectionError):
    """The connection ended, at either side. A document that was open on it can be resumed or attached to."""


class ForkedError(UnrollError):
    """A document, or a client for asyncio, was made before this process was forked, and belongs to its parent."""


class TimedOutError(UnrollError, TimeoutError):
    """A limit of Timeouts was reached."""


class ParseError(UnrollError):
    code, name = -32700, "parse"


class InvalidRequestError(UnrollError):
    code, name = -32600, "invalid_request"


class MethodNotFoundError(UnrollError):
    code, name = -32601, "method_not_found"


class InvalidParamsError(UnrollError):
    code, name = -32602, "invalid_params"


class TextError(InvalidParamsError, ValueError):
    """A text cannot be sent: it is no string, or holds half of a surrogate pair."""


class InternalError(UnrollError):
    code, name = -32603, "internal"


class DocumentUnknownError(UnrollError):
    code, name = -32000, "document_unknown"


class DocumentStateError(UnrollError):
    code, name = -32001, "document_state"


class PluginUnknownError(UnrollError):
    code, name = -32002, "plugin_unknown"


class PluginFailedError(UnrollError):
    code, name = -32003, "plugin_failed"


class LimitError(UnrollError):
    code, name = -32004, "limit"


class DocumentCancelledError(UnrollError):
    code, name = -32005, "cancelled"


class DeadlineError(UnrollError):
    code, name = -32006, "deadline"


class SourceError(UnrollError):
    code, name = -32007, "source"


class JournalError(UnrollError):
    code, name = -32008, "journal"


class ModelError(UnrollError):
    code, name = -32009, "model"


class ShuttingDownError(UnrollError):
    code, name = -32010, "shutting_down"


class NotPermittedError(UnrollError):
    code, name = -32011, "permission"


class PeerGoneError(UnrollError):
    code, name = -32012, "peer_gone"


class ModelUnknownError(UnrollError):
    code, name = -32013, "model_unknown"


class SnapshotUnknownError(UnrollError):
    code, name = -32014, "snapshot_unknown"


#: Errors while a daemon stops or is gone: the client waits for the next one.
GONE = (ConnectionLostError, NotConnectedError, ShuttingDownError)

_BY_CODE = {kind.code: kind for kind in UnrollError.__subclasses__() if kind.code}


def error_from_json(error: dict[str, Any]) -> UnrollError:
    """An error of a later daemon that this version does not know becomes an InternalError with its own text."""
    return _BY_CODE.get(error["code"], InternalError)(str(error["message"]), error.get("data"))
