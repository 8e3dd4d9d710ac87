"""Seasons of every family: instances of equation recovery and archives of assimilation from the secret too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml

from l96bench.assimilation import ObservedSeries
from l96bench.board.season_page import season_page
from l96bench.board.seasons import revealed_seasons
from l96bench.board.tables import make_tables
from l96bench.data.store import array_digest
from l96bench.entries.lookup import find_entry
from l96bench.errors import DataError, SubmissionError
from l96bench.results.load import read_results
from l96bench.results.origin import Origin
from l96bench.seasons.data import Season
from l96bench.seasons.record import SeasonRecord, record_path
from l96bench.seasons.scoring import hand_out, reveal_season, score_season, verify_season
from l96bench.seasons.tasks import default_regimes, season_families, season_task
from l96bench.submissions.comparison import IDENTICAL
from l96bench.submissions.folder import submit_folder
from l96bench.tasks.artifacts import Content
from l96bench.tasks.base import Task
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.observed_closure import ObservedClosure
from l96bench.tasks.registry import families, make_task, tasks_given_as
from tests.examples import filled_example


@pytest.fixture(autouse=True)
def minis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_process: None) -> Iterator[None]:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with tasks_given_as(Task.miniature):
        yield


def test_all_families_have_seasons() -> None:
    ours = {name for name, each in families().items() if "l96bench." in each.__module__}
    assert set(season_families()) == ours
    assert default_regimes(season_families()) == ["wilks-f20", "dense", "single", "wilks-f20-dense", "interpolate"]


@pytest.mark.slow
def test_instances_and_archives_come_from_the_secret() -> None:
    tried = ("da-increment/dense", "equation-recovery/single", "subgrid-forcing-memory/wilks-f20")
    for id in (f"{each}-v1" for each in (*tried, "observed-closure/arnold-c4-fixed", "unseen-physics/extrapolate")):
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
        elif id.startswith("unseen"):
            ours, theirs = ({(each.F, each.h) for each in task.systems} for task in (public, tasks[0]))
            assert not ours & theirs
            assert tasks[0].train[0].regime == public.train[0].regime
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
def test_an_entrant_fits_equations_to_what_is_handed_out(tmp_path: Path) -> None:
    """The file has equations for the registered problems and for the season's, and is ranked once these are sealed."""
    board, secret = Path("leaderboard"), bytes(range(32))
    family, track, task = "equation-recovery", "single", make_task("equation-recovery/single-v1")
    record = SeasonRecord(
        name="trial",
        opened=date(2026, 9, 1),
        families=[family],
        regimes=[track],
        commitment=Season("trial", secret).commitment,
    )
    record.write(record_path(board, "trial"))
    [path] = hand_out(board, "trial", secret, tmp_path / "out")
    recorded = SeasonRecord.read(record_path(board, "trial")).digests

    def found(X: np.ndarray) -> list[str]:
        model = find_entry("er_least_squares")[0].make(task, 0)
        model.fit(X, task.track.interval * np.arange(len(X)))
        return model.equations()

    equations = {problem.id: found(problem.observed()[0]) for problem in task.problems}
    with np.load(path) as given:
        assert set(given.files) == {problem.id for problem in task.problems}
        for id in given.files:
            assert recorded[f"single/season trial/{id}/observed"] == array_digest(given[id])
            equations[f"season trial/{id}"] = found(given[id])
    mine = Path("mine")
    filled_example(mine, family)
    (mine / "equations.yaml").write_text(yaml.safe_dump(equations))
    [public] = submit_folder(mine, board)
    [row] = [row for row in score_season(board, "trial", secret, [public.slug]) if row.submission is not None]
    assert row.score.value == pytest.approx(public.score.value, abs=5.0)
    reveal_season(board, "trial", secret)
    [table] = make_tables(read_results(board / "results"), revealed_seasons(board))
    assert (table.rows[0].kind, table.rows[0].rank) == ("sealed", 1)
    with pytest.raises(DataError, match="is over"):
        hand_out(board, "trial", secret, tmp_path / "again")


