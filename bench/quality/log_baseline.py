#!/usr/bin/env python3
"""Measures how well `unroll anomaly --baseline` finds the annotated lines of a failed run's log, beside logreduce,
Drain3, hashed nearest neighbours and grep: average precision (AP) and CPU seconds.

    pip install numpy scikit-learn pyyaml drain3 logreduce
    bench/quality/log_baseline.py DATASETS [--unroll build/bin/unroll] [--only NAME ...] [--show N] [--without-model]

A data set is a folder as in https://github.com/logjuicer/logjuicer-tests, datasets/: *.good, *.fail, and inf.yaml with a
text of each anomalous line. An annotation that the good log holds, too, counts at its first line after the annotation
before. CPU seconds are of a process that judges the failed log: for unroll with a learned baseline and for logreduce
with its own model, each from start to end.
"""

import argparse
import collections
import json
import math
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import yaml
from sklearn.metrics import average_precision_score

WORDS = re.compile(r"(?i)\b(fatal|panic|traceback|exception|errors?|fail(ed|ure)?|cannot|denied|warn(ing)?)")


def lines_of(path):
    return path.read_bytes().removesuffix(b"\n").decode("utf-8", "replace").split("\n")


class DataSet:
    def __init__(self, folder):
        self.name = folder.name
        self.good_path, self.fail_path = next(folder.glob("*.good")), next(folder.glob("*.fail"))
        self.good, self.fail = lines_of(self.good_path), lines_of(self.fail_path)
        self.annotated = numpy.zeros(len(self.fail), bool)
        last = -1
        for anomaly in yaml.safe_load((folder / "inf.yaml").read_text())["anomalies"]:
            for text in filter(None, map(str.strip, anomaly["line"].splitlines())):
                found = [i for i, line in enumerate(self.fail) if text in line]
                if not found:
                    sys.exit(f"{folder}: no line of the failed log holds {text!r}")
                first = next((i for i in found if i > last), found[0])
                routine = any(text in line for line in self.good)
                self.annotated[[first] if routine else found] = True
                last = first


def cpu_seconds(command, **arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **arguments).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return output.decode(), sum(getattr(after, key) - getattr(before, key) for key in ("ru_utime", "ru_stime"))


def scores_of(output, lines):
    scores = numpy.zeros(lines)
    for result in map(json.loads, output.splitlines()):
        first = result["line"] - 1
        scores[first:first + result.get("lines", 1)] = result["score"]
    return scores


def unroll_with_baseline(data, options):
    with tempfile.TemporaryDirectory() as folder:
        base = f"{folder}/base"
        cpu_seconds([options.unroll, "learn", data.good_path, "--out", base])
        output, seconds = cpu_seconds(
            [options.unroll, "anomaly", data.fail_path, "--baseline", base, "--format", "ndjson"])
    return scores_of(output, len(data.fail)), seconds


def unroll_alone(data, options):
    output, seconds = cpu_seconds([options.unroll, "anomaly", data.fail_path, "--embedded", "--format", "ndjson"])
    return scores_of(output, len(data.fail)), seconds


LOGREDUCE = """
import sys
from logreduce.models import models
from logreduce.tokenizer import Tokenizer
good, fail = ([Tokenizer.process(line) for line in open(path, errors="replace", newline="\\n").read().removesuffix("\\n").split("\\n")]
              for path in sys.argv[1:])
model = models["hashing_nn"]("m")
model.train(sorted(set(good)))
known = sorted(set(filter(None, fail)))
distance = dict(zip(known, (float(d[0]) for d in model.test(known))))
print("\\n".join(str(distance.get(line, 0.0)) for line in fail))
"""


def logreduce(data, _):
    output, seconds = cpu_seconds([sys.executable, "-c", LOGREDUCE, data.good_path, data.fail_path])
    return numpy.array([float(line) for line in output.split()]), seconds


def shape(line):
    words = re.split(r"[\s\[\](){}'\"=,;<>]+", line)
    return " ".join("0" if any(c.isdigit() for c in w) else w for w in words if w)


def hashed_neighbours(data, _):
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.neighbors import NearestNeighbors

    vectors = HashingVectorizer(binary=True, n_features=2**18, analyzer=str.split)
    nearest = NearestNeighbors(algorithm="brute", metric="cosine", n_neighbors=1)
    nearest.fit(vectors.transform(sorted(set(map(shape, data.good)))))
    shapes = [shape(line) for line in data.fail]
    known = sorted(set(filter(None, shapes)))
    of = dict(zip(known, (float(d[0]) for d in nearest.kneighbors(vectors.transform(known))[0])))
    return numpy.array([of.get(s, 0.0) for s in shapes]), math.nan


def drain3(data, _):
    import drain3 as library
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(r"\b0x[0-9a-fA-F]+\b", "HEX"),
                                   MaskingInstruction(r"(?<![A-Za-z])\d+(\.\d+)*", "NUM")]
    miner = library.TemplateMiner(config=config)
    for line in data.good:
        miner.add_log_message(line)
    scores = []
    for line in data.fail:
        found = miner.add_log_message(line)
        scores.append(-math.log(found["cluster_size"]) + (found["change_type"] == "cluster_created"))
    return numpy.array(scores), math.nan


def grep(data, _):
    return numpy.array([float(bool(WORDS.search(line))) for line in data.fail]), math.nan


SCORERS = {"unroll anomaly --baseline": unroll_with_baseline, "unroll anomaly, no baseline": unroll_alone,
           "logreduce 0.6": logreduce, "hashed neighbours": hashed_neighbours, "drain3, rarity": drain3,
           "grep -iE error|fail|...": grep}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--unroll", default="build/bin/unroll")
    parser.add_argument("--only", nargs="*", metavar="NAME")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="also print unroll's N highest lines")
    parser.add_argument("--without-model", action="store_true", help="leave out the scorer that needs a model")
    options = parser.parse_args()
    scorers = dict(SCORERS)
    if options.without_model:
        del scorers["unroll anomaly, no baseline"]
    sets = [DataSet(path.parent) for path in sorted(options.datasets.glob("*/inf.yaml"))
            if not options.only or path.parent.name in options.only]
    results = collections.defaultdict(dict)
    for data in sets:
        for name, scorer in scorers.items():
            scores, seconds = scorer(data, options)
            results[name][data.name] = average_precision_score(data.annotated, scores), seconds
            if name == "unroll anomaly --baseline":
                for i in numpy.argsort(-scores, kind="stable")[:options.show]:
                    print(f"{data.name} {'*' if data.annotated[i] else ' '} {i + 1:6} {scores[i]:6.2f}  {data.fail[i][:110]}")
    print("| AP | " + " | ".join(data.name for data in sets) + " | mean | CPU s |")
    print("|" + "---|" * (len(sets) + 3))
    for name, found in results.items():
        precisions = [precision for precision, _ in found.values()]
        seconds = sum(seconds for _, seconds in found.values())
        print(f"| {name} | " + " | ".join(f"{p:.3f}" for p in precisions) +
              f" | {numpy.mean(precisions):.3f} | {'' if math.isnan(seconds) else f'{seconds:.2f}'} |")


if __name__ == "__main__":
    main()
