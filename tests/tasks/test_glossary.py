"""The glossary: every number of every committed row has a definition, a unit and a direction that the rows bear out."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import l96bench
from l96bench.metrics import Metric, find_metric, with_shift
from l96bench.tasks import families

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = [name for name, family in families().items() if family.__module__.startswith("l96bench.")]


@cache
def rows(family: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(ROOT.glob(f"leaderboard/results/{family}/*/*.json"))]


@pytest.mark.slow
def test_every_number_is_defined_and_every_definition_is_used() -> None:
    used = set()
    for family in FAMILIES:
        metrics = l96bench.glossary(family)
        reported = {(key, part) for row in rows(family) for part in ("metrics", "series") for key in row[part]}
        for key, part in sorted(reported):
            (own,) = (each for each in metrics if bool(each.axis) == (part == "series") and each.at(key))
            used.add(own)
            found = find_metric(metrics, key, curve=part == "series")
            assert found is not None
            assert found.key == key
            assert "{" not in found.title + found.definition
    assert used == {each for family in FAMILIES for each in l96bench.glossary(family)}


@pytest.mark.parametrize("family", FAMILIES)
def test_columns_are_defined(family: str) -> None:
    metrics = l96bench.glossary(family)
    assert all(find_metric(metrics, column.key) for column in families()[family].columns)


@pytest.mark.parametrize("family", FAMILIES)
def test_directions_lead_from_the_floor_to_the_ceiling(family: str) -> None:
    """In every table, the best row is nowhere worse than the worst, but for chance."""
    metrics = l96bench.glossary(family)
    tables: dict[str, list[dict[str, Any]]] = {}
    for row in rows(family):
        tables.setdefault(row["task"], []).append(row)
    for task, own in tables.items():
        by_score = sorted(own, key=lambda row: row["score"]["value"])
        worst, best = by_score[0]["metrics"], by_score[-1]["metrics"]
        for key in worst.keys() & best.keys():
            better, low, high = find_metric(metrics, key).better, worst[key]["value"], best[key]["value"]
            if better == "lower":
                low, high = -low, -high
            elif isinstance(better, float):
                low, high = -abs(low - better), -abs(high - better)
            assert better in ("none", "truth") or high >= low - 1e-12, (task, key, low, high)


def test_a_glossary_is_that_of_a_name_a_class_a_task_or_an_id() -> None:
    task = l96bench.make_task("online-rollout/wilks-f20-v2")
    assert l96bench.glossary(task) == l96bench.glossary(task.id) == l96bench.glossary(type(task))
    assert l96bench.glossary("online-rollout") == l96bench.glossary(task)
    with pytest.raises(l96bench.UnknownIdError, match="online-rollout"):
        l96bench.glossary("online-rolout")


def test_names_in_braces_stand_for_numbers() -> None:
    metric = Metric(
        "r2_quantile_{low}_{high}", "from {low} to {high}", "Of {low} to {high}, not X_{k+1}.", "1", "higher"
    )
    found = metric.at("r2_quantile_05_25")
    assert found == Metric("r2_quantile_05_25", "from 5 to 25", "Of 5 to 25, not X_{k+1}.", "1", "higher")
    assert [metric.at(key) for key in ("r2_quantile_05", "r2_quantile_a_b", "r2")] == [None] * 3
    assert Metric("f1_h_{h}", "h {h}", "At {h}.", "1", "higher").at("f1_h_0_1").title == "h 0.1"


def test_labels_have_unit_and_direction() -> None:
    rmse = Metric("rmse", "RMSE", "Error.", "X", "lower")
    assert [each.label for each in with_shift(rmse)] == [
        "RMSE (X, lower is better)",
        "RMSE, shift (X, lower is better)",
    ]
    assert Metric("bias", "bias", "Mean error.", "1", 0.0).label == "bias (best at 0)"


def test_incomplete_entries_are_refused() -> None:
    with pytest.raises(l96bench.L96BenchError, match="definition"):
        Metric("rmse", "RMSE", "", "X", "lower")
    with pytest.raises(l96bench.L96BenchError, match=r"rmse.*higher.*up"):
        Metric("rmse", "RMSE", "Error.", "X", "up")  # type: ignore[arg-type]
