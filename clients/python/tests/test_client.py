from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import signal
import threading
import time
import unittest
from typing import Any

from .fixture import LINES, DaemonTest, in_pieces, some_text

import unroll_client
from unroll_client import (
    Client,
    ConnectionLostError,
    Done,
    NotConnectedError,
    Output,
    UnrollError,
    default_sockets,
    errors,
    results,
)


class ReadTest(DaemonTest):
    def test_text_path_fd_and_stream_give_the_same(self) -> None:
        text = some_text(60)
        file = self.folder / "text"
        file.write_text(text)
        expected = self.expected(text)
        self.assertEqual(len(expected), 61)
        client = self.connect()
        self.assertEqual(list(client.run("score", LINES["score"], path=file)), expected)
        with open(file, "rb") as opened:
            self.assertEqual(list(client.run("score", LINES["score"], fd=opened.fileno())), expected)
            self.assertFalse(opened.closed)
        for size in (7, 100_000):
            stream = in_pieces(text.encode(), size)
            self.assertEqual(list(client.run("score", LINES["score"], stream=stream)), expected)
        document = client.open(LINES, stream=True, name="by hand")
        document.append(text.encode())
        document.end()
        self.assertEqual([output.data for output in document.outputs()], expected)
        self.assertEqual(client.status(document.id).name, "by hand")

    def test_a_document_goes_on_from_a_snapshot(self) -> None:
        before, text = some_text(40), "the end of the größer whale\n"
        client = self.connect()
        whole = self.nats(client, text=before + text)
        file = self.folder / "before"
        file.write_text(before)
        made = client.create_snapshot("a", path=file, plugins=["anomaly"], expires_s=3600)
        self.assertEqual((made.name, made.bytes), ("a", len(before.encode())))
        self.assertEqual(made.sha256, hashlib.sha256(before.encode()).hexdigest())
        self.assertEqual(made.plugins[0]["name"], "anomaly")
        after = self.nats(client, text=text, after="a")
        self.assertEqual(after, whole[-len(after) :])
        self.assertNotEqual(after, self.nats(client, text=text))
        stored = client.export_snapshot("a")
        self.assertEqual(client.import_snapshot(stored, "b").bytes, made.bytes)
        self.assertEqual([one.name for one in client.snapshots()], ["a", "b"])
        client.delete_snapshot("a")
        self.assertEqual(self.nats(client, text=text, after="b"), after)
        with self.assertRaises(errors.SnapshotUnknownError):
            self.nats(client, text=text, after="a")
        with self.assertRaises(errors.InvalidParamsError):
            client.import_snapshot(stored[:-1])
        self.nats(client, text=before, snapshot="b")
        document = client.open(LINES, stream=True)
        document.append(before.encode())
        self.assertEqual(client.create_snapshot("c", document=document.id).bytes, made.bytes)
        document.cancel()
        self.assertEqual(self.nats(client, text=text, after="b"), after)

    @staticmethod
    def nats(client: Client, **how: Any) -> list[float]:
        parts = client.score({"granularity": "token"}, **how)
        return [nats for part in parts if isinstance(part, results.TokenScores) for nats in part.nats]

    def test_a_pipe(self) -> None:
        text = some_text(40)
        reading, writing = os.pipe()
        document = self.connect().open(LINES, fd=reading)
        os.close(reading)
        with open(writing, "w") as pipe:
            pipe.write(text)
        self.assertEqual([output.data for output in document.outputs()], self.expected(text))

    def test_events_are_typed_and_in_order(self) -> None:
        text = some_text(30)
        document = self.connect().open(["score", "anomaly"], text=text)
        events = list(document)
        outputs = [event for event in events if isinstance(event, Output)]
        self.assertEqual([output.sequence for output in outputs], list(range(len(outputs))))
        self.assertEqual({output.plugin for output in outputs}, {"score", "anomaly"})
        done = events[-1]
        assert isinstance(done, Done)
        self.assertEqual((done.bytes, done.outputs), (len(text.encode()), len(outputs)))
        self.assertEqual(document.next_sequence, len(outputs))
        self.assertIsNone(document.next_event(), "and nothing behind the end")

    def test_what_each_built_in_plugin_finds_is_typed(self) -> None:
        client, text = self.connect(), some_text(30)
        *lines, score = client.score(LINES["score"], text=text)
        assert isinstance(score, results.DocumentScore)
        self.assertEqual((score.bytes, score.surprising[0].text is None), (len(text.encode()), False))
        self.assertEqual([line.line for line in lines if isinstance(line, results.PartScore)], list(range(1, 31)))
        tokens = next(client.score({"granularity": "token"}, text="one two"))
        assert isinstance(tokens, results.TokenScores)
        self.assertEqual(len(tokens.start), len(tokens.nats))
        *odd, anomaly = client.anomaly({"top": 3, "top_window": 10, "alert_rate": 1}, text=text)
        assert isinstance(anomaly, results.DocumentAnomaly)
        self.assertEqual((anomaly.lines, len(anomaly.top), type(anomaly.alerts)), (30, 3, int))
        self.assertEqual({type(one) for one in odd}, {results.LineAnomaly, results.WindowAnomaly})
        *_, summary = client.summarize(text="The first sentence has words. The second one is about a whale.\n" * 20)
        assert isinstance(summary, results.Summary)
        self.assertIn(summary.sentences[0].text, summary.text)
        *segments, vector = client.embed(text=text)
        assert isinstance(vector, results.DocumentVector) and isinstance(segments[0], results.SegmentVector)
        self.assertEqual(len(vector.vector), vector.dim)

    def test_documents_side_by_side_on_one_connection(self) -> None:
        client = self.connect()
        texts = [some_text(lines) for lines in (10, 80, 33, 51)]
        documents = [client.open(LINES, text=text) for text in texts[:2]]
        documents += [client.open(LINES, stream=in_pieces(text.encode(), 500)) for text in texts[2:]]
        outputs: dict[str, list[Any]] = {document.id: [] for document in documents}
        for events in itertools.zip_longest(*documents):
            for event in events:
                if isinstance(event, Output):
                    outputs[event.document].append(event.data)
        for document, text in zip(documents, texts):
            self.assertEqual(outputs[document.id], self.expected(text))

    def test_threads_share_a_client(self) -> None:
        client = self.connect()
        texts = [some_text(20 + i) for i in range(6)]
        got: list[Any] = [None] * len(texts)

        def read(i: int) -> None:
            stream = in_pieces(texts[i].encode(), 333)
            got[i] = list(client.run("score", LINES["score"], stream=stream))

        threads = [threading.Thread(target=read, args=(i,)) for i in range(len(texts))]
        for thread in threads:
            thread.start()
        for _ in range(50):
            client.ping()
        for thread in threads:
            thread.join()
        self.assertEqual(got, [self.expected(text) for text in texts])

    def test_one_thread_appends_while_another_listens(self) -> None:
        document = self.connect().open(LINES, stream=True, flush_after_ms=20)
        document.append(b"a first line\n" * 3)
        with self.assertRaises(TimeoutError):
            while True:  # its first events come only after a commit, which takes longer
                document.next_event(timeout=0.05)

        def write() -> None:
            document.append(some_text(30).encode())
            document.end()

        writer = threading.Thread(target=write)
        writer.start()
        outputs = [output.data for output in document.outputs()]
        writer.join()
        self.assertEqual(outputs[-1]["type"], "document")

    def test_attach_from_a_number(self) -> None:
        client, other = self.connect(), self.connect()
        document = client.open(LINES, stream=True)
        document.append(some_text(50).encode())
        attached = other.attach(document.id)
        with self.assertRaises(errors.DocumentStateError):
            list(document)
        document.end()
        outputs = list(attached.outputs())
        self.assertEqual([output.data for output in outputs], self.expected(some_text(50)))
        with client.attach(document.id, 40) as again:
            self.assertEqual(list(again.outputs()), outputs[40:])

    def test_of_the_daemon(self) -> None:
        client = self.connect()
        info = client.info()
        self.assertEqual((info.protocol, info.version), (1, unroll_client.__version__))
        self.assertIn("score", [plugin.name for plugin in info.plugins])
        self.assertEqual(info.limits["line_bytes"], 8 << 20)
        self.assertGreater(client.stats()["uptime_seconds"], 0)
        first, second = (client.open(LINES, text="x\n") for _ in range(2))
        for document in (first, second):
            list(document)
        self.assertEqual([status.document for status in client.list(limit=2)], [second.id, first.id])
        self.assertEqual(client.status(first.id).phase, "done")
        with contextlib.suppress(errors.MethodNotFoundError):  # it may not exist yet
            self.assertEqual(client.reload().checkpoint, info.model.checkpoint)
        client.ping()


