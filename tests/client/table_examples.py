#!/usr/bin/env python3
"""Runs the examples of docs/score.md that read tables, over tables that unroll writes.

    table_examples.py UNROLL MODEL [--rscript RSCRIPT]

An example runs if this Python has its module; those for R, if an Rscript is named, and if it has reticulate.
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
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
TEXTS = ('Said "no, never", once.\nNA\nnull\tgrößer, 1e5\n\nTRUE # no comment\n', "007\n1e5 0x10\n", "NA TRUE\n")
OPTIONS = argparse.ArgumentParser()
OPTIONS.add_argument("unroll")
OPTIONS.add_argument("model")
OPTIONS.add_argument("--rscript")


def example(language: str, word: str) -> str:
    """The page's only example in that language with that word."""
    page = (SOURCE / "docs/score.md").read_text(encoding="utf-8")
    (code,) = [code for code in re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S) if word in code]
    return code


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


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

    def each_text(self, form: str) -> Iterator[None]:
        for text in TEXTS:
            self.use(text)
            if form == "parquet":
                self.score("--format", "parquet", "--out", "words.parquet")
            yield

    @unittest.skipUnless(has("pandas"), "this Python has no pandas")
    def test_pandas(self) -> None:
        code = example("python", "read_csv") + "words.to_csv('again.csv', index=False)\n"
        for _ in self.each_text("csv"):
            printed = self.run_in_folder([sys.executable, "-c", code])
            self.assert_sums([row.split()[:2] for row in printed.splitlines()[2:]])
            self.assert_words(self.folder / "again.csv")

    @unittest.skipUnless(has("pandas") and has("pyarrow"), "this Python has no pandas, or no pyarrow")
    def test_parquet(self) -> None:
        code = example("python", "pandas.read_parquet") + (
            "assert [str(t) for t in words.dtypes.drop('word')] == ['int64'] * 5 + ['float64'] * 2 + ['int32'] * 2\n"
            "words.to_csv('again.csv', index=False)\n"
        )
        for _ in self.each_text("parquet"):
            printed = self.run_in_folder([sys.executable, "-c", code])
            self.assert_sums([row.split()[:2] for row in printed.splitlines()[2:]])
            self.assert_words(self.folder / "again.csv")
            self.assertEqual([file.name for file in self.folder.glob("*parquet*")], ["words.parquet"])

    @unittest.skipUnless(has("polars") and has("pyarrow"), "this Python has no polars, or no pyarrow")
    def test_polars(self) -> None:
        code = example("python", "polars") + "words.write_csv('again.csv')\n"
        for _ in self.each_text("parquet"):
            printed = self.run_in_folder([sys.executable, "-c", code])
            self.assert_sums(sorted(re.findall(r"([\d.]+) +┆ ([\d.]+)", printed), key=lambda row: int(row[0])))
            self.assert_words(self.folder / "again.csv")

    @unittest.skipUnless(has("duckdb") and has("pyarrow"), "this Python has no duckdb, or no pyarrow")
    def test_duckdb(self) -> None:
        code = example("python", "duckdb") + "duckdb.sql(\"COPY 'words.parquet' TO 'again.csv'\")\n"
        for _ in self.each_text("parquet"):
            printed = self.run_in_folder([sys.executable, "-c", code])
            self.assert_sums(sorted(re.findall(r"([\d.]+) +│ +([\d.]+)", printed), key=lambda row: int(row[0])))
            self.assert_words(self.folder / "again.csv")

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

    @property
    def rscript(self) -> str:
        if OPTIONS.rscript is None:
            self.skipTest("there is no Rscript")
        return str(OPTIONS.rscript)

    def test_r(self) -> None:
        code = example("r", "read.csv") + (
            "write.csv(words, 'again.csv', row.names = FALSE, fileEncoding = 'UTF-8')\n"
            "tabs <- read.delim('words.tsv', na.strings = character(), colClasses = c(word = 'character'))\n"
            "stopifnot(identical(words, tabs))\n"
        )  # fmt: skip
        self.check_r(code, "csv")

    @unittest.skipUnless(has("pyarrow"), "this Python has no pyarrow")
    def test_r_reads_parquet(self) -> None:
        if subprocess.run([self.rscript, "-e", "library(reticulate)"], capture_output=True).returncode != 0:
            self.skipTest("this R has no reticulate")
        write = "write.csv(words, 'again.csv', row.names = FALSE, fileEncoding = 'UTF-8')\n"
        self.check_r(f"reticulate::use_python('{sys.executable}')\n" + example("r", "read_table(\"words.parquet\")") + write,
                     "parquet")  # fmt: skip

    def check_r(self, code: str, form: str) -> None:
        for _ in self.each_text(form):
            printed = self.run_in_folder([self.rscript, "--vanilla", "-e", code])
            self.assert_sums([row.split()[1:] for row in printed.splitlines()[1:]])
            self.assert_words(self.folder / "again.csv")


if __name__ == "__main__":
    OPTIONS.parse_args(namespace=OPTIONS)
    unittest.main(argv=sys.argv[:1])
