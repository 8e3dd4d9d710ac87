"""Baselines' rows derived again from their scripts, on miniature tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from l96bench.cli import main
from l96bench.entries.run import plan, run_jobs
from l96bench.results.record import Result
from l96bench.submissions.comparison import CLOSE, CONSISTENT, DIFFERENT, IDENTICAL
from l96bench.submissions.verify import Train, Verdict, rows_of, verify_rows

OFFLINE, ONLINE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"
SCRIPT = """
import l96bench


class Line(l96bench.PolynomialRegressor):
    def __init__(self, seed=0):
        super().__init__(degree=1)
        self.seed = seed

    def fit(self, X, y):
        super().fit(X, y)
        self.coef_ = self.coef_ * (1.0 + 0.02 * self.seed)
        return self


entry = l96bench.Entry(
    "my line", "polynomial", "X_k", lambda task, seed: Line(seed), seeds=SEEDS, quick=False
)
"""


def write_script(seeds: str) -> None:
    Path("baselines").mkdir(exist_ok=True)
    Path("baselines/line.py").write_text(SCRIPT.replace("SEEDS", seeds))


def verdicts(*, train: Train = Train.FIRST, slow: bool = False) -> dict[str, Verdict]:
    """By the stem of the row's file and its family; of all rows of the board here."""
    paths = rows_of("leaderboard/results", Path("leaderboard"))
    found = verify_rows(paths, Path("leaderboard/submissions"), train=train, slow=slow)
    return {f"{each.path.stem} {each.path.parts[-3]}": each for each in found}


