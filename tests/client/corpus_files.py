#!/usr/bin/env python3
"""Drives `unroll batch --input` over the files of corpora: Parquet in and out, damage, and kill -9.

    corpus_files.py UNROLL MODEL [unittest's options]

The tests of Parquet need pyarrow in this Python. UNROLL_TEST_KILLS: the number of kills (3).
"""

import gzip
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

UNROLL, MODEL = "", ""
KILLS = int(os.environ.get("UNROLL_TEST_KILLS", "3"))
HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None
if HAS_PYARROW:
    import pyarrow
    from pyarrow import parquet
WORDS = "the whale Größe sea 42 of a harpoon; never more and then again mast ".split()


def records(count: int, seed: int) -> list[dict[str, object]]:
    """Of different lengths."""
    draw = random.Random(seed)
    return [
        {"id": i, "url": f"https://example.org/{i}", "text": " ".join(draw.choices(WORDS, k=draw.choice([0, 2, 3, 4, 5, 40])))}
        for i in range(count)
    ]


def as_warc(pages: list[dict[str, object]]) -> bytes:
    file = b""
    for page in pages:
        body = str(page["text"]).encode()
        file += (
            f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: {page['url']}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body + b"\r\n\r\n"  # fmt: skip
    return file


class Corpus(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "in").mkdir()

    def command(self, *more: str, out: str = "out", pattern: str = "*") -> list[str]:
        return [UNROLL, "batch", "--input", f"in/{pattern}", "--out", out, "--format", "json", "--embedded",
                "--model", MODEL, *more]  # fmt: skip

    def environment(self, python: Path = Path(sys.executable)) -> dict[str, str]:
        return dict(os.environ, PATH=f"{python.parent}:{os.environ['PATH']}", OMP_NUM_THREADS="1", LC_ALL="C.UTF-8")

    def batch(self, *more: str, code: int = 0, out: str = "out", pattern: str = "*") -> tuple[dict[str, float], str]:
        done = self.run_batch(*more, out=out, pattern=pattern)
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout), done.stderr

    def run_batch(self, *more: str, out: str = "out", pattern: str = "*") -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*more, out=out, pattern=pattern), cwd=self.folder, env=self.environment(),
                              capture_output=True, text=True, encoding="utf-8")  # fmt: skip

    def write_lines(self, name: str, rows: list[dict[str, object]]) -> None:
        (self.folder / "in" / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def write_parquet(self, name: str, rows: list[dict[str, object]], group: int = 7) -> None:
        table = pyarrow.Table.from_pylist(rows)
        parquet.write_table(table, self.folder / "in" / name, row_group_size=group, write_page_checksum=True)

    def rows(self, name: str, out: str = "out") -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / out / name).read_text().splitlines()]

    def test_parquet_needs_pyarrow(self) -> None:
        python = self.folder / "python3"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without packages
        python.chmod(0o755)
        (self.folder / "in/a.parquet").write_bytes(b"PAR1")
        environment = dict(self.environment(python), PYTHONPATH="")
        done = subprocess.run(self.command(), cwd=self.folder, env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("pip install pyarrow", done.stderr)

    def test_a_packed_parquet_file_is_refused(self) -> None:
        (self.folder / "in/a.parquet.gz").write_bytes(b"")
        done = subprocess.run(self.command(), cwd=self.folder, env=self.environment(), capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("a.parquet.gz has an unknown type", done.stderr)

    @unittest.skipUnless(HAS_PYARROW, "this Python has no pyarrow")
    def test_parquet_gives_the_rows_of_json_lines(self) -> None:
        content = records(40, seed=1)
        self.write_lines("a.jsonl", content)
        self.write_parquet("b.parquet", content)
        summary, _ = self.batch("--id-field", "url")
        self.assertEqual(summary["records"], 80)
        self.assertEqual(self.rows("b.jsonl"), self.rows("a.jsonl"))
        self.assertEqual(self.rows("b.jsonl")[3]["id"], "https://example.org/3")
        # Without a field the record's number is its id.
        self.batch(out="numbers", pattern="b.parquet")
        self.assertEqual([row["id"] for row in self.rows("b.jsonl", "numbers")], list(range(1, 41)))

    @unittest.skipUnless(HAS_PYARROW, "this Python has no pyarrow")
    def test_fields_may_be_nested_and_of_any_type(self) -> None:
        rows = [{"doc": {"body": "one", "key": 1.5}}, {"doc": {"body": None, "key": 2.0}}, {"doc": None}]
        self.write_parquet("a.parquet", rows)
        summary, errors = self.batch("--text-field", "/doc/body", "--id-field", "/doc/key", code=1)
        self.assertEqual(summary["damaged"], 2)
        self.assertIn("a.parquet: record 2 has no text in its field '/doc/body'", errors)
        found = self.rows("a.jsonl")
        self.assertEqual([row["id"] for row in found], [1.5, 2.0, None])
        self.assertEqual(found[0]["bytes"], 3)
        _, errors = self.batch("--text-field", "body", code=1, out="other")
        self.assertIn("a.parquet: has no column 'body'; it has: doc", errors)

    @unittest.skipUnless(HAS_PYARROW, "this Python has no pyarrow")
    def test_columns_of_every_type(self) -> None:
        """Texts in all of Arrow's types for them; dots in fields; ids that are bytes, also if they are not UTF-8."""
        texts = ["one", "Größe", None, ""]
        kinds = {
            "string": pyarrow.array(texts),
            "large": pyarrow.array(texts, pyarrow.large_string()),
            "dictionary": pyarrow.array(texts).dictionary_encode(),
            "binary": pyarrow.array([text and text.encode() for text in texts], pyarrow.binary()),
        }
        cut = pyarrow.array(["a", "b", "c", "d"]).buffers()
        broken = pyarrow.StringArray.from_buffers(4, cut[1], pyarrow.py_buffer(b"a\xffcd"))
        ids = {
            "bytes": pyarrow.array([b"k", b"\xff\x00", None, b""]),
            "broken": broken,
            "time": pyarrow.array([1, 2, 3, None], pyarrow.timestamp("s")),
            "a.b": pyarrow.array([1, 2, 3, 4]),
            "list": pyarrow.array([[1], [], None, [2]]),
            "number": pyarrow.array([1.5, float("nan"), float("inf"), None]),
        }
        parquet.write_table(pyarrow.table({**kinds, **ids}), self.folder / "in/a.parquet")
        for kind in kinds:
            summary, _ = self.batch("--text-field", kind, code=1, out=f"out-{kind}")
            self.assertEqual([row.get("bytes") for row in self.rows("a.jsonl", f"out-{kind}")], [3, 7, None, 0])
        found = {}
        for id in ids:
            self.batch("--text-field", "string", "--id-field", id, code=1, out=f"id-{id}")
            found[id] = [row["id"] for row in self.rows("a.jsonl", f"id-{id}")]
        self.assertEqual(found["bytes"], ["k", "ff00", None, ""])
        self.assertEqual(found["broken"], ["a", "ff", "c", "d"])
        self.assertEqual(found["time"][::3], ["1970-01-01 00:00:01", None])
        self.assertEqual(found["a.b"], [1, 2, 3, 4])
        self.assertEqual(found["number"], [1.5, "nan", "inf", None])
        _, errors = self.batch("--text-field", "list", code=1, out="list")
        self.assertIn("record 1 has no text in its field 'list'", errors)
        self.write_parquet("b.parquet", [{"doc": {"body": "one", "key": 7}}])
        self.batch("--text-field", "doc.body", "--id-field", "doc.key", out="nested", pattern="b.parquet")
        self.assertEqual([(row["id"], row["bytes"]) for row in self.rows("b.jsonl", "nested")], [(7, 3)])

    @unittest.skipUnless(HAS_PYARROW, "this Python has no pyarrow")
    def test_a_damaged_row_group_is_named_and_the_others_are_read(self) -> None:
        content = records(30, seed=2)
        self.write_parquet("a.parquet", content, group=10)
        self.batch(out="whole")
        path = self.folder / "in/a.parquet"
        file = bytearray(path.read_bytes())
        column = parquet.ParquetFile(path).metadata.row_group(1).column(2)
        at = min(offset for offset in (column.dictionary_page_offset, column.data_page_offset) if offset)
        for i in range(at + 40, at + 80):
            file[i] ^= 0x5A
        path.write_bytes(file)
        summary, errors = self.batch(code=1)
        self.assertEqual(summary["damaged"], 10)
        self.assertIn("a.parquet: record 11 is in row group 1 of 3, which is damaged", errors)
        self.assertEqual(self.rows("a.jsonl")[:10], self.rows("a.jsonl", "whole")[:10])
        self.assertEqual(self.rows("a.jsonl")[20:], self.rows("a.jsonl", "whole")[20:])
        self.assertEqual([row.get("record") for row in self.rows("a.jsonl")[10:20]], list(range(11, 21)))
        path.write_bytes(file[: len(file) // 2])
        self.write_lines("b.jsonl", content)
        summary, errors = self.batch(code=1, out="cut")
        self.assertIn("a.parquet: is damaged, or not Parquet", errors)
        self.assertEqual((summary["failed"], summary["records"]), (1, 30))

    @unittest.skipUnless(HAS_PYARROW, "this Python has no pyarrow")
    def test_results_may_be_parquet(self) -> None:
        content = records(20, seed=3)
        content[4]["text"] = 5
        self.write_lines("a.jsonl", content)
        more = ("--id-field", "id", "--plugin", "score", "--plugin", "embed")
        self.batch(*more, code=1)
        self.batch(*more, "--output-format", "parquet", code=1, out="table")
        self.assertEqual(sorted(path.name for path in (self.folder / "table").iterdir()), [".unroll", "a.parquet"])
        table = parquet.read_table(self.folder / "table/a.parquet")
        self.assertEqual(
            {field.name: str(field.type) for field in table.schema},
            {"id": "int64", "tokens": "int64", "bytes": "int64", "bits_per_byte": "double", "embed": "string",
             "record": "int64", "error": "string"},
        )  # fmt: skip
        for row, cells in zip(self.rows("a.jsonl"), table.to_pylist(), strict=True):
            cells["embed"] = json.loads(cells["embed"]) if cells["embed"] else None
            self.assertEqual({name: row.get(name) for name in cells}, cells)
        summary, _ = self.batch(*more, "--output-format", "parquet", out="table")
        self.assertEqual(summary["skipped"], 1)

    def test_killed_at_random_moments_the_results_are_those_of_an_undisturbed_run(self) -> None:
        self.write_lines("a.jsonl", records(3000, seed=4))
        lines = "".join(json.dumps(row) + "\n" for row in records(3000, seed=5)[:-1])
        (self.folder / "in/b.jsonl.gz").write_bytes(gzip.compress((lines + '{"text":').encode()))
        (self.folder / "in/c.warc").write_bytes(as_warc(records(3000, seed=6)))
        if HAS_PYARROW:
            self.write_parquet("d.parquet", records(3000, seed=7), group=400)
        began = time.monotonic()
        self.batch("--id-field", "url", code=1, out="whole")
        whole = time.monotonic() - began
        expected = {path.name: path.read_bytes() for path in (self.folder / "whole").glob("*.jsonl")}
        self.assertEqual(len(expected), 4 if HAS_PYARROW else 3)
        draw, killed, resumed = random.Random(8), 0, 0
        # A drawn moment may lie before the first row or after the last one: more are drawn until one hit a file.
        while killed < KILLS or (resumed == 0 and killed < 20 * KILLS):
            process = subprocess.Popen(self.command("--id-field", "url"), cwd=self.folder, env=self.environment(),
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
            try:
                process.wait(draw.uniform(0, whole))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                killed += 1
            said = process.communicate()[0]
            if process.returncode >= 0:
                resumed += self.compare_and_begin_again(said, expected)
        resumed += self.compare_and_begin_again(self.run_batch("--id-field", "url").stdout, expected)
        self.assertGreater(resumed, 0, "no kill hit a file in its middle")
        print(f"{killed} kills, {resumed} records resumed")

    def compare_and_begin_again(self, said: str | bytes, expected: dict[str, bytes]) -> int:
        """The records that the last run resumed."""
        out, summary = self.folder / "out", json.loads(said)
        self.assertEqual((summary["failed"], summary["left"]), (0, 0))
        for name, content in expected.items():
            self.assertEqual((out / name).read_bytes(), content, name)
        self.assertEqual(sorted(path.name for path in out.iterdir()), sorted([".unroll", *expected]))
        subprocess.run(["rm", "-r", out], check=True)
        return int(summary["resumed"])


if __name__ == "__main__":
    UNROLL, MODEL = (str(Path(argument).resolve()) for argument in sys.argv[1:3])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