class ModelsTest(DaemonTest):
    settings = {"models": [{"name": "other", "path": os.environ["UNROLL_MODEL"], "settings": "document_cache_tokens=64"}]}

    def test_a_document_is_read_by_the_one_that_it_names(self) -> None:
        client = self.connect()
        first, other = client.info().models
        self.assertEqual((other.name, other.family, other.documents), ("other", first.family, 0))
        self.assertTrue(first.loaded)
        text = "a line\n" * 50
        results = [list(client.score(text=text, **how)) for how in ({}, {"model": first.name}, {"model": "other"})]
        self.assertEqual(results[0], results[1])
        self.assertNotEqual(results[0], results[2])
        self.assertTrue(client.info().models[1].loaded)
        with client.open("score", text=text, model="other") as document:
            list(document)
            self.assertEqual(client.status(document.id).model, "other")
        with self.assertRaises(errors.ModelUnknownError) as caught:
            client.open("score", text=text, model="nothing")
        self.assertIn(f"there are: {first.name}, other", str(caught.exception))

    def test_a_document_goes_on_with_its_own(self) -> None:
        text = "".join(f"line {number}\n" for number in range(400))
        with contextlib.closing(Client(self.socket())) as client:
            expected = [event.data for event in client.open(LINES, text=text, model="other").outputs()]
        client = self.connect()
        document = client.open(LINES, stream=True, model="other")
        half = text.index("line 200")
        document.append(text[:half].encode())
        outputs = [event.data for event in itertools.islice(document.outputs(), 20)]
        self.start(**self.settings)
        document.append(text[half:].encode())
        document.end()
        outputs += [event.data for event in document.outputs()]
        self.assertEqual(outputs, expected)


