"""The commands of data sets: one thin function a command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="The data sets: what there is, make, check and export them.", no_args_is_help=True)

Regimes = Annotated[list[str] | None, typer.Option("--regime", help="Regime or track; repeat for several.")]
Splits = Annotated[list[str] | None, typer.Option("--split", help="Split; repeat for several. All if not given.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes; all processors if not given.")]
Dask = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler, tcp://host:8786, whose workers do it instead.")
]


@app.command("list")
def data_list(
    regime: Regimes = None,
    split: Splits = None,
    every: Annotated[bool, typer.Option("--all", "--long", help="A line for every split.")] = False,
) -> None:
    """Show the regimes and tracks, and how much of their data the cache holds; with --all every split and its size."""
    from itertools import groupby

    from rich.console import Console
    from rich.table import Table

    from l96bench.data.store import cache_folder
    from l96bench.tasks.datasets import data_sets

    sets = data_sets(regime, split)
    if every or split:
        table = Table("regime or track", "split", "size", "cache", "purpose")
        for each in sets:
            table.add_row(each.owner, each.name, each.size, each.state(), each.purpose)
    else:
        table = Table("regime or track", "data sets", "in the cache")
        for owner, group in groupby(sets, lambda each: each.owner):
            own = list(group)
            table.add_row(owner, str(len(own)), str(sum(each.state() == "intact" for each in own)))
    Console().print(table)
    print(f"cache: {cache_folder()}")


@app.command("make")
def data_make(regime: Regimes = None, split: Splits = None, jobs: Jobs = None, dask: Dask = None) -> None:
    """Make the data sets that the cache does not hold."""
    from l96bench.tasks.datasets import data_sets, make_data_sets

    for key in make_data_sets(data_sets(regime, split), n_jobs=jobs, dask=dask):
        print(key, flush=True)


@app.command("verify")
def data_verify(
    regime: Regimes = None,
    split: Splits = None,
    threads: Annotated[int | None, typer.Option(help="Threads; the bits do not depend on it.")] = None,
) -> None:
    """Make data sets anew, without the cache, and compare their SHA-256 with those recorded; exit 1 on a difference."""
    from l96bench.tasks.datasets import data_sets

    wrong = 0
    for each in data_sets(regime, split):
        for array, digest in each.remake(None, threads).items():
            same = each.digests.get(array) == digest
            wrong += not same
            print(f"{'ok  ' if same else 'DIFF'} {digest} {each.key}/{array}")
    raise typer.Exit(1 if wrong else 0)


@app.command("record")
def data_record(regime: Regimes = None, split: Splits = None) -> None:
    """For maintainers: make data sets and print their digests as lines for l96bench/data/digests.json."""
    from l96bench.tasks.datasets import data_sets

    for each in data_sets(regime, split):
        for array, digest in each.remake().items():
            print(f'  "{each.key}/{array}": "{digest}",')


@app.command("export")
def data_export(
    task: Annotated[str, typer.Argument(help="Task id.")],
    path: Annotated[Path, typer.Argument(help="Folder of the files, one a split.")],
) -> None:
    """Write a task's splits as NetCDF files with CF conventions, and croissant.json, which describes them."""
    from l96bench.tasks.export import export_data
    from l96bench.tasks.registry import make_task

    for written in export_data(make_task(task), path):
        print(written)
