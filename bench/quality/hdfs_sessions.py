#!/usr/bin/env python3
"""Converts the labelled sessions of HDFS' first 100,000 lines for anomaly_sessions.py, from the form in which
logpai/deep-loglizer publishes them (data/processed/HDFS_100k/hdfs_1.0_tar): each block's templates in order, and
its label.

    bench/quality/hdfs_sessions.py session_train.pkl session_test.pkl OUT

Writes OUT/HDFS_100k.log, with lines "blk_ID TEMPLATE", block after block, in the order in which the log first names
the blocks (undoes the shuffle by numpy's seed 42), and OUT/anomaly_label.csv. These files do not hold what a
template leaves out (times, addresses, sizes), nor how blocks overlapped. Only plain values are unpickled.
"""

import argparse
import csv
import pickle
from pathlib import Path

import numpy


class PlainValues(pickle.Unpickler):
    allowed = {
        ("numpy.core.multiarray", "scalar"),
        ("numpy", "dtype"),
        ("collections", "defaultdict"),
        ("builtins", "list"),
    }

    def find_class(self, module, name):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}")
        return super().find_class(module, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pickles", type=Path, nargs=2, metavar="PICKLE")
    parser.add_argument("out", type=Path, metavar="OUT")
    options = parser.parse_args()
    shuffled = []
    for file in options.pickles:
        with file.open("rb") as stream:
            shuffled += PlainValues(stream).load().items()
    order = list(range(len(shuffled)))
    numpy.random.seed(42)
    numpy.random.shuffle(order)
    sessions = [session for _, session in sorted(zip(order, shuffled), key=lambda pair: pair[0])]

    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "HDFS_100k.log").open("w") as log:
        for key, session in sessions:
            log.writelines(f"{key} {template}\n" for template in session["templates"])
    with (options.out / "anomaly_label.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["BlockId", "Label"])
        rows.writerows([key, "Anomaly" if session["label"] else "Normal"] for key, session in sessions)


if __name__ == "__main__":
    main()
