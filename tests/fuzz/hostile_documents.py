#!/usr/bin/env python3
"""Reads damaged and hostile documents with unroll-extract, the program that reads documents which are not trusted.

    tests/fuzz/hostile_documents.py [--count 60000] [--seed 1] [--jobs 2] [--kinds epub,docx,pdf,html] [--extract PROGRAM]

Each document is made from a small one of a format by random damage: bytes, pieces, members of an archive (packed again,
so that the readers of markup see it), repetition and deep nesting. Required of each: an exit code of 0 and a well-formed
result, or 1 and a message of one line; no signal; at most --memory MiB; at most --seconds of the processor. Prints a line
for each document that does something else, keeps it in --keep, and exits with 1.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RUN_BYTES = 40  # of a SourceRun in document_text.h
PARAGRAPH = "The keeper of the lighthouse counted the steps, caf\u00e9 & all, and lit the lamp. "

XHTML = (
    '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body>'
    "<h1>Chapter</h1><p>%s<br/>x<span class='pagenum'>[1]</span></p><table><tr><td>1</td><td>2</td></tr></table>"
    "<pre>a\n b</pre><ul><li>x</li></ul><!-- c --><![CDATA[d]]></body></html>" % PARAGRAPH.replace("&", "&amp;")
)
OPF = (
    "<package><manifest><item id='n' href='nav.xhtml' properties='nav'/><item id='a' href='a.xhtml'/><item id='b' href='b%20c.xhtml'/>"
    "<item id='x' href='toc.ncx' media-type='application/x-dtbncx+xml'/></manifest>"
    "<spine toc='x'><itemref idref='a'/><itemref idref='b'/></spine></package>"
)
NCX = "<ncx><navMap><navPoint><navLabel><text>One</text></navLabel><content src='a.xhtml'/></navPoint></navMap></ncx>"
DOCX = (
    "<w:document xmlns:w='w'><w:body><w:p><w:pPr><w:pStyle w:val='h1'/></w:pPr><w:r><w:t>Head</w:t></w:r></w:p><w:p><w:r><w:t>%s"
    "</w:t><w:tab/><w:br/></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>"
    % PARAGRAPH.replace("&", "&amp;")
)
ODT = (
    "<office:document xmlns:office='o' xmlns:text='t'><office:body><text:h text:outline-level='1'>Head</text:h><text:p>%s<text:s/>"
    "<text:line-break/></text:p></office:body></office:document>" % PARAGRAPH.replace("&", "&amp;")
)
FB2 = (
    "<?xml version='1.0' encoding='UTF-8'?><FictionBook><body><section><title><p>T</p></title><p>%s</p><poem><v>a</v><v>b</v></poem>"
    "</section></body><binary>AAAA</binary></FictionBook>" % PARAGRAPH.replace("&", "&amp;")
)
RTF = (
    r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset204 B;}}{\stylesheet{\s1\outlinelevel0 H;}}\s1 Head\par"
    r"\pard\f1 \'cf\'f0 \u1234 ?\uc2\u-10179 ??\tab{\pict 00}\bin3 abc\line{\*\x y}\emdash\par}"
)
MARKDOWN = "---\na: b\n---\n# Head\n\n*The* `code` [link](x) ![image](y) &amp;\n\n    code\n\n```\nx\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n> quote\n\n1. one\n"
LINES = "\n".join((PARAGRAPH * 3)[i : i + 70] for i in range(0, 210, 70)) + "\n\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nChapter 1\n\n" + "\n".join(
    "a line that was wrapped at some col-" if i % 5 == 0 else "umns and goes on in the next line as" for i in range(60)
)


def packed(members: dict[str, bytes], rng: random.Random | None = None) -> bytes:
    out = io.BytesIO()
    method = zipfile.ZIP_STORED if rng and rng.random() < 0.3 else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def pdf() -> bytes:
    text = "BT /F1 12 Tf 72 680 Td (%s) Tj 0 -14 Td (and so on) Tj ET" % PARAGRAPH.replace("\u00e9", r"\351")
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[4 0 R]/Count 1/MediaBox[0 0 612 792]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Courier>>",
        "<</Type/Page/Parent 2 0 R/Resources<</Font<</F1 3 0 R>>>>/Contents 5 0 R>>",
        f"<</Length {len(text)}>>\nstream\n{text}\nendstream",
    ]
    out, table = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        table.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(f"{at:010} 00000 n \n" for at in table)
    return (out + f"trailer\n<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").encode("latin-1")


ARCHIVES: dict[str, dict[str, bytes]] = {
    "x.epub": {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": b"<container><rootfiles><rootfile full-path='O/b.opf'/></rootfiles></container>",
        "O/b.opf": OPF.encode(),
        "O/toc.ncx": NCX.encode(),
        "O/nav.xhtml": b"<html><body><nav><a href='a.xhtml'>One</a></nav></body></html>",
        "O/a.xhtml": XHTML.encode(),
        "O/b c.xhtml": XHTML.encode(),
    },
    "x.docx": {
        "word/document.xml": DOCX.encode(),
        "word/styles.xml": b"<w:styles xmlns:w='w'><w:style w:styleId='h1'><w:name w:val='heading 1'/></w:style></w:styles>",
        "word/footnotes.xml": DOCX.encode(),
    },
    "x.odt": {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": ODT.encode()},
    "x.zip": {"a.html": XHTML.encode(), "b.txt": LINES.encode("latin-1"), "c.rtf": RTF.encode(), "d.md": MARKDOWN.encode()},
}
FILES: dict[str, bytes] = {
    "x.html": XHTML.encode(),
    "x.fb2": FB2.encode(),
    "x.fodt": ODT.encode(),
    "x.rtf": RTF.encode(),
    "x.md": MARKDOWN.encode(),
    "x.txt": LINES.encode(),
    "x16.txt": LINES.encode("utf-16"),
    "latin.txt": LINES.encode("latin-1"),
    "x.pdf": pdf(),
}
DICTIONARY = [
    b"<", b">", b"</", b"/>", b"&", b"&amp;", b"&#0;", b"&#x10ffff;", b"&x;", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<!DOCTYPE x [",
    b"<!ENTITY a '&b;&b;'>", b"<?xml version='1.0' encoding='utf-16'?>", b"<script>", b"<table>", b"<td>", b"<pre>", b"<p>", b"<h1>", b"\\u-1 ",
    b"\\bin99999999 ", b"\\'", b"{", b"}", b"{\\*", b"\\par", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x00", b"\xc2\xad", b"\xf0\x9f",
    b"encoding='utf-7'", b"charset=iso-2022-jp", b"\r", b"\n\n", b"|", b"```", b"[](", b"../", b"%2e%2e%2f", b"PK\x03\x04", b"stream", b"endobj",
    b"/Kids[2 0 R]", b"/Length 999999999", b"4294967296", b"-1", b"\x1b$B", b"*** END OF THE PROJECT GUTENBERG EBOOK",
]  # fmt: skip


def damaged(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 8, 64, 512))
        kind = rng.randrange(8)
        if kind == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = rng.randbytes(length)
        elif kind == 3:
            data[at:at] = rng.choice(DICTIONARY)
        elif kind == 4:
            data[at:at] = data[at : at + length]
        elif kind == 5:
            data[at:at] = rng.choice(DICTIONARY) * rng.choice((10, 1000, 20000))
        elif kind == 6:
            del data[at:]
        else:
            other = rng.randrange(len(data) + 1)
            data[at:at] = data[other : other + length] * rng.choice((1, 3, 300))
        if len(data) > 4_000_000:
            del data[4_000_000:]
    return bytes(data)


def document(seed: int, names: list[str]) -> tuple[str, bytes]:
    rng = random.Random(seed)
    name = rng.choice(names)
    if name in FILES:
        return name, damaged(FILES[name], rng)
    members = dict(ARCHIVES[name])
    if rng.random() < 0.7:
        for _ in range(rng.choice((1, 1, 2))):
            victim = rng.choice(list(members))
            members[victim] = damaged(members[victim], rng)
        return name, packed(members, rng)
    return name, damaged(packed(members, rng), rng)


def result_problem(output: bytes) -> str:
    """What is wrong with a result: a line of JSON, the text, the runs."""
    line, _, rest = output.partition(b"\n")
    try:
        head = json.loads(line)
        text = rest[: head["text_bytes"]]
        text.decode("utf-8")
    except (ValueError, KeyError) as error:
        return f"a malformed result: {error}"
    runs = rest[len(text) :]
    return "" if len(text) == head["text_bytes"] and len(runs) % RUN_BYTES == 0 else "a result of the wrong length"


def problem_of(name: str, content: bytes, options: argparse.Namespace) -> str:
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        source.write(content)
        source.seek(0)
        command = [options.extract, "--name", name, "--begin", "0", "--keep-layout", "0", "--unwrap", "0", "--encoding", ""]
        process = subprocess.Popen(command, stdin=source, stdout=out, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = usage.ru_utime + usage.ru_stime
        out.seek(0)
        errors.seek(0)
        message = errors.read()
        if process.returncode not in (0, 1):
            return f"exit code {process.returncode}: {message[:300]!r}"
        if seconds > options.seconds:
            return f"it took {seconds:.1f} s"
        if usage.ru_maxrss > options.memory * 1024:
            return f"it took {usage.ru_maxrss // 1024} MiB"
        if process.returncode == 0:
            return result_problem(out.read())
        return "" if message.strip() and b"\n" not in message.strip() else f"an unclear message: {message[:300]!r}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--extract", default=str(ROOT / "build/libexec/unroll/unroll-extract"))
    parser.add_argument("--keep", type=Path, default=ROOT / "build/hostile-documents")
    parser.add_argument("--memory", type=int, default=1536)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kinds", help="endings, separated by commas; else all")
    options = parser.parse_args()
    kinds = options.kinds.split(",") if options.kinds else []
    names = [name for name in [*ARCHIVES, *ARCHIVES, *FILES] if not kinds or name.split(".")[1] in kinds]
    findings = 0

    def check(number: int) -> tuple[int, str, str]:
        name, content = document(options.seed * 1_000_003 + number, names)
        problem = problem_of(name, content, options)
        if problem:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{options.seed}-{number}-{name}").write_bytes(content)
        return number, name, problem

    with ThreadPoolExecutor(options.jobs) as pool:
        for number, name, problem in pool.map(check, range(options.count)):
            if problem:
                findings += 1
                print(f"{number} {name}: {problem}", flush=True)
            if (number + 1) % 5000 == 0:
                print(f"{number + 1} documents, {findings} findings", flush=True)
    print(f"{options.count} documents, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
