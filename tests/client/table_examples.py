#!/usr/bin/env python3
"""Runs the examples of docs/score.md that read tables, over tables that unroll writes.

    table_examples.py UNROLL MODEL [--rscript RSCRIPT]

The example for pandas runs if this Python has pandas; that for R, if an Rscript is named.
"""

import argparse
import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
TEXTS = ('Said "no, never", once.\nNA\nnull\tgrößer, 1e5\n\nTRUE # no comment\n', "007\n1e5 0x10\n", "NA TRUE\n")
OPTIONS = argparse.ArgumentParser()
OPTIONS.add_argument("unroll")
OPTIONS.add_argument("model")
OPTIONS.add_argument("--rscript")


def example(language: str) -> str:
    page = (SOURCE / "docs/score.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)
    return code


class Examples(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def use(self, text: str) -> None:
        """Makes words.csv and words.tsv of it."""
        self.text = text
        (self.folder / "text.txt").write_text(text, encoding="utf-8")
        for form in ("csv", "tsv"):
            self.score("--format", form, "--out", f"words.{form}")
        lines = [json.loads(line) for line in self.score("--format", "ndjson").splitlines()]
        self.words = [line for line in lines if line["type"] == "word"]
        self.assertEqual([word["word"] for word in self.words], text.split())

    def score(self, *arguments: str) -> str:
        command = [OPTIONS.unroll, "score", "text.txt", "--each-line", "--granularity", "word", "--embedded",
                   "--model", OPTIONS.model, *arguments]  # fmt: skip
        return self.run_in_folder(command)

    def run_in_folder(self, command: list[str]) -> str:
        # The helper for Parquet runs this Python, too.
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = dict(os.environ, OMP_NUM_THREADS="1", LC_ALL="C.UTF-8", PATH=path)
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, encoding="utf-8")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def assert_sums(self, printed: list[list[str]]) -> None:
        """`printed`: item and bits."""
        sums: dict[int, float] = {}
        for word in self.words:
            sums[word["item"]] = sums.get(word["item"], 0) + word["bits"]
        self.assertEqual([int(item) for item, _ in printed], list(sums))
        for item, bits in printed:
            self.assertAlmostEqual(float(bits), sums[int(item)], delta=1e-3)

    def assert_words(self, table: Path) -> None:
        """`table`: as another program wrote it, comma-separated."""
        with open(table, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["word"] for row in rows], [word["word"] for word in self.words])
        for name in ("item", "start", "end", "start_char", "end_char", "rank", "tokens"):
            self.assertEqual([int(row[name]) for row in rows], [word[name] for word in self.words], name)
        for name in ("bits", "entropy"):
            self.assertEqual([float(row[name]) for row in rows], [word[name] for word in self.words], name)
        lines = self.text.split("\n")
        for row in rows:
            self.assertEqual(lines[int(row["item"]) - 1][int(row["start_char"]) : int(row["end_char"])], row["word"])

    @unittest.skipUnless(importlib.util.find_spec("pandas"), "this Python has no pandas")
    def test_pandas(self) -> None:
        code = example("python") + "words.to_csv('again.csv', index=False)\n"
        for text in TEXTS:
            self.use(text)
            printed = self.run_in_folder([sys.executable, "-c", code])
            self.assert_sums([row.split()[:2] for row in printed.splitlines()[2:]])
            self.assert_words(self.folder / "again.csv")

    @unittest.skipUnless(importlib.util.find_spec("pyarrow"), "this Python has no pyarrow")
    def test_parquet(self) -> None:
        code = (
            "import pandas\nwords = pandas.read_parquet('words.parquet')\n"
            "assert [str(t) for t in words.dtypes.drop('word')] == ['int64'] * 5 + ['float64'] * 2 + ['int32'] * 2\n"
            "words.to_csv('again.csv', index=False)\n"
        )
        for text in TEXTS:
            self.use(text)
            self.score("--format", "parquet", "--out", "words.parquet")
            self.run_in_folder([sys.executable, "-c", code])
            self.assert_words(self.folder / "again.csv")
            self.assertEqual([file.name for file in self.folder.glob("*parquet*")], ["words.parquet"])

    def test_parquet_needs_pyarrow(self) -> None:
        (self.folder / "text.txt").write_text("One.\n")
        python = self.folder / "python3"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without packages
        python.chmod(0o755)
        command = [OPTIONS.unroll, "score", "text.txt", "--granularity", "word", "--embedded", "--model", OPTIONS.model,
                   "--format", "parquet", "--out", "words.parquet"]  # fmt: skip
        environment = dict(os.environ, PATH=f"{self.folder}:/usr/bin:/bin", PYTHONPATH="")
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("pip install pyarrow", done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(list(self.folder.glob("*parquet*")), [])

    def test_r(self) -> None:
        if OPTIONS.rscript is None:
            self.skipTest("there is no Rscript")
        code = example("r") + (
            "write.csv(words, 'again.csv', row.names = FALSE, fileEncoding = 'UTF-8')\n"
            "tabs <- read.delim('words.tsv', na.strings = character(), colClasses = c(word = 'character'))\n"
            "stopifnot(identical(words, tabs))\n"
        )  # fmt: skip
        for text in TEXTS:
            self.use(text)
            printed = self.run_in_folder([OPTIONS.rscript, "--vanilla", "-e", code])
            self.assert_sums([row.split()[1:] for row in printed.splitlines()[1:]])
            self.assert_words(self.folder / "again.csv")


if __name__ == "__main__":
    OPTIONS.parse_args(namespace=OPTIONS)
    unittest.main(argv=sys.argv[:1])
