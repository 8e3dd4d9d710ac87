"""The leaderboard inside the site: its page and data copied, its seasons and the way in as pages."""

import shutil
from pathlib import Path

from repository import relinked
from sources import write_pages
from sphinx.application import Sphinx

COPIED = ("index.html", "results.csv", "results.json", "results.parquet", "submission.schema.json")


def make(app: Sphinx) -> None:
    """Write the pages that are files elsewhere in the repository."""
    docs = Path(app.srcdir)
    root, url = docs.parent, app.config.repository_url

    def page(path: Path) -> str:
        return relinked(path.read_text(encoding="utf-8"), path.parent, root, url)

    write_pages(docs / "seasons", {path.name: page(path) for path in (root / "leaderboard" / "seasons").glob("*.md")})
    (docs / "reference" / "generated" / "contributing.md").write_text(page(root / "CONTRIBUTING.md"), encoding="utf-8")


def copy(app: Sphinx, error: Exception | None) -> None:
    """Copy the page and the data of the board beside the pages."""
    if error is None and app.builder.name == "html":
        folder = Path(app.outdir) / "leaderboard"
        folder.mkdir(exist_ok=True)
        for name in COPIED:
            shutil.copyfile(Path(app.srcdir).parent / "leaderboard" / name, folder / name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    app.connect("builder-inited", make)
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
