#!/usr/bin/env python3
"""The tables (Markdown, to standard output) and the plot of what ablations.py measured.

    bench/experiments/ablations_report.py OUT docs/images/ablations.svg

Bits per byte of a book are a mean over all its bytes; of several books, over the bytes of all. Both panels of the plot show
training losses averaged over 25 steps: the right one less that of the full model on the same bytes.
"""

import csv
import json
import math
import sys
from pathlib import Path

LABELS = {
    "full": "memories and states", "no_memories": "no memories", "no_states": "no states", "neither": "neither",
    "fixed_gate": "neither, fixed gate for residual sums", "reference_scale": "attention scale as in the reference",
    "scale_fix": "attention scale fixed", "full_heads": "a key and value for each head"}
COLOURS = {
    "full": "#111111", "no_memories": "#d95f02", "no_states": "#1b9e77", "neither": "#7570b3", "fixed_gate": "#e7298a",
    "reference_scale": "#a6761d", "scale_fix": "#66a61e", "full_heads": "#3182bd"}
MEAN_OF = 25  # steps
FIRST_STEP = 75


def curve(folder):
    with open(folder / "trainer" / "loss.csv") as file:
        return [float(row["loss"]) / math.log(2) for row in csv.DictReader(file)]


def smooth(values):
    return [(i + MEAN_OF // 2, sum(values[i:i + MEAN_OF]) / MEAN_OF)
            for i in range(FIRST_STEP, len(values) - MEAN_OF + 1, 5)]


def load(out):
    """By variant and seed: what was measured, the curve, parameters and speed."""
    runs = {}
    for variant in LABELS:
        for seed in (1, 2):
            folder = out / f"{variant}-{seed}"
            if not (folder / "trained").exists():
                continue
            heldout = folder / "heldout.json"
            results = json.loads(heldout.read_text()) if heldout.exists() else {}
            info = json.loads((folder / "trained").read_text())
            with open(folder / "trainer" / "loss.csv") as file:
                tokens = int(list(csv.DictReader(file))[-1]["tokens"])
            runs[variant, seed] = dict(results=results, curve=curve(folder), parameters=info["parameters"], tokens=tokens)
    return runs


def bits(results, books, forget=0):
    """None where not all books are measured."""
    found = [results.get(f"{book} {forget}") for book in books]
    if not all(found):
        return None
    return sum(each["nats"] for each in found) / math.log(2) / sum(each["bytes"] for each in found)


def shown(value, digits=3, sign=""):
    return "" if value is None else f"{value:{sign}.{digits}f}"


def tables(runs):
    books = sorted({key.rsplit(" ", 1)[0] for run in runs.values() for key in run["results"]},
                   key=lambda book: min(run["results"][key]["bytes"] for run in runs.values()
                                        for key in run["results"] if key.startswith(book)))
    short = books[0]
    print(f"books: {', '.join(books)}; the shortest: {short}\n")
    print("| variant | seed | parameters | training, last 50 steps | all books | against full | shortest book | "
          "the same, each block alone |\n|---|---|---|---|---|---|---|---|")
    for (variant, seed), run in runs.items():
        base = runs.get(("full", seed))
        whole = bits(run["results"], books)
        over = short if whole is None or bits(base["results"], books) is None else None
        difference = None
        if base:
            wanted = [over] if over else books
            own, others = bits(run["results"], wanted), bits(base["results"], wanted)
            difference = own - others if own is not None and others is not None and variant != "full" else None
        print(f"| {LABELS[variant]} | {seed} | {run['parameters']:,} | {shown(sum(run['curve'][-50:]) / 50)} | "
              f"{shown(whole)} | {shown(difference, 3, '+')} | {shown(bits(run['results'], [short]))} | "
              f"{shown(bits(run['results'], [short], 64))} |")
    forgets = sorted({int(key.rsplit(" ", 1)[1]) for run in runs.values() for key in run["results"]} - {0})
    print("\n| everything forgotten every … bytes | " + " | ".join(map(str, forgets)) + " | never |")
    print("|---" * (len(forgets) + 2) + "|")
    for (variant, seed), run in runs.items():
        values = [bits(run["results"], [short], forget) for forget in forgets + [0]]
        if sum(value is not None for value in values) > 2:
            print(f"| {LABELS[variant]} | " + " | ".join(map(shown, values)) + " |")


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
        for step in range(0, steps[1] + 1, 100):
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
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')


def bounds(curves, tick):
    values = [value for points in curves for _, value in points]
    low = math.floor(min(values) / tick) * tick
    return low, max(low + tick, math.ceil(max(values) / tick) * tick)


def plot(runs):
    first = {variant: run["curve"] for (variant, seed), run in runs.items() if seed == 1}
    curves = {variant: smooth(values) for variant, values in first.items()}
    differences = {variant: smooth([own - full for own, full in zip(values, first["full"])])
                   for variant, values in first.items()}
    steps = (FIRST_STEP, len(first["full"]))
    panels = []
    for left, lines, tick, digits, title in ((60, curves, 0.2, 1, "training loss, bits per byte"),
                                             (490, differences, 0.05, 2, "the same, less that of ‘memories and states’")):
        panel = Panel(left, 40, 350, 300, steps, *bounds(lines.values(), tick), tick, digits, title)
        for variant, points in lines.items():
            panel.line(points, COLOURS[variant])
        panels += panel.parts
    for index, variant in enumerate(first):
        x, y = 60 + index // 4 * 430, 404 + index % 4 * 20
        panels.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 24}" y2="{y - 4}" stroke="{COLOURS[variant]}" '
                      f'stroke-width="3"/><text x="{x + 32}" y="{y}">{LABELS[variant]}</text>')
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="860" height="480" viewBox="0 0 860 480" '
            'font-family="sans-serif" font-size="13" fill="#222">\n<rect width="860" height="480" fill="white"/>\n' +
            "\n".join(panels) + "\n</svg>\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    runs = load(Path(sys.argv[1]))
    if ("full", 1) not in runs:
        sys.exit(f"{sys.argv[1]} holds no trained full-1; run bench/experiments/ablations.py first")
    tables(runs)
    Path(sys.argv[2]).write_text(plot(runs))


if __name__ == "__main__":
    main()
