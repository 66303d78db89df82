#!/usr/bin/env python3
"""Builds the training corpus of unroll: one document per file, in OUT/train, OUT/heldout and OUT/validation.

Sources (sources.py) are git repositories and Debian packages, the logs of real systems in --logs (from
run_systems.sh), and a few logs generated from --seed. What --cache lacks is fetched: repositories by git, packages
by apt-get. See README.md in this folder; SOURCES.md lists what was used.
"""

import argparse
import collections
import hashlib
import multiprocessing
import os
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path

import duplicates
import readers
import synthetic_logs
from sources import FORBIDDEN, FORBIDDEN_NAMES, HELD_AUTHORS, HELD_PARTS, MB, MOST, MOST_OF_OTHERS, SOURCES

TOGETHER = 100_000  # small files of a source are joined to documents of about this many characters
LEAST = 500  # characters of a document
LOG_LIMIT = 1_500_000  # bytes of one log; a longer one is cut at a line
HELD_LIMIT, VALIDATION_LIMIT = 700_000, 30_000  # bytes held out, and for validation, per kind and language
HELD_SYSTEMS = re.compile(r"^(squid|proftpd|rabbitmq|memcached|unbound|ninja|valgrind|snmpd|vsftpd|maven)\b")
INVENTED = 0.1  # share of the logs' bytes


class Document:
    def __init__(self, source, path, language, text):
        self.source, self.path, self.language, self.text = source, path, language, text
        self.kind = source.kind
        self.held = bool(
            self.kind == "book"
            and HELD_AUTHORS.search(path + text[:600])
            or any(re.fullmatch(where, source.where) and re.search(part, path) for where, part in HELD_PARTS)
        )
        self.sketch = duplicates.sketch(text[: 1 << 18])


def draw(source, names):
    """The names in order of path; if the source is larger than its limit, a selection by hash."""
    names = sorted(n for n in names if re.search(source.include, n) and not re.search(source.exclude, n))
    names = [n for n in names if not FORBIDDEN_NAMES.search(n)]
    return sorted(names, key=lambda n: hashlib.sha256(n.encode()).digest()), names


