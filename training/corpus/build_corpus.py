#!/usr/bin/env python3
"""Builds the training corpus of unroll: one document a file, OUT/train and OUT/heldout.

Sources: books of Standard Ebooks (git), Debian documentation packages (apt-get
download), source code and logs of this machine, the real logs in --logs, and
invented logs made from --seed. README.md beside this file lists the licences.
Sources land in --cache; what is there already is not fetched again.
"""

import argparse
import collections
import gzip
import hashlib
import html.parser
import multiprocessing
import random
import re
import subprocess
import sysconfig
import textwrap
from pathlib import Path

import synthetic_logs

BOOK_URL = "https://github.com/standardebooks/"
BOOKS = """adam-smith_the-wealth-of-nations alexandre-dumas_the-count-of-monte-cristo_chapman-and-hall
alexandre-dumas_the-three-musketeers_william-robson anthony-trollope_the-way-we-live-now
arthur-conan-doyle_the-adventures-of-sherlock-holmes bertrand-russell_the-problems-of-philosophy
bram-stoker_dracula charles-darwin_the-origin-of-species charles-dickens_bleak-house
charles-dickens_david-copperfield charles-dickens_great-expectations charles-dickens_little-dorrit
charles-dickens_the-pickwick-papers charlotte-bronte_jane-eyre edith-wharton_the-age-of-innocence
edward-gibbon_the-history-of-the-decline-and-fall-of-the-roman-empire
fyodor-dostoevsky_crime-and-punishment_constance-garnett
fyodor-dostoevsky_the-brothers-karamazov_constance-garnett george-eliot_middlemarch
h-g-wells_the-war-of-the-worlds henry-david-thoreau_walden henry-fielding_the-history-of-tom-jones-a-foundling
henry-james_the-portrait-of-a-lady jack-london_the-sea-wolf john-stuart-mill_on-liberty joseph-conrad_nostromo
jules-verne_the-mysterious-island_stephen-w-white mark-twain_the-adventures-of-huckleberry-finn
miguel-de-cervantes-saavedra_don-quixote_john-ormsby samuel-pepys_the-diary theodore-dreiser_sister-carrie
thomas-hardy_far-from-the-madding-crowd thomas-hobbes_leviathan victor-hugo_les-miserables_isabel-f-hapgood
wilkie-collins_the-moonstone william-makepeace-thackeray_vanity-fair""".split()
PROSE_PACKAGES = ["anarchism", "debian-handbook", "harden-doc", "debian-history", "debian-faq", "cfi-en"]
TECHNICAL_PACKAGES = """git-doc postgresql-doc-15 perl-doc apache2-doc sqlite3-doc vim-doc debian-policy
developers-reference debian-reference-en maint-guide gnu-standards manpages manpages-dev r-doc-html
exim4-doc-html aptitude-doc-en""".split()
CODE_PACKAGES = ["golang-1.19-src"]
HELD_OUT = """edith-wharton_the-age-of-innocence henry-david-thoreau_walden
bertrand-russell_the-problems-of-philosophy OpenSSH Thunderbird Zookeeper""".split()
# Evaluation texts that must never be trained on: two novels, and the HDFS and BGL logs.
FORBIDDEN = re.compile(
    r"Call me Ishmael|so Genoa and Lucca|dfs\.DataNode\$|dfs\.FSNamesystem|R\d\d-M[01]-N\w-[CI]:J\d\d"
)
SKIPPED_PAGES = re.compile(
    r"titlepage|imprint|colophon|uncopyright|halftitle|endnotes|loi\.|toc\.|index-[a-z]|release"
)
BLOCKS = set(
    "p div section article h1 h2 h3 h4 h5 h6 li ul ol dl dt dd tr table pre blockquote header hr".split()
)
HIDDEN = {"script", "style", "head", "nav", "svg"}
PROSE_LIMIT, PACKAGE_LIMIT, CHANGELOG_LIMIT = 3_000_000, 700_000, 3_000_000
CODE_LIMIT, SYNTHETIC_BYTES = 2_000_000, 21_000_000
TRAINED_LINES = 0.8  # of each real log that is not held out whole; its last lines are held out


class TextOf(html.parser.HTMLParser):
    """Collects the visible text of a page; blocks become paragraphs."""

    def __init__(self):
        super().__init__()
        self.parts, self.hidden, self.pre = [], 0, 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in HIDDEN
        self.pre += tag == "pre"
        if tag in BLOCKS:
            self.parts.append("\n\n")
        elif tag == "br":
            self.parts.append("\n")

    def handle_startendtag(self, tag, attrs):
        if tag == "br":
            self.parts.append("\n")

    def handle_endtag(self, tag):
        self.hidden -= tag in HIDDEN and self.hidden > 0
        self.pre -= tag == "pre" and self.pre > 0
        if tag in BLOCKS:
            self.parts.append("\n\n")

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(data if self.pre else re.sub(r"\s+", " ", data))


