"""Links of pages to files of the repository that are not pages of the site."""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

LINK = re.compile(r"\[(?P<text>[^\]\n]*)\]\((?P<path>\.\.?/[^)#\s]*|[A-Za-z][^):#\s]*)(?P<part>#[^)\s]*)?\)")
PAGES = (
    (re.compile(r"CONTRIBUTING\.md"), "/reference/generated/contributing.md"),
    (re.compile(r"docs/(.+\.md)"), r"/\1"),
    (re.compile(r"leaderboard/cards/(.+\.md)"), r"/gallery/\1"),
    (re.compile(r"leaderboard/seasons/(.+\.md)"), r"/seasons/\1"),
    (re.compile(r"leaderboard/(README\.md|index\.html|results\..*)"), "/leaderboard.md"),
)
"""The page of the site that a file of the repository is, or is shown on."""


def page_of(path: str) -> str | None:
    """The page of a file, by its path from the repository's root."""
    for pattern, page in PAGES:
        if found := pattern.fullmatch(path):
            return found.expand(page)
    return None


def relinked(text: str, folder: Path, root: Path, url: str) -> str:
    """The text of a page that lies in `folder`, its links made such that they work from anywhere in the site."""

    def link(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / match["path"]))
        if not target.exists() or not target.is_relative_to(root):
            return match[0]
        path, part = target.relative_to(root).as_posix(), match["part"] or ""
        page = page_of(path)
        if page is not None:
            return (
                f"[{match['text']}]({page}{part if page.startswith('/reference') or path.startswith('docs') else ''})"
            )
        if path.startswith("docs/"):
            return match[0]  # a picture, or a file beside the page
        return f"[{match['text']}]({url}/{path}{part})" if url else f"`{path}`"

    return LINK.sub(link, text)


def read(app: Sphinx, name: str, content: list[str]) -> None:
    """Change the links of a page of Markdown when it is read."""
    path = Path(app.env.doc2path(name))
    root = Path(app.srcdir).parent
    if path.suffix == ".md":
        content[0] = relinked(content[0], path.parent, root, app.config.repository_url)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    app.add_config_value("repository_url", "", "env", (str,))
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
