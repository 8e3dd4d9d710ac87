"""The commands around submissions: one thin function a command."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from l96bench.errors import L96BenchError, SubmissionError, shortened
from l96bench.results.load import find_board
from l96bench.tasks.commands import Jobs

__all__ = ["app"]

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(help="Folder with submission.yaml and its artifacts.")]
Entry = Annotated[
    str,
    typer.Argument(
        help="A baseline (key or title), a script, MODULE:OBJECT, a submission's folder, an artifact or a result file."
    ),
]
Board = Annotated[
    Path | None, typer.Option(help="The board's folder, with results/ and submissions/; found from any folder in it.")
]
Code = Annotated[
    bool, typer.Option("--allow-python", help="Also run python: artifacts: the code of whoever wrote them.")
]
Seconds = Annotated[float, typer.Option(help="Limit of each row in processor seconds.")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    family: Annotated[str, typer.Option(help="The family of tasks that the example enters.")] = "subgrid-forcing",
) -> None:
    """Write an example submission that works as it is."""
    from l96bench.submissions.example import write_example

    for path in write_example(folder, family):
        print(path)


@app.command()
def export(
    entry: Entry,
    folder: Annotated[Path, typer.Argument(help="A new folder, or with --add an old one.")],
    regime: Annotated[list[str] | None, typer.Option(help="Regime or track; repeat for several.")] = None,
    seed: Annotated[int, typer.Option(help="Training seed.")] = 0,
    author: Annotated[list[str] | None, typer.Option(help="Of the submission; repeat for several.")] = None,
    add: Annotated[bool, typer.Option("--add", help="Add the regimes to a folder that was exported before.")] = False,
) -> None:
    """Train an entry and write it as a submission, which is scored without the entry's code.

    Without regimes: on those of the quick board.
    """
    from l96bench.submissions.entry_export import export_entry

    report = partial(print, flush=True)
    export_entry(entry, folder, regime, seed, authors=author or ("l96bench",), add=add, report=report)
    print(folder)


@app.command()
def check(folder: Folder, allow_python: Code = False) -> None:
    """Say everything that is wrong with a submission, in seconds and without the data sets; exit 1 if anything is."""
    from l96bench.submissions.folder import check_folder

    found = check_folder(folder, allow_python=allow_python)
    for fault in shortened(found.faults):
        print(f"wrong: {_shown(fault)}")
    for note in shortened(found.notes):
        print(f"note:  {_shown(note)}")
    for task, value in found.scores.items():
        print(f"tried: {task} in miniature, score {value:.2f}")
    print(f"{folder}: {'nothing is wrong' if not found.faults else f'{len(found.faults)} things are wrong'}")
    raise typer.Exit(1 if found.faults else 0)


@app.command()
def verify(
    path: Annotated[
        str | None,
        typer.Argument(help="A result file, a submission's folder, a folder of results, or an entry, by any name."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row of the board.")] = False,
    board: Board = None,
    jobs: Jobs = None,
    seconds: Seconds = 300.0,
    train: Annotated[
        Literal["none", "first", "all"],
        typer.Option(help="Regimes that a baseline is trained on again: none, first, or all."),
    ] = "first",
    slow: Annotated[bool, typer.Option("--slow", help="Also where that takes more than half a minute.")] = False,
    run: Annotated[
        bool, typer.Option(help="Make rows again; else only check that their numbers agree, in seconds.")
    ] = True,
    allow_python: Code = False,
) -> None:
    """Check the numbers of rows, derive them again from artifacts and the baselines' scripts, and compare them.

    Exits with 1 on a difference.
    """
    from l96bench.dynamics.truth import available_processors
    from l96bench.submissions.contained import Limits
    from l96bench.submissions.verify import Train, rows_of, verify_rows

    if (path is None) != everything:
        raise L96BenchError("expected a result file, a submission's folder or a folder of results; or --all")
    place = board or find_board()
    verdicts = verify_rows(
        rows_of(str(place / "results") if path is None else path, place),
        place / "submissions",
        allow_python=allow_python,
        limits=Limits(seconds),
        train=Train(train),
        slow=slow,
        run=run,
        n_jobs=jobs or available_processors(),
        progress=None,
    )
    for verdict in verdicts:
        print(f"{verdict.status:11}{verdict.path}  {_shown(verdict.reason)}")
    wrong = sum(not verdict.passed for verdict in verdicts)
    print(f"{len(verdicts)} rows, {wrong} of them wrong")
    raise typer.Exit(1 if wrong else 0)


@app.command()
def submit(
    folder: Folder,
    board: Board = None,
    jobs: Jobs = None,
    seconds: Seconds = 300.0,
    allow_python: Code = False,
) -> None:
    """Check a submission, score it from its artifacts, and put it and its rows on the board."""
    from l96bench.dynamics.truth import available_processors
    from l96bench.submissions.contained import Limits
    from l96bench.submissions.folder import submit_folder

    submit_folder(
        folder,
        board or find_board(new=True),
        allow_python=allow_python,
        limits=Limits(seconds),
        n_jobs=jobs or available_processors(),
        report=print,
    )
    print("Now commit these files, and propose them in a pull request; `l96bench contribution` is what will review it.")


@app.command("submission-schema")
def submission_schema() -> None:
    """Print the JSON schema of submission.yaml, for editors."""
    from l96bench.submissions.submission import json_schema

    sys.stdout.write(json_schema())


def score_submission(folder: Path, tasks: list[str] | None, output: Path | None, allow_python: bool) -> None:
    """Score a submission's folder and print its rows; what ``l96bench score FOLDER`` does.

    Raises
    ------
    SubmissionError
        In the end, with a line for each task that could not be scored; the rows of the others are written.
    """
    from l96bench.dynamics.truth import available_processors
    from l96bench.submissions.folder import SubmissionFolder, score_folder
    from l96bench.tasks.registry import make_task

    chosen = [make_task(id) for id in tasks] if tasks else None
    scored = score_folder(
        SubmissionFolder.read(folder), chosen, allow_python=allow_python, n_jobs=available_processors()
    )
    for result in scored.results:
        score = result.score
        print(f"{score.value:7.2f} [{score.low:.2f}, {score.high:.2f}]  {result.task}  {result.model.name}")
        if output is not None:
            result.write(output / result.task / f"{result.slug}.json")
    if scored.faults:
        raise SubmissionError("\n  ".join(["these could not be scored:", *map(_shown, shortened(scored.faults))]))


def _shown(text: str) -> str:
    """A line from a stranger for a terminal: what does not print, such as control sequences, becomes a space."""
    return "".join(each if each.isprintable() else " " for each in text)
