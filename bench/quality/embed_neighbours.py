#!/usr/bin/env python3
"""Measures whether vectors of `unroll embed` are near those of related text.

    bench/quality/embed_neighbours.py [--unrolld build/bin/unrolld] [--model MODEL] [--piece 8000] FILE...

Two pieces of `--piece` bytes of each file, at a quarter and at three quarters of it, are read as separate documents and cut into
segments of `--segment-tokens`. Prints a table in Markdown: shares of segments, for the two parts of the vector (docs/embed.md)
and for the whole one:

    same piece    the nearest segment is from the same piece
    neighbour     the nearest segment is the one directly before or after
    other piece   the nearest segment outside the piece is from the same file
    query         a sentence of each piece (60 to 240 bytes), embedded alone, finds the segment in which it begins
    in first 10   the same, among the ten nearest segments
"""

import argparse
import random
import re
from pathlib import Path

import numpy
from blimp import ROOT, running_daemon  # which makes unroll_client importable
from unroll_client import Client
from unroll_client.results import SegmentVector

WORDS = 512  # numbers of the vector's second part


def cut(data, begin, size):
    """Whole lines."""
    begin = data.index(b"\n", begin) + 1
    return data[begin : data.rindex(b"\n", begin, begin + size) + 1].decode(errors="replace")


def sentence_of(text, generator):
    """(offset in bytes, sentence)"""
    found = [m for m in re.finditer(r"[A-Z][^.!?]*[.!?](?=\s)", text) if 60 <= len(m[0].encode()) <= 240]
    chosen = generator.choice(found) if found else None
    return chosen and (len(text[: chosen.start()].encode()), " ".join(chosen[0].split()))


def unit(rows):
    return rows / numpy.maximum(numpy.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def figures(vectors, places, queries, targets):
    """The columns. A place is (file, piece, number)."""
    near = vectors @ vectors.T
    numpy.fill_diagonal(near, -2)
    same, neighbour, other = [], [], []
    for row, (file, piece, number) in zip(near, places):
        best = places[row.argmax()]
        same.append(best[:2] == (file, piece))
        neighbour.append(best[:2] == (file, piece) and abs(best[2] - number) == 1)
        outside = [i for i, place in enumerate(places) if place[:2] != (file, piece)]
        other.append(places[max(outside, key=lambda i: row[i])][0] == file)
    ranks = [int((row > row[target]).sum()) for row, target in zip(queries @ vectors.T, targets)]
    return [*map(numpy.mean, (same, neighbour, other)), *(numpy.mean([rank < n for rank in ranks]) for n in (1, 10))]


def measure(client, options):
    segments, places, queries, targets = [], [], [], []
    for file in options.files:
        data = file.read_bytes()
        for piece in (0, 1):
            text = cut(data, len(data) * (1 + 2 * piece) // 4, options.piece)
            found = [each for each in client.embed({"segment_tokens": options.segment_tokens}, text=text)
                     if isinstance(each, SegmentVector)]
            question = sentence_of(text, random.Random(f"{options.seed} {file.name} {piece}"))
            if question:
                targets.append(len(segments) + next(i for i, each in enumerate(found) if each.end > question[0]))
                queries.append(list(client.embed(text=question[1]))[-1].vector)
            places += [(file, piece, number) for number in range(len(found))]
            segments += [each.vector for each in found]
    segments, queries = numpy.array(segments), numpy.array(queries)
    print(f"{len(segments)} segments, {len(queries)} sentences\n")
    print("| vector | same piece | neighbour | other piece | query | in first 10 |\n|---|---|---|---|---|---|")
    parts = {"states alone": slice(None, -WORDS), "words alone": slice(-WORDS, None), "whole": slice(None)}
    for name, part in parts.items():
        row = figures(unit(segments[:, part]), places, unit(queries[:, part]), targets)
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unrolld", default=ROOT / "build/bin/unrolld", metavar="PROGRAM")
    parser.add_argument("--model", default=ROOT / "models/unroll-small", metavar="MODEL")
    parser.add_argument("--piece", type=int, default=8000, metavar="BYTES")
    parser.add_argument("--segment-tokens", type=int, default=256, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    with (
        running_daemon(options.unrolld, options.model, "auto") as socket,
        Client(socket, patience=120, timeout=None) as client,  # it loads the model first
    ):
        measure(client, options)


if __name__ == "__main__":
    main()
