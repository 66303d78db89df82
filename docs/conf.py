"""Configuration of `make docs`, which builds the manual from the Markdown pages of this folder."""

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
highlight_language = "none"  # most blocks without a language are shell commands
myst_heading_anchors = 4

FOLDER = Path(__file__).resolve().parent


def name_what_lies_outside(app: Sphinx, page: str, source: list[str]) -> None:
    """Replaces links to other parts of the repository, which have no page in the HTML, with the file's path."""

    def named(match: re.Match[str]) -> str:
        text, path = match.groups()
        place = (FOLDER / path.partition("#")[0]).resolve().relative_to(FOLDER.parent)
        return f"`{place}`" if text.strip("`") == str(place) else f"{text} (`{place}`)"

    source[0] = re.sub(r"(?<!!)\[([^\[\]]*)\]\((\.\./[^)\s]+)\)", named, source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", name_what_lies_outside)
