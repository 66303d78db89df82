"""What a working daemon does not show: the core without a socket, and the two lists of errors."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unittest
from pathlib import Path
from typing import Any

from .fixture import some_text  # noqa: F401  (finds the package)

from unroll_client import ConnectionLostError, Output, UnrollError, errors
from unroll_client.core import Answer, Core
from unroll_client.feed import KEPT_BYTES, PIECE_BYTES, Feed, Skipped


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
        mailbox.expect(9)  # an earlier mailbox returned those before
        core.receive(output(7) + output(8) + output(9))
        self.assertEqual(len(mailbox.waiting), 3)

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

    def test_an_answer_that_nobody_waits_for_cancels_what_it_opens(self) -> None:
        core = Core()
        answer, _ = core.request("document.open", {"plugins": []})
        core.forget(answer)
        core.receive(line(id=answer.number, result={"document": "d", "next_sequence": 0, "resume_bytes": 0}))
        cancel = json.loads(core.take_unsent())
        self.assertEqual(
            (cancel["method"], cancel["params"], "id" in cancel), ("document.cancel", {"document": "d"}, False)
        )
        answered = self.opened(core)
        core.forget(answered)
        self.assertIn(b"document.cancel", core.take_unsent())
        attached, _ = core.request("document.attach", {"document": "d"})
        core.forget(attached)
        core.receive(line(id=attached.number, result={"document": "d"}))
        self.assertEqual(core.take_unsent(), b"")

    def test_what_was_read_before_is_passed_over_if_it_is_the_same(self) -> None:
        for skip in (0, 1, 3, 5, 7):
            skipped = Skipped("d", skip, hashlib.sha256(b"abcdefg"[:skip]).hexdigest())
            self.assertEqual(b"".join(skipped.behind(chunk) for chunk in (b"abc", b"", b"defg")), b"abcdefg"[skip:])
            skipped.end()
        other = Skipped("d", 3, hashlib.sha256(b"abc").hexdigest())
        with self.assertRaisesRegex(errors.SourceError, "not those"):
            other.behind(b"abX")
        shorter = Skipped("d", 3, None)
        shorter.behind(b"ab")
        with self.assertRaisesRegex(errors.SourceError, "shorter than the 3 bytes"):
            shorter.end()

    def test_a_feed_begins_again_where_it_is_told(self) -> None:
        feed, stream = Feed("d", 10), bytes(range(256)) * 1000
        feed.add(stream)
        feed.complete()

        def sent() -> bytes:
            data = b""
            while (request := feed.next()) and request[0] == "document.append":
                data += base64.b64decode(request[1]["base64"])
            self.assertIsNone(feed.next())
            return data

        self.assertEqual(sent(), stream)
        feed.go_to(10 + PIECE_BYTES + 5)
        self.assertEqual(sent(), stream[PIECE_BYTES + 5 :])
        with self.assertRaises(errors.SourceError):
            feed.go_to(9)

    def test_a_feed_keeps_its_last_bytes_only(self) -> None:
        feed, piece = Feed("d", 0), bytes(1 << 20)
        for _ in range(20):
            feed.add(piece)
            while feed.next():
                pass
        self.assertLess(len(feed._bytes), 2 * KEPT_BYTES + len(piece) + 1)
        feed.go_to(20 * len(piece) - KEPT_BYTES)
        with self.assertRaises(errors.SourceError):
            feed.go_to(0)

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