def html_text(page):
    parser = TextOf()
    parser.feed(page)
    parser.close()
    text = re.sub(r"[ \t]+\n", "\n", "".join(parser.parts))
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"\n +(?=\S)", "\n", text)).strip() + "\n"


def roff_text(page):
    """A plain reading of a manual page: requests go, their words and the font escapes' text stay."""
    lines = []
    for line in page.splitlines():
        if re.match(r"[.']\s*(SH|SS|PP|P|LP|TP|IP|HP)\b", line):
            lines.append("")
        if re.match(
            r"[.']\s*(\\\"|TH|PP|P|LP|TP|RS|RE|nf|fi|PD|in|sp|ne|ft|ds|de|if|ie|el|so|TS|TE|\.|$)", line
        ):
            continue
        line = re.sub(r"^[.']\s*\w+ ?", "", line) if line[:1] in ".'" else line
        line = (
            re.sub(r"\\f[BIRP]|\\f\(..|\\[&:/,]|\\s[+-]?\d", "", line)
            .replace("\\-", "-")
            .replace("\\(aq", "'")
        )
        lines.append(re.sub(r"\\\((..)|\\e", "", line))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def pod_text(page):
    return re.sub(r"[BCFILSX]<([^<>]*)>", r"\1", re.sub(r"(?m)^=(\w+) ?", "", page))


def read_text(path):
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text, name = data.decode("utf-8", "replace"), path.name.removesuffix(".gz")
    if re.search(r"\.x?html?$", name):
        return html_text(text)
    if "/man/" in str(path):
        return roff_text(text)
    return pod_text(text) if name.endswith(".pod") else text


def book_text(item):
    """The text of one book, in its reading order, in one of four typographies."""
    name, repository = item

    def show(path):
        return subprocess.run(
            ["git", "--git-dir", repository, "show", f"HEAD:{path}"], capture_output=True, check=True
        ).stdout.decode()

    pages = re.findall(r'<itemref idref="([^"]+)"', show("src/epub/content.opf"))
    text = "\n\n".join(html_text(show(f"src/epub/text/{p}")) for p in pages if not SKIPPED_PAGES.search(p))
    text = re.sub("[\u2060\ufeff\u200b\u200a]", "", text).replace("\u00a0", " ")
    rng = random.Random(name)
    if rng.random() < 0.5:  # as typed on a keyboard
        for old, new in zip("‘’“”—–…", ["'", "'", '"', '"', "--", "-", "..."]):
            text = text.replace(old, new)
    if rng.random() < 0.5:  # as e-mailed
        width = rng.randint(66, 78)
        text = "\n".join(
            textwrap.fill(line, width, break_long_words=False) if len(line) > width else line
            for line in text.split("\n")
        )
    return name, text


def package_text(folder):
    """All documentation of an unpacked Debian package, as one document, cut at a limit."""
    parts, size = [], 0
    for path in sorted(folder.rglob("*")):
        translated = re.search(
            r"\.(?!en)[a-z]{2}(_\w\w)?\.(html|txt)|/(?!en|us)[a-z]{2}(-[A-Z]{2})/", str(path)
        )
        wanted = re.search(r"\.(html?|txt|pod|[1-8]\w*)(\.gz)?$", path.name)
        if not path.is_file() or not wanted or translated or re.search("changelog|copyright|NEWS", path.name):
            continue
        parts.append(read_text(path))
        size += len(parts[-1])
        if size > (PROSE_LIMIT if folder.name in PROSE_PACKAGES else PACKAGE_LIMIT):
            break
    return folder.name, "\n\n".join(parts)


def gather_sources(cache):
    """Fetches what the cache lacks; returns book repositories and package folders."""
    (cache / "packages").mkdir(parents=True, exist_ok=True)
    (cache / "books").mkdir(exist_ok=True)
    for name in PROSE_PACKAGES + TECHNICAL_PACKAGES + CODE_PACKAGES:
        folder = cache / "packages" / name
        if not folder.exists():
            subprocess.run(["apt-get", "download", "-q", name], cwd=cache, check=True)
            deb = next(cache.glob(f"{name}_*.deb"))
            subprocess.run(["dpkg", "-x", deb, folder], check=True)
            deb.unlink()
    for name in BOOKS:
        if not (cache / "books" / name).exists():
            subprocess.run(
                ["git", "clone", "-q", "--bare", "--depth=1", BOOK_URL + name, cache / "books" / name],
                check=True,
            )


