from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib import rcParams

from l96bench.cli import main
from l96bench.diagnostics import ClosureSubject, diagnose, make_report, train, write_report
from l96bench.diagnostics.report import default_folder
from l96bench.entries.entry import Entry
from l96bench.entries.lookup import baselines_folder
from l96bench.errors import L96BenchError, UnknownIdError
from l96bench.results.record import Result

HOSTILE = "<script>alert('x')</script> $x^{ & \"q\""
NAMES = ["hovmoeller", "spread", "learning"]
PAGE = "hovmoeller-spread-learning.html"
TASKS = ("subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2")


@pytest.fixture(scope="module")
def results(make_result: Callable[..., Result]) -> list[Result]:
    """Rows of the board, one of them with a name that wants to be a script."""
    names = ("quartic", "forest", HOSTILE)
    return [make_result(name, task, 70.0 + i, 1.0 + i) for task in TASKS for i, name in enumerate(names)]


@pytest.fixture(scope="module")
def written(network_subject: ClosureSubject, results: list[Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a few diagnostics."""
    folder = tmp_path_factory.mktemp("report")
    write_report(network_subject, folder, results, NAMES)
    return folder


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.slow
def test_the_page_has_every_section_and_picture(written: Path, network_subject: ClosureSubject) -> None:
    page = _Page((written / PAGE).read_text(encoding="utf-8"))
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == ["summary", *NAMES]
    pictures = {path.stem for path in written.glob("*.png")}
    assert pictures == set(NAMES) - {"spread"}
    assert sum(tag == "img" for tag, _ in page.tags) == len(pictures)


@pytest.mark.slow
def test_the_page_fetches_nothing_and_runs_nothing(written: Path) -> None:
    text = (written / PAGE).read_text(encoding="utf-8")
    page = _Page(text)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert all(attrs["src"].startswith("data:image/png;base64,") for tag, attrs in page.tags if tag == "img")
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text
    assert "prefers-color-scheme: dark" in text


@pytest.mark.slow
def test_a_report_of_runs_made_anew_is_the_same_to_the_last_byte(
    written: Path, network_subject: ClosureSubject, results: list[Result], tmp_path: Path
) -> None:
    write_report(replace(network_subject), tmp_path, results, ["hovmoeller"])
    for path in tmp_path.glob("*.png"):
        assert path.read_bytes() == (written / path.name).read_bytes()
    assert not list(written.glob("*.tmp"))


@pytest.mark.slow
def test_what_makes_no_sense_is_left_out_with_a_reason(
    stochastic_subject: ClosureSubject, network_subject: ClosureSubject
) -> None:
    assert "deterministic" in diagnose("spread", network_subject).caption
    assert "no chain" in diagnose("relevance", stochastic_subject).caption
    for name in ("learning", "scatter", "pareto"):
        left_out = diagnose(name, network_subject)
        assert left_out.figure is None
        assert left_out.caption.startswith("Left out: no ")


@pytest.mark.slow
def test_an_ensemble_has_ranks(stochastic_subject: ClosureSubject) -> None:
    section = diagnose("spread", stochastic_subject)
    assert section.figure is not None
    assert [row[0] for row in section.rows] == ["0.5", "1", "2"]
    assert re.fullmatch(r"\d+ of \d+", section.rows[0][-1])


@pytest.mark.slow
def test_the_callers_style_is_left_alone(network_subject: ClosureSubject, tmp_path: Path) -> None:
    before = dict(rcParams)
    write_report(network_subject, tmp_path, only=["hovmoeller"])
    assert dict(rcParams) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hovmoeller.html", "hovmoeller.png"]


@pytest.mark.slow
def test_an_entry_is_trained_and_reported_by_its_name(miniature_registry: Path, tmp_path: Path) -> None:
    path, (section,) = make_report("quartic", "wilks-f20", tmp_path, only=["importance"])
    assert path == tmp_path / "importance.html"
    assert "fitted quartic" in path.read_text(encoding="utf-8")
    localities = [row for row in section.rows if row[0] == "locality, n = 0"]
    assert localities[0][1] == "1.000"


@pytest.mark.slow
@pytest.mark.usefixtures("miniature_registry")
def test_errors_say_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UnknownIdError, match="Did you mean 'skill'"):
        make_report("quartic", "wilks-f20", tmp_path, only=["skil"])
    with pytest.raises(UnknownIdError, match="no entry 'quartik'"):
        make_report("quartik", "wilks-f20", tmp_path)
    with pytest.raises(UnknownIdError, match="wilks-f20"):
        make_report("quartic", "wilks-f2", tmp_path)
    increments = Entry("increments", "polynomial", "X", lambda task, seed: None, families=("da-increment",))
    with pytest.raises(L96BenchError, match="enters no task on arnold-c4: it is for da-increment"):
        train(increments, "arnold-c4")
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(L96BenchError, match="folder that can be written"):
        make_report("quartic", "wilks-f20", blocked, only=["hovmoeller"])


def test_the_folder_has_a_plain_name() -> None:
    assert default_folder("baselines/quartic.py", "wilks-f20") == Path("reports/quartic-wilks-f20")
    assert default_folder("../my.module:make", "wilks-f20") == Path("reports/my.module-make-wilks-f20")


@pytest.mark.slow
@pytest.mark.usefixtures("miniature_registry")
def test_the_commands_write_and_print(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = str(baselines_folder().resolve() / "quartic.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["diagnose", "importance", script])
    printed = capsys.readouterr().out
    assert "locality, n = 0" in printed
    assert (tmp_path / "reports" / "quartic-wilks-f20" / "importance.png").is_file()
    with pytest.raises(SystemExit):
        main(["report", script, "--only", "spread", "--output", "here"])
    assert "spread: Left out: the closure is deterministic" in capsys.readouterr().out
    assert (tmp_path / "here" / "spread.html").is_file()
    with pytest.raises(SystemExit) as end:
        main(["diagnose", "skil", script])
    assert end.value.code == 2
    assert "Did you mean 'skill'?" in capsys.readouterr().err