def test_no_system_of_a_season_is_seen_twice() -> None:
    """Else the equations of one that is seen without noise could be handed in for those that are."""
    task, secret = make_task("equation-recovery/hidden-v1"), bytes(range(32))
    own, old = (season_task(task, Season("trial", secret, version)) for version in (3, 2))
    assert isinstance(own, EquationRecovery)
    assert len({problem.instance.coefficients for problem in own.problems}) == len(own.problems) == 8
    assert [each.textbook for each in own.instances] == [problem.instance.textbook for problem in task.problems]
    assert old.handout() == task.handout() == {}
    with pytest.raises(SubmissionError, match=r"missing: \['0/noise-00/budget-20'"):
        own.check_content(Content("a", "equations", {"season trial/0/noise-00/budget-5": ["0"]}))


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
    assert make_tables(read_results(board / "results"))[0].rows[0].rank is None
    [row] = [row for row in score_season(board, "trial", secret, ["noted-down"]) if row.submission is not None]
    assert row.origin == Origin.SEALED
    assert row.score.value < 95.0
    reveal_season(board, "trial", secret)
    [table] = make_tables(read_results(board / "results"), revealed_seasons(board))
    assert (table.rows[0].kind, table.rows[0].rank) == ("sealed", None)
    assert [flag.kind for flag in table.rows[0].flags] == ["falls"]
    wrong, verdicts = verify_season(board, "trial")
    assert (wrong, {each.status for each in verdicts}) == ([], {IDENTICAL})


@pytest.mark.slow
def test_an_entrant_learns_from_observations_of_a_system_that_nobody_knows(tmp_path: Path) -> None:
    """Its file is scored at the drawn parameters, beside a script that is fitted to the same observations."""
    board, secret = Path("leaderboard"), bytes(range(32))
    family, track = "observed-closure", "wilks-f20-sparse"
    public = make_task(f"{family}/{track}-v1")
    assert isinstance(public, ObservedClosure)
    season = Season("trial", secret)
    SeasonRecord(
        name="trial", opened=date(2026, 9, 1), families=[family], regimes=[track], commitment=season.commitment
    ).write(record_path(board, "trial"))
    [path] = hand_out(board, "trial", secret, tmp_path / "out")
    task = season_task(public, season)
    assert isinstance(task, ObservedClosure)
    assert task.regime == season.regime("wilks-f20", drawn=True) != public.regime
    with np.load(path) as given:
        recorded = SeasonRecord.read(record_path(board, "trial")).digests
        for name in ("values", "points"):
            key = f"{track}/season trial/observations/{name}"
            assert recorded[key] == array_digest(given[f"observations/{name}"])
        assert given["F"] == task.regime.F
        values = np.full((len(given["observations/values"]), 8), np.nan)
        np.put_along_axis(values, given["observations/points"].astype(int), given["observations/values"], axis=1)
        series = ObservedSeries(values, task.track.network, float(given["F"]))
    np.testing.assert_array_equal(series.values, task.train.values)
    assert not np.array_equal(np.nan_to_num(series.values), np.nan_to_num(public.train.values))
    model = find_entry("ob_increments_linear")[0].make(public.training_task, 0).fit(series)
    mine = Path("mine")
    filled_example(mine, family)
    fields = yaml.safe_load((mine / "submission.yaml").read_text())
    fields |= {"tasks": [public.id], "artifacts": {track: "closure.onnx"}}
    (mine / "submission.yaml").write_text(yaml.safe_dump(fields))
    (mine / "equations.yaml").unlink()
    (mine / "closure.onnx").write_bytes(public.export(model).value)
    [own] = submit_folder(mine, board)
    rows = score_season(board, "trial", secret, [own.slug, "ob_increments_linear"])
    [file] = [row for row in rows if row.submission is not None]
    [script] = [row for row in rows if row.model.name == "analysis increments, linear"]
    assert file.score.value == pytest.approx(script.score.seeds[0].value, abs=1e-9)
    assert script.metrics["fresh_score"].value == pytest.approx(script.score.value, abs=30.0)
    assert "share" not in script.metrics  # nobody is given U
    reveal_season(board, "trial", secret)
    [table] = make_tables(read_results(board / "results"), revealed_seasons(board))
    assert (table.rows[0].kind, table.rows[0].rank) == ("declared", None)  # the public test is another system's
    wrong, verdicts = verify_season(board, "trial")
    assert (wrong, {each.status for each in verdicts}) == ([], {IDENTICAL})
    assert f"For wilks-f20, F = {task.regime.F}, h = {task.regime.h}, c = {task.regime.c}" in season_page(
        board, "trial"
    )