def repository_files(folder, source):
    """The paths of a repository's files, and a function that reads one."""
    git = ["git", "--git-dir", folder, "-c", "core.quotepath=off"]
    branch = source.branch
    listing = subprocess.run([*git, "ls-tree", "-r", "-z", branch], capture_output=True, check=True).stdout
    blobs = dict(
        reversed(line.split("\t", 1)) for line in listing.decode("utf-8", "replace").split("\0") if line
    )
    blobs = {path: about.split()[2] for path, about in blobs.items()}
    process = subprocess.Popen([*git, "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(path):
        process.stdin.write(blobs[path].encode() + b"\n")
        process.stdin.flush()
        head = process.stdout.readline().split()
        if len(head) < 3:  # missing in a partial copy
            return b""
        data = process.stdout.read(int(head[2]))
        process.stdout.read(1)
        return data

    return list(blobs), read


def package_files(folder):
    paths = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()}
    return list(paths), lambda name: paths[name].read_bytes()


def order_of_book(name, text_of):
    """The pages of a Standard Ebooks edition in reading order, without footnotes, imprint and colophon."""
    skipped = r"titlepage|imprint|colophon|uncopyright|halftitle|endnotes|loi\.|toc\.|index-[a-z]|release"
    pages = re.findall(r'<itemref idref="([^"]+)"', text_of("src/epub/content.opf").decode())
    return [f"src/epub/text/{page}" for page in pages if not re.search(skipped, page)]


def place_of(source, options):
    if not source.repository:
        return options.cache / "packages" / source.where
    for root in [options.mirrors] if options.mirrors else []:
        for candidate in ("repo/.git", "repo", "."):
            if (root / source.where.replace("/", "+") / candidate / "HEAD").exists():
                return root / source.where.replace("/", "+") / candidate
    return options.cache / "repositories" / source.where.replace("/", "+")


def fetch(source, options):
    place = place_of(source, options)
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.repository:
        branch = [] if source.branch == "HEAD" else ["--branch", source.branch]
        url = f"https://github.com/{source.where}"
        subprocess.run(["git", "clone", "-q", "--bare", "--depth=1", *branch, url, place], check=True)
        return
    subprocess.run(["apt-get", "download", "-q", source.where], cwd=place.parent, check=True)
    deb = next(place.parent.glob(f"{source.where}_*.deb"))
    subprocess.run(["dpkg-deb", "-x", deb, place], check=True)
    deb.unlink()


def unpack(folder):
    """Unpacks the archive that a source package holds, once, in the same folder."""
    for archive in [
        *folder.glob("usr/src/*.tar.xz"),
        *folder.glob("usr/lib/jvm/*/*/src.zip"),
        *folder.glob("usr/lib/jvm/**/src.zip"),
    ]:
        target = folder / "unpacked"
        if archive.is_symlink() or target.exists():
            continue
        target.mkdir()
        if archive.suffix == ".zip":
            subprocess.run([sys.executable, "-m", "zipfile", "-e", archive, target], check=True)
        else:
            subprocess.run(["tar", "-xJf", archive, "-C", target, "--strip-components=1"], check=True)


def documents_of(job):
    """documents_found(), cached for the next run with the same scripts."""
    source, options = job
    scripts = b"".join(Path(__file__).with_name(n).read_bytes() for n in ("readers.py", "duplicates.py"))
    key = hashlib.sha256(
        repr(source).encode() + scripts + repr(HELD_PARTS).encode() + HELD_AUTHORS.pattern.encode()
    )
    kept = options.cache / "texts" / key.hexdigest()
    if kept.exists():
        return pickle.loads(kept.read_bytes())
    found = documents_found(source, options)
    if found[1]:
        kept.parent.mkdir(exist_ok=True)
        kept.with_suffix(".part").write_bytes(pickle.dumps(found))
        kept.with_suffix(".part").replace(kept)
    return found


def documents_found(source, options):
    """All documents of one source up to its limit; small files are joined."""
    place = place_of(source, options)
    if not place.exists():
        return source, []
    if not source.repository:
        unpack(place)
    names, data_of = repository_files(place, source) if source.repository else package_files(place)
    if source.where.startswith("standardebooks/"):
        pages = [readers.html_text(data_of(n).decode()) for n in order_of_book(source.where, data_of)]
        text = readers.as_typed(source.where.split("/")[1], "\n\n".join(pages))
        return source, [Document(source, source.where.split("/")[1], "en", text)]
    drawn, in_order = draw(source, names)
    texts, size = {}, 0
    for name in drawn:
        if size > source.limit * MB:
            break
        try:
            data = data_of(name)
            text = readers.read(f"{source.where}/{name}", data)[: int(source.limit * MB)]
        except (ValueError, OSError, EOFError, RecursionError, AssertionError) as error:
            print(f"{source.where}: {name}: unreadable, left out: {error}", file=sys.stderr)
            continue
        if len(text) >= 40 and not FORBIDDEN.search(text) and "\0" not in text and "�" * 8 not in text:
            if "クリエイティブ・コモンズ" in text or "クリエイティブ・コモンズ" in name:
                continue
            author = re.search(rb"<author\b[^>]*>\s*(?:<[^>]*>\s*)*([^<]+)", data[:20_000])
            called = f"{name}-{author[1].decode('utf-8', 'replace').strip()}" if author else name
            texts[name], size = (called, text), size + len(text.encode())
    return source, put_together(source, [texts[n] for n in in_order if n in texts])


def put_together(source, files):
    documents, parts, length, before = [], [], 0, None

    def close():
        nonlocal parts, length
        if length >= LEAST:
            text = "\n\n".join(text for _, text in parts)
            if source.kind == "book" and source.language == "en":
                text = readers.as_typed(parts[0][0], text)
            documents.append(Document(source, parts[0][0], before[0], text))
        parts, length = [], 0

    for name, text in files:
        part = next((p for where, p in HELD_PARTS if re.fullmatch(where, source.where)), None)
        group = (
            source.language_of(name),
            bool(part and re.search(part, name)),
            bool(HELD_AUTHORS.search(name)),
        )
        if parts and (group != before or source.whole or length > TOGETHER):
            close()
        before = group
        if source.kind == "log":
            text = text[: text.rfind("\n", 0, LOG_LIMIT) + 1] if len(text) > LOG_LIMIT else text
        parts.append((name, text))
        length += len(text)
    if parts:
        close()
    return documents


held_excerpts = set()


def without_excerpts(document):
    """The text without paragraphs that quote a held-out document."""
    if document.kind in ("log", "code") or document.held:
        return document.text
    return duplicates.unique_paragraphs(document.text, set(), held_excerpts)


class Corpus:
    """What is written, and what was seen so far."""

    def __init__(self, out):
        self.out, self.digests, self.near, self.paragraphs = out, set(), duplicates.NearDuplicates(), set()
        self.totals, self.by_source, self.left_out = (
            collections.Counter(),
            collections.Counter(),
            collections.Counter(),
        )
        for side in ("train", "heldout", "validation"):
            (out / side).mkdir(parents=True, exist_ok=True)
            for old in (out / side).iterdir():
                old.unlink()

    def new(self, document):
        digest = hashlib.sha256(document.text.encode()).digest()
        if digest in self.digests or not self.near.add(document.sketch):
            self.left_out["near or exact duplicate"] += len(document.text)
            return False
        self.digests.add(digest)
        return True

    def write(self, side, kind, language, name, text, where):
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{kind}-{language}-{name}")[-150:]
        while (path := self.out / side / name).exists():
            name += "_"
        path.write_bytes(text.encode())
        size = len(text.encode())
        self.totals[side, kind, language] += size
        if side == "train":
            self.by_source[where] += size
        return size

    def keep(self, document, text):
        """Writes a document of a source: held out, or for training."""
        where, name = document.source.where, document.path.replace("/", "-")
        name = f"{where.split('/')[-1]}-{name}" if where.split("/")[-1] not in name else name
        key = document.kind, document.language
        if not document.held:
            cleaned = (
                text if document.kind == "log" else duplicates.unique_paragraphs(text, self.paragraphs, None)
            )
            self.left_out["paragraph seen before"] += len(text) - len(cleaned)
            if len(cleaned) >= LEAST:
                self.write("train", *key, name, cleaned, where)
        elif self.totals["heldout", *key] < HELD_LIMIT:
            self.write("heldout", *key, name, text, where)
            if (left := VALIDATION_LIMIT - self.totals["validation", *key]) > LEAST:
                start = text[:left].rsplit("\n", 1)[0]
                self.write("validation", *key, name, start.encode()[:left].decode("utf-8", "ignore"), where)


class System:
    """A log of run_systems.sh, as a source."""

    kind, where, whole = "log", "run_systems.sh", True


def system_logs(folder):
    for path in sorted(folder.glob("*.log")):
        text = path.read_bytes().decode("utf-8", "replace").replace("\0", "")
        if FORBIDDEN.search(text):
            print("forbidden text, left out:", path.name)
            continue
        text = text[: text.rfind("\n", 0, LOG_LIMIT) + 1] if len(text) > LOG_LIMIT else text
        document = Document(System, path.name, "system", text)
        document.held = bool(HELD_SYSTEMS.search(path.name))
        yield document


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write train/, heldout/, validation/ into"
    )
    parser.add_argument("--cache", type=Path, default="corpus-sources", help="folder for fetched sources")
    parser.add_argument(
        "--mirrors",
        type=Path,
        default=os.environ.get("CORPUS_MIRRORS"),
        help="folder of bare git repositories, OWNER+NAME each, used before fetching",
    )
    parser.add_argument("--logs", type=Path, help="folder of real systems' logs, SYSTEM-*.log")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-fetch", action="store_true", help="leave out sources that are not cached")
    options = parser.parse_args()
    options.mirrors = Path(options.mirrors) if options.mirrors else None
    if not options.no_fetch:
        for source in SOURCES:
            fetch(source, options)
    with multiprocessing.Pool(2) as pool:
        found = pool.map(documents_of, [(s, options) for s in SOURCES], chunksize=1)
    for source, some in found:
        if not some:
            print(f"{source.where}: nothing found", file=sys.stderr)
    documents = [d for _, some in found for d in some]
    documents += system_logs(options.logs) if options.logs else []
    documents = within_limits(documents)
    documents.sort(key=lambda d: not d.held)  # held-out ones first: documents similar to them are not trained on
    corpus = Corpus(options.out)
    documents = [d for d in documents if corpus.new(d)]
    for document in documents:
        if document.held and document.kind not in ("log", "code"):
            held_excerpts.update(duplicates.excerpts(document.text[:HELD_LIMIT]))
    with multiprocessing.Pool(2) as pool:  # forked here, with held_excerpts
        for document, text in zip(documents, pool.imap(without_excerpts, documents, chunksize=16)):
            corpus.keep(document, text)
    invent_logs(corpus, documents, options.seed)
    report(corpus, options.out)


