"""The commands of seasons, of the comparison of two entries, and of the check of contributions."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from l96bench.errors import L96BenchError
from l96bench.results.load import find_board
from l96bench.tasks.commands import Jobs

if TYPE_CHECKING:
    from l96bench.board.contribution import Contribution, Reviewed

__all__ = ["app"]

app = typer.Typer()
season = typer.Typer(help="Seasons: test data from a secret, that nobody can overfit.", no_args_is_help=True)
app.add_typer(season, name="season")

Name = Annotated[str, typer.Argument(help="Name of the season.")]
Board = Annotated[
    Path | None,
    typer.Option(help="The board's folder, with results/, submissions/ and seasons/; found from any folder in it."),
]
Secret = Annotated[
    Path | None, typer.Option(help="File of the secret; in the user's folder for data of programs if not given.")
]
Date = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day; today (UTC) if not given.")]
_WARNING = """\
The secret is in {path}.
Keep a copy where nobody else can read it, and never commit it: without it the season cannot be scored,
and whoever reads it knows the test data."""


@season.command("open")
def season_open(
    name: Name,
    secret: Secret = None,
    family: Annotated[list[str] | None, typer.Option(help="Family; repeat for several. All if not given.")] = None,
    regime: Annotated[
        list[str] | None,
        typer.Option(help="Regime or track; repeat for several. The first of each family if not given."),
    ] = None,
    day: Date = None,
    board: Board = None,
) -> None:
    """For maintainers: draw a secret, keep it in a new file, and publish its SHA-256."""
    board = board or find_board(new=True)
    from l96bench.seasons.record import default_secret, record_path
    from l96bench.seasons.scoring import open_season
    from l96bench.seasons.tasks import default_regimes, season_families

    place = default_secret(name) if secret is None else secret
    families = family or season_families()
    regimes = regime or default_regimes(families)
    record = open_season(board, name, place, families, regimes, day.date() if day else None)
    _write_pages(board)
    print(f"{record_path(board, name)}: commitment {record.commitment}")
    print(_WARNING.format(path=place))


@season.command("hand-out")
def season_hand_out(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="Folder of the files, one a track.")],
    secret: Secret = None,
    board: Board = None,
) -> None:
    """For maintainers: write the observations of a season, from which entrants learn equations or closures."""
    board = board or find_board(new=True)
    from l96bench.seasons.record import default_secret, read_secret
    from l96bench.seasons.scoring import hand_out

    key = read_secret(default_secret(name) if secret is None else secret)
    for path in hand_out(board, name, key, folder):
        print(path)
    _write_pages(board)


@season.command("score")
def season_score(
    name: Name,
    entries: Annotated[
        list[str] | None,
        typer.Argument(help="Baselines, and submissions (names or folders); if none, all of the board and the quick."),
    ] = None,
    secret: Secret = None,
    jobs: Jobs = None,
    board: Board = None,
) -> None:
    """For maintainers: score entries on a season, whose secret nobody else knows."""
    board = board or find_board(new=True)
    from l96bench.dynamics.truth import available_processors
    from l96bench.seasons.record import default_secret, read_secret
    from l96bench.seasons.scoring import score_season

    key = read_secret(default_secret(name) if secret is None else secret)
    try:
        score_season(
            board, name, key, entries or _all_entries(board), n_jobs=jobs or available_processors(), report=print
        )
    finally:
        _write_pages(board)


@season.command("reveal")
def season_reveal(
    name: Name,
    secret: Secret = None,
    day: Date = None,
    empty: Annotated[bool, typer.Option("--empty", help="Also if nothing was scored on it.")] = False,
    board: Board = None,
) -> None:
    """For maintainers: publish a season's secret; the season is over then."""
    board = board or find_board(new=True)
    from l96bench.seasons.record import default_secret, read_secret, record_path
    from l96bench.seasons.scoring import reveal_season

    key = read_secret(default_secret(name) if secret is None else secret)
    reveal_season(board, name, key, day.date() if day else None, empty=empty)
    _write_pages(board)
    print(f"{record_path(board, name)}: revealed; `l96bench season verify {name}` is anybody's")
    print("`l96bench leaderboard --write` adds its column to the tables and the page")