class ErrorsTest(DaemonTest):
    def test_each_has_its_class_code_text_and_advice(self) -> None:
        client = self.connect()
        with self.assertRaises(errors.PluginUnknownError) as caught:
            client.open("sc0re", text="x")
        self.assertEqual((caught.exception.code, caught.exception.name), (-32002, "plugin_unknown"))
        self.assertIn("sc0re", caught.exception.message)
        self.assertIn("server.info", caught.exception.advice)
        with self.assertRaisesRegex(errors.InvalidParamsError, "granularity"):
            client.open({"score": {"granularity": "word"}}, text="x")
        with self.assertRaisesRegex(errors.InvalidParamsError, "priority"):
            client.open("score", text="x", priority=11)
        with self.assertRaises(errors.DocumentUnknownError):
            client.status("0123")
        with self.assertRaises(errors.MethodNotFoundError):
            client.call("document.read")
        with self.assertRaises(errors.SourceError):
            client.open("score", path=self.folder)
        with self.assertRaises(FileNotFoundError):
            client.open("score", path=self.folder / "none")
        with self.assertRaises(errors.DeadlineError):
            list(client.open("score", stream=True, deadline_ms=30))
        with self.assertRaises(TypeError):
            client.open("score", text="x", path="y")
        client.ping()

    def test_what_would_cost_the_connection_is_not_sent(self) -> None:
        client = self.connect()
        with self.assertRaisesRegex(errors.LimitError, "stream"):
            client.open("score", text="x" * (9 << 20))
        for wrong in ({"text": "abc \udcb2 def"}, {"text": "x", "name": "\ud800"}):
            with self.assertRaisesRegex(ValueError, "U\\+D[C8].*surrogate.*stream") as caught:
                client.open("score", **wrong)  # type: ignore[arg-type]
            self.assertIsInstance(caught.exception, UnrollError)
        client.ping()

    def test_cancel(self) -> None:
        client = self.connect()
        document = client.open(LINES, stream=True)
        document.append(some_text(20).encode())
        document.cancel()
        with self.assertRaises(errors.DocumentCancelledError):
            list(document)
        with self.assertRaises(errors.DocumentStateError):
            document.append(b"more")

    def test_left_early_it_is_cancelled(self) -> None:
        client = self.connect()
        with client.open(LINES, stream=itertools.repeat(b"the same line\n" * 50)) as document:
            next(document.outputs())
        while (status := client.status(document.id)).phase == "open":
            time.sleep(0.01)
        self.assertIsInstance(status.error, errors.DocumentCancelledError)
        scores = client.run("score", LINES["score"], stream=itertools.repeat(b"the same line\n" * 50))
        next(scores)
        scores.close()
        while client.stats()["open_documents"] > 0:
            time.sleep(0.01)

    def test_a_source_that_fails_fails_the_document(self) -> None:
        def source() -> Any:
            yield b"one line\n"
            raise RuntimeError("no more to be had")

        client = self.connect()
        document = client.open(LINES, stream=source())
        with self.assertRaisesRegex(RuntimeError, "no more"):
            list(document)
        with self.assertRaises(errors.DocumentCancelledError):
            list(client.attach(document.id))

    def test_a_closed_client(self) -> None:
        client = self.connect()
        document = client.open(LINES, stream=True)
        caught: list[BaseException] = []

        def listen() -> None:
            try:
                list(document)
            except UnrollError as error:
                caught.append(error)

        listener = threading.Thread(target=listen)
        listener.start()
        client.close()
        listener.join()
        self.assertIsInstance(caught[0], ConnectionLostError)
        with self.assertRaises(ConnectionLostError):
            client.ping()
        client.close()

    def test_nobody_listens(self) -> None:
        with self.assertRaisesRegex(NotConnectedError, "no daemon socket at /nowhere"):
            Client("/nowhere/s")
        with self.assertRaisesRegex(ConnectionError, "107"):
            Client("/" + "s" * 120)

    def test_where_daemons_are_looked_for(self) -> None:
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = "/run/user/7"
        own = [] if os.geteuid() == 0 else ["/run/user/7/unroll/unroll.sock"]
        self.assertEqual(default_sockets(), [*own, "/run/unroll/unroll.sock"])
        del os.environ["XDG_RUNTIME_DIR"]
        self.assertEqual(default_sockets(), ["/run/unroll/unroll.sock"])
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before

    def test_a_connection_too_many_hears_why(self) -> None:
        self.start(limits={"connections_per_user": 1})
        self.addCleanup(self.start)
        self.connect().ping()
        with self.assertRaises(errors.LimitError) as caught:
            self.connect().ping()
        self.assertEqual(caught.exception.data["limit"], "limits.connections_per_user")


