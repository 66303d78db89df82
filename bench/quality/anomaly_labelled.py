#!/usr/bin/env python3
"""Measures how well `unroll anomaly` finds the labelled alarms of a log, compared with the baselines of
anomaly_injection.py.

    bench/quality/anomaly_labelled.py [--unroll build/bin/unroll] [--model models/unroll-small] FILE

FILE is a log like loghub's BGL_2k.log: the first field of each line is its label, "-" if it is not an alarm. The
labels are removed before anything reads the lines. Prints the area under the ROC curve and the average precision as
a table in Markdown. There is one more baseline: `severity`, how severe the line says it is (FATAL, ERROR, WARN).
"""

import argparse
import re
from pathlib import Path

from anomaly_injection import average_precision, rank_area, scorers

LEVELS = ["WARN(?:ING)?", "ERROR|FAILURE", "FATAL|SEVERE|CRITICAL|PANIC|EMERG(?:ENCY)?|ALERT"]


def severity(line):
    return max((level for level, pattern in enumerate(LEVELS, 1) if re.search(rf"\b(?:{pattern})\b", line)), default=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unroll", default="build/bin/unroll", metavar="PROGRAM")
    parser.add_argument("--model", default="models/unroll-small", metavar="DIR")
    parser.add_argument("file", type=Path, metavar="FILE")
    options = parser.parse_args()
    labels, lines = zip(*(line.split(" ", 1) for line in options.file.read_text(errors="replace").splitlines()))
    alarms = [label != "-" for label in labels]
    if not any(alarms):
        parser.error(f"{options.file}: no line is labelled as an alarm (every first field is \"-\")")
    print(f"{len(lines)} lines, {sum(alarms)} alarms\n\n| scorer | ROC AUC | average precision |\n|---|---|---|")
    columns = {"severity": [severity(line) for line in lines]} | scorers(options.unroll, options.model, lines)
    for name, scores in columns.items():
        print(f"| {name} | {rank_area(scores, alarms):.3f} | {average_precision(scores, alarms):.3f} |")


if __name__ == "__main__":
    main()
