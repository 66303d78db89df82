"""The example finds where the words change, in constant memory, and also where it is resumed."""

import json
import os
import random
import unittest

from fixture import SOURCE, Document, PluginFailed, PluginTest, Reading, WorkerProcess

FILE = os.path.join(SOURCE, "examples/topic_boundaries/topic_boundaries.py")
TOPICS = ["river boat water fish net harbour tide sail anchor wave", "engine wheel piston valve oil gear steam bolt",
          "council vote law tax mayor clerk paper seal office letter"]  # fmt: skip


def document(chapters: int, seed: int = 1) -> tuple[Document, list[int]]:
    """Chapters of 40 sentences about one topic each, and the bytes where the second and later ones begin."""
    chance, text, borders = random.Random(seed), "", []
    for chapter in range(chapters):
        borders.append(len(text))
        words = TOPICS[chapter % len(TOPICS)].split()
        for _ in range(40):
            text += " ".join(chance.choices(words + ["the", "of", "and"], k=8)).capitalize() + ". "
    return Document.made_up(text.encode()), borders[1:]


class Example(PluginTest):
    def setUp(self) -> None:
        super().setUp()
        self.worker = WorkerProcess(FILE, stderr=self.stderr)
        self.addCleanup(self.worker.close)

    def topics(self, made: Document, options: str = "{}", resumed: bool = False, width: int = 128) -> list[bytes]:
        return list(Reading(self.worker, self.worker.plugins[0], options, resumed).outputs(made, width))

    def test_it_finds_the_borders(self) -> None:
        made, borders = document(8)
        found = [json.loads(output)["start"] for output in self.topics(made, '{"threshold":1}')]
        missed = [border for border in borders if min(abs(border - start) for start in found) > 100]
        wrong = [start for start in found if min(abs(border - start) for border in borders) > 100]
        self.assertEqual((missed, wrong), ([], []))

    def test_boundaries_are_where_a_sentence_begins(self) -> None:
        made, _ = document(5)
        for output in self.topics(made):
            start = json.loads(output)["start"]
            self.assertRegex(made.text[start - 2 : start + 1], rb"\. [A-Z]")

    def test_resumed_it_finds_the_same(self) -> None:
        made, _ = document(5)
        undisturbed = self.topics(made)
        self.assertGreater(len(undisturbed), 2)
        self.assertEqual(self.topics(made, resumed=True), undisturbed)

    def test_its_state_does_not_grow(self) -> None:
        sizes = []
        for chapters in (4, 16):
            reading = Reading(self.worker, self.worker.plugins[0])
            list(reading.outputs(document(chapters)[0], 128))
            sizes.append(len(reading._state))
        self.assertLess(sizes[1], sizes[0] * 1.2)

    def test_documents_without_a_gap_or_any_text(self) -> None:
        for text in (b"", b"x", b"no end in sight " * 500, b". \n" * 500):
            self.assertEqual(self.topics(Document.made_up(text)), [])

    def test_options_are_checked(self) -> None:
        for options in ('{"windw":1}', '{"window":1}', '{"window":"x"}', '{"threshold":null}'):
            with self.assertRaises(PluginFailed) as caught:
                self.topics(Document.made_up(b"x"), options)
            self.assertEqual(caught.exception.status, 1)


if __name__ == "__main__":
    unittest.main()
