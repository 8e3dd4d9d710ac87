"""Each flag fires on what it is for, and on nothing that the committed board holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l96bench.board.flags import KINDS, doubts, flags, marks
from l96bench.board.render import render
from l96bench.board.tables import make_tables
from l96bench.results.load import read_results
from l96bench.results.origin import FreshDraw, SubmissionInfo
from l96bench.results.record import Result
from l96bench.results.score import Value

TASK, ONLINE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"
ROOT = Path(__file__).parents[2]
Make = Callable[..., Result]


def submitted(status: str = "verified", **changes: Any) -> SubmissionInfo:
    fields = {"status": status, "authors": ["Somebody"], "artifact": "closure.onnx", "artifact_sha256": "0" * 64}
    return SubmissionInfo(**(fields | changes))


def kinds(results: list[Result], slug: str) -> list[str]:
    return [flag.kind for flag in flags(results).get((TASK, slug), [])]


@pytest.fixture
def rows(make_result: Make) -> list[Result]:
    """A ceiling, a floor, a baseline and an honest submission, each with predictions of its own."""
    reference = {"kind": "reference", "command": ""}
    return [
        make_result("Perfect", 100.0, noise=0.0, model=reference, predictions_digest="a" * 64),
        make_result("Mean", 0.0, noise=0.0, model=reference, predictions_digest="b" * 64),
        make_result("Quartic", 84.7, noise=0.3, predictions_digest="c" * 64),
        make_result("Honest", 90.0, noise=0.3, predictions_digest="d" * 64, submission=submitted()),
    ]


def test_nothing_is_flagged_on_an_honest_board(rows: list[Result]) -> None:
    assert flags(rows) == {}


@pytest.mark.slow
def test_on_the_committed_board_files_of_baselines_with_one_seed_are_their_duplicates_and_nothing_else() -> None:
    results = read_results(ROOT / "leaderboard" / "results")
    rows, found = {(row.task, row.slug): row for row in results}, flags(results)
    assert {each.kind for values in found.values() for each in values} == {"duplicate"}
    bases = {key: rows.get((key[0], key[1].removesuffix("-seed-0"))) for key in rows if key[1].endswith("-seed-0")}
    exported = {key: base for key, base in bases.items() if base is not None and len(base.model.seeds) < 2}
    assert len(exported) > 50

    def alike(one: Result, other: Result) -> bool:
        apart = np.abs(np.subtract(one.score.replicates, other.score.replicates)).max()
        return one.predictions_digest == other.predictions_digest or apart <= 0.005

    for key, base in exported.items():
        assert (key in found) == alike(rows[key], base), key
        if key in found and key[0].startswith("online-rollout"):  # offline the noise has no part in the score
            assert f"the same score as {base.model.name}" in {flag.text for flag in found[key]}
    for task, slug in found.keys() - exported.keys():  # the files of a network with its noise and without
        own = rows[task, slug]
        assert own.submission is not None
        assert sum(alike(own, row) for row in results if row.task == task) > 1


def test_a_copy_of_predictions_is_found(rows: list[Result], make_result: Make) -> None:
    copy = make_result("Copy", 84.7, noise=0.3, predictions_digest="c" * 64, submission=submitted())
    found = flags([*rows, copy])
    assert list(found) == [(TASK, "copy")]  # the baseline is no copy of what copies it
    assert found[TASK, "copy"][0].text == "the same predictions as Quartic"
    again = make_result("Again", 84.7, noise=0.4, predictions_digest="d" * 64, submission=submitted())
    assert kinds([*rows, again], "again") == kinds([*rows, again], "honest") == ["duplicate"]


def test_a_copy_with_noise_below_what_is_shown_is_found(rows: list[Result], make_result: Make) -> None:
    honest = rows[-1]
    noise = 0.001 * np.random.default_rng(0).standard_normal(len(honest.score.replicates))
    score = honest.score.model_copy(
        update={"value": 90.001, "replicates": (np.array(honest.score.replicates) + noise).tolist()}
    )
    hidden = make_result("Hidden", 90.0, predictions_digest="e" * 64, submission=submitted()).model_copy(
        update={"score": score}
    )
    assert kinds([*rows, hidden], "hidden") == ["duplicate"]
    # The same score by chance has other replicates.
    chance = make_result("Chance", 90.0, noise=0.3, predictions_digest="f" * 64, submission=submitted())
    assert kinds([*rows, chance], "chance") == []


def test_all_who_fail_alike_are_no_copies(rows: list[Result], make_result: Make) -> None:
    lost = [
        make_result(name, 0.0, noise=0.0, predictions_digest=digit * 64, submission=submitted())
        for name, digit in (("Lost", "1"), ("Gone", "2"))
    ]
    assert flags([*rows, *lost]) == {}


def test_two_baselines_may_share_their_predictions(rows: list[Result], make_result: Make) -> None:
    noisy = make_result("Quartic + AR(1)", 84.7, noise=0.3, predictions_digest="c" * 64)
    assert flags([*rows, noisy]) == {}


def test_what_is_better_than_the_ceiling_is_found(rows: list[Result], make_result: Make) -> None:
    better = make_result("Better", 104.0, noise=0.3, predictions_digest="e" * 64)
    assert kinds([*rows, better], "better") == ["above-ceiling"]
    assert kinds([*rows[1:], better], "better") == ["above-ceiling"]  # 100 is the ceiling where no row is
    near = make_result("Near", 100.1, noise=0.3, predictions_digest="e" * 64)
    assert kinds([*rows, near], "near") == []
    # A part that the score caps.
    parts = [Value(value=1.0, low=0.98, high=1.02), Value(value=1.2, low=1.1, high=1.3)]
    ceiling, capped = (
        row.model_copy(update={"metrics": {"forecast_part": part}}) for row, part in zip(rows[:3:2], parts, strict=True)
    )
    found = flags([ceiling, capped])
    assert [flag.text for flag in found[TASK, "quartic"]] == ["forecast part 1.200, the ceiling 1.000"]


def test_a_submission_is_no_reference(rows: list[Result], make_result: Make) -> None:
    model = {"kind": "reference", "command": ""}
    posing = make_result("Posing", 110.0, model=model, predictions_digest="e" * 64, submission=submitted())
    assert kinds([*rows, posing], "posing") == ["above-ceiling"]
    assert "[Posing](cards/posing.md) " in " ".join(render(make_tables([*rows, posing]))["README.md"].split())


def test_declared_test_data_and_self_reported_rows_are_marked(rows: list[Result], make_result: Make) -> None:
    row = make_result(
        "<b>Own</b> [x](y)",
        91.0,
        noise=0.3,
        predictions_digest="e" * 64,
        submission=submitted("self-reported", overlaps=["wilks-f20 test <script>"]),
    )
    found = flags([*rows, row])[TASK, row.slug]
    assert [flag.kind for flag in found] == ["test-data", "self-reported"]
    assert marks(found) == "T S"
    pages = render(make_tables([*rows, row]))
    board, card = pages["README.md"], pages[f"cards/{row.slug}.md"]
    assert "| declared (T S U) |" in board
    assert "| declared (U) " in board
    assert "<script>" not in board + card
    assert "&lt;script&gt;" in card
    assert all(kind.meaning in board for kind in KINDS)


def test_what_is_superseded_has_no_rank_and_says_by_what(rows: list[Result], make_result: Make) -> None:
    fresh = FreshDraw(seed=int("0" * 15, 16), score=91.0, difference=0.0, low=-1.0, high=1.0)
    changes: dict[str, Any] = {"fresh": fresh, "noise": 0.3}
    said = {
        "superseded_by": "new-one",
        "links": {"paper": "https://example.org/a_b~c?d=1&e=%28"},
        "training_cost": "2 hours on one H200",
        "run_as": "closure of the resolved model in LETKF (radius 3)",
    }
    old = make_result("Old one", 91.0, predictions_digest="e" * 64, submission=submitted(**said), **changes)
    new = make_result("New one", 89.0, predictions_digest="f" * 64, submission=submitted(), **changes)
    [table] = make_tables([*rows, old, new])
    ranks = {row.result.slug: (row.rank, marks(row.flags)) for row in table.rows}
    assert ranks["old-one"] == (None, "O")
    assert ranks["new-one"] == (1, "")
    card = render([table])["cards/old-one.md"]
    assert "- Superseded by: [new-one](new-one.md)\n" in card
    assert "superseded by new-one" in card
    assert "- Links: [paper](https://example.org/a_b~c?d=1&e=%28)\n" in card
    assert "- Training took: 2 hours on one H200\n" in card
    assert "- Run as: closure of the resolved model in LETKF (radius 3)\n" in card
    alone = render(make_tables([*rows, old]))["cards/old-one.md"]
    assert "- Superseded by: new-one\n" in alone


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("links", {"paper": "javascript:alert(1)"}),
        ("links", {"paper": "https://example.org/) <script>"}),
        ("links", {"<b>": "https://example.org"}),
        ("superseded_by", "../x"),
        ("superseded_by", "a](b)"),
    ],
)
def test_a_row_has_no_other_links(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        submitted(**{field: value})


def test_a_board_of_baselines_explains_no_letters(results: list[Result]) -> None:
    assert "Letters" not in render(make_tables(results))["README.md"]


def test_the_order_of_results_does_not_matter(rows: list[Result], make_result: Make) -> None:
    copies = [make_result(name, 84.7, predictions_digest="c" * 64, submission=submitted()) for name in ("One", "Two")]
    assert flags([*rows, *copies]) == flags([*copies[::-1], *rows[::-1]])


@pytest.mark.parametrize(
    ("metrics", "texts"),
    [
        ({"restart": Value(value=1.05, low=0.9, high=1.2), "training_distance": Value(value=0.94)}, []),
        ({"restart": Value(value=2.2, low=1.9, high=2.5), "training_distance": Value(value=12.9)}, []),
        ({"restart": Value(value=2.2, low=2.1, high=2.5)}, ["restart 2.2, expected at most 2"]),
        ({"restart": Value(value=1e9)}, ["restart 1e+09, expected at most 2"]),
        ({"training_distance": Value(value=0.05, low=0.0, high=0.6)}, []),
        ({"training_distance": Value(value=0.05)}, ["distance from training 0.05, expected at least 0.5"]),
        (
            {"restart": Value(value=5.7, low=5.2, high=6.3), "training_distance": Value(value=0.05)},
            ["restart 5.7, expected at most 2", "distance from training 0.05, expected at least 0.5"],
        ),
    ],
)
def test_what_is_recalled_has_no_rank(make_result: Make, metrics: dict[str, Value], texts: list[str]) -> None:
    honest = make_result("Quartic", 84.7, noise=0.3, task=ONLINE)
    row = make_result("Replay", 90.0, noise=0.3, task=ONLINE, predictions_digest="b" * 64)
    row = row.model_copy(update={"metrics": dict(row.metrics) | metrics})
    assert [flag.text for flag in doubts(row, None)] == texts
    ranks = {each.result.model.name: each.rank for each in make_tables([honest, row])[0].rows}
    assert ranks == ({"Quartic": 1, "Replay": None} if texts else {"Quartic": 2, "Replay": 1})
    elsewhere = row.model_copy(update={"task": TASK})  # which declares no such bounds
    assert doubts(elsewhere, None) == []