def within_limits(documents):
    """Removes documents that exceed the limit of their kind and language; keeps the order."""
    sizes, kept = collections.Counter(), set()
    for document in sorted(documents, key=lambda d: hashlib.sha256(d.path.encode()).digest()):
        group = f"{document.kind}-{document.language}"
        if document.held or document.kind == "log" or sizes[group] < MOST.get(group, MOST_OF_OTHERS) * MB:
            kept.add(id(document))
            sizes[group] += 0 if document.held else len(document.text.encode())
    return [d for d in documents if id(d) in kept]


def invent_logs(corpus, documents, seed):
    words = collections.Counter()
    for document in documents:
        if document.kind == "book" and document.language == "en" and not document.held:
            words.update(re.findall(r"\b[a-z]{3,12}\b", document.text[:50_000]))
    vocabulary, rng = [word for word, _ in words.most_common(20_000)], random.Random(seed)
    room = INVENTED * sum(
        n for (side, kind, _), n in corpus.totals.items() if (side, kind) == ("train", "log")
    )
    number = size = 0
    while size < room * 0.95 and vocabulary:
        make = synthetic_logs.repetition if number % 6 == 5 else synthetic_logs.synthetic_log
        size += corpus.write(
            "train", "invented", "log", f"{number:04}.txt", make(rng, vocabulary), "invented"
        )
        number += 1


