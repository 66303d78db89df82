"""Extracts the text of the corpus' source files: HTML, TEI, DocBook, roff, POD, PO, JSON poems, Wiktionary dumps ...

`read(path, data)` chooses the reader by the file's name and returns the text.
"""

import bz2
import gzip
import html
import json
import lzma
import random
import re
import textwrap

BLOCKS = (
    "p|div|section|article|h[1-6]|li|[uod]l|dt|dd|t[dr]|table|pre|blockquote|header|hr|head|lg?|sp|stage|para|title"
    "|sect[123]|listitem|item|screen|programlisting|page|note|verse|v|chapter|castitem|speaker|row|step"
)
HIDDEN = "script|style|nav|svg|teiheader"
VERBATIM = re.compile(r"<(pre|screen|programlisting)\b.*?</\1\s*>", re.S | re.I)


def markup_text(page, hidden):
    """The visible text of a page in HTML or XML; blocks become paragraphs."""
    page = re.sub(r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[|\]\]>|<!DOCTYPE[^>]*>", "", page, flags=re.S)
    page = re.sub(rf"<({hidden})\b[^>]*(?<!/)>.*?</\1\s*>", "", page, flags=re.S | re.I)
    parts, end = [], 0
    for verbatim in VERBATIM.finditer(page):
        parts += [re.sub(r"\s+", " ", page[end : verbatim.start()]), "\n\n", verbatim[0], "\n\n"]
        end = verbatim.end()
    page = "".join([*parts, re.sub(r"\s+", " ", page[end:])])
    page = re.sub(rf"</?({BLOCKS})\b[^>]*>", "\n\n", page, flags=re.I)
    page = re.sub(r"<(br|lb)\b[^>]*>", "\n", page, flags=re.I)
    text = html.unescape(re.sub(r"<[/a-zA-Z][^<>]*>", "", page))
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"\n (?=\S)", "\n", text)).strip() + "\n"


def html_text(page):
    return markup_text(page, HIDDEN + "|head")


def tei_text(page):
    """A TEI text or play without its header, front and back matter and notes."""
    body = re.search(r"<body\b.*</body>", page, re.S)
    return markup_text(re.sub(r"<pb\b[^>]*/>", "", body[0] if body else page), HIDDEN + "|note|castlist")


def roff_text(page):
    """A manual page as plain text: requests are removed, their words and the text of font escapes are kept."""
    lines = []
    for line in page.splitlines():
        if re.match(r"[.']\s*(SH|SS|PP|P|LP|TP|IP|HP)\b", line):
            lines.append("")
        if re.match(
            r"[.']\s*(\\\"|TH|PP|P|LP|TP|RS|RE|nf|fi|PD|in|sp|ne|ft|ds|de|if|ie|el|so|TS|TE|\.|$)", line
        ):
            continue
        line = re.sub(r"^[.']\s*\w+ ?", "", line) if line[:1] in ".'" else line
        line = re.sub(r"\\f[BIRP]|\\f\(..|\\[&:/,]|\\s[+-]?\d", "", line)
        line = line.replace("\\-", "-").replace("\\(aq", "'")
        lines.append(re.sub(r"\\\((..)|\\e", "", line))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def pod_text(page):
    return re.sub(r"[BCFILSX]<([^<>]*)>", r"\1", re.sub(r"(?m)^=(\w+) ?", "", page))


def po_text(page):
    """The translations of a gettext catalogue, one paragraph each; messages without a translation are left out."""
    found = []
    for entry in page.split("\n\n"):
        if "#, fuzzy" in entry or not (match := re.search(r'(?m)^msgstr ((?:".*"\n?)+)', entry)):
            continue
        text = "".join(re.findall(r'"(.*)"', match[1]))
        if text and "Project-Id-Version" not in text:
            found.append(text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\"))
    return "\n\n".join(found) + "\n"


def poems_text(page):
    """Chinese poems: lists of objects with a title, an author and paragraphs."""
    found = json.loads(page)
    poems = []
    for poem in found if isinstance(found, list) else [found]:
        if isinstance(poem, dict) and isinstance(poem.get("paragraphs"), list):
            head = [poem.get("title") or poem.get("rhythmic") or poem.get("chapter"), poem.get("author")]
            poems.append(
                "\n".join([h for h in head if h] + [p for p in poem["paragraphs"] if isinstance(p, str)])
            )
    return "\n\n".join(poems) + "\n"


def notebook_text(page):
    """The cells of a Jupyter notebook."""
    cells = json.loads(page).get("cells", [])
    return "\n\n".join("".join(c.get("source", [])) for c in cells) + "\n"


def aozora_text(page):
    """A text of Aozora Bunko without its reading aids and the notes before and after it."""
    text = page.replace("\r\n", "\n")
    text = re.sub(r"-{20,}\n.*?-{20,}\n", "", text, count=1, flags=re.S)
    text = re.split(r"\n底本：", text)[0]
    return re.sub(r"《[^》]*》|［＃[^］]*］|｜", "", text).strip() + "\n"


def front_matter_free(page):
    return re.sub(r"\A---\n.*?\n---\n", "", page, count=1, flags=re.S)


def decoded(data):
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def opened(name, data):
    """The name and the data, decompressed."""
    for suffix, reader in ((".gz", gzip), (".dz", gzip), (".bz2", bz2), (".xz", lzma)):
        if name.endswith(suffix):
            return name.removesuffix(suffix), reader.decompress(data)
    return name, data


def read(path, data):
    """The text of a source's file; the name determines the kind."""
    name, data = opened(path, data)
    if "aozora" in path:
        return aozora_text(data.decode("cp932", "replace"))
    text = decoded(data)
    if re.search(r"ELTeC|dracor", path) and name.endswith(".xml"):
        return tei_text(text)
    if re.search(r"\.x?html?$", name):
        return html_text(text)
    if re.search(r"(?<!articles)\.(xml|docbook|page)$", name):
        return markup_text(text, HIDDEN)
    if "/man/" in path:
        return roff_text(text)
    if "chinese-poetry" in path:
        return poems_text(text)
    readers = {"pod": pod_text, "po": po_text, "ipynb": notebook_text, "md": front_matter_free}
    reader = readers.get(name.rsplit(".", 1)[-1])
    return reader(text) if reader else text


def as_typed(name, text):
    """An English book in one of four typographies, chosen by its name."""
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
    return text
