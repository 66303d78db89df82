#!/usr/bin/env python3
"""The tables (Markdown, on standard output) and the plot of the results of ablations.py.

    bench/experiments/ablations_report.py OUT docs/images/ablations.svg [ablations
options]

Bits per byte of a book are a mean over all its bytes; of several books, over the bytes of all. The plot shows
training losses averaged over 25 steps, and on the right their difference from the full model on the same bytes;
below, those of the long runs.
"""

import csv
import json
import math
import sys
from pathlib import Path

from ablations import BASE, FORGET, LONG_STEPS, RUNS_OF, STEPS, folder_of

LABELS = {
    "full": "memories and states", "no_memories": "no memories", "no_states": "no states", "neither": "neither",
    "fixed_gate": "neither, fixed gate for residual sums", "reference_scale": "attention scale as in the reference",
    "scale_fix": "attention scale fixed", "full_heads": "a key and value for each head",
    "lstm_gate": "LSTM gate", "single_cell": "single cell", "dual_cell": "dual cell", "memformer": "Memformer's update",
    "position_bias": "dynamic position bias", "enhanced_recurrence": "enhanced recurrence",
    "four_blocks": "memories of four blocks", "compressed": "compressed memories, convolution",
    "compressed_loss": "the same with its loss", "compressed_mean": "compressed memories, means",
    "generations": "two generations of them", "routed": "routed memory"}
COLOURS = {
    "full": "#111111", "no_memories": "#d95f02", "no_states": "#1b9e77", "neither": "#7570b3", "fixed_gate": "#e7298a",
    "reference_scale": "#a6761d", "scale_fix": "#66a61e", "full_heads": "#3182bd",
    "lstm_gate": "#d95f02", "single_cell": "#1b9e77", "dual_cell": "#7570b3", "memformer": "#e7298a",
    "position_bias": "#66a61e", "enhanced_recurrence": "#a6761d", "four_blocks": "#3182bd", "compressed": "#756bb1",
    "compressed_loss": "#9e9ac8", "compressed_mean": "#bcbddc", "generations": "#54278f", "routed": "#e41a1c"}
MEAN_OF = 25  # steps
FIRST_STEP = 75


def curve(folder):
    with open(folder / "trainer" / "loss.csv") as file:
        return [float(row["loss"]) / math.log(2) for row in csv.DictReader(file)]


