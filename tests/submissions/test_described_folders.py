"""Folders that say how their file is run: in check, score, submit, verify, the check of contributions and seasons."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from l96bench.board.contribution import review_contribution
from l96bench.board.tables import make_tables
from l96bench.results.load import read_results
from l96bench.results.record import Result
from l96bench.seasons.data import Season
from l96bench.seasons.record import SeasonRecord, record_path
from l96bench.seasons.scoring import reveal_season, score_season, verify_season
from l96bench.submissions.comparison import DIFFERENT, IDENTICAL
from l96bench.submissions.contained import run_contained
from l96bench.submissions.folder import SubmissionFolder, check_folder, submit_folder
from l96bench.submissions.fresh import fresh_seed
from l96bench.submissions.names import resolve
from l96bench.submissions.verify import verify_rows
from l96bench.tasks.assimilation_system import AssimilationSystem
from l96bench.tasks.base import Task
from l96bench.tasks.registry import make_task, tasks_given_as

CYCLES = "da-increment/dense-v1"
BOARD = Path("leaderboard")
ROW = BOARD / "results" / CYCLES / "filtered-quartic.json"
QUARTIC = "- U[k] = -0.262 - 1.45*X[k] + 0.0121*X[k]**2 + 0.00713*X[k]**3 - 0.000296*X[k]**4\n"
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    with tasks_given_as(Task.miniature):
        yield


def folder(**changed: Any) -> Path:
    """A quartic in another filter than the track's."""
    fields = {
        "schema": "l96bench/submission/2",
        "name": "filtered quartic",
        "authors": ["A. Author"],
        "kind": "polynomial",
        "inputs": "X",
        "description": "A quartic in a filter.",
        "license": "CC0-1.0",
        "tasks": [CYCLES],
        "artifacts": "quartic.yaml",
        "training": [],
        "assimilation": {"role": "closure", "filter": {"name": "LETKF", "radius": 3}},
    }
    path = Path("filtered-quartic")
    path.mkdir(exist_ok=True)
    (path / "quartic.yaml").write_text(QUARTIC)
    (path / "submission.yaml").write_text(yaml.safe_dump(fields | changed))
    return path


def test_it_goes_to_a_process_of_its_own_and_into_entries() -> None:
    item = SubmissionFolder.read(folder()).item(make_task(CYCLES))
    assert item is not None
    [outcome] = run_contained("l96bench.submissions.evaluation:inspect", [item])
    assert (outcome.fault, outcome.value) == ("", "")
    model = resolve("filtered-quartic").entry().make(make_task(CYCLES), 0)
    assert isinstance(model, AssimilationSystem)
    assert type(model.filter).__name__ == "LETKF"


@pytest.mark.usefixtures("in_process")
def test_check_and_submit_and_verify_and_contribution_run_what_is_said() -> None:
    scores = {}
    for radius in (3, 1):
        found = check_folder(folder(assimilation={"role": "closure", "filter": {"name": "LETKF", "radius": radius}}))
        assert found.faults == []
        [scores[radius]] = found.scores.values()
    assert scores[3] != scores[1]
    [row] = submit_folder(folder(), BOARD)
    assert row.score.value == scores[3]
    assert row.submission is not None
    assert row.submission.run_as == "closure of the resolved model in LETKF (radius 3)"
    assert row.fresh is not None
    assert row.fresh.seed == fresh_seed(str(row.submission.artifact_sha256))
    [verdict] = verify_rows([ROW], BOARD / "submissions")
    assert verdict.status == IDENTICAL
    reviewed = review_contribution(Path("filtered-quartic"), Path("other"), rows={CYCLES: row})
    assert reviewed.faults == []
    assert reviewed.facts[f"{CYCLES} runs it as"] == row.submission.run_as

    # Another filter is another artifact: its row, and its fresh draw, are not those of the first.
    (BOARD / "submissions" / "filtered-quartic" / "submission.yaml").write_bytes(
        folder(assimilation={"role": "closure", "filter": {"name": "LETKF", "radius": 1}})
        .joinpath("submission.yaml")
        .read_bytes()
    )
    [verdict] = verify_rows([ROW], BOARD / "submissions")
    assert verdict.status == DIFFERENT
    [again] = submit_folder(Path("filtered-quartic"), BOARD)
    assert again.fresh is not None
    assert again.fresh.seed != row.fresh.seed


@pytest.mark.usefixtures("in_process")
def test_it_is_superseded_later_and_its_season_stays_as_it_was() -> None:
    season = Season("trial", bytes(range(32)))
    fields = {"families": ["da-increment"], "regimes": ["dense"], "commitment": season.commitment}
    SeasonRecord(name="trial", opened=date(2026, 1, 2), **fields).write(record_path(BOARD, "trial"))
    submit_folder(folder(), BOARD)
    score_season(BOARD, "trial", season.secret, ["filtered-quartic"])
    reveal_season(BOARD, "trial", season.secret)
    said = {
        "lifecycle": {"status": "superseded", "superseded_by": "better"},
        "links": {"paper": "https://example.org"},
        "training_cost": {"hardware": "one core", "hours": 0},
    }
    submit_folder(folder(**said), BOARD)
    row = Result.read(ROW)
    assert row.submission is not None
    assert (row.submission.superseded_by, row.submission.training_cost) == ("better", "0 hours on one core")
    [table] = make_tables(read_results(BOARD / "results"))
    assert [(each.rank, each.flags[-1].kind) for each in table.rows if each.result.slug == row.slug] == [
        (None, "superseded")
    ]
    wrong, verdicts = verify_season(BOARD, "trial")
    assert wrong == []
    assert [each.status for each in verdicts] == [IDENTICAL] * len(verdicts)
    assert len(verdicts) >= 1
    found = review_contribution(BOARD / "submissions" / "filtered-quartic", BOARD)
    assert found.faults == []
    assert "lifecycle: no submission on the board is called better" in found.notes
