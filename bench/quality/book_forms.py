#!/usr/bin/env python3
"""One book in many forms: whether each gives the same bits per character.

    bench/quality/book_forms.py [--unroll build/bin/unroll] [--model models/unroll-small] [--keep FOLDER] BOOK.epub|BOOK.txt

The book's paragraphs are what `unroll text` reads of it, up to --characters. From them the script writes EPUB, HTML,
DOCX, PDF, text with one paragraph on each line, wrapped at 72 columns, with CR LF, as UTF-16, as Latin-1, wrapped with
divided words, as a zip archive and as bzip2. It scores each form and prints characters and bits per character (of the
text that unroll reads), and how far the form is from the first, in percent. Exits with 1 if one is 1 % off or more.
Needs python-docx, reportlab and Pyphen (bench/quality/requirements.txt).
"""

import argparse
import bz2
import html
import json
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path

import docx
import pyphen
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate

WIDTH = 72


def epub(chapters, file):
    with zipfile.ZipFile(file, "w") as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        names = [f"chapter{i}.xhtml" for i in range(len(chapters))]
        items = "".join(f'<item id="c{i}" href="{name}" media-type="application/xhtml+xml"/>' for i, name in enumerate(names))
        spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(names)))
        book.writestr(
            "book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
        )
        for name, chapter in zip(names, chapters):
            book.writestr(name, page(chapter), zipfile.ZIP_DEFLATED)


def page(chapter):
    body = "".join(f"<{tag}>{html.escape(text)}</{tag}>\n" for tag, text in chapter)
    return f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Book</title></head><body>{body}</body></html>'


def word_file(chapters, file):
    document = docx.Document()
    for chapter in chapters:
        for tag, text in chapter:
            document.add_heading(text, 1) if tag == "h1" else document.add_paragraph(text)
    document.save(file)


def pdf(chapters, file):
    styles = getSampleStyleSheet()
    story = [
        Paragraph(html.escape(text), styles["Heading1" if tag == "h1" else "BodyText"]) for chapter in chapters for tag, text in chapter
    ]

    def furniture(canvas, document):
        canvas.setFont("Helvetica", 9)
        canvas.drawString(72, 800, "A BOOK IN MANY FORMS")
        canvas.drawCentredString(297, 30, str(document.page))

    SimpleDocTemplate(str(file)).build(story, onFirstPage=furniture, onLaterPages=furniture)


def hyphenated(paragraph):
    """Wrapped lines, full ones, with words divided as a typesetter divides them."""
    divide = pyphen.Pyphen(lang="en_GB")
    lines, line = [], ""
    words = paragraph.split(" ")
    while words:
        word = words.pop(0)
        joined = f"{line} {word}" if line else word
        if len(joined) <= WIDTH:
            line = joined
            continue
        room = WIDTH - len(line) - 2
        cut = max((at for at in divide.positions(word) if at <= room), default=0) if word.isalpha() else 0
        if cut >= 2 and len(word) - cut >= 3:
            line += f" {word[:cut]}-"
            words.insert(0, word[cut:])
        else:
            words.insert(0, word)
        lines.append(line)
        line = ""
    return "\n".join(lines + [line])


def write_forms(chapters, folder):
    paragraphs = [text for chapter in chapters for _, text in chapter]
    plain = "\n\n".join(paragraphs) + "\n"
    wrapped = "\n\n".join(textwrap.fill(p, WIDTH, break_long_words=False, break_on_hyphens=False) for p in paragraphs) + "\n"
    forms = {}

    def form(name, data):
        forms[name] = folder / name
        if data is not None:
            forms[name].write_bytes(data)
        return forms[name]

    form("unwrapped.txt", plain.encode())
    epub(chapters, form("book.epub", None))
    form("book.html", ("<!doctype html><meta charset=utf-8>" + "".join(page(c) for c in chapters)).encode())
    word_file(chapters, form("book.docx", None))
    pdf(chapters, form("book.pdf", None))
    form("wrapped.txt", wrapped.encode())
    form("crlf.txt", wrapped.replace("\n", "\r\n").encode())
    form("utf16.txt", plain.encode("utf-16"))
    form("latin1.txt", plain.encode("latin-1"))
    form("hyphenated.txt", ("\n\n".join(hyphenated(p) for p in paragraphs) + "\n").encode())
    with zipfile.ZipFile(form("book.zip", None), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("book.txt", plain)
    form("book.txt.bz2", bz2.compress(plain.encode()))
    return forms


def chapters_of(unroll, book, characters):
    """Lists of ("h1" or "p", text), in characters that Latin-1 has."""
    read = [subprocess.run([unroll, "text", book, *more], check=True, capture_output=True).stdout for more in ([], ["--format", "json"])]
    text, begins = read[0], {section["start"] for section in json.loads(read[1])["sections"]}
    chapters, at, taken = [[]], 0, 0
    for part in text.split(b"\n\n"):
        words = " ".join(part.decode().split())
        for old, new in {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2014": "--", "\u2026": "...", "\u2060": "",
                         "\u200a": "", "\u2009": " ", "\u2013": "-", "\u2e3a": "--", "\xa0": " ", "\u2011": "-"}.items():  # fmt: skip
            words = words.replace(old, new)
        words = words.encode("latin-1", "ignore").decode("latin-1")
        if at in begins and chapters[-1]:
            chapters.append([])
        if words:
            chapters[-1].append(("h1" if at in begins else "p", words))
            taken += len(words)
        at += len(part) + 2
        if taken > characters:
            break
    return [chapter for chapter in chapters if chapter]


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("book", type=Path)
    options.add_argument("--unroll", default="build/bin/unroll")
    options.add_argument("--model", default="models/unroll-small")
    options.add_argument("--characters", type=int, default=120_000)
    options.add_argument("--keep", type=Path)
    arguments = options.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    forms = write_forms(chapters_of(arguments.unroll, arguments.book, arguments.characters), folder)
    first, worst = None, 0.0
    print(f"{'form':16} {'characters':>10} {'bits/char':>10} {'off':>7}")
    for name, file in forms.items():
        text = subprocess.run([arguments.unroll, "text", file], check=True, capture_output=True, text=True).stdout
        scored = subprocess.run([arguments.unroll, "score", file, "--embedded", "--model", arguments.model, "--format", "json"],
                                check=True, capture_output=True, text=True)  # fmt: skip
        bits = json.loads(scored.stdout)["nats"] / 0.6931471805599453 / len(text)
        first = first or bits
        off = 100 * (bits / first - 1)
        worst = max(worst, abs(off))
        print(f"{name:16} {len(text):10} {bits:10.4f} {off:+6.2f}%", flush=True)
    sys.exit(1 if worst >= 1 else 0)


if __name__ == "__main__":
    main()
