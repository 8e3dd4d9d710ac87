"""Who wins each question, who is tied, how far the next is, and the cost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from l96bench.board.tables import make_tables
from l96bench.board.winners import attacks, winners
from l96bench.results.origin import SubmissionInfo
from l96bench.results.record import Cost, Result


def test_the_winner_the_tied_and_the_next(make_result: Callable[..., Result]) -> None:
    def cost(call: float) -> Cost:
        return Cost(microseconds_per_call=call)

    floor = {"kind": "reference", "command": ""}
    rows = [
        make_result("perfect", 100.0, model=floor),
        make_result("a", 91.0, noise=0.5, cost=cost(4.0)),
        make_result("b", 90.9, noise=0.5, cost=cost(0.5)),
        make_result("c", 80.0, noise=0.5),
        make_result("d", 79.9, noise=0.5),
    ]
    (found,) = winners(make_tables(rows))
    assert found.first.result.model.name == "a"
    assert [row.result.model.name for row in found.tied] == ["b"]
    assert found.next is not None
    assert found.next.result.model.name == "c"
    gaps = np.subtract(rows[1].score.replicates, rows[3].score.replicates)
    low, high = np.quantile(gaps, 0.025, method="lower"), np.quantile(gaps, 0.975, method="higher")
    assert found.margin == f"11.00 [{low:.2f}, {high:.2f}]"
    assert found.cost == "4.00 µs"
    assert found.cheapest == "tied from 0.50 µs"


def test_sharing_a_rank_is_not_yet_being_tied(make_result: Callable[..., Result]) -> None:
    """Neighbours cannot be told apart, the ends can: all share a rank, but only the second is tied with the first."""
    rows = [make_result(name, value, noise=0.5) for name, value in (("a", 92.0), ("b", 91.2), ("c", 90.4), ("d", 89.6))]
    (found,) = winners(make_tables(rows))
    assert [row.rank for row in found.table.rows] == [1, 1, 1, 1]
    assert [row.result.model.name for row in found.tied] == ["b"]
    assert found.n_sharing == 2
    assert found.next is not None
    assert found.next.result.model.name == "c"
    assert found.margin.startswith("1.60 [")


def test_training_is_the_cost_of_what_is_not_called(make_result: Callable[..., Result]) -> None:
    (found,) = winners(make_tables([make_result("a", 91.0, cost=Cost(training_seconds=73.2))]))
    assert found.cost == "73 s to fit"
    (found,) = winners(make_tables([make_result("a", 91.0, cost=Cost())]))
    assert found.cost == "–"


def test_without_a_ranked_row_nobody_wins(make_result: Callable[..., Result]) -> None:
    assert winners(make_tables([make_result("perfect", 100.0, model={"kind": "reference", "command": ""})])) == ()
    assert winners(()) == ()


def test_an_attack_wins_nothing_and_says_how_far_it_is_behind(make_result: Callable[..., Result]) -> None:
    attack = {"kind": "attack", "description": "knows nothing", "command": ""}
    tables = make_tables([make_result("a", 91.0), make_result("b", 60.0), make_result("fake", 99.0, model=attack)])
    (found,) = winners(tables)
    assert found.first.result.model.name == "a"
    assert found.tied == ()
    assert found.next is not None
    assert found.next.result.model.name == "b"
    ((table, row, place),) = attacks(tables)["fake"]
    assert table is tables[0]
    assert (row.rank, row.kind, [flag.kind for flag in row.flags]) == (None, "attack", ["attack"])
    assert row.behind is not None
    assert row.behind.value == -8.0
    assert place == "below 0 of 2"


def test_a_submission_is_no_attack_whatever_it_says(make_result: Callable[..., Result]) -> None:
    """The kind is reserved; a row that has it all the same is ranked like any other that was scored anew."""
    origin = SubmissionInfo(status="verified", authors=["A"], artifact="closure.onnx", artifact_sha256="a" * 64)
    row = make_result("a", 91.0, model={"kind": "attack", "command": ""}, submission=origin)
    assert row.competes
    assert attacks(make_tables([row])) == {}