@season.command("verify")
def season_verify(
    name: Name,
    entries: Annotated[list[str] | None, typer.Argument(help="Some of its entries; all if not given.")] = None,
    jobs: Jobs = None,
    board: Board = None,
) -> None:
    """Make a revealed season's data from its secret, and derive its rows again; exit 1 on a difference."""
    board = board or find_board()
    from l96bench.board.text import one_line
    from l96bench.dynamics.truth import available_processors
    from l96bench.seasons.scoring import verify_season

    wrong, verdicts = verify_season(board, name, entries or None, n_jobs=jobs or available_processors())
    print("the secret is the one that the commitment was made of")
    for key in wrong:
        print(f"DIFFERENT  {key}")
    print(f"data: {f'{len(wrong)} arrays differ' if wrong else 'identical'}")
    for verdict in verdicts:
        print(f"{verdict.status:11}{verdict.path}  {one_line(verdict.reason)}")
    differ = sum(not verdict.passed for verdict in verdicts)
    print(f"{len(verdicts)} rows, {differ} of them wrong")
    raise typer.Exit(1 if wrong or differ else 0)


@season.command("page")
def season_page(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a page is out of date.")] = False,
    board: Board = None,
) -> None:
    """Make the pages of all seasons from their rows and the board's."""
    board = board or find_board(new=True)
    from l96bench.board.season_page import check_season_pages

    if check:
        differences = check_season_pages(board)
        print("\n".join(differences) or f"{board}: the pages of its seasons are up to date")
        raise typer.Exit(1 if differences else 0)
    _write_pages(board)


def _write_pages(board: Path) -> None:
    from l96bench.board.season_page import write_season_pages

    for path in write_season_pages(board):
        print(path)


def _all_entries(board: Path) -> list[str]:
    """Return the names of the quick baselines and of the board's submissions."""
    from l96bench.entries.lookup import baseline_names, find_entry

    quick = [name for name in baseline_names() if find_entry(name)[0].quick]
    return quick + sorted(path.parent.name for path in (board / "submissions").glob("*/submission.yaml"))


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="Entry (title, key or slug), or a result file of your own.")],
    b: Annotated[str, typer.Argument(help="The entry, or result file, whose score is subtracted.")],
    task: Annotated[list[str] | None, typer.Option(help="Task id; repeat for several. All that both have.")] = None,
    results: Annotated[Path | None, typer.Option(help="Folder of result files; those of the board.")] = None,
) -> None:
    """Print the difference of two entries' scores on each task with its interval, and whether it tells them apart."""
    from l96bench.board.rows import pairs
    from l96bench.board.text import one_line
    from l96bench.results.combine import paired

    for id, (one, other) in pairs(a, b, task or (), results).items():
        print(f"{id}  {one_line(one.model.name)} - {one_line(other.model.name)}: {paired(one, other)}")


@app.command()
def contribution(
    folder: Annotated[Path | None, typer.Argument(help="A submission's folder, as it came.")] = None,
    proposed: Annotated[Path | None, typer.Option(help="A Git repository with a proposed change, instead.")] = None,
    base: Annotated[str | None, typer.Option(help="The commit that the change is for.")] = None,
    head: Annotated[str, typer.Option(help="The commit that is proposed.")] = "HEAD",
    report: Annotated[Path | None, typer.Option(help="Markdown file for what was found.")] = None,
    board: Board = None,
    jobs: Jobs = None,
    seconds: Annotated[float, typer.Option(help="Time limit of each row in seconds.")] = 300.0,
) -> None:
    """Check a contributed submission, or with --base and --proposed a whole change, and report what must be fixed.

    A change may alter its own submissions' folders and rows only. Exits with 1 if there is anything to fix.
    """
    if (folder is None) == (proposed is None) or (proposed is None) != (base is None):
        raise L96BenchError("expected a submission's folder, or --proposed REPOSITORY and --base COMMIT")
    board = board or find_board()
    from l96bench.board.contribution import review_change, review_contribution
    from l96bench.dynamics.truth import available_processors
    from l96bench.submissions.contained import Limits

    limits, n_jobs = Limits(seconds), jobs or available_processors()
    found: Contribution | Reviewed
    if proposed is not None and base is not None:
        found = review_change(proposed, base, board, head=head, limits=limits, n_jobs=n_jobs)
    elif folder is not None:
        found = review_contribution(folder, board, limits=limits, n_jobs=n_jobs)
    if report is not None:
        try:
            report.write_text(found.markdown(), encoding="utf-8")
        except OSError as error:
            raise L96BenchError(f"{report}: cannot be written ({error.strerror})") from error
    print(found.text())
    raise typer.Exit(0 if found.passed else 1)
