"""The command line: one thin function a command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from l96bench.board.commands import app as seasons
from l96bench.errors import L96BenchError
from l96bench.submissions.commands import app as submissions

if TYPE_CHECKING:
    from l96bench.diagnostics import Section
    from l96bench.results.record import Result

app = typer.Typer(
    name="l96bench",
    help="Standard tasks, baselines and a leaderboard for machine-learned closures of the Lorenz-96 system.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data = typer.Typer(help="The data sets: what there is, make, check and export them.", no_args_is_help=True)
app.add_typer(data, name="data")
app.add_typer(submissions)
app.add_typer(seasons)

_INTERRUPTED = 130
"""The exit code with which typer ends on an interrupt."""

Regimes = Annotated[list[str] | None, typer.Option("--regime", help="Regime or track; repeat for several.")]
Splits = Annotated[list[str] | None, typer.Option("--split", help="Split; repeat for several. All if not given.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="Task id; repeat for several.")]
Jobs = Annotated[int | None, typer.Option(help="Processes; all processors if not given.")]
Dask = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler, tcp://host:8786, whose workers do it instead.")
]
Results = Annotated[Path, typer.Option(help="Folder of result files.")]
Compared = Annotated[
    Path | None, typer.Option("--results", help="Folder of result files; leaderboard/results if there is one.")
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error of ours ends it with its message and exit code 2."""
    try:
        app(args=None if arguments is None else list(arguments))
    except L96BenchError as error:
        print(f"l96bench: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            print("l96bench: interrupted; what is finished is kept, the same command carries on", file=sys.stderr)
        raise


def run_script(path: str) -> None:
    """What a baseline script does when it is run: ``l96bench run`` of itself, with the script's own arguments."""
    main(["run", path, *sys.argv[1:]])


@data.command("list")
def data_list(regime: Regimes = None, split: Splits = None) -> None:
    """Show every data set: its size, and whether the cache holds it."""
    from rich.console import Console
    from rich.table import Table

    from l96bench.data.store import cache_folder
    from l96bench.tasks.datasets import data_sets

    table = Table("regime or track", "split", "size", "cache", "purpose")
    for each in data_sets(regime, split):
        table.add_row(each.owner, each.name, each.size, each.state(), each.purpose)
    Console().print(table)
    print(f"cache: {cache_folder()}")


@data.command("make")
def data_make(regime: Regimes = None, split: Splits = None, jobs: Jobs = None, dask: Dask = None) -> None:
    """Make the data sets that the cache does not hold."""
    from l96bench.tasks.datasets import data_sets, make_data_sets

    for key in make_data_sets(data_sets(regime, split), n_jobs=jobs, dask=dask):
        print(key, flush=True)


@data.command("verify")
def data_verify(
    regime: Regimes = None,
    split: Splits = None,
    threads: Annotated[int | None, typer.Option(help="Threads; the bits do not depend on it.")] = None,
) -> None:
    """Make data sets anew, without the cache, and compare their SHA-256 with those recorded; exit 1 on a difference."""
    from l96bench.data.store import digests
    from l96bench.tasks.datasets import data_sets

    recorded, wrong = digests(), 0
    for each in data_sets(regime, split):
        for array, digest in each.remake(None, threads).items():
            same = recorded.get(f"{each.key}/{array}") == digest
            wrong += not same
            print(f"{'ok  ' if same else 'DIFF'} {digest} {each.key}/{array}")
    raise typer.Exit(1 if wrong else 0)


@data.command("record")
def data_record(regime: Regimes = None, split: Splits = None) -> None:
    """For maintainers: make data sets and print their digests as lines for l96bench/data/digests.json."""
    from l96bench.tasks.datasets import data_sets

    for each in data_sets(regime, split):
        for array, digest in each.remake().items():
            print(f'  "{each.key}/{array}": "{digest}",')


@data.command("export")
def data_export(
    task: Annotated[str, typer.Argument(help="Task id.")],
    path: Annotated[Path, typer.Argument(help="Folder of the files, one a split.")],
) -> None:
    """Write a task's splits as NetCDF files."""
    from l96bench.data.export import write_netcdf
    from l96bench.tasks.registry import make_task

    for written in write_netcdf(make_task(task).to_xarray(), path):
        print(written)


@app.command("tasks")
def tasks_command(family: Annotated[str | None, typer.Argument(help="Only this family.")] = None) -> None:
    """List the ids of all tasks."""
    from l96bench.tasks.registry import list_tasks

    print("\n".join(list_tasks(family)))


@app.command()
def run(
    entries: Annotated[
        list[str] | None, typer.Argument(help="Baselines, paths of scripts, or MODULE:OBJECT; if none, the quick ones.")
    ] = None,
    task: Tasks = None,
    regime: Regimes = None,
    output: Results = Path("results"),
    every: Annotated[
        bool, typer.Option("--all", help="All baselines, not only the quick ones, on all regimes and tracks.")
    ] = False,
    slow: Annotated[bool, typer.Option(help="With those that train for minutes a seed.")] = True,
    jobs: Jobs = None,
    dask: Dask = None,
    seeds: Annotated[int | None, typer.Option(help="At most so many training seeds.")] = None,
    fresh: Annotated[bool, typer.Option(help="Train and score again what is already in the cache.")] = False,
) -> None:
    """Train and score entries, and write a result file for each entry and task.

    Without entries: the quick baselines; with --all every baseline. An interrupted run carries on where it stopped.
    """
    from l96bench.entries.run import plan, run_jobs

    if task and regime:
        raise L96BenchError("expected --task or --regime, got both; the id of a task names its regime")
    if entries and every:
        raise L96BenchError("expected names of entries or --all, got both")
    planned = plan(entries or None, task or None, regime or None, every=every, slow=slow)
    run_jobs(planned, output, n_jobs=jobs, n_seeds=seeds, fresh=fresh, dask=dask, report=partial(print, flush=True))


@app.command()
def score(
    model: Annotated[
        str,
        typer.Argument(
            help="A submission's folder; a file closure.onnx, equations.yaml or .json, or predictions.npz with arrays "
            "test and, if wanted, shift; or MODULE:OBJECT."
        ),
    ],
    task: Annotated[
        list[str] | None, typer.Option(help="Task id; of a submission's folder, repeat for several, all if not given.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to write the result files into.")] = None,
    allow_python: Annotated[
        bool, typer.Option("--allow-python", help="Also run python: artifacts of a submission's folder.")
    ] = False,
) -> None:
    """Score a submission's folder, or a ready model, or a file of predictions or equations on one task."""
    from l96bench.entries.run import result_path
    from l96bench.submissions.commands import score_submission
    from l96bench.submissions.score import score_model

    if Path(model).is_dir():
        score_submission(Path(model), task, output, allow_python)
        return
    if task is None or len(task) != 1:
        raise L96BenchError(f"expected one --task for {model}, got {task or 'none'}; `l96bench tasks` lists them")
    result = score_model(model, task[0])
    _print_result(result)
    if output is not None:
        result.write(result_path(output, result))


def _print_result(result: Result) -> None:
    print(f"{result.task}  {result.model.name}")
    print(f"score {result.score.value:.2f} [{result.score.low:.2f}, {result.score.high:.2f}]")
    for name, value in result.metrics.items():
        ends = "" if value.low is None else f" [{value.low:.4g}, {value.high:.4g}]"
        print(f"  {name} {value.value:.4g}{ends}")
    failures = result.failures
    print(f"  failures: {failures.non_finite} not finite, {failures.diverged} diverged, of {failures.of}")


@app.command()
def leaderboard(
    results: Results = Path("leaderboard/results"),
    output: Annotated[Path, typer.Option(help="Folder of the tables, the cards and the page.")] = Path("leaderboard"),
    readme: Annotated[Path | None, typer.Option(help="README whose tables are made as well.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the tables are out of date.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the tables.")] = False,
) -> None:
    """Make the tables, the cards and the page index.html from the result files."""
    from l96bench.board import publish

    if check:
        differences = publish.check(results, output, readme)
        print("\n".join(differences) or f"{output}: up to date with {results}")
        raise typer.Exit(1 if differences else 0)
    publish.write(results, output, readme)
    if show:
        print(publish.text(results))


@app.command()
def card(
    name: Annotated[str, typer.Argument(help="Name of an entry.")],
    results: Results = Path("leaderboard/results"),
) -> None:
    """Print an entry's card: all its tasks side by side, offline against online."""
    from l96bench.board import publish

    print(publish.card(results, name))


@app.command()
def report(
    entry: Annotated[str, typer.Argument(help="A baseline, the path of a script, or MODULE:OBJECT.")],
    regime: Annotated[str | None, typer.Option(help="Regime or track; the entry's first if not given.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder; reports/ENTRY-PLACE if not given.")] = None,
    results: Compared = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Name of a diagnostic; repeat for several.")] = None,
    seed: Annotated[int | None, typer.Option(help="Training seed; the entry's first if not given.")] = None,
) -> None:
    """Train an entry and write one page of all diagnostics, with a picture of each."""
    path, sections = _diagnosed(entry, regime, output, results, only, seed)
    for section in sections:
        if section.figure is None:
            print(f"{section.name}: {section.caption}")
    print(path)


@app.command()
def diagnose(
    name: Annotated[str, typer.Argument(help="Name of a diagnostic, such as skill or attribution.")],
    entry: Annotated[str, typer.Argument(help="A baseline, the path of a script, or MODULE:OBJECT.")],
    regime: Annotated[str | None, typer.Option(help="Regime or track; the entry's first if not given.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder; reports/ENTRY-PLACE if not given.")] = None,
    results: Compared = None,
    seed: Annotated[int | None, typer.Option(help="Training seed; the entry's first if not given.")] = None,
) -> None:
    """Train an entry, print the numbers of one diagnostic, and write its picture."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    path, (section,) = _diagnosed(entry, regime, output, results, [name], seed)
    print(section.caption)
    if section.figure is None:
        return
    table = Table(box=box.SIMPLE)
    for cell in section.header:
        table.add_column(Text(cell))
    for row in section.rows:
        table.add_row(*map(Text, row))
    Console().print(table)
    print(path.with_name(f"{section.name}.png"))


def _diagnosed(
    entry: str,
    regime: str | None,
    output: Path | None,
    results: Path | None,
    only: Sequence[str] | None,
    seed: int | None,
) -> tuple[Path, list[Section]]:
    from l96bench.diagnostics import make_report
    from l96bench.results.load import load_results

    published = Path("leaderboard/results")
    rows = load_results(results) if results is not None else load_results(published) if published.is_dir() else []
    return make_report(entry, regime, output, rows, only=only or None, seed=seed)


if __name__ == "__main__":
    main()
