"""The command line: one thin function a command."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from l96bench.board.commands import app as seasons
from l96bench.entries.commands import Fresh, Limit, Seeds, Tasks, require_one_of
from l96bench.entries.commands import app as entries
from l96bench.errors import TRACEBACK, L96BenchError, ModelWarning, is_users, place_of
from l96bench.extras import pip_line
from l96bench.processes import ended_by_signals
from l96bench.results.load import find_board, read_results
from l96bench.submissions.commands import Entry
from l96bench.submissions.commands import app as submissions
from l96bench.tasks.commands import Dask, Jobs, Regimes
from l96bench.tasks.commands import app as data

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
app.add_typer(data, name="data")
app.add_typer(entries)
app.add_typer(submissions)
app.add_typer(seasons)

_INTERRUPTED = 130
"""The exit code of a command that Ctrl-C interrupts."""
_BROKEN_PIPE = 141
"""The exit code of a command whose output nobody reads any more."""

Results = Annotated[Path, typer.Option(help="Folder of result files.")]
Compared = Annotated[
    Path | None, typer.Option("--results", help="Folder of result files; those of the board if there is one.")
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error of l96bench ends it with a message and exit code 2.

    Ctrl-C and the signals TERM and HUP end it, and all processes that it has started, with 128 and their number.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    traced = "--traceback" in given
    with _shown(traced), ended_by_signals() as status:
        try:
            app(args=[each for each in given if each != "--traceback"])
        except BrokenPipeError:
            _end_unread()
        except (L96BenchError, OSError) as error:
            _fail(error, str(error), traced)
        except (SystemExit, KeyboardInterrupt) as end:
            if isinstance(end.__context__, BrokenPipeError):  # as Click ends a command
                _end_unread()
            if isinstance(end, SystemExit) and end.code != _INTERRUPTED:
                if is_users(end):  # it is not for an entry to say how the command ends
                    _fail(end, f"the code called sys.exit({end.code!r}){place_of(end)}", traced)
                raise
            print("l96bench: interrupted; what is finished is kept, the same command carries on", file=sys.stderr)
            raise SystemExit(status()) from None


def _end_unread() -> NoReturn:
    """Exit because whoever read the output has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(_BROKEN_PIPE) from None


def _fail(error: BaseException, message: str, traced: bool) -> NoReturn:
    """Print the message of an error, and its traceback if it is requested, and exit."""
    if traced or os.environ.get(TRACEBACK, "0") not in {"", "0"}:
        traceback.print_exception(error)
    if isinstance(error, OSError):
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        message += "; make room there" if full else "; expected files and folders that can be read and written"
    print(f"l96bench: {message}", file=sys.stderr)
    raise SystemExit(2) from error


@contextmanager
def _shown(traced: bool) -> Iterator[None]:
    """Show warnings about models as one line, and tracebacks in all processes if they are requested."""
    before, show = os.environ.get(TRACEBACK), warnings.showwarning

    def line(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, ModelWarning):
            print(f"l96bench: warning: {message}", file=sys.stderr)
        else:
            show(message, category, *where, **more)

    warnings.showwarning = line
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that lacks a letter shows its number
        sys.stdout.reconfigure(errors="backslashreplace")
    if traced:
        os.environ[TRACEBACK] = "1"
    try:
        yield
    finally:
        warnings.showwarning = show
        if traced and before is None:
            del os.environ[TRACEBACK]


def _version(asked: bool) -> None:
    if asked:
        from l96bench import __version__

        print(f"l96bench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and exit.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--traceback", help="Show tracebacks whole, as L96BENCH_TRACEBACK=1 does; anywhere.")
    ] = False,
) -> None:
    """Standard tasks, baselines and a leaderboard for machine-learned closures of the Lorenz-96 system."""


def run_script(path: str) -> None:
    """Run ``l96bench run`` on a baseline script, with the script's own arguments.

    Parameters
    ----------
    path : str
        The script.

    Examples
    --------
    >>> import sys
    >>> import l96bench
    >>> given, sys.argv = sys.argv, ["slope.py", "--no-such-option"]
    >>> try:
    ...     l96bench.run_script("slope.py")
    ... except SystemExit as end:
    ...     print(end.code)
    ...
    2
    >>> sys.argv = given
    """
    main(["run", path, *sys.argv[1:]])


