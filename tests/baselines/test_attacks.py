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
BEGUN = {
    "attack-replayed-climate": "fitted-quartic",
    "attack-two-models-in-one": "fitted-quartic",
    "attack-next-row-s-past": "fitted-quartic",
    "attack-shuffled-increments": "mean-increment",
    "attack-terms-inside-a-function": "least-squares",
    "attack-fitted-noise": "expectation-maximization-quartic-ar-1",
    "attack-hedged-ensemble": "quartic-ar-1-for-all-systems",
}
"""The honest entry that knows as much as each attack, by slug."""


def test_an_attack_gains_nothing_on_what_it_began_with_and_has_no_rank() -> None:
    shown = set()
    for table in read_tables(ROOT / "leaderboard" / "results"):
        rows = {row.result.slug: row for row in table.rows}
        for slug in BEGUN.keys() & rows.keys():
            attack, honest = rows[slug], rows[BEGUN[slug]].result
            assert attack.kind == "attack"
            assert attack.rank is None
            assert "attack" in {flag.kind for flag in attack.flags}
            assert attack.behind is not None
            assert attack.behind.low is not None
            assert attack.behind.low > 0.0, f"{slug} on {table.task} cannot be told from the best"
            gain = l96bench.compare(attack.result, honest)
            print(f"{table.task}: {slug} {attack.result.score.value:.1f}, {gain.difference:+.1f} on {honest.slug}")
            assert gain.low < 0.0
            shown.add((attack.result.model.name, table.task))
    entered = [(find_entry(name)[0], make_task(id)) for name in ATTACKS for id in list_tasks()]
    assert shown == {(entry.name, task.id) for entry, task in entered if entry.accepts(task)}


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
