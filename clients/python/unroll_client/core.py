"""The protocol without a socket, for both clients. Not thread-safe; each client guards its own instance."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import (
    ConnectionLostError,
    DocumentStateError,
    LimitError,
    SourceError,
    TextError,
    UnrollError,
    error_from_json,
)
from .events import Done, Event, Output, Plugins, event_from_json

MAX_LINE_BYTES = 8 << 20
RECEIVE_BYTES = 256 << 10
PIECE_BYTES = 4 << 20  # of a snapshot's file


class Mailbox:
    """A document's events on their way to the code that iterates over them."""

    def __init__(self, document: str, next_sequence: int, resume_bytes: int = 0, resume_sha256: str | None = None):
        self.document = document
        self.next_sequence = next_sequence  # of the next output to be returned
        self.resume_bytes = resume_bytes
        self.resume_sha256 = resume_sha256  # of the bytes before; None: none were read, or the daemon is older
        self.ended = False
        self.error: UnrollError | None = None
        self.waiting: deque[Event] = deque()
        self._expected = next_sequence

    @property
    def ready(self) -> bool:
        return self.ended or bool(self.waiting)

    def put(self, method: str, params: dict[str, Any]) -> None:
        if method == "document.failed":
            return self.end(error_from_json(params["error"]))
        event = event_from_json(method, params)
        if event is None:
            return
        if isinstance(event, Output):
            if event.sequence < self._expected:  # after a loss on the daemon's disk it comes again
                return
            self._expected = event.sequence + 1
        self.waiting.append(event)
        self.ended = self.ended or isinstance(event, Done)

    def expect(self, next_sequence: int) -> None:
        """Drops outputs before that one, which another mailbox has returned."""
        self.next_sequence = max(self.next_sequence, next_sequence)
        self._expected = max(self._expected, next_sequence)

    def end(self, error: UnrollError) -> None:
        if not self.ended:
            self.ended, self.error = True, error

    def take(self) -> Event | None:
        """The next event; None after the last one. Raises the document's error. Call it only when it is ready."""
        if self.waiting:
            event = self.waiting.popleft()
            if isinstance(event, Output):
                self.next_sequence = event.sequence + 1
            return event
        if self.error is not None:
            raise copy.copy(self.error)
        return None


class Answer:
    """The answer to a request."""

    def __init__(self, number: int, method: str, next_sequence: int):
        self.number = number
        self.opens = method == "document.open"
        self.listens = self.opens or method == "document.attach"  # events of its document follow at once
        self.next_sequence = next_sequence
        self.done = False
        self.abandoned = False  # nobody waits for it any longer
        self.result: Any = None
        self.error: UnrollError | None = None
        self.mailbox: Mailbox | None = None

    def take(self) -> Any:
        if self.error is not None:
            raise copy.copy(self.error)
        return self.result

    def take_mailbox(self) -> Mailbox:
        self.take()
        assert self.mailbox is not None
        return self.mailbox


class Core:
    def __init__(self) -> None:
        self._received = bytearray()
        self._numbers = itertools.count(1)
        self._answers: dict[int, Answer] = {}
        self._mailboxes: dict[str, Mailbox] = {}
        self._unsent: list[bytes] = []
        self.broken: UnrollError | None = None

    def request(self, method: str, params: Mapping[str, Any]) -> tuple[Answer, bytes]:
        """Returns the Answer to come, and the line to send."""
        if self.broken is not None:
            raise copy.copy(self.broken)
        answer = Answer(next(self._numbers), method, params.get("from", 0) if method == "document.attach" else 0)
        line = _encode({"jsonrpc": "2.0", "id": answer.number, "method": method, "params": params})
        if len(line) > MAX_LINE_BYTES:  # the daemon would close the connection, with all documents
            text = f"{method}: a line of {len(line)} bytes, and the protocol takes {MAX_LINE_BYTES}"
            raise LimitError(text + "; give the document as path, fd or stream")
        self._answers[answer.number] = answer
        return answer, line + b"\n"

    def forget(self, answer: Answer) -> None:
        """Nobody waits for the answer any longer: a document that the request opens, or has opened, must be
        cancelled."""
        answer.abandoned = True
        if answer.mailbox is not None:
            self.drop(answer.mailbox)
            if answer.opens and not answer.mailbox.ended:
                self._cancel(answer.mailbox.document)
        elif not answer.opens:
            self._answers.pop(answer.number, None)

    def take_unsent(self) -> bytes:
        """What must be sent in addition to requests."""
        lines, self._unsent = self._unsent, []
        return b"".join(lines)

    def drop(self, mailbox: Mailbox) -> None:
        if self._mailboxes.get(mailbox.document) is mailbox:
            del self._mailboxes[mailbox.document]

    def receive(self, data: bytes) -> None:
        """Takes bytes from the socket; none means its end."""
        if not data:
            return self.fail(ConnectionLostError("the daemon ended; read its log and start it again"))
        self._received += data
        *lines, rest = self._received.split(b"\n") if b"\n" in data else [self._received]
        self._received = rest
        try:
            for line in lines:
                self._take(json.loads(line))
            if len(rest) > MAX_LINE_BYTES:
                raise ValueError("a line that is too long")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self.fail(ConnectionLostError(f"what the daemon sent is not the protocol: {type(error).__name__}"))

    def fail(self, error: UnrollError) -> None:
        """The connection has ended: every waiting call raises `error`."""
        if self.broken is not None:
            return
        self.broken = error
        for answer in self._answers.values():
            answer.done, answer.error = True, error
        for mailbox in self._mailboxes.values():
            mailbox.end(error)
        self._answers.clear()
        self._mailboxes.clear()

    def _take(self, message: dict[str, Any]) -> None:
        if "method" in message:
            params = message["params"]
            if mailbox := self._mailboxes.get(params["document"]):
                mailbox.put(message["method"], params)
                if mailbox.ended:
                    del self._mailboxes[mailbox.document]
            return
        error = error_from_json(message["error"]) if "error" in message else None
        answer = self._answers.pop(message["id"], None)
        if answer is not None:
            answer.done, answer.error, answer.result = True, error, message.get("result")
            if answer.abandoned:
                if answer.opens and error is None:
                    self._cancel(answer.result["document"])
            elif answer.listens and error is None:
                answer.mailbox = self._open(answer)
        elif message["id"] is None and error is not None:  # an error of the connection, which the daemon closes
            self.fail(error)

    def _cancel(self, document: str) -> None:
        params = {"document": document}  # without an id: it is not answered
        self._unsent.append(_encode({"jsonrpc": "2.0", "method": "document.cancel", "params": params}) + b"\n")

    def _open(self, answer: Answer) -> Mailbox:
        result = answer.result
        first = result.get("next_sequence", answer.next_sequence)
        position = result.get("resume_bytes", 0), result.get("resume_sha256")
        mailbox = Mailbox(result["document"], first, *position)
        if before := self._mailboxes.get(mailbox.document):
            before.end(DocumentStateError(f"document {mailbox.document} was attached to again on this connection"))
        self._mailboxes[mailbox.document] = mailbox
        return mailbox


