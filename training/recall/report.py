#!/usr/bin/env python3
"""The table (Markdown, on standard output) and the plot of the results of reproduce.sh.

    training/recall/report.py OUT docs/images/recall.svg
"""

import json
import math
import sys
from pathlib import Path

# Label and colour; dashed if something is dropped.
LINES = {
    "states": ("states, LSTM gate", "#1b9e77"), "states-dropped": ("the same, states dropped", "#1b9e77"),
    "states-fixed": ("states, fixed gate", "#d95f02"), "states-memformer": ("states, Memformer's update", "#7570b3"),
    "routed": ("routed memory", "#e7298a"), "routed-dropped": ("the same, routed memory dropped", "#e7298a")}
WIDTH, HEIGHT, LEFT, TOP = 620, 300, 60, 40


def load(folder):
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in LINES if (folder / f"{name}.json").exists()}


def table(results):
    distances = [row["distance"] for row in next(iter(results.values()))]
    print("| | " + " | ".join(f"{distance:,}" for distance in distances) + " |\n" + "|---" * (len(distances) + 1) + "|")
    for name, rows in results.items():
        print(f"| {LINES[name][0]} | " + " | ".join(f"{100 * row['accuracy']:.1f} %" for row in rows) + " |")
    first = next(iter(results.values()))[0]
    print(f"\n{first['documents']} documents per distance; chance is {100 * first['chance']:.1f} %.")


def plot(results):
    distances = [row["distance"] for row in next(iter(results.values()))]
    low, high = math.log(distances[0]), math.log(distances[-1])

    def x(distance):
        return LEFT + WIDTH * (math.log(distance) - low) / (high - low)

    def y(share):
        return TOP + HEIGHT * (1 - share)

    parts = [f'<text x="{LEFT}" y="24" font-weight="bold">Right answers against the distance to the key, tokens</text>']
    for percent in range(0, 101, 20):
        at = y(percent / 100)
        parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{LEFT + WIDTH}" y2="{at:.1f}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{percent} %</text>')
    for distance in distances:
        parts.append(f'<text x="{x(distance):.1f}" y="{TOP + HEIGHT + 20}" text-anchor="middle">{distance:,}</text>')
    for index, (name, rows) in enumerate(results.items()):
        label, colour = LINES[name]
        dashes = ' stroke-dasharray="6 4"' if name.endswith("dropped") else ""
        points = " ".join(f"{x(row['distance']):.1f},{y(row['accuracy']):.1f}" for row in rows)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        parts += [f'<circle cx="{x(row["distance"]):.1f}" cy="{y(row["accuracy"]):.1f}" r="3" fill="{colour}"/>' for row in rows]
        at = TOP + HEIGHT + 48 + index // 2 * 20
        left = LEFT + index % 2 * 320
        parts.append(f'<line x1="{left}" y1="{at - 4}" x2="{left + 24}" y2="{at - 4}" stroke="{colour}" stroke-width="2"{dashes}/>'
                     f'<text x="{left + 32}" y="{at}">{label}</text>')
    height = TOP + HEIGHT + 60 + (len(results) + 1) // 2 * 20
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" viewBox="0 0 720 {height}" '
            f'font-family="sans-serif" font-size="13" fill="#222">\n<rect width="720" height="{height}" fill="white"/>\n' +
            "\n".join(parts) + "\n</svg>\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    results = load(Path(sys.argv[1]))
    if not results:
        sys.exit(f"{sys.argv[1]} holds no results; run training/recall/reproduce.sh first")
    table(results)
    Path(sys.argv[2]).write_text(plot(results))


if __name__ == "__main__":
    main()
