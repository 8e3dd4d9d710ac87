"""Tables: order, ranks, columns, and which rows never meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from l96bench.board.render import compact_tables, render
from l96bench.board.tables import compact_markdown, make_tables, table_markdown
from l96bench.board.text import NONE
from l96bench.errors import ResultError
from l96bench.results.record import Result
from l96bench.results.score import Score, Value


def cells(markdown: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown.splitlines()]
    return [rows[0], *rows[2:]]


def test_one_table_a_task_families_in_their_order(results: list[Result]) -> None:
    assert [table.task for table in make_tables(results)] == [
        "subgrid-forcing/arnold-c4-v1",
        "subgrid-forcing/wilks-f20-v1",
        "online-rollout/wilks-f20-v2",
    ]


def test_ranks_are_shared_and_references_stand_in_place(results: list[Result]) -> None:
    table = make_tables(results)[1]
    assert [(row.result.model.name, row.rank) for row in table.rows] == [
        ("Perfect", None),
        ("Forest", 1),
        ("Stencil network", 1),
        ("Wilks (2005)", 3),
        ("Mean", None),
    ]


def test_paired_replicates_separate_what_intervals_do_not(make_result: Callable[..., Result]) -> None:
    # The same noise in both: the difference is known although each interval is 20 points wide.
    first = make_result("a", 50.0, noise=5.0)
    shifted = [value - 1 for value in first.score.replicates]
    score = Score(value=49.0, low=first.score.low - 1, high=first.score.high - 1, method="m", replicates=shifted)
    (table,) = make_tables([make_result("b", 0.0, score=score), first])
    assert [row.rank for row in table.rows] == [1, 2]


def test_the_columns_of_a_family(make_result: Callable[..., Result]) -> None:
    metrics = {"rmse": Value(value=1.625), "bias": Value(value=-0.00001), "r2_shift": Value(value=0.8)}
    (table,) = make_tables([make_result("net", 86.24, metrics=metrics)])
    header, row = cells(table_markdown(table, "cards"))
    shown = dict(zip(header, row, strict=True))
    assert shown["rank"] == "1"
    assert shown["entry"] == "[net](cards/net.md)"
    assert shown["score (95 %)"].startswith("86.2 [86.")
    assert (shown["RMSE"], shown["bias"], shown["R² shift"]) == ("1.625", "0.000", "0.800")
    assert (shown["R² 10 MTU"], shown["parameters"], shown["inputs"]) == (NONE, "4,353", "X, radius 2")
    assert (shown["training s"], shown["µs per call"]) == ("5.0", "2.00")


def test_compact_tables(results: list[Result]) -> None:
    rows = cells(compact_markdown(make_tables(results)[1], "there"))
    assert rows[0] == ["rank", "entry", "score (95 %)", "kind of row"]
    assert rows[1][:2] == [NONE, "*[Perfect](there/perfect.md)*"]
    assert rows[2][:2] == ["1", "[Forest](there/forest.md)"]
    assert [row[3] for row in rows[1:3]] == ["reference", "trained here"]


def test_an_optional_column_is_there_where_a_row_has_it(make_result: Callable[..., Result]) -> None:
    (without,) = make_tables([make_result("net", 86.0)])
    assert "conservation error" not in cells(table_markdown(without, "cards"))[0]
    flux = make_result("flux", 90.0, metrics={"conservation_error": Value(value=0.0123)})
    (table,) = make_tables([flux, make_result("net", 86.0)])
    header, first, second = cells(table_markdown(table, "cards"))
    place = header.index("conservation error")
    assert (first[place], second[place]) == ("0.012", NONE)


def test_an_unknown_family_has_the_common_columns(make_result: Callable[..., Result]) -> None:
    (table,) = make_tables([make_result("a", 1.0, task="neural-operator/single-v1")])
    assert len(cells(table_markdown(table, "cards"))[0]) == 8


@pytest.mark.parametrize(
    "changes",
    [{"data_digests": {"test": "00"}}, {"task_version": 2}, {"scorer_version": "2.0"}, {"split": "valid"}],
)
def test_rows_that_cannot_be_compared_are_refused_by_name(
    make_result: Callable[..., Result], changes: dict[str, Any]
) -> None:
    rows = [make_result("old one", 1.0), make_result("new one", 2.0, **changes)]
    with pytest.raises(ResultError, match=next(iter(changes))) as caught:
        make_tables(rows)
    for expected in ("'old one'", "'new one'", "l96bench run"):
        assert expected in str(caught.value)


def test_other_tasks_may_have_other_data(make_result: Callable[..., Result]) -> None:
    other = make_result("a", 1.0, task="subgrid-forcing/arnold-c4-v1", data_digests={"test": "00"})
    assert len(make_tables([make_result("a", 1.0), other])) == 2


def test_an_entry_has_one_row(make_result: Callable[..., Result]) -> None:
    with pytest.raises(ResultError, match="several of"):
        make_tables([make_result("a", 1.0), make_result("a", 2.0)])


def test_replicates_must_be_paired(make_result: Callable[..., Result]) -> None:
    short = Score(value=1, low=0, high=2, method="m", replicates=[1.0])
    with pytest.raises(ResultError, match="number of replicates"):
        make_tables([make_result("a", 1.0), make_result("b", 1.0, score=short)])


def test_no_results_make_no_tables() -> None:
    assert make_tables([]) == ()


def test_tables_say_what_is_still_to_come(make_result: Callable[..., Result]) -> None:
    entered = {"subgrid-forcing/wilks-f20-v1": ["GRU, inferred past", "Quartic", "an <entry>"]}
    rows = [make_result("Quartic", 84.7), make_result("Quartic", 80.0, task="online-rollout/wilks-f20-v2")]
    tables = make_tables(rows, entered=lambda task: entered.get(task, ()))
    assert [one.missing for one in tables] == [("an <entry>", "GRU, inferred past"), ()]
    board = render(tables)["README.md"]
    assert board.count("Still to come") == 1
    assert "Still to come: an &lt;entry&gt;; GRU, inferred past.\n" in board
    assert "wilks-f20-v1`**; 2 more to come\n" in compact_tables(tables, "cards")
