"""How `make docs` builds the manual: the Markdown pages of this folder, as they are."""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "unroll"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
html_theme = "alabaster"
html_theme_options = {"page_width": "72em", "fixed_sidebar": True}
html_show_copyright = False
html_show_sourcelink = False
highlight_language = "none"  # most blocks without a language are what one types into a shell
myst_heading_anchors = 4

FOLDER = Path(__file__).resolve().parent


def name_what_lies_outside(app: Sphinx, page: str, source: list[str]) -> None:
    """Links into the rest of the repository lead nowhere from the HTML: the file's path takes their place."""

    def named(match: re.Match[str]) -> str:
        text, path = match.groups()
        place = (FOLDER / path.partition("#")[0]).resolve().relative_to(FOLDER.parent)
        return f"`{place}`" if text.strip("`") == str(place) else f"{text} (`{place}`)"

    source[0] = re.sub(r"(?<!!)\[([^\[\]]*)\]\((\.\./[^)\s]+)\)", named, source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", name_what_lies_outside)
