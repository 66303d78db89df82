"""What a daemon that works does not show: the core without a socket, and the two lists of errors."""

from __future__ import annotations

import base64
import json
import re
import unittest
from pathlib import Path
from typing import Any

from .fixture import some_text  # noqa: F401  (finds the package)

from unroll import ConnectionLostError, Output, UnrollError, errors
from unroll.core import Answer, Core, Pieces


def line(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


def output(sequence: int) -> bytes:
    params = {"document": "d", "plugin": "score", "sequence": sequence, "data": {"ö": sequence}, "new": 1}
    return line(method="document.output", params=params)


class CoreTest(unittest.TestCase):
    def opened(self, core: Core) -> Answer:
        answer, request = core.request("document.open", {"plugins": []})
        self.assertEqual(json.loads(request)["method"], "document.open")
        core.receive(line(id=answer.number, result={"document": "d", "next_sequence": 5, "resume_bytes": 3}))
        return answer

    def test_lines_may_come_in_any_pieces(self) -> None:
        core = Core()
        mailbox = self.opened(core).take_mailbox()
        for byte in output(5) + line(method="document.news", params={"document": "d"}) + output(6):
            core.receive(bytes([byte]))
        events = [mailbox.take(), mailbox.take()]
        self.assertEqual([event.sequence for event in events if isinstance(event, Output)], [5, 6])
        self.assertEqual(mailbox.next_sequence, 7)

    def test_an_output_that_comes_again_is_told_once(self) -> None:
        core = Core()
        mailbox = self.opened(core).take_mailbox()
        core.receive(output(5) + output(4) + output(5) + output(6))
        self.assertEqual(len(mailbox.waiting), 2)

    def test_what_is_told_before_the_end_of_the_connection_is_still_handed_out(self) -> None:
        core = Core()
        mailbox = self.opened(core).take_mailbox()
        waits, _ = core.request("server.ping", {})
        core.receive(output(5))
        core.receive(b"")
        self.assertIsInstance(mailbox.take(), Output)
        for broken in (mailbox.take, waits.take, lambda: core.request("server.ping", {})):
            with self.assertRaises(ConnectionLostError):
                broken()

    def test_what_is_not_the_protocol_ends_the_connection(self) -> None:
        for received in (b"hello\n", b"[]\n", b"{}\n", b"\xff\n", line(method="document.done", params=None)):
            core = Core()
            waits, _ = core.request("server.ping", {})
            core.receive(received)
            with self.assertRaisesRegex(ConnectionLostError, "not the protocol"):
                waits.take()

    def test_pieces_skip_what_was_read(self) -> None:
        for skip in (0, 1, 3, 5, 7):
            pieces = Pieces("d", skip)
            sent = [params["base64"] for chunk in (b"abc", b"", b"defg") for params in pieces.of(chunk)]
            self.assertEqual(b"".join(base64.b64decode(text) for text in sent), b"abcdefg"[skip:])
            pieces.end()

    def test_every_error_of_the_protocol_has_its_class(self) -> None:
        manual = (Path(__file__).resolve().parents[3] / "docs/protocol.md").read_text()
        table = re.findall(r"^\| −(\d+) \| `(\w+)` \|", manual, re.MULTILINE)
        self.assertGreater(len(table), 15)
        mine = {(str(-kind.code), kind.name) for kind in UnrollError.__subclasses__() if kind.code}
        self.assertEqual(mine, set(table))
        error = errors.error_from_json({"code": -1, "message": "of tomorrow"})
        self.assertEqual((type(error), str(error)), (errors.InternalError, "of tomorrow"))


if __name__ == "__main__":
    unittest.main()
