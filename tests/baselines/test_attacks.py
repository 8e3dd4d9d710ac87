"""What does not win: the attacks among the baselines, on miniatures and by their committed rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import l96bench
from l96bench.board.tables import read_tables
from l96bench.entries.lookup import find_entry
from l96bench.tasks.registry import list_tasks, make_task

ROOT = Path(__file__).resolve().parents[2]
ATTACKS = sorted(path.stem for path in (ROOT / "baselines").glob("attack_*.py"))
HONEST = {
    "online-rollout": "fitted-quartic",
    "da-increment": "linear-increment",
    "equation-recovery": "sindy-stlsq",
    "observed-closure": "expectation-maximization-quartic-ar-1",
    "unseen-physics": "similarity-probabilistic-rnn",
}
"""An honest entry of each family, below which attacks stay: the literature's where it is told apart from them."""


def test_every_attack_has_its_row_below_an_honest_entry_and_no_rank() -> None:
    titles = {find_entry(name)[0].name for name in ATTACKS}
    shown = set()
    for table in read_tables(ROOT / "leaderboard" / "results"):
        honest = next((row for row in table.rows if row.result.slug == HONEST.get(table.family)), None)
        for row in (each for each in table.rows if each.kind == "attack"):
            assert honest is not None, table.task
            assert row.rank is None
            assert "attack" in {flag.kind for flag in row.flags}
            assert row.behind is not None
            assert row.behind.low is not None
            assert row.behind.low > 0.0, f"{row.result.model.name} on {table.task}"
            lost = l96bench.compare(honest.result, row.result)
            print(f"{table.task}: {row.result.model.name} {row.result.score.value:.1f}, {lost.difference:.1f} below")
            if row.result.slug == "attack-next-row-s-past":  # the quartic itself, bent towards a past of another's
                assert lost.high > 0.0
            else:
                assert lost.low > 0.0
            shown.add((row.result.model.name, table.task))
    entered = [(find_entry(name)[0], make_task(id)) for name in ATTACKS for id in list_tasks()]
    assert shown == {(entry.name, task.id) for entry, task in entered if entry.accepts(task)}
    assert {name for name, _ in shown} == titles


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_trained_and_scored_like_any_other_entry(name: str) -> None:
    entry, _ = find_entry(name)
    assert entry.kind == "attack"
    assert not entry.quick
    task = next(make_task(id) for id in list_tasks() if entry.accepts(make_task(id))).miniature()
    model, _ = entry.train(task, 0)
    result = task.evaluate(model, entry.info(task, model, 0, f"l96bench run {name}"))
    assert np.isfinite(result.score.replicates).all()
    assert result.score.value < 90.0
    assert not result.competes