def code_files(cache):
    """Source files of several languages, each language up to CODE_LIMIT."""
    roots = [
        (Path(sysconfig.get_paths()["stdlib"]), "*.py"),
        (cache / "packages/golang-1.19-src", "*.go"),
        (Path("/usr/include"), "*.h"),
    ]
    for root, pattern in roots:
        paths = [p for p in sorted(root.rglob(pattern)) if 3000 < p.stat().st_size < 200_000]
        paths = [p for p in paths if "-packages" not in str(p)]
        random.Random(pattern).shuffle(paths)
        size = 0
        for path in paths:
            if size < CODE_LIMIT:
                text = path.read_bytes().decode("utf-8", "replace")
                size += len(text)
                yield f"code-{'-'.join(path.parts[-2:])}", text


def shingles(text, length=12):
    """Hashes of each run of `length` words: what tells an excerpt of a held-out work."""
    found = re.findall(r"\w+", text.lower())
    return {hash(tuple(found[i : i + length])) for i in range(len(found) - length + 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=Path, required=True, help="folder of real logs, *.log")
    parser.add_argument("--out", type=Path, required=True, help="folder to write train/ and heldout/ into")
    parser.add_argument("--cache", type=Path, default="corpus-sources", help="folder for what is fetched")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    gather_sources(options.cache)
    for side in ("train", "heldout"):
        (options.out / side).mkdir(parents=True, exist_ok=True)
    seen, paragraphs, totals = set(), set(), collections.Counter()

    def keep(name, text, side=None):
        """Writes one document unless it is a duplicate or forbidden; its name tells the side."""
        digest = hashlib.sha256(text.encode()).digest()
        if len(text) < 500 or digest in seen:
            return
        if FORBIDDEN.search(text):
            print("forbidden text, left out:", name)
            return
        seen.add(digest)
        side = side or ("heldout" if re.sub(r"^\w+-|\.\w+$", "", name) in HELD_OUT else "train")
        (options.out / side / name).write_bytes(text.encode())
        totals[side, re.match(r"(synthetic-)?\w+", name)[0]] += len(text.encode())

    folder = options.cache / "packages"
    with multiprocessing.Pool(2) as pool:
        books = pool.map(book_text, [(n, options.cache / "books" / n) for n in BOOKS], chunksize=1)
        prose = pool.map(package_text, [folder / n for n in PROSE_PACKAGES], chunksize=1)
        manuals = pool.map(package_text, [folder / n for n in TECHNICAL_PACKAGES], chunksize=1)
    held = set().union(*(shingles(text) for name, text in books if name in HELD_OUT))
    counts = collections.Counter()

    def unique(name, text):
        """The text without paragraphs seen in other documents and without excerpts of held-out works."""
        kept = []
        for paragraph in re.split(r"\n\s*\n", text):
            if len(paragraph) > 200 and name not in HELD_OUT:
                mark = hash(paragraph.strip())
                if mark in paragraphs or shingles(paragraph) & held:
                    continue
                paragraphs.add(mark)
            kept.append(paragraph)
        return "\n\n".join(kept)

    for kind, group in (("english", books + prose), ("technical", manuals)):
        for name, text in group:
            if kind == "english":
                counts.update(re.findall(r"\b[a-z]{3,12}\b", text) if name not in HELD_OUT else [])
            keep(f"{kind}-{name}.txt", unique(name, text))
    left = CHANGELOG_LIMIT
    for path in sorted(Path("/usr/share/doc").glob("*/changelog*.gz")):
        text = unique(path.parent.name, read_text(path)[:100_000]) if not path.is_symlink() else ""
        if left > 0:
            keep(f"technical-changelog-{path.parent.name}.txt", text)
            left -= len(text)
    for name, text in code_files(options.cache):
        keep(name, text)
    for path in sorted(options.logs.glob("*.log")):
        lines = path.read_bytes().decode("utf-8", "replace").splitlines(keepends=True)
        cut = len(lines) if path.stem in HELD_OUT else int(len(lines) * TRAINED_LINES)
        keep(f"log-{path.name}", "".join(lines[:cut]))
        keep(f"tail-{path.name}", "".join(lines[cut:]), "heldout")
    for name in ("dpkg.log", "alternatives.log", "apt/history.log"):
        if (path := Path("/var/log", name)).exists():
            keep(f"log-{path.name}", path.read_bytes().decode("utf-8", "replace"))
    rng = random.Random(options.seed)
    vocabulary, size = [word for word, _ in counts.most_common(20_000)], 0
    number = 0
    while size < SYNTHETIC_BYTES:
        make = synthetic_logs.repetition if number % 6 == 5 else synthetic_logs.synthetic_log
        text = make(rng, vocabulary)
        keep(f"synthetic-log-{number:04d}.txt", text)
        size, number = size + len(text), number + 1
    for (side, kind), total in sorted(totals.items()):
        print(f"{side:8} {kind:14} {total:12,} bytes")


if __name__ == "__main__":
    main()
