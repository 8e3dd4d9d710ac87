"""The pages that the build of the site makes: nothing public is missing, and every entry has a page."""

from __future__ import annotations

import importlib
import inspect
import re
import runpy
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import l96bench

pytest.importorskip("sphinx")
ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DOORS = ("l96bench", *(f"l96bench.{name}" for name in ("tasks", "estimators", "assimilation", "envs", "metrics")))


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The names of an extension of the build, by its file."""
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    return lambda name: SimpleNamespace(**runpy.run_path(str(DOCS / "extensions" / f"{name}.py")))


def test_every_public_object_has_a_page(extension: Any) -> None:
    pages = extension("reference").api_pages()
    for door in (*DOORS, "l96bench.diagnostics", "l96bench.equations"):
        for name in importlib.import_module(door).__all__:
            assert re.search(rf":py:obj:`{name} <(l96bench[\w.]*\.{name})>`", pages[f"{door}.rst"]), f"{door}.{name}"
    for door in DOORS:
        for path in re.findall(r":py:obj:`\w+ <([\w.]+)>`", pages[f"{door}.rst"]):
            assert f":: {path}\n" in pages[f"{path}.rst"]


def test_every_baseline_and_row_has_a_page(extension: Any) -> None:
    scripts = [ROOT / "baselines" / f"{name}.py" for name in l96bench.baseline_names()]
    pages = extension("gallery").gallery(scripts)
    assert {f"{slug}.md" for slug in l96bench.load_results().slug} <= set(pages)
    for script in scripts:
        assert f"[{script.stem}](" in pages["index.md"]
        assert any(f"literalinclude}} ../../baselines/{script.name}" in text for text in pages.values())


def test_every_command_is_described(extension: Any) -> None:
    page = extension("reference").command_line()
    for command in ("run", "score", "leaderboard", "submit", "verify", "data make", "season verify"):
        assert f"\n## {command}\n" in page
    assert "--readme" in page


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_every_page_is_reached(path: Path) -> None:
    if path.name == "index.md":
        return
    lists = "\n".join(each.read_text(encoding="utf-8") for each in (DOCS / "index.md", DOCS / "explanation.md"))
    assert re.search(rf"(?m)^{path.stem}$", lists)


def test_links_of_the_site_that_lead_nowhere_are_found(extension: Any, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text('<p id="b"></p><a href="#b"></a><a class="c" href="c.html"></a><a href="#d"></a><img src="e.png">')
    assert list(extension("links").broken(tmp_path, page)) == ["c.html", "#d", "e.png"]


def test_docstrings_have_the_sections_that_they_mean(extension: Any) -> None:
    """Nothing is lost in a section that numpydoc does not know, and no sentence is taken for a parameter."""
    docscrape = pytest.importorskip("numpydoc.docscrape")
    for each in extension("reference").public_objects():
        if not (inspect.isclass(each.value) or inspect.isroutine(each.value)):
            continue
        members = vars(each.value).values() if inspect.isclass(each.value) else ()
        for thing in (each.value, *filter(inspect.isfunction, members)):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                text = docscrape.NumpyDocString(inspect.getdoc(thing) or "")
            described = [one.name for section in ("Parameters", "Attributes") for one in text[section]]
            assert not [name for name in described if not re.fullmatch(r"[\w*]+(, [\w*]+)*,?( \.\.\.)?", name)], (
                each.path
            )
