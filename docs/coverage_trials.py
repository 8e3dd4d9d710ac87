"""Fresh instances of `equation-recovery` scored one by one, each set of ten kept in the cache folder."""

from functools import lru_cache

import joblib

import l96bench

TEXTBOOK = "textbook equation"
CEILING = "true equations"


@lru_cache(maxsize=1)
def fresh_task(regime: str, seed: int) -> l96bench.EquationRecovery:
    """Return a track with the ten instances that a seed draws."""
    task = l96bench.make_task(f"equation-recovery/{regime}-v1")
    assert isinstance(task, l96bench.EquationRecovery)
    return task.fresh(seed)


def scored(regime: str, entry: str, seed: int) -> list[float]:
    """Return the mean score of an entry on each of the ten instances that a seed draws."""
    task = fresh_task(regime, seed)
    references = {TEXTBOOK: "literature", CEILING: "ceiling"}
    if entry in references:
        result = task.references[references[entry]].evaluate()
    else:
        result = task.evaluate(l96bench.find_entry(entry)[0].make(task, 0), progress=False)
    return result.series["score_by_instance"]


def scores_on_fresh(regime: str, entry: str, n_sets: int) -> list[list[float]]:
    """Return the scores (set, instance) of an entry on sets of instances that the seeds 1, 2, .. draw."""
    keep = joblib.Memory(l96bench.cache_folder() / "coverage", verbose=0).cache(scored)
    return [keep(regime, entry, seed) for seed in range(1, n_sets + 1)]
