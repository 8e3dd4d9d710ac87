"""The gap between the public test and a season: by hand, and which season counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from l96bench.board.seasons import SeasonRows, difference, is_apart, revealed_seasons, summary
from l96bench.board.tables import make_tables
from l96bench.errors import ResultError
from l96bench.results.record import Result
from l96bench.results.score import Score, Value
from l96bench.seasons.data import Season
from l96bench.seasons.record import SeasonRecord, record_path
from l96bench.seasons.scoring import results_folder

TASK = "subgrid-forcing/wilks-f20-v1"
Make = Callable[..., Result]


@pytest.fixture
def by_hand(make_result: Make) -> Callable[[str, float, float], Result]:
    """Rows of 41 replicates, `step` apart about their value; the second and the last but one are the ends of 95 %."""

    def make(name: str, value: float, step: float) -> Result:
        replicates = [value + step * i for i in range(-20, 21)]
        score = Score(value=value, low=replicates[1], high=replicates[-2], method="by hand", replicates=replicates)
        return make_result(name, value, score=score)

    return make


def test_gaps_by_hand(by_hand: Callable[[str, float, float], Result]) -> None:
    # The season has no spread: the gap is the difference of values, within the 19 steps of 0.1 of the public row.
    public = [by_hand("Tuned", 95.0, 0.1), by_hand("Honest", 90.0, 0.1), by_hand("Late", 70.0, 0.1)]
    season = SeasonRows("trial", {"tuned": by_hand("Tuned", 92.0, 0.0), "honest": by_hand("Honest", 91.0, 0.0)})
    (table,) = make_tables(public, {TASK: season})
    assert table.season == "trial"
    tuned, honest, late = (row.gap for row in table.rows)
    assert tuned is not None
    assert honest is not None
    assert late is None
    assert (tuned.value, tuned.low, tuned.high) == pytest.approx((3.0, 1.1, 4.9))
    assert (honest.value, honest.low, honest.high) == pytest.approx((-1.0, -2.9, 0.9))
    assert is_apart(tuned)
    assert not is_apart(honest)
    # 2.5 % of two entries by chance on either side.
    assert summary([tuned, honest], 0.95) == (
        "Of 2 entries, 1 score lower on the season than on the public test beyond the interval, and 0 higher; "
        "chance alone is expected to make 0.1 of each."
    )


def test_a_task_without_a_season_has_no_gaps(by_hand: Callable[[str, float, float], Result]) -> None:
    rows = [by_hand("Honest", 90.0, 0.1)]
    elsewhere = SeasonRows("trial", {"honest": by_hand("Honest", 91.0, 0.1)})
    for seasons in (None, {"online-rollout/wilks-f20-v2": elsewhere}, {TASK: SeasonRows("trial", {})}):
        (table,) = make_tables(rows, seasons)
        assert table.season is None
        assert table.rows[0].gap is None


def test_what_is_shown_as_zero_is_zero() -> None:
    assert not is_apart(Value(value=0.006, low=0.004, high=0.009))
    assert is_apart(Value(value=0.01, low=0.006, high=0.02))
    assert is_apart(Value(value=-0.5, low=-0.9, high=-0.1))
    assert not is_apart(Value(value=0.5))


def test_the_interval_of_a_difference_is_that_of_independent_scores(make_result: Make) -> None:
    one, other = make_result("One", 90.0, noise=0.3), make_result("One", 91.0, noise=0.4)
    # Both have the same noise, scaled: paired, the width would be that of 0.1, and the value a constant away.
    found = difference(one, other)
    assert found.value == pytest.approx(-1.0)
    assert found.low is not None
    assert found.high is not None
    width = 2 * 1.96 * np.hypot(0.3, 0.4)
    assert found.high - found.low == pytest.approx(width, rel=0.1)
    assert found.low < found.value < found.high


def test_rows_of_other_numbers_of_replicates_are_not_compared(make_result: Make) -> None:
    one = make_result("One", 90.0)
    score = one.score.model_copy(update={"replicates": one.score.replicates[:10]})
    with pytest.raises(ResultError, match="other numbers of replicates"):
        difference(one, one.model_copy(update={"score": score}))


def put_season(board: Path, name: str, row: Result, revealed: date | None) -> None:
    """A season of one row; its drawn parameters have one as well, which is no matter here."""
    secret = bytes(32)
    row = row.model_copy(update={"split": f"season {name}"})
    for drawn in (False, True):
        row.write(results_folder(board, name, drawn) / row.task / f"{row.slug}.json")
    SeasonRecord(
        name=name,
        opened=date(2026, 9, 1),
        families=["subgrid-forcing"],
        regimes=["wilks-f20"],
        commitment=Season(name, secret).commitment,
        revealed=revealed,
        secret=None if revealed is None else secret.hex(),
    ).write(record_path(board, name))


def test_the_season_that_was_revealed_last_counts(tmp_path: Path, make_result: Make) -> None:
    assert revealed_seasons(tmp_path) == {}
    put_season(tmp_path, "z-first", make_result("One", 1.0), date(2026, 10, 1))
    put_season(tmp_path, "a-second", make_result("One", 2.0), date(2026, 11, 1))
    put_season(tmp_path, "open", make_result("One", 3.0), None)
    found = revealed_seasons(tmp_path)
    assert list(found) == [TASK]
    assert found[TASK].name == "a-second"
    assert [row.score.value for row in found[TASK].rows.values()] == [2.0]


def test_rows_of_a_season_on_other_data_are_refused(tmp_path: Path, make_result: Make) -> None:
    put_season(tmp_path, "trial", make_result("One", 1.0), date(2026, 10, 1))
    put_season(tmp_path, "trial", make_result("Two", 1.0, data_digests={"test": "00"}), date(2026, 10, 1))
    with pytest.raises(ResultError, match="cannot be compared"):
        revealed_seasons(tmp_path)