@app.command("tasks")
def tasks_command(family: Annotated[str | None, typer.Argument(help="Only this family.")] = None) -> None:
    """List the ids of all tasks."""
    from l96bench.tasks.registry import list_tasks

    print("\n".join(list_tasks(family)))


@app.command()
def run(
    entries: Annotated[
        list[str] | None,
        typer.Argument(help="Baselines (key or title), scripts, or MODULE:OBJECT; if none, the quick ones."),
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
    seeds: Seeds = None,
    fresh: Fresh = False,
    limit: Limit = 4 * 3600.0,
) -> None:
    """Train and score entries, and write a result file for each entry and task.

    Without entries: the quick baselines; with --all every baseline. Without tasks and regimes: those of the quick board
    of each entry's families. An interrupted run carries on where it stopped. A submission's folder is scored.
    """
    from l96bench.entries.run import broken_entries, plan, run_jobs
    from l96bench.submissions.commands import score_submission
    from l96bench.submissions.names import resolve

    require_one_of(task, regime)
    if entries and every:
        raise L96BenchError("expected names of entries or --all, got both")
    broken = broken_entries(entries or (), limit)
    named = [resolve(each) for each in entries or () if each not in broken]
    for each in named:
        if each.kind == "folder":
            score_submission(Path(each.text), task, output, False)
    scripts = [each.script() for each in named if each.kind != "folder"]
    planned = []
    if scripts or not entries:
        planned = plan(scripts or None, task or None, regime or None, every=every, slow=slow, report=print)
    run_jobs(
        planned,
        output,
        n_jobs=jobs,
        n_seeds=seeds,
        fresh=fresh,
        dask=dask,
        limit=limit,
        apart=True,
        faults=[f"{name}: {fault}" for name, fault in broken.items()],
        report=partial(print, flush=True),
    )


@app.command()
def score(
    model: Annotated[
        str,
        typer.Argument(
            help="A submission's folder; a file closure.onnx, equations.yaml or .json, or predictions.npz with arrays "
            "test and, if wanted, shift; MODULE:OBJECT; an entry, which is trained first; or a result file."
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
    from l96bench.submissions.names import resolve
    from l96bench.submissions.score import score_model

    named = resolve(model)
    if named.kind == "folder":
        score_submission(Path(model), task, output, allow_python)
        return
    if named.result is not None:
        _print_result(named.result)
        return
    if task is None or len(task) != 1:
        raise L96BenchError(f"expected one --task for {model}, got {task or 'none'}; `l96bench tasks` lists them")
    result = score_model(named.text, task[0])
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
    results: Compared = None,
    output: Annotated[Path | None, typer.Option(help="Write the tables, the cards and the page here.")] = None,
    readme: Annotated[Path | None, typer.Option(help="README whose tables are written as well.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write them into the folder of the board.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the tables are out of date.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the tables, which is done when nothing else is.")] = False,
    beside: Annotated[bool, typer.Option("--beside", help="Print them among the board's rows of their tasks.")] = False,
) -> None:
    """Print the tables of result files, those of the board if not given; or write them, the cards and the page."""
    from l96bench.board import publish

    rows = find_board() / "results" if results is None else results
    place = output
    if output is None and (write or check or readme is not None):
        if rows.name != "results" or not (rows.parent / publish.PAGE).is_file():
            raise L96BenchError(f"{rows}: expected --output with results that are no board's, or those of a board")
        place = rows.parent
    if check and place is not None:
        differences = publish.check(rows, place, readme)
        print("\n".join(differences) or f"{place}: up to date with {rows}")
        raise typer.Exit(1 if differences else 0)
    if place is not None:
        publish.write(rows, place, readme)
        print(f"{place}: written from {rows}")
        if not (place / publish.PARQUET).is_file():
            print(f"{publish.PARQUET} is left out; it needs {pip_line('parquet')}", file=sys.stderr)
    if show or place is None:
        print(publish.text(rows, find_board() if beside else None))


@app.command()
def card(name: Entry, results: Compared = None) -> None:
    """Print an entry's card: all its tasks side by side, offline against online."""
    from l96bench.board import publish

    print(publish.card(find_board() / "results" if results is None else results, name))


@app.command()
def report(
    entry: Entry,
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
    entry: Entry,
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

    rows = []
    with suppress(L96BenchError) if results is None else nullcontext():
        rows = read_results(find_board() / "results" if results is None else results)
    return make_report(entry, regime, output, rows, only=only or None, seed=seed)


if __name__ == "__main__":
    main()
