"""The leaderboard inside the site: its page, data and files copied, its seasons and the way in as pages."""

import shutil
from importlib.metadata import metadata
from pathlib import Path

from repository import relinked
from sources import write_pages
from sphinx.application import Sphinx

DATA = ("results.csv", "results.json", "results.parquet", "submission.schema.json")
FOLDERS = ("cards", "submissions")
"""What the page links to beside itself."""


def make(app: Sphinx) -> None:
    """Write the pages that are files elsewhere in the repository."""
    docs = Path(app.srcdir)
    root, url = docs.parent, app.config.repository_url

    def page(path: Path) -> str:
        return relinked(path.read_text(encoding="utf-8"), path.parent, root, url)

    write_pages(docs / "seasons", {path.name: page(path) for path in (root / "leaderboard" / "seasons").glob("*.md")})
    (docs / "reference" / "generated" / "contributing.md").write_text(page(root / "CONTRIBUTING.md"), encoding="utf-8")


def code_address(url: str) -> str:
    """The address of the repository: that of the commit whose files are linked, or the package's own."""
    if url:
        return url.replace("/blob/", "/tree/", 1)
    addresses = dict(each.split(", ", 1) for each in metadata("l96bench").get_all("Project-URL", []))
    return addresses["Repository"]


def site_page(text: str, url: str) -> str:
    """The board's page with its links to the repository led to the site, or to the repository's address."""
    to = {
        "../README.md": "../index.html",
        "../": code_address(url),
        "../docs/submissions.md": "../submissions.html#how-a-row-gets-in",
        "../docs/definitions.md#what-does-not-win": "../definitions.html#what-does-not-win",
    }
    if url:
        to |= {name: f"{url}/{name[3:]}" for name in ("../CITATION.cff", "../baselines/")}
    for old, new in to.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    return text


def copy(app: Sphinx, error: Exception | None) -> None:
    """Copy the page, the data of the board and the files that it links to beside the pages."""
    if error is not None or app.builder.name != "html":
        return
    root, url = Path(app.srcdir).parent, app.config.repository_url
    board, made = root / "leaderboard", Path(app.outdir) / "leaderboard"
    made.mkdir(exist_ok=True)
    text = (board / "index.html").read_text(encoding="utf-8")
    (made / "index.html").write_text(site_page(text, url), encoding="utf-8")
    for name in DATA:
        shutil.copyfile(board / name, made / name)
    for name in FOLDERS:
        shutil.copytree(board / name, made / name, dirs_exist_ok=True)
    if not url:
        shutil.copyfile(root / "CITATION.cff", made.parent / "CITATION.cff")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / "baselines", made.parent / "baselines", dirs_exist_ok=True, ignore=ignored)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    app.connect("builder-inited", make)
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
