"""Every tutorial is executed by the build, without an error and in the time that it may take."""

from pathlib import Path

from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.logging import getLogger

LIMIT = 120.0
"""Seconds on two cores."""


def tutorials(docs: Path) -> list[str]:
    """The pages of the tutorials."""
    return sorted(f"tutorials/{path.stem}" for path in (docs / "tutorials").glob("*.py") if path.stem != "common")


def check(app: Sphinx, error: Exception | None) -> None:
    """End the build if a tutorial was not executed; tell how long each one took."""
    if error is not None or app.builder.name != "html":
        return
    logger = getLogger(__name__)
    for name in tutorials(Path(app.srcdir)):
        told = NbMetadataCollector.get_exec_data(app.env, name)
        if told is None or not told["succeeded"]:
            raise ExtensionError(f"{name} was not executed")
        seconds = told["runtime"]
        logger.info("%s: executed in %s", name, "an earlier build" if seconds is None else f"{seconds:.0f} s")
        if seconds is not None and seconds > LIMIT:
            logger.info("%s takes longer than %.0f s", name, LIMIT)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
