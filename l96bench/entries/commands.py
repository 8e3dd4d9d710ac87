"""The command line's sweep over the options of an entry, and the options that it shares with ``run``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from l96bench.errors import L96BenchError
from l96bench.tasks.commands import Dask, Jobs, Regimes

__all__ = ["Fresh", "Limit", "Seeds", "Tasks", "app", "require_one_of"]

app = typer.Typer()

Tasks = Annotated[list[str] | None, typer.Option("--task", help="Task id; repeat for several.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="At most so many training seeds.")]
Fresh = Annotated[bool, typer.Option(help="Train and score again what is already in the cache.")]
Limit = Annotated[
    float, typer.Option("--time-limit", min=1.0, help="Seconds for training a seed, and for scoring it on a task.")
]


def require_one_of(task: list[str] | None, regime: list[str] | None) -> None:
    """Raise `L96BenchError` if tasks are chosen by their ids and by their regimes."""
    if task and regime:
        raise L96BenchError("expected --task or --regime, got both; the id of a task names its regime")


@app.command()
def sweep(
    entry: Annotated[str, typer.Argument(help="Baseline (key or title), script, or MODULE:OBJECT.")],
    option: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE,VALUE", help="A parameter of its models and values; repeat for several."),
    ],
    task: Tasks = None,
    regime: Regimes = None,
    output: Annotated[Path, typer.Option(help="Table of the results to write, as CSV.")] = Path("sweep.csv"),
    draw: Annotated[int, typer.Option(min=0, help="Seed of the test data.")] = 0,
    jobs: Jobs = None,
    dask: Dask = None,
    seeds: Seeds = None,
    fresh: Fresh = False,
    limit: Limit = 4 * 3600.0,
) -> None:
    """Score an entry with every combination of options, on test data that are drawn anew, not the board's.

    Prints a line a result and writes a table, the best first. An interrupted sweep carries on where it stopped.
    """
    from l96bench.entries.options import parse_options
    from l96bench.entries.run import CEILING, broken_entries, plan
    from l96bench.entries.sweep import sweep as scored
    from l96bench.files import write_atomic

    require_one_of(task, regime)
    if output.is_dir():
        raise L96BenchError(f"expected a file for --output, got the folder {str(output)!r}; try {output / 'sweep.csv'}")
    output.parent.mkdir(parents=True, exist_ok=True)
    options = parse_options(option)
    for fault in broken_entries([entry], limit).values():
        raise L96BenchError(f"{entry}: {fault}")
    tasks = [job.task for job in plan([entry], task or None, regime or None) if job.entry != CEILING]
    frame = scored(
        entry,
        options,
        tasks,
        seeds=seeds,
        draw=draw,
        n_jobs=jobs,
        dask=dask,
        limit=limit,
        apart=True,
        fresh=fresh,
        report=partial(print, flush=True),
    )
    write_atomic(output, frame.to_csv(index=False))
    print(f"{output}: {len(frame)} rows")
    if failed := int((frame["fault"] != "").sum()):
        raise L96BenchError(f"{failed} of {len(frame)} failed; the column `fault` of {output} says why")
