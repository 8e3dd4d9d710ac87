"""Seasons of every family: instances of equation recovery and archives of assimilation from the secret too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from l96bench.board.seasons import revealed_seasons
from l96bench.board.tables import make_tables
from l96bench.results.load import load_results
from l96bench.results.origin import Origin
from l96bench.seasons.data import Season
from l96bench.seasons.record import SeasonRecord, record_path
from l96bench.seasons.scoring import reveal_season, score_season, verify_season
from l96bench.seasons.tasks import default_regimes, season_families, season_task
from l96bench.submissions.folder import submit_folder
from l96bench.submissions.verify import IDENTICAL
from l96bench.tasks.base import Task
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.registry import families, make_task, tasks_given_as
from tests.examples import filled_example


@pytest.fixture(autouse=True)
def minis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_process: None) -> Iterator[None]:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with tasks_given_as(Task.miniature):
        yield


def test_all_families_have_seasons() -> None:
    assert set(season_families()) == {name for name, each in families().items() if "l96bench." in each.__module__}
    assert default_regimes(season_families()) == ["wilks-f20", "dense", "single"]


@pytest.mark.slow
def test_instances_and_archives_come_from_the_secret() -> None:
    for id in ("da-increment/dense-v1", "equation-recovery/single-v1", "subgrid-forcing-memory/wilks-f20-v1"):
        public, secret = make_task(id), Season("trial", bytes(range(32)))
        tasks = [season_task(public, each) for each in (secret, Season("trial", bytes(32)))]
        digests = [set(each.data_digests.values()) for each in (public, *tasks)]
        assert digests[1] != digests[2]
        own = {value for key, value in tasks[0].data_digests.items() if "/season trial/" in key}
        assert own
        assert not own & digests[0]
        ends = [tasks[0].references[place].evaluate().score.value for place in ("floor", "ceiling")]
        assert ends == pytest.approx([0.0, 100.0], abs=0.5)
        if id.startswith("equation"):
            ours, theirs = ({each.coefficients for each in task.instances} for task in (public, tasks[0]))
            assert not ours & theirs
        elif id.startswith("da-"):
            assert tasks[0].train is not public.train
            assert (tasks[0].train.X == public.train.X).all()
            parts = [task.source.part(task.track, "test").words for task in (public, *tasks)]
            assert len(set(parts)) == 3


def of_ten_instances(task: Task) -> Task:
    """A miniature with as many instances as the real task: two tell nothing at 99 %."""
    small = task.miniature()
    return replace(small, indices=tuple(range(10))) if isinstance(small, EquationRecovery) else small


@pytest.fixture
def ten_instances(minis: None) -> Iterator[None]:
    with tasks_given_as(of_ten_instances):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("ten_instances")
def test_looked_up_equations_fall_in_a_season() -> None:
    """Coefficients of registered instances, which no fresh draw can score, are sealed by a season, and lose there."""
    board, secret = Path("leaderboard"), bytes(range(32))
    family, track, task = "equation-recovery", "single", make_task("equation-recovery/single-v1")
    SeasonRecord(
        name="trial",
        opened=date(2026, 9, 1),
        families=[family],
        regimes=[track],
        commitment=Season("trial", secret).commitment,
    ).write(record_path(board, "trial"))
    mine = Path("mine")
    filled_example(mine, family)
    text = (mine / "submission.yaml").read_text().replace("example equation", "noted down")
    (mine / "submission.yaml").write_text(text)
    found = {problem.id: problem.instance.texts for problem in task.problems}
    (mine / "equations.yaml").write_text(yaml.safe_dump(found))
    submit_folder(mine, board)
    assert make_tables(load_results(board / "results"))[0].rows[0].rank is None
    [row] = [row for row in score_season(board, "trial", secret, ["noted-down"]) if row.submission is not None]
    assert row.origin == Origin.SEALED
    assert row.score.value < 95.0
    reveal_season(board, "trial", secret)
    [table] = make_tables(load_results(board / "results"), revealed_seasons(board))
    assert (table.rows[0].kind, table.rows[0].rank) == ("sealed", None)
    assert [flag.kind for flag in table.rows[0].flags] == ["falls"]
    wrong, verdicts = verify_season(board, "trial")
    assert (wrong, {each.status for each in verdicts}) == ([], {IDENTICAL})