class BackpressureTest(DaemonTest):
    settings = {"limits": {"input_buffer_bytes": 8192, "outgoing_bytes": 65536}}

    def test_a_stream_is_drawn_from_no_faster_than_the_model_reads(self) -> None:
        client, watcher = self.connect(), self.connect()
        piece, drawn, furthest = some_text(100).encode(), 0, 0
        document = client.open({"score": {"granularity": "document"}}, stream=self.endless(piece))
        self.drawn = 0
        while (read := watcher.status(document.id).bytes) < 50_000:
            try:
                document.next_event(timeout=0.01)
            except TimeoutError:
                pass
            furthest = max(furthest, self.drawn - read)
        self.assertGreater(self.drawn, 50_000)
        self.assertLess(furthest, 50_000)
        document.cancel()

    def endless(self, piece: bytes) -> Any:
        while True:
            self.drawn += len(piece)
            yield piece

    def test_threads_with_appends_and_outputs_under_way_do_not_block_each_other(self) -> None:
        client, text = self.connect(), some_text(500)
        documents = [client.open({"score": {"granularity": "token"}}, stream=True) for _ in range(4)]
        ends: list[Any] = []

        def write(document: Any) -> None:
            document.append(text.encode())
            document.end()

        def listen(document: Any) -> None:
            ends.append(list(document)[-1].bytes)

        threads = [threading.Thread(target=work, args=(one,)) for one in documents for work in (write, listen)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(ends, [len(text.encode())] * 4)


class ResumeTest(DaemonTest):
    def test_killed_and_resumed_nothing_is_lost_and_nothing_comes_twice(self) -> None:
        text = some_text(400)
        file = self.folder / "text"
        file.write_text(text)
        expected = self.expected(text)
        for how, kills in (("stream", 2), ("path", 1)):
            with self.subTest(how):
                self.read_with_kills(how, kills, text, expected)

    def read_with_kills(self, how: str, kills: int, text: str, expected: list[Any]) -> None:
        got: list[Any] = []
        document = None
        for life in range(kills + 1):
            self.start(journal={"commit_blocks": 2}, limits={"input_buffer_bytes": 8192})
            client = self.connect(reconnect=0)
            source: Any = {how: self.folder / "text" if how == "path" else in_pieces(text.encode(), 3000)}
            if document is None:
                document = client.open(LINES, **source)
            else:
                document = client.resume(document.id, LINES, document.next_sequence, **source)
            try:
                for output in document.outputs():
                    self.assertEqual(output.sequence, len(got))
                    got.append(output.data)
                    if life < kills and len(got) % 150 == 100:
                        self.kill()
                self.assertEqual(life, kills, "it ended before it was killed")
            except ConnectionLostError:
                self.assertLess(life, kills)
        self.assertEqual(got, expected)
        assert document is not None
        client = self.connect()
        self.assertEqual([output.data for output in client.attach(document.id).outputs()], expected)
        with client.resume(document.id, LINES, len(got) - 1, text=text) as rest:
            self.assertEqual([output.data for output in rest.outputs()], expected[-1:])

    def test_a_daemon_that_stops_says_so_and_the_next_goes_on(self) -> None:
        self.start(drain_ms=20)
        text = some_text(100)
        client = self.connect(reconnect=0)
        document = client.open(LINES, stream=True)
        document.append(text.encode()[:1000])
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        with self.assertRaises(errors.ShuttingDownError):
            list(document)
        client.close()  # a daemon gives its clients a moment to receive the last events
        self.process.wait()
        self.start()
        with self.connect().resume(document.id, LINES, document.next_sequence, stream=True) as resumed:
            self.assertLessEqual(resumed.resume_bytes, 1000)
            resumed.append(text.encode()[resumed.resume_bytes :])
            resumed.end()
            self.assertIsInstance(list(resumed)[-1], Done)
        attached = self.connect().attach(document.id)
        self.assertEqual([output.data for output in attached.outputs()], self.expected(text))

    def test_a_source_that_is_too_short_now_does_not_end_the_document(self) -> None:
        client, text = self.connect(), some_text(100).encode()
        document = client.open(LINES, stream=True)
        document.append(text)
        while client.status(document.id).bytes < 1000:
            time.sleep(0.01)
        document.cancel()
        with self.assertRaises(errors.DocumentCancelledError):
            list(document)
        self.assertGreater(client.status(document.id).resume_bytes or 0, 10)
        with self.assertRaisesRegex(errors.SourceError, "were read before"):
            list(client.resume(document.id, LINES, document.next_sequence, stream=[b"short"]))

    def test_other_bytes_than_before_are_refused(self) -> None:
        client, text = self.connect(), some_text(100)
        document = client.open(LINES, stream=True)
        document.append(text.encode())
        while client.status(document.id).bytes < 1000:
            time.sleep(0.01)
        document.cancel()
        with self.assertRaises(errors.DocumentCancelledError):
            list(document)
        status = client.status(document.id)
        assert status.resume_bytes is not None
        if status.resume_bytes > 0:
            prefix = hashlib.sha256(text.encode()[: status.resume_bytes]).hexdigest()
            self.assertEqual(status.resume_sha256, prefix)
        other = "L" + text[1:]
        sources: list[dict[str, Any]] = [{"text": other}, {"stream": [other.encode()]}]
        for how in sources:
            with self.subTest(how=list(how)), self.assertRaisesRegex(errors.SourceError, "not those"):
                list(client.resume(document.id, LINES, **how))
            while not client.status(document.id).must_be_resumed:  # meanwhile a stream's document is cancelled
                time.sleep(0.01)
        with client.resume(document.id, LINES, stream=in_pieces(text.encode(), 777)) as resumed:
            list(resumed)
        with client.attach(document.id) as whole:
            self.assertEqual([output.data for output in whole.outputs()], self.expected(text))

    def test_a_deleted_document_is_unknown(self) -> None:
        client = self.connect()
        document = client.open(LINES, text="It was a dark night.\n")
        list(document)
        client.delete(document.id)
        with self.assertRaises(errors.DocumentUnknownError):
            client.status(document.id)


if __name__ == "__main__":
    unittest.main()
