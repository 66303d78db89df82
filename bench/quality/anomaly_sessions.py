#!/usr/bin/env python3
"""Measures how well `unroll anomaly --session` finds the sessions of a log that are labelled as anomalous, compared
with simple baselines.

    bench/quality/anomaly_sessions.py [--unroll build/bin/unroll] [--model models/unroll-small] LOG LABELS [--session blk_]
    bench/quality/anomaly_sessions.py --injected [--seeds 3] LOG... --session TEXT

In LOG the word after TEXT names each line's session. LABELS is a CSV like loghub's anomaly_label.csv: rows
`BlockId,Label`, with the label "Anomaly" for anomalous ones. With --injected there are no labels: some of the log's
own sessions after the first tenth are changed in one of five ways (a line dropped, the end cut off, a line repeated,
a line of another session inserted, two lines exchanged) and count as anomalous, the others as usual. Prints the area
under the ROC curve and the average precision as a table in Markdown.

    length            lines of the session
    bigram            surprisal of its steps from template to template, summed, given the sessions before it
    bigram, mean      the same per step
    highest line      the highest `unroll anomaly` score of its lines
    unroll sessions   `unroll anomaly --session`
"""

import argparse
import collections
import csv
import math
import random
import re
import tempfile
from pathlib import Path

from anomaly_injection import MASK, average_precision, lines_of, rank_area, run

CHANGES = ("drop", "cut", "repeat", "foreign", "swap")


def key_pattern(mark):
    return re.compile(re.escape(mark) + r"([0-9A-Za-z_.-]*[0-9A-Za-z_-])")


def sessions_of(lines, mark):
    """{key: [line...]} in the order of their first lines."""
    pattern, sessions = key_pattern(mark), {}
    for line in lines:
        found = pattern.search(line)
        if found:
            sessions.setdefault(found[1], []).append(line)
    return sessions


def changed(lines, change, pool, mark, key, generator):
    """The session's lines after the change; None if the change is not possible."""
    lines, template = list(lines), lambda line: MASK.sub("0", key_pattern(mark).sub(mark, line))
    if change == "drop" and len(lines) >= 3:
        del lines[generator.randrange(len(lines))]
    elif change == "cut" and len(lines) >= 4:
        del lines[generator.randint(1, len(lines) * 2 // 3) :]
    elif change == "repeat":
        place = generator.randrange(len(lines))
        lines[place:place] = [lines[place]] * generator.randint(1, 3)
    elif change == "foreign":
        own = {template(line) for line in lines}
        other = next((line for line in generator.sample(pool, 20) if template(line) not in own), None)
        if other is None:
            return None
        lines.insert(generator.randint(0, len(lines)), key_pattern(mark).sub(mark + key, other))
    elif change == "swap":
        pairs = [(a, b) for b in range(len(lines)) for a in range(b) if template(lines[a]) != template(lines[b])]
        if not pairs:
            return None
        a, b = generator.choice(pairs)
        lines[a], lines[b] = lines[b], lines[a]
    else:
        return None
    return lines


def injected(sessions, mark, share, generator):
    """({key: lines}, {keys that were changed})"""
    pool = [line for lines in sessions.values() for line in lines]
    result, keys = {}, set()
    for place, (key, lines) in enumerate(sessions.items()):
        result[key] = lines
        if place > len(sessions) // 10 and generator.random() < share:
            new = changed(lines, generator.choice(CHANGES), pool, mark, key, generator)
            if new is not None:
                result[key] = new
                keys.add(key)
    return result, keys


def bigram(sessions, mark):
    """{key: (sum, mean)} in nats."""
    steps, starts, shapes, result = collections.Counter(), collections.Counter(), set(), {}
    for key, lines in sessions.items():
        templates = [MASK.sub("0", line.replace(mark + key, mark)) for line in lines]
        walk = ["begin", *templates, "end"]
        nats = [
            -math.log((steps[step] + 0.1) / (starts[step[0]] + 0.1 * (len(shapes) + 2))) for step in zip(walk, walk[1:])
        ]
        for step in zip(walk, walk[1:]):
            steps[step] += 1
            starts[step[0]] += 1
            shapes.add(step[1])
        result[key] = (sum(nats), sum(nats) / len(nats))
    return result


def scorers(program, model, sessions, lines, mark):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sessions.log"
        file.write_text("\n".join(lines) + "\n")
        outputs = run(program, model, ["anomaly", "--session", mark], file)
    pattern = key_pattern(mark)
    highest, ours = collections.Counter(), collections.Counter()
    for output in outputs:
        if output.get("type") == "session":
            ours[output["session"]] = max(ours[output["session"]], output["score"])
        elif found := pattern.search(lines[output["line"] - 1]):
            highest[found[1]] = max(highest[found[1]], output["score"])
    steps = bigram(sessions, mark)
    return {
        "length": {key: len(lines) for key, lines in sessions.items()},
        "bigram": {key: both[0] for key, both in steps.items()},
        "bigram, mean": {key: both[1] for key, both in steps.items()},
        "highest line": highest,
        "unroll sessions": ours,
    }


def figures(columns, anomalies):
    keys = list(columns["length"])
    positive = [key in anomalies for key in keys]
    for name, scores in columns.items():
        values = [scores[key] for key in keys]
        yield name, rank_area(values, positive), average_precision(values, positive)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll", metavar="PROGRAM")
    parser.add_argument("--model", default="models/unroll-small", metavar="DIR")
    parser.add_argument("--session", default="blk_", metavar="TEXT", help="text before the word that names a session")
    parser.add_argument("--injected", action="store_true")
    parser.add_argument("--share", type=float, default=0.2, help="share of sessions to change")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    rows = collections.defaultdict(list)

    def measure(sessions, lines, anomalies):
        columns = scorers(options.unroll, options.model, sessions, lines, options.session)
        for name, *both in figures(columns, anomalies):
            rows[name].append(both)

    if options.injected:
        for file in options.files:
            own = sessions_of(lines_of(file), options.session)
            for seed in range(1, options.seeds + 1):
                sessions, keys = injected(own, options.session, options.share, random.Random(f"{seed} {file.stem}"))
                lines = [line for lines in sessions.values() for line in lines]
                print(f"{file.name}: {len(sessions)} sessions, {len(keys)} changed, {len(lines)} lines", flush=True)
                measure(sessions, lines, keys)
    else:
        log, labels = options.files
        with labels.open(newline="") as file:
            anomalies = {row["BlockId"].removeprefix(options.session) for row in csv.DictReader(file) if row["Label"] == "Anomaly"}
        lines = lines_of(log)
        sessions = sessions_of(lines, options.session)
        print(f"{len(sessions)} sessions, {len(anomalies & set(sessions))} anomalous, {len(lines)} lines")
        measure(sessions, lines, anomalies)

    print("\n| scorer | ROC AUC | average precision |\n|---|---|---|")
    for name, each in rows.items():
        print(f"| {name} | " + " | ".join(f"{sum(column) / len(each):.3f}" for column in zip(*each)) + " |")


if __name__ == "__main__":
    main()