@pytest.fixture
def board(miniature_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("l96bench.entries.lookup.baselines_folder", lambda: tmp_path / "baselines")
    write_script("(3, 4)")
    run_jobs(plan(["line"], [OFFLINE, ONLINE], ()), Path("leaderboard/results"), n_jobs=1)


def change(task: str, **fields: object) -> None:
    path = Path("leaderboard/results", task, "my-line.json")
    Result.read(path).model_copy(update=fields).write(path)


@pytest.mark.slow
@pytest.mark.usefixtures("board")
def test_an_honest_board_is_identical_with_its_ceilings() -> None:
    found = verdicts()
    assert {each.status for each in found.values()} == {IDENTICAL}
    assert set(found) == {
        *("my-line subgrid-forcing", "my-line online-rollout"),
        *("u-exactly subgrid-forcing", "perfect-physics online-rollout"),
    }
    row = Result.read(Path("leaderboard/results", OFFLINE, "my-line.json"))
    reason = found["my-line subgrid-forcing"].reason
    assert reason.startswith(f"score {row.score.seeds[0].value:.2f}, seed 3, one of 2; on a fresh draw ")


@pytest.mark.slow
@pytest.mark.usefixtures("board")
def test_a_score_that_is_not_the_mean_of_its_seeds_is_found() -> None:
    score = Result.read(Path("leaderboard/results", OFFLINE, "my-line.json")).score
    change(OFFLINE, score=score.model_copy(update={"value": score.value + 0.1}))
    found = verdicts()
    assert found["my-line subgrid-forcing"].status == DIFFERENT
    assert "is not the mean over its seeds" in found["my-line subgrid-forcing"].reason
    assert found["my-line online-rollout"].status == IDENTICAL


@pytest.mark.slow
@pytest.mark.usefixtures("board")
def test_another_script_gives_other_scores() -> None:
    path = Path("baselines/line.py")
    path.write_text(path.read_text().replace("0.02", "0.2"))
    found = verdicts()
    assert found["my-line subgrid-forcing"].status == DIFFERENT
    assert found["u-exactly subgrid-forcing"].status == IDENTICAL


@pytest.mark.slow
@pytest.mark.usefixtures("board")
def test_a_row_of_one_seed_is_compared_whole() -> None:
    write_script("(0,)")
    run_jobs(plan(["line"], [OFFLINE], ()), Path("leaderboard/results"), n_jobs=1)
    assert verdicts()["my-line subgrid-forcing"].status == IDENTICAL
    row = Result.read(Path("leaderboard/results", OFFLINE, "my-line.json"))
    name = min(row.metrics)
    for factor, status in ((1 + 1e-15, CLOSE), (1 + 1e-6, DIFFERENT)):  # the order of a sum, another number
        moved = row.metrics[name].model_copy(update={"value": row.metrics[name].value * factor})
        assert moved.value not in (0.0, row.metrics[name].value)
        change(OFFLINE, metrics=row.metrics | {name: moved})
        found = verdicts()["my-line subgrid-forcing"]
        assert (found.status, "the same predictions have other numbers" in found.reason) == (
            status,
            status == DIFFERENT,
        )


@pytest.mark.slow
@pytest.mark.usefixtures("board")
def test_a_row_that_no_baseline_makes_is_found() -> None:
    model = Result.read(Path("leaderboard/results", OFFLINE, "my-line.json")).model
    for command in ("l96bench run elsewhere.py", "rm -r baselines", "l96bench run linear"):
        change(OFFLINE, model=model.model_copy(update={"command": command}))
        found = verdicts()["my-line subgrid-forcing"]
        assert (found.status, found.reason) == (DIFFERENT, f"no baseline makes it: {command}")


@pytest.mark.slow
@pytest.mark.usefixtures("board")
def test_ones_own_row_is_judged_against_ones_own_script() -> None:
    Path("scripts").mkdir()
    Path("scripts/line.py").write_text(Path("baselines/line.py").read_text() + "# my own\n")
    run_jobs(plan(["scripts/line.py"], [OFFLINE], ()), Path("results"), n_jobs=1)
    (own,) = verify_rows([Path("results", OFFLINE, "my-line.json")], Path("leaderboard/submissions"))
    assert own.status == IDENTICAL
    # On the board such a row has no place: what it names is not run.
    Path("results", OFFLINE, "my-line.json").replace(Path("leaderboard/results", OFFLINE, "my-line.json"))
    assert "no baseline makes it" in verdicts()["my-line subgrid-forcing"].reason


@pytest.mark.slow
@pytest.mark.usefixtures("board")
def test_rows_that_are_not_trained_again_are_said_to_be_consistent() -> None:
    assert {each.status for each in verdicts(train=Train.NONE).values()} == {CONSISTENT}
    cost = Result.read(Path("leaderboard/results", OFFLINE, "my-line.json")).cost
    change(OFFLINE, cost=cost.model_copy(update={"training_seconds": 31.0}))
    assert verdicts()["my-line subgrid-forcing"].status == CONSISTENT
    assert verdicts(slow=True)["my-line subgrid-forcing"].status == IDENTICAL


@pytest.mark.slow
@pytest.mark.usefixtures("board")
def test_a_baseline_is_trained_again_on_one_regime_or_on_all() -> None:
    other = OFFLINE.replace("wilks-f20", "arnold-c4")
    run_jobs(plan(["line"], [other], ()), Path("leaderboard/results"), n_jobs=1)
    rows = [Path("leaderboard/results", task, "my-line.json") for task in (OFFLINE, other, ONLINE)]
    for train, expected in ((Train.FIRST, [IDENTICAL, CONSISTENT, IDENTICAL]), (Train.ALL, [IDENTICAL] * 3)):
        found = verify_rows(rows, Path("leaderboard/submissions"), train=train)
        assert [each.status for each in found] == expected
    assert [each.status for each in verify_rows(rows[1:2], Path("leaderboard/submissions"))] == [IDENTICAL]


@pytest.mark.slow
@pytest.mark.usefixtures("board")
def test_the_command_says_so_and_ends_with_1_on_a_difference(capsys: pytest.CaptureFixture[str]) -> None:
    path = f"leaderboard/results/{OFFLINE}/my-line.json"
    with pytest.raises(SystemExit) as end:
        main(["verify", path])
    said = capsys.readouterr().out
    assert (end.value.code or 0, said.startswith("identical"), "1 rows, 0 of them wrong" in said) == (0, True, True)
    write_script("(5, 6)")
    with pytest.raises(SystemExit) as end:
        main(["verify", path])
    assert end.value.code == 1
    assert "trained with seeds [5, 6]; the row is of [3, 4]" in capsys.readouterr().out
