"""Every link of the built site to a page, a part of a page or a file of its own leads somewhere."""

import html
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

LINK = re.compile(r"""<(?:a|link|img|script|source)\b[^>]*?\s(?:href|src)=["']([^"']*)["']""")
PART = re.compile(r"""\s(?:id|name)=["']([^"']+)["']""")
BOARD = "leaderboard/index.html"
"""The page of the board shows what the part of its address says by a program; it has no such ids."""


@cache
def parts(page: Path) -> frozenset[str]:
    """The names of the parts of a page."""
    return frozenset(html.unescape(each) for each in PART.findall(page.read_text(encoding="utf-8")))


def broken(root: Path, page: Path) -> Iterator[str]:
    """The links of one page of a site that lead nowhere; those to other sites are not followed."""
    for link in dict.fromkeys(LINK.findall(page.read_text(encoding="utf-8"))):
        address = urlsplit(html.unescape(link))
        if address.scheme or address.netloc:
            continue
        target = Path(os.path.normpath(page.parent / unquote(address.path))) if address.path else page
        part = unquote(address.fragment)
        is_there = target.is_file() and target.is_relative_to(root)
        has_parts = is_there and part and target.suffix == ".html" and target != root / BOARD
        if not is_there or (has_parts and part not in parts(target)):
            yield link


def check(app: Sphinx, error: Exception | None) -> None:
    """End the build if a link leads nowhere."""
    if error is None and app.builder.name == "html":
        root = Path(app.outdir)
        pages = (page for page in sorted(root.rglob("*.html")) if page.relative_to(root).parts[0] != "_static")
        found = [f"{page.relative_to(root)}: {link}" for page in pages for link in broken(root, page)]
        if found:
            raise ExtensionError("\n".join(["links that lead nowhere:", *found]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build, after the pages of the board are there."""
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