def smooth(values):
    return [(i + MEAN_OF // 2, sum(values[i:i + MEAN_OF]) / MEAN_OF)
            for i in range(FIRST_STEP, len(values) - MEAN_OF + 1, 5)]


def load(out, name):
    """Results, curve and parameters by variant, seed and steps, in the order of RUNS_OF."""
    runs = {}
    for run in RUNS_OF[name]:
        folder = folder_of(out, run)
        if not (folder / "heldout.json").exists():
            continue
        info, results = (json.loads((folder / name).read_text()) for name in ("trained", "heldout.json"))
        runs[run] = dict(results=results, curve=curve(folder), parameters=info["parameters"])
    return runs


def bits(results, books, forget=0):
    """None if not all books are measured."""
    found = [results.get(f"{book} {forget}") for book in books]
    if not all(found):
        return None
    return sum(each["nats"] for each in found) / math.log(2) / sum(each["bytes"] for each in found)


def shown(value, sign=""):
    return "" if value is None else f"{value:{sign}.3f}"


def books_of(runs):
    """Books that are measured for every run, the shortest first."""
    measured = [{key.rsplit(" ", 1)[0]: result["bytes"] for key, result in run["results"].items()} for run in runs.values()]
    return sorted(set.intersection(*map(set, measured)), key=lambda book: measured[0][book])


def tables(runs):
    books = books_of(runs)
    print(f"{len(books)} books: {', '.join(books)}\n")
    print("| | seed | steps | parameters | training, last 50 steps | books | against full | shortest book | "
          "the same, each block alone |\n|---|---|---|---|---|---|---|---|---|")
    for (variant, seed, steps), run in runs.items():
        whole, alone = bits(run["results"], books), bits(run["results"], books[:1], BASE["block_width"])
        full = runs.get(("full", seed, steps))
        difference = whole - bits(full["results"], books) if full and variant != "full" else None
        print(f"| {LABELS[variant]} | {seed} | {steps} | {run['parameters']:,} | {sum(run['curve'][-50:]) / 50:.3f} | "
              f"{shown(whole)} | {shown(difference, '+')} | {shown(bits(run['results'], books[:1]))} | {shown(alone)} |")
    forgets = FORGET[1:] + FORGET[:1]
    print("\n| everything forgotten every … bytes | " + " | ".join(map(str, forgets[:-1])) + " | never |")
    print("|---" * (len(forgets) + 1) + "|")
    for (variant, _, steps), run in runs.items():
        if steps == LONG_STEPS:
            values = [shown(bits(run["results"], books[:1], forget)) for forget in forgets]
            print(f"| {LABELS[variant]} | " + " | ".join(values) + " |")


class Panel:
    """Axes over a rectangle of the picture."""

    def __init__(self, left, top, width, height, steps, low, high, tick, digits, title):
        self.box = (left, top, width, height)
        self.steps, self.low, self.high = steps, low, high
        self.parts = [f'<text x="{left}" y="{top - 12}" font-weight="bold">{title}</text>']
        for index in range(round((high - low) / tick) + 1):
            value = low + index * tick
            y = self.y(value)
            self.parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + width}" y2="{y:.1f}" stroke="#ddd"/>'
                              f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.{digits}f}</text>')
        for step in range(0, steps[1] + 1, steps[1] // 5):
            if step >= steps[0]:
                self.parts.append(f'<text x="{self.x(step):.1f}" y="{top + height + 18}" text-anchor="middle">{step}</text>')
        self.parts.append(f'<text x="{left + width / 2}" y="{top + height + 36}" text-anchor="middle">step</text>')

    def x(self, step):
        left, _, width, _ = self.box
        return left + width * (step - self.steps[0]) / (self.steps[1] - self.steps[0])

    def y(self, value):
        _, top, _, height = self.box
        return top + height * (self.high - value) / (self.high - self.low)

    def line(self, points, colour):
        path = " ".join(f"{self.x(step):.1f},{self.y(value):.1f}" for step, value in points)
        left, top, width, height = self.box
        self.parts.append(f'<svg x="{left}" y="{top}" width="{width}" height="{height}" '
                          f'viewBox="{left} {top} {width} {height}"><polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/></svg>')


def row(runs, steps, top):
    """Two panels: the losses, and the differences from the full model's."""
    losses = {variant: run["curve"] for (variant, seed, length), run in runs.items() if (seed, length) == (1, steps)}
    curves = {variant: smooth(values) for variant, values in losses.items()}
    differences = {variant: smooth([own - full for own, full in zip(values, losses["full"])])
                   for variant, values in losses.items()}
    parts = []
    for left, lines, low, high, tick, title in (
            (60, curves, 2.4, 4.2, 0.3, f"training loss, bits per byte: {steps} steps"),
            (490, differences, -0.1, 0.25, 0.05, "the same, less that of ‘memories and states’")):
        panel = Panel(left, top, 350, 300, (FIRST_STEP, steps), low, high, tick, 2, title)
        for variant, points in lines.items():
            panel.line(points, COLOURS[variant])
        parts += panel.parts
    return parts


def plot(runs):
    rows = [steps for steps in (STEPS, LONG_STEPS) if ("full", 1, steps) in runs]
    drawn = [variant for variant in LABELS if any(run[0] == variant for run in runs)]
    height = 400 * len(rows) + 40 + 20 * ((len(drawn) + 1) // 2)
    parts = [part for index, steps in enumerate(rows) for part in row(runs, steps, 40 + 400 * index)]
    for index, variant in enumerate(drawn):
        x, y = 60 + index % 2 * 430, 400 * len(rows) + 20 + index // 2 * 20
        label = LABELS[variant]
        parts.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 24}" y2="{y - 4}" stroke="{COLOURS[variant]}" '
                     f'stroke-width="3"/><text x="{x + 32}" y="{y}">{label}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}" viewBox="0 0 860 {height}" '
            f'font-family="sans-serif" font-size="13" fill="#222">\n<rect width="860" height="{height}" fill="white"/>\n' +
            "\n".join(parts) + "\n</svg>\n")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    runs = load(Path(sys.argv[1]), sys.argv[3] if len(sys.argv) == 4 else "ablations")
    if ("full", 1, STEPS) not in runs:
        sys.exit(f"{sys.argv[1]} holds no trained full-1-{STEPS}; run bench/experiments/ablations.py first")
    tables(runs)
    Path(sys.argv[2]).write_text(plot(runs))


if __name__ == "__main__":
    main()
