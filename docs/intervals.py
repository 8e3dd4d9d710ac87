"""Give the rows of a folder the stretched intervals, without scoring them again; rows that have them stay as they are.

    python docs/intervals.py leaderboard/results

Only ends of intervals, `blocks` and the name of the method change: they follow from each row's replicates and ends.
"""

import argparse
from pathlib import Path

import l96bench
from l96bench.metrics import Draws
from l96bench.metrics.uncertainty import stretched
from l96bench.results.record import SCALE, STRETCHED, Value
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.recovery_summary import bounds

PERCENTILE = "percentile interval"


def renewed(row: l96bench.Result) -> l96bench.Result:
    """Return a row with stretched intervals, the same row if it has them or needs none."""
    task, old = l96bench.make_task(row.task), row.score
    score = old.model_copy(update={"blocks": task.blocks})
    if STRETCHED in old.method or score.draws == Draws():
        return row
    ends = stretched((old.low, old.high), old.value, score.draws.stretch(old.replicates, old.level), SCALE)
    few = isinstance(task, EquationRecovery)
    method = old.method.replace(PERCENTILE, STRETCHED) if few else f"{old.method}, {STRETCHED}"
    score = score.model_copy(update={"low": ends[0], "high": ends[1], "method": method})
    metrics = row.metrics
    if few:
        metrics = {key: metric(key, value, task.track.n_instances) for key, value in row.metrics.items()}
    return row.model_copy(update={"score": score, "metrics": metrics})


def metric(key: str, old: Value, instances: int) -> Value:
    """Return a metric of a row of recovery with a stretched interval."""
    if old.low is None or old.high is None:
        return old
    name, _, strength = key.partition("_h_")
    name = name.partition("_noise_")[0].partition("_budget_")[0]
    factor = Draws(instances // 2 if strength else instances).stretch([0.0, 1.0])
    low, high = stretched((old.low, old.high), old.value, factor, bounds(name))
    # Rounded as `combine_seeds` does, through which rows of one seed go too.
    return old.model_copy(update={"low": old.value - (old.value - low), "high": old.value + (high - old.value)})


def main() -> None:
    """Rewrite the rows of the folders that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    for folder in parser.parse_args().folders:
        for path in sorted(folder.rglob("*.json")):
            row = l96bench.Result.read(path)
            if (new := renewed(row)) is not row:
                new.write(path)


if __name__ == "__main__":
    main()
