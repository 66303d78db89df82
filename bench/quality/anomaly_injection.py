#!/usr/bin/env python3
"""Measures how well `unroll anomaly` finds lines that do not belong to a log, compared with simple baselines.

    bench/quality/anomaly_injection.py [--unroll build/bin/unroll] [--model models/unroll-small] LOGS [NAME...]

LOGS is a folder of clean logs, `NAME.log` each (such as loghub's 2,000-line samples). Into each, after its first
tenth, lines of three kinds are inserted in equal number, at places drawn from a seed:

    foreign   a line of another log
    grafted   the first half of a line of this log and the second half of a line of another
    mutated   a line of this log with three of its words replaced by words from elsewhere in this log

Each scorer ranks all lines. Prints a table in Markdown: the area under the ROC curve of all injected lines and of
each kind against the log's own lines, and the average precision of all; means over the logs. The log's own lines
count as usual although some are unusual, so no scorer reaches 1.

    length            bytes of the line
    rarity            -log of the share of earlier lines with the same template; numbers and hexadecimal words masked
    drain3            the same with the templates of PyPI drain3, if that is installed
    surprisal         nats of the line (`unroll score --granularity line`)
    bits per byte     the same per byte
    unroll anomaly    its score
"""

import argparse
import collections
import json
import math
import random
import re
import subprocess
import tempfile
from pathlib import Path

KINDS = ("foreign", "grafted", "mutated")
MASK = re.compile(r"0x[0-9a-fA-F]+|\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{4,}\b|\d+")


def lines_of(file):
    lines = file.read_text(errors="replace").splitlines()
    return [line for line in lines if line.strip()]


def injected(own, foreign, share, generator):
    """(line, kind) in order; kind is None for the log's own lines."""
    words = [word for line in own for word in line.split()]

    def make(kind):
        line, other = generator.choice(own).split(" "), generator.choice(foreign)
        if kind == "foreign":
            return other
        if kind == "grafted":
            other = other.split(" ")
            return " ".join(line[: (len(line) + 1) // 2] + other[len(other) // 2 :])
        for place in generator.sample(range(len(line)), min(3, len(line))):
            line[place] = generator.choice(words)
        return " ".join(line)

    count = max(1, round(share * len(own)))
    additions = [(make(kind), kind) for kind in KINDS for _ in range(count)]
    places = [generator.randrange(len(own) // 10, len(own)) for _ in additions]
    result = [(place, 1, line, None) for place, line in enumerate(own)]
    result += [(place, 0, line, kind) for place, (line, kind) in zip(places, additions)]
    return [(line, kind) for _, _, line, kind in sorted(result, key=lambda entry: entry[:2])]


def rank_area(scores, positive):
    """Area under the ROC curve; ties count half."""
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    ranks, i = [0.0] * len(scores), 0
    while i < len(order):
        k = i
        while k < len(order) and scores[order[k]] == scores[order[i]]:
            k += 1
        for j in order[i:k]:
            ranks[j] = (i + k + 1) / 2
        i = k
    hits = sum(positive)
    return (sum(r for r, p in zip(ranks, positive) if p) - hits * (hits + 1) / 2) / (hits * (len(scores) - hits))


def average_precision(scores, positive):
    """Ties are ordered against the scorer."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], positive[i]))
    found, total = 0, 0.0
    for rank, i in enumerate(order, 1):
        if positive[i]:
            found += 1
            total += found / rank
    return total / sum(positive)


def figures(scores, kinds):
    """[area of all, area of each kind..., average precision of all]"""
    positive = [kind is not None for kind in kinds]
    areas = [rank_area(scores, positive)]
    for wanted in KINDS:
        part = [(score, kind == wanted) for score, kind in zip(scores, kinds) if kind in (None, wanted)]
        areas.append(rank_area(*zip(*part)))
    return areas + [average_precision(scores, positive)]


def rarity(keys):
    counts, scores = collections.Counter(), []
    for seen, key in enumerate(keys):
        scores.append(-math.log((counts[key] + 0.5) / (seen + 1)))
        counts[key] += 1
    return scores


def drain3_keys(lines):
    import logging

    from drain3 import TemplateMiner
    from drain3.template_miner_config import TemplateMinerConfig

    logging.disable()
    miner = TemplateMiner(config=TemplateMinerConfig())
    return [miner.add_log_message(MASK.sub("<*>", line))["cluster_id"] for line in lines]


def run(program, model, command, file, settings=()):
    command = [program, *command, file, "--model", model, "--embedded", "--format", "ndjson"]
    command += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def read_lines(program, model, file, settings):
    """{line: what the plugin emits for it}, of score and of anomaly, which read together."""
    result = {"score": {}, "anomaly": {}}
    command = ["run", "--plugin", 'score:{"granularity":"line"}', "--plugin", "anomaly"]
    for output in run(program, model, command, file, settings):
        if output["data"].get("type", "line") == "line":
            result[output["plugin"]][output["data"]["line"]] = output["data"]
    return result.values()


def scorers(program, model, lines, settings=()):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "injected.log"
        file.write_text("\n".join(lines) + "\n")
        surprise, anomaly = read_lines(program, model, file, settings)
    numbers = range(1, len(lines) + 1)
    result = {"length": [len(line) for line in lines], "rarity": rarity([MASK.sub("0", line) for line in lines])}
    try:
        result["drain3"] = rarity(drain3_keys(lines))
    except ImportError:
        pass
    result["surprisal"] = [surprise[n]["nats"] for n in numbers]
    result["bits per byte"] = [surprise[n]["bits_per_byte"] for n in numbers]
    result["unroll anomaly"] = [anomaly[n]["score"] for n in numbers]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll", metavar="PROGRAM")
    parser.add_argument("--model", default="models/unroll-small", metavar="DIR")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the model; can be repeated")
    parser.add_argument("--share", type=float, default=0.01, help="share of injected lines of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", action="store_true", help="also print a table for each log")
    parser.add_argument("logs", type=Path, metavar="LOGS")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()

    logs = {file.stem: lines_of(file) for file in sorted(options.logs.glob("*.log"))}
    names = options.names or list(logs)
    rows = collections.defaultdict(list)
    for name in names:
        generator = random.Random(f"{options.seed} {name}")
        foreign = [line for other in names if other != name for line in logs[other]]
        made = injected(logs[name], foreign, options.share, generator)
        for scorer, scores in scorers(options.unroll, options.model, [line for line, _ in made], options.set).items():
            rows[scorer].append(figures(scores, [kind for _, kind in made]))
            if options.each:
                print(f"{name}: {scorer}: " + " ".join(f"{x:.3f}" for x in rows[scorer][-1]), flush=True)

    print("| scorer | ROC AUC, all | " + " | ".join(KINDS) + " | average precision |\n|---|---|---|---|---|---|")
    for scorer, each in rows.items():
        means = [sum(column) / len(each) for column in zip(*each)]
        print(f"| {scorer} | " + " | ".join(f"{x:.3f}" for x in means) + " |")


if __name__ == "__main__":
    main()
