#!/usr/bin/env python3
"""Recall of `unroll embed --query` on retrieval sets in SMART's format: Cranfield, CISI, CACM.

    bench/quality/passages.py [--unroll build/bin/unroll] [--model models/unroll-small] [--take-queries 30] [--take-documents 300] \
        NAME DOCUMENTS QUERIES RELEVANT

DOCUMENTS and QUERIES have `.I number`, `.T`, `.W` parts; each line of RELEVANT begins with a query's and a document's
number. The first --take-queries queries with relevant documents are asked, over their relevant documents and others in the
order of a hash, up to --take-documents. Each document is a file; the folder is one index. Prints recall at 5, that is the share
of a query's relevant documents, of at most 5, that are in the first 5, for words (BM25), vectors and both joined, and
that of PyPI's rank-bm25 over lower-case words for comparison.
"""

import argparse
import hashlib
import json
import re
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from rank_bm25 import BM25Okapi


def parts(file):
    """Number and text of each entry: title and body."""
    for entry in re.split(r"^\.I ", file.read_text(errors="replace"), flags=re.M)[1:]:
        number, _, rest = entry.partition("\n")
        fields = dict(re.findall(r"^\.([A-Z])\s*\n(.*?)(?=^\.[A-Z]\s*$|\Z)", rest, re.M | re.S))
        yield int(number), "\n\n".join(fields[key].strip() for key in "TW" if fields.get(key, "").strip())


def recall(ranked, relevant):
    return len(set(ranked[:5]) & relevant) / min(5, len(relevant))


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("name")
    for argument in ("documents", "queries", "relevant"):
        options.add_argument(argument, type=Path)
    options.add_argument("--unroll", default="build/bin/unroll")
    options.add_argument("--model", default="models/unroll-small")
    options.add_argument("--take-queries", type=int, default=30)
    options.add_argument("--take-documents", type=int, default=300)
    arguments = options.parse_args()
    relevant = defaultdict(set)
    for line in arguments.relevant.read_text().splitlines():
        query, document = line.split()[:2]
        relevant[int(query)].add(int(document))
    texts = {number: text for number, text in parts(arguments.documents) if len(text) > 80}
    # Cranfield's judgements count the queries, whatever their numbers.
    asked = list(enumerate((text for _, text in parts(arguments.queries)), 1))
    asked = [(i, text, relevant[i] & texts.keys()) for i, text in asked if relevant[i] & texts.keys()][: arguments.take_queries]
    needed = set().union(*(documents for _, _, documents in asked))
    others = sorted(texts.keys() - needed, key=lambda number: hashlib.sha256(str(number).encode()).digest())
    chosen = sorted(needed | set(others[: max(0, arguments.take_documents - len(needed))]))
    sums = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        for number in chosen:
            (Path(folder) / f"{number}.txt").write_text(texts[number] + "\n")
        index = f"{folder}/all.index"
        common = ["--embedded", "--model", arguments.model]
        subprocess.run([arguments.unroll, "embed", folder, "--raw", "--format", "safetensors", "--out", index, *common],
                       check=True, stderr=subprocess.DEVNULL)  # fmt: skip
        okapi = BM25Okapi([re.findall(r"\w+", texts[number].lower()) for number in chosen])
        for _, text, wanted in asked:
            found = subprocess.run([arguments.unroll, "embed", "--query", " ".join(text.split()), index, "--raw", "--top", "1000",
                                    "--format", "json", *common], check=True, capture_output=True, text=True)  # fmt: skip
            results = json.loads(found.stdout)["results"]
            for kind, key in (("both", "score"), ("words", "words"), ("vectors", "similarity")):
                order = [int(Path(each["file"]).stem) for each in sorted(results, key=lambda each: -each[key])]
                sums[kind] += recall(list(dict.fromkeys(order)), wanted)
            scores = okapi.get_scores(re.findall(r"\w+", text.lower()))
            sums["rank-bm25"] += recall([chosen[i] for i in sorted(range(len(chosen)), key=lambda i: -scores[i])], wanted)
    figures = " ".join(f"{kind} {total / len(asked):.3f}" for kind, total in sums.items())
    print(f"{arguments.name}: {len(asked)} queries, {len(chosen)} documents: {figures}")


if __name__ == "__main__":
    main()