def report(corpus, out):
    for (side, kind, language), total in sorted(corpus.totals.items()):
        print(f"{side:10} {kind:8} {language:8} {total:12,} bytes")
    for side in ("train", "heldout", "validation"):
        print(f"{side:10} {sum(n for (s, *_), n in corpus.totals.items() if s == side):,} bytes")
    print("left out, characters:", dict(corpus.left_out))
    write_table(corpus, out / "SOURCES.md")


def write_table(corpus, file):
    """The table of sources with text in train/, for the repository and the model's card."""
    about = {source.where: source for source in SOURCES}
    total = sum(corpus.by_source.values())
    lines = [
        "# Sources of the training corpus",
        "",
        "Written by `build_corpus.py` as `CORPUS/SOURCES.md`. A name with a slash is a repository of GitHub, any other a",
        f"Debian package. {total:,} bytes in `train/`, after duplicates were removed.",
        "",
        "| source | kind | licence | bytes in `train/` |",
        "|---|---|---|---|",
    ]
    for where, size in sorted(corpus.by_source.items()):
        source = about.get(where)
        kind, licence = (source.kind, source.licence) if source else ("log", "this project's own")
        lines.append(f"| {where} | {kind} | {licence} | {size:,} |")
    file.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sketches use Python's hashes, which must be the same each time
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"PYTHONHASHSEED": "0"})
    main()
