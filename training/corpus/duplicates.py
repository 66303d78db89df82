"""Finds exact and near duplicates, and excerpts of held-out documents.

Text is cut into units: words of alphabetic scripts, single characters of scripts without spaces. A document's sketch
is the SKETCH least hashes of its runs of RUN units (bottom-k MinHash). Two documents whose sketches share half of
the smaller one's hashes are near duplicates. Hashes are Python's own: callers set PYTHONHASHSEED so that a run can
be repeated.
"""

import collections
import heapq
import re

UNITS = re.compile(r"[a-z0-9À-ɏͰ-ϿЀ-ԯ֐-ۿऀ-ॿ가-힯]+|[ก-๛]|[぀-ヿ一-鿿]")
RUN, SKETCH, COMMON = 5, 64, 0.5
EXCERPT = 12  # consecutive words that identify an excerpt
SINGLE_RUN, SINGLE_EXCERPT = 15, 96  # for texts that are mostly single characters
PARAGRAPH = 200  # characters from which a paragraph may occur only once in the corpus


def units(text):
    return UNITS.findall(text.lower())


def runs(words, length):
    """Hashes of each run of `length` units."""
    hashes = [hash(word) for word in words]
    return map(hash, zip(*(hashes[i:] for i in range(length)))) if len(hashes) >= length else iter(())


def mostly_single(words):
    return sum(len(word) == 1 for word in words) * 2 > len(words)


def excerpts(text, step=1):
    """Hashes of runs long enough to identify a quotation, from each `step`-th unit on."""
    words = units(text)
    length = SINGLE_EXCERPT if mostly_single(words) else EXCERPT
    return {hash(tuple(words[i : i + length])) for i in range(0, len(words) - length + 1, step)}


def sketch(text):
    words = units(text)
    return heapq.nsmallest(SKETCH, set(runs(words, SINGLE_RUN if mostly_single(words) else RUN)))


class NearDuplicates:
    """The sketches of the documents kept so far."""

    def __init__(self):
        self.holders, self.sizes = collections.defaultdict(list), []

    def add(self, marks):
        """Adds the document unless a kept one is a near duplicate. Returns whether it was added."""
        if len(marks) >= 8:
            counts = collections.Counter(i for mark in marks for i in self.holders.get(mark, ()))
            for i, common in counts.most_common(3):
                if common >= COMMON * min(len(marks), self.sizes[i]):
                    return False
        for mark in marks:
            self.holders[mark].append(len(self.sizes))
        self.sizes.append(max(len(marks), 8))
        return True


def unique_paragraphs(text, seen, held):
    """The text without paragraphs that are in `seen` (to which new ones are added), and without excerpts of `held`."""
    kept = []
    for paragraph in re.split(r"\n[^\S\n]*\n", text):
        if len(paragraph) > PARAGRAPH:
            mark = hash(paragraph.strip())
            if mark in seen or (held and not held.isdisjoint(excerpts(paragraph, 4))):
                continue
            seen.add(mark)
        kept.append(paragraph)
    return "\n\n".join(kept)
