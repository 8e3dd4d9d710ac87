"""Every test named in `docs/facts.md` holds the numbers beside it; every page and section that is cited exists."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "facts.md").read_text(encoding="utf-8")


def statements() -> list[tuple[str, list[str]]]:
    """(text, names of tests) of each row of a table and each item of a list that names a test."""
    blocks = re.split(r"\n(?=\||- |\n|#|[^\s])", PAGE.partition("\n## ")[2])
    found = [(block, re.findall(r"`(\S+?\.py::\w+)`", block)) for block in blocks]
    return [(block, names) for block, names in found if names]


def numbers(name: str) -> set[float]:
    """The absolute values of the numbers in a test: in its body, its parameters, and its file's constants."""
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    [test] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    constants = [node for node in tree.body if isinstance(node, ast.Assign)]
    nodes = (each for part in (test, *constants) for each in ast.walk(part))
    return {
        float(each.value) for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, int | float)
    }


@pytest.mark.parametrize(
    ("text", "names"), statements(), ids=lambda each: each[0][-40:] if isinstance(each, list) else ""
)
def test_numbers_in_bold_stand_in_the_tests_that_are_named(text: str, names: list[str]) -> None:
    executed = set().union(*map(numbers, names))
    marked = [float(each) for each in re.findall(r"\*\*(-?[\d.]+)\*\*", text)]
    assert not [each for each in marked if abs(each) not in executed]


def test_nothing_is_marked_without_a_test() -> None:
    assert PAGE.count("**") == sum(text.count("**") for text, _ in statements()) + PAGE.partition("\n## ")[0].count(
        "**"
    )
    assert len(statements()) > 25


def repository() -> dict[str, str]:
    """The text files of the repository by their paths."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode()
    wanted = (".py", ".md", ".yml", ".toml", ".txt", ".j2", ".html", "Makefile")
    paths = [path for path in listed.split("\0") if path.endswith(wanted) and not path.startswith("leaderboard/")]
    if not paths:
        pytest.skip("the files of the repository are listed by git, and this is no clone")
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in paths if (ROOT / path).exists()}


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def is_there(place: Path, wanted: str) -> bool:
    """Whether a file exists, and has a heading with this anchor."""
    if not wanted or not place.is_file():
        return place.exists()
    return wanted in map(anchor, re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), flags=re.M))


def test_links_of_pages_lead_somewhere() -> None:
    links = [
        (path, target, wanted)
        for path, text in repository().items()
        if path.endswith(".md")
        for target, wanted in re.findall(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]+))?\)", text)
    ]
    assert len(links) > 50
    missing = [
        each
        for each in links
        if "/generated/" not in each[1]  # a build of the site makes these, and fails where a link leads nowhere
        and not is_there((ROOT / each[0]).parent / each[1] if each[1] else ROOT / each[0], each[2])
    ]
    assert not missing


def test_pages_that_are_cited_exist() -> None:
    """Wherever a page is named, with a heading of it or without: `docs/facts.md, "Two targets"`."""
    cited = re.compile(r'(?<![\w/])((?:docs/)+[\w/.-]+\.md|CONTRIBUTING\.md)(?:, "([^"]+)")?')
    found = [(path, *each) for path, text in repository().items() for each in cited.findall(text)]
    assert len(found) > 20
    assert not [each for each in found if not is_there(ROOT / each[1], anchor(" ".join(each[2].split())))]


def test_no_document_outside_of_the_repository_is_cited() -> None:
    """Sections with a number are those of a publication, whose year stands before them."""
    own, found = Path(__file__).name, []
    for path, text in repository().items():
        if own in path:
            continue
        found += [(path, each) for each in re.findall(r"\bFACTS\b|\bDESIGN\b|\bshared/\w+", text)]
        for hit in re.finditer(r"\b[Ss]ection \d", text):
            if not re.search(r"\b(19|20)\d\d\b|\bLevel \d", text[max(0, hit.start() - 200) : hit.start()]):
                found.append((path, text[hit.start() - 40 : hit.end() + 10]))
    assert not found