def _encode(message: dict[str, Any]) -> bytes:
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
    raise TextError(
        f"{message['method']}: the text holds {half}, half of a surrogate pair, which UTF-8 has no bytes for; replace "
        "it, as by text.encode('utf-8', 'replace').decode(), or give the document's own bytes as a stream"
    )


def plugin_list(plugins: Plugins) -> list[dict[str, Any]]:
    names = [plugins] if isinstance(plugins, str) else plugins
    with_options = names if isinstance(names, Mapping) else dict.fromkeys(names, {})
    return [{"name": name, "options": options} for name, options in with_options.items()]


def open_params(plugins: Plugins, how: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The parameters, and a descriptor to send along, which the caller must close."""
    params = dict(how)
    sources = [params.pop(key, None) for key in ("text", "path", "fd", "stream")]
    text, path, fd, stream = sources
    if sum(source is not None for source in sources) != 1:
        raise TypeError("give one of text, path, fd and stream, where the document's bytes come from")
    if "after" in params:
        params["from"] = params.pop("after")
    if isinstance(params.get("snapshot"), str):
        params["snapshot"] = {"name": params["snapshot"]}
    params["plugins"] = plugin_list(plugins)
    if text is not None or stream is not None:
        return params | ({"stream": True} if text is None else {"text": text}), None
    # Duplicated, because the caller may close its own descriptor before the line is sent.
    return params | {"fd": True}, os.dup(fd) if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def snapshot_params(name: str, how: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The same of snapshot.create."""
    params = {"name": name, **how}
    if "document" in params:
        return params, None
    params, fd = open_params(params.pop("plugins", ()), params)
    return params, fd


def import_pieces(file: bytes, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The parameters of the calls of snapshot.import, at least one."""
    given = {key: value for key, value in params.items() if value is not None}
    for start in range(0, max(1, len(file)), PIECE_BYTES):
        piece = base64.b64encode(file[start : start + PIECE_BYTES]).decode()
        yield {**given, "base64": piece, "more": start + PIECE_BYTES < len(file)}


#: How a document was opened: its plugins, and its options with the source of its bytes.
Opening = tuple[Plugins, dict[str, Any]]


class DocumentState:
    """What is known about a document without asking the daemon."""

    def __init__(self, mailbox: Mailbox, opening: Opening | None):
        self._mailbox = mailbox
        self._opening = opening  # None: attached to

    @property
    def id(self) -> str:
        return self._mailbox.document

    @property
    def resume_bytes(self) -> int:
        """Number of bytes that were read before the document was opened."""
        return self._mailbox.resume_bytes

    @property
    def resume_sha256(self) -> str | None:
        """SHA-256 of those bytes in hexadecimal, to check that a resumed stream has the same ones."""
        return self._mailbox.resume_sha256

    @property
    def next_sequence(self) -> int:
        """One more than the number of the last output returned: the argument for resume() and attach()."""
        return self._mailbox.next_sequence

    def _openable(self, lost: UnrollError) -> Opening:
        """The arguments with which to open it again."""
        if self._opening is None:
            text = "waits for its bytes: resume() it where they are"
            raise DocumentStateError(f"document {self.id} was attached to, and {text}") from lost
        if "fd" in self._opening[1]:
            text = "a descriptor, which cannot be read again: resume() it with another"
            raise SourceError(f"document {self.id} was read from {text}") from lost
        return self._opening
