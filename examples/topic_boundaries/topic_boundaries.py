"""Finds where a document changes its topic: `unroll run --plugin topics FILE`.

Like TextTiling (Hearst 1997), with hidden states instead of words: at the ends of sentences and paragraphs, compares
the features that are active in the tokens before and after. If the two sides are less alike than around this gap, by
more than is usual in this document, the gap is a boundary: {"start": byte where the new topic begins, "depth": the
drop in similarity, in cosines, "score": the same in this document's standard deviations}.
"""

import re
from collections import deque

import numpy as np

from unroll_plugin import Block, End, OptionsError, Plugin

GAP = re.compile(rb"(?:[.!?][\"')\]\x80-\xff]*\s+|\n\s*\n\s*)(?=\S)")
LONGEST_GAP = 64  # bytes that are read again, for a gap at the border of two blocks
GAPS_IN_WINDOW = 8  # maximum, which bounds the memory
WARM_UP = 8  # depths before the first boundary
STRONG = 1.0  # deviations beyond which a dimension is active


class Topics(Plugin):
    name = "topics"
    version = "1"
    description = "Topic boundaries by change of the hidden states"
    wants = ("hidden", "text")
    options_schema = {
        "type": "object",
        "properties": {"window": {"type": "integer"}, "threshold": {"type": "number"}},
    }
    state = {
        "tail": b"",  # the last bytes of the text so far
        "tokens": 0,  # so far
        "hidden": None,  # [2, dim] sums of all hidden states so far, and of their squares
        "sums": None,  # [dim] of all features so far
        "marks": deque(),  # (start, tokens before, sums before) of each gap; sums of a window are differences
        "waiting": 0,  # index in marks of the first gap whose following window is not full yet
        "gaps": deque(),  # (start, tokens before, cosine) of each gap that has a cosine
        "undecided": 0,  # index in gaps of the first that may still become a boundary
        "depths": (0, 0.0, 0.0),  # of all gaps: count, sum, sum of squares
    }

    def __init__(self, options: dict):
        self.window = options.pop("window", 128)  # tokens on each side
        self.threshold = options.pop("threshold", 1.5)  # standard deviations
        for key in options:
            raise OptionsError(f'option "{key}" is unknown; the options are "window" and "threshold"')
        if type(self.window) is not int or not 8 <= self.window <= 4096:
            raise OptionsError(f'option "window" is {self.window!r}; it must be a whole number of tokens, 8 to 4096')
        if not isinstance(self.threshold, (int, float)) or not -10 <= self.threshold <= 100:
            raise OptionsError(f'option "threshold" is {self.threshold!r}; it must be a number from -10 to 100')

    def process(self, block: Block) -> None:
        state = self.state
        if state["sums"] is None:
            state["hidden"] = np.zeros((2, block.hidden.shape[1]))
            state["sums"] = np.zeros(block.hidden.shape[1])
        features = self._features(block.hidden, block.first_token + len(block))
        first = 0
        for start, token in self._new_gaps(block):
            self._add(features[first:token])
            first = token
            self._mark(start)
        self._add(features[first:])
        self._compare(final=False)

    def finish(self, end: End) -> None:
        if self.state["sums"] is not None:
            self._mark(end.bytes, force=True)
            self._compare(final=True)

    def _new_gaps(self, block: Block):
        """(byte where the next sentence starts, its token in the block) for each gap whose next byte is in this
        block."""
        text = self.state["tail"] + block.text
        text_start = int(block.offsets[-1]) - len(text)
        for match in GAP.finditer(text):
            start = text_start + match.end()
            if start >= block.offsets[0]:
                yield start, int(np.searchsorted(block.offsets, start, "right")) - 1
        self.state["tail"] = text[-LONGEST_GAP:]

    def _features(self, hidden: np.ndarray, tokens: int) -> np.ndarray:
        """[length, dim]: by how many deviations each dimension exceeds its usual value; mostly 0. The mean of these
        features over a text distinguishes topics; that of the hidden states hardly does, because few dimensions
        outweigh all others."""
        sums = np.stack([hidden.sum(0, dtype=np.float64), np.square(hidden, dtype=np.float64).sum(0)])
        self.state["hidden"] = self.state["hidden"] + sums
        mean, square = self.state["hidden"] / tokens
        deviation = np.sqrt(np.maximum(square - np.square(mean), 1e-12))
        usual = (hidden - mean.astype(np.float32)) / deviation.astype(np.float32)
        return usual - np.clip(usual, -STRONG, STRONG)

    def _add(self, features: np.ndarray) -> None:
        self.state["tokens"] += len(features)
        self.state["sums"] = self.state["sums"] + features.sum(0, dtype=np.float64)

    def _mark(self, start: int, force: bool = False) -> None:
        marks, tokens = self.state["marks"], self.state["tokens"]
        if force or not marks or tokens - marks[-1][1] >= self.window // GAPS_IN_WINDOW:
            marks.append((start, tokens, self.state["sums"].copy()))

    def _compare(self, final: bool) -> None:
        """Computes the cosine of each gap whose following window is full, and decides on the gaps before it."""
        marks, state = self.state["marks"], self.state
        while state["waiting"] < len(marks):
            _, tokens, _ = marks[state["waiting"]]
            after = next((mark for mark in marks if mark[1] >= tokens + self.window), marks[-1] if final else None)
            if after is None:
                break
            self._gap(marks[state["waiting"]], after)
            state["waiting"] += 1
            while state["waiting"] > 0 and len(marks) > 1 and marks[1][1] <= tokens - self.window:
                marks.popleft()
                state["waiting"] -= 1
        self._decide(final)

    def _gap(self, gap: tuple, after: tuple) -> None:
        start, tokens, sums = gap
        before = next((mark for mark in reversed(self.state["marks"]) if mark[1] <= tokens - self.window), None)
        before_tokens, before_sums = (before[1], before[2]) if before else (0, np.zeros_like(sums))
        if min(tokens - before_tokens, after[1] - tokens) < self.window // 2:
            return  # too little text at the document's start or end
        left, right = sums - before_sums, after[2] - sums
        cosine = left @ right / np.sqrt(max((left @ left) * (right @ right), 1e-30))
        self.state["gaps"].append((start, tokens, float(cosine)))

    def _decide(self, final: bool) -> None:
        gaps, state = self.state["gaps"], self.state
        while state["undecided"] < len(gaps):
            start, tokens, cosine = gaps[state["undecided"]]
            if not final and gaps[-1][1] < tokens + 2 * self.window:
                break
            left = [gap for gap in gaps if tokens - 2 * self.window <= gap[1] <= tokens]
            right = [gap for gap in gaps if tokens <= gap[1] <= tokens + 2 * self.window]
            depth = max(gap[2] for gap in left) + max(gap[2] for gap in right) - 2 * cosine
            near = [gap[2] for gap in left + right if abs(gap[1] - tokens) <= self.window]
            self._decide_on(start, depth, cosine == min(near))
            state["undecided"] += 1
            while gaps[0][1] < tokens - 2 * self.window:
                gaps.popleft()
                state["undecided"] -= 1

    def _decide_on(self, start: int, depth: float, lowest: bool) -> None:
        count, total, squares = self.state["depths"]
        if lowest and count >= WARM_UP:
            mean = total / count
            score = (depth - mean) / max(squares / count - mean * mean, 1e-12) ** 0.5
            if score >= self.threshold:
                self.emit({"start": start, "depth": round(depth, 4), "score": round(score, 2)})
        self.state["depths"] = (count + 1, total + depth, squares + depth * depth)
