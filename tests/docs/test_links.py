"""Links of documents lead to files of the repository, and to headings that they have."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT = ("docs/_build", "docs/gallery", "docs/seasons", "docs/reference/generated", "docs/reference/api")
CODE = re.compile(r"(?ms)^(`{3,}).*?^\1|`[^`\n]+`")
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
ELSEWHERE = re.compile(r"[a-z]+:|/")
"""Beginnings of links to other sites, and to pages that the build makes; the build checks the latter."""


def documents() -> list[Path]:
    """Every text that people read in the repository, cards of the board included, and the tutorials."""
    patterns = ("*.md", ".github/*.md", "docs/**/*.md", "docs/tutorials/*.py", "leaderboard/*.md", "leaderboard/*/*.md")
    found = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [path for path in found if not is_built(path)]


def is_built(path: Path) -> bool:
    """Whether a file is made by the build of the site."""
    return path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix().startswith(BUILT)


@cache
def headings(path: Path) -> frozenset[str]:
    """The parts of a Markdown file, as GitHub and the site name them."""
    text = CODE.sub(lambda match: "" if "\n" in match[0] else match[0], path.read_text(encoding="utf-8"))
    titles = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", each) for each in re.findall(r"(?m)^#{1,6} +(.+?)\s*$", text))
    return frozenset(re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in titles)


def broken(path: Path) -> list[str]:
    """The links of a document that lead nowhere."""
    found = []
    for link in LINK.findall(CODE.sub("", path.read_text(encoding="utf-8"))):
        name, _, part = link.partition("#")
        target = Path(os.path.normpath(path.parent / name)) if name else path
        if ELSEWHERE.match(link) or is_built(target):
            continue
        if not target.exists() or (part and target.suffix == ".md" and part not in headings(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("folder", sorted({path.parent.relative_to(ROOT).as_posix() for path in documents()}))
def test_every_link_leads_somewhere(folder: str) -> None:
    chosen = [path for path in documents() if path.parent == ROOT / folder]
    assert {path.name: found for path in chosen if (found := broken(path))} == {}


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(
        "# One, two\n\n[a](#one-two) [b](a.md#one-two) [c](b.md) [d](#three) `[e](f.md)` [g](https://h.i)\n"
    )
    assert broken(path) == ["b.md", "#three"]
