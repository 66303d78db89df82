"""The corpus scripts: duplicates, held-out excerpts, what is refused, and readers. Python's standard library alone."""

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "training/corpus"
sys.path.insert(0, str(SCRIPTS))

import build_corpus  # noqa: E402
import duplicates  # noqa: E402
import readers  # noqa: E402
from sources import Source  # noqa: E402


def words(count, seed):
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("abcdefghij", k=6)) for _ in range(count))


class Duplicates(unittest.TestCase):
    def test_a_changed_copy_is_a_duplicate_and_another_text_is_not(self):
        text, near = words(2000, 1), duplicates.NearDuplicates()
        copy = text.split()
        copy[::100] = ["changed"] * 20
        self.assertTrue(near.add(duplicates.sketch(text)))
        self.assertFalse(near.add(duplicates.sketch(" ".join(copy))))
        self.assertTrue(near.add(duplicates.sketch(words(2000, 2))))

    def test_texts_without_spaces_are_told_apart_by_longer_runs(self):
        letters = [chr(0x0E01 + i) for i in range(6)]  # few letters: short runs of them agree by chance
        one, other = ("".join(random.Random(seed).choices(letters, k=60_000)) for seed in (1, 2))
        near = duplicates.NearDuplicates()
        self.assertTrue(near.add(duplicates.sketch(one)))
        self.assertTrue(near.add(duplicates.sketch(other)))

    def test_a_paragraph_that_quotes_a_held_out_text_is_left_out(self):
        held = words(500, 3)
        quote = "As somebody wrote: " + " ".join(held.split()[100:160])
        text = f"{words(60, 4)}\n\n{quote}\n\n{words(60, 5)}"
        kept = duplicates.unique_paragraphs(text, set(), duplicates.excerpts(held))
        self.assertNotIn("somebody", kept)
        self.assertIn(words(60, 4), kept)
        self.assertIn(words(60, 5), kept)

    def test_a_long_paragraph_stands_once_and_a_short_one_may_come_again(self):
        seen, long = set(), words(60, 6)
        self.assertEqual(duplicates.unique_paragraphs(f"{long}\n\nshort", seen, None), f"{long}\n\nshort")
        self.assertEqual(duplicates.unique_paragraphs(f"{long}\n\nshort", seen, None), "short")


class Readers(unittest.TestCase):
    def test_html(self):
        page = b"<html><head><title>x</title></head><body><script>if (a<b) {}</script><p>One &amp;\n two<br/>three</p><pre>a\n  b</pre></body></html>"
        self.assertEqual(readers.read("a/x.html", page), "One & two\nthree\n\na\n  b\n")

    def test_tei_without_its_header_and_notes(self):
        page = "<TEI><teiHeader><p>licence</p></teiHeader><text><body><p>Élan<note>n</note> vital</p><pb n='2'/><l>a</l></body></text></TEI>"
        self.assertEqual(
            readers.read("COST-ELTeC/ELTeC-fra/level1/a.xml", page.encode()), "Élan vital\n\na\n"
        )

    def test_po_without_fuzzy_and_untranslated_messages(self):
        page = 'msgid "a"\nmsgstr "eins "\n"zwei"\n\n#, fuzzy\nmsgid "b"\nmsgstr "falsch"\n\nmsgid "c"\nmsgstr ""\n'
        self.assertEqual(readers.read("python/python-docs-de/x.po", page.encode()), "eins zwei\n")

    def test_aozora_without_reading_aids(self):
        page = "題\n-----------------------\n記号\n-----------------------\n吾輩《わがはい》は［＃ここ］猫\n底本：本\n".encode(
            "cp932"
        )
        self.assertEqual(readers.read("aozorahack/aozorabunko_text/x.txt", page), "題\n吾輩は猫\n")


class Build(unittest.TestCase):
    """documents_found() on a package's folder."""

    def documents(self, files, **options):
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder)
            for name, text in files.items():
                path = cache / "packages/p" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            source = Source("p", "book", "de", "", r"\.txt$", **options)
            found = build_corpus.documents_found(
                source, type("Options", (), {"cache": cache, "mirrors": None})
            )
            return found[1]

    def test_forbidden_texts_and_names_are_refused(self):
        files = {f"{n}.txt": words(200, n) for n in range(3)}
        files["whale.txt"] = words(200, 8) + "\nCall me Ishmael. " + words(200, 9)
        files["Moby-Dick.txt"] = words(200, 10)
        found = self.documents(files, whole=True)
        self.assertEqual([d.path for d in found], ["0.txt", "1.txt", "2.txt"])

    def test_held_authors_are_held_out_and_never_joined_with_others(self):
        found = self.documents(
            {"Fontane_x.txt": words(200, 1), "a.txt": words(200, 2), "b.txt": words(200, 3)}
        )
        self.assertEqual([(d.path, d.held) for d in found], [("Fontane_x.txt", True), ("a.txt", False)])

    def test_a_limit_draws_the_same_files_each_time(self):
        files = {f"{n}.txt": words(3000, n) for n in range(20)}
        found = [[d.path for d in self.documents(files, limit=0.1, whole=True)] for _ in range(2)]
        self.assertEqual(found[0], found[1])
        first = min(files, key=lambda name: hashlib.sha256(name.encode()).digest())
        self.assertIn(first, found[0])
        self.assertLess(len(found[0]), 10)


class WholeRun(unittest.TestCase):
    def test_logs_alone_make_a_corpus_and_again_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            logs = Path(folder, "logs")
            logs.mkdir()
            for name, seed in (("web-access.log", 1), ("squid-access.log", 2)):
                (logs / name).write_text("\n".join(words(12, seed * 1000 + i) for i in range(200)))
            (logs / "bad.log").write_text("081109 INFO dfs.DataNode$PacketResponder: x\n" * 50)
            trees = []
            for _ in range(2):
                command = [sys.executable, SCRIPTS / "build_corpus.py", "--no-fetch", "--logs", logs]
                subprocess.run(
                    [*command, "--out", f"{folder}/out", "--cache", f"{folder}/cache"],
                    check=True,
                    capture_output=True,
                    env=os.environ | {"CORPUS_MIRRORS": ""},
                )
                trees.append({p.name: p.read_bytes() for p in Path(folder, "out").rglob("*") if p.is_file()})
            self.assertEqual(trees[0], trees[1])
            names = {str(p.relative_to(f"{folder}/out")) for p in Path(folder, "out").rglob("*.log")}
            self.assertEqual(
                names,
                {
                    "train/log-system-run_systems.sh-web-access.log",
                    "heldout/log-system-run_systems.sh-squid-access.log",
                    "validation/log-system-run_systems.sh-squid-access.log",
                },
            )


if __name__ == "__main__":
    unittest.main()
