"""Open a season with a commitment to a secret, score entries on it, reveal it, and verify it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from l96bench.entries.lookup import EntryCode, baseline_names, find_code
from l96bench.entries.units import CEILING, Unit, run_unit
from l96bench.errors import DataError, L96BenchError, faulty_fields
from l96bench.files import write_atomic
from l96bench.parallel import in_parallel
from l96bench.results.combine import combine_seeds
from l96bench.results.origin import slug_of
from l96bench.results.record import Result
from l96bench.seasons.data import Season
from l96bench.seasons.record import SeasonRecord, draw_secret, record_path
from l96bench.seasons.tasks import split_name
from l96bench.submissions.comparison import DIFFERENT, compare, compare_numbers
from l96bench.submissions.fields import SUBMISSION_FILE
from l96bench.submissions.folder import SubmissionFolder, score_folder
from l96bench.submissions.verify import Verdict
from l96bench.tasks.base import Task

__all__ = ["hand_out", "open_season", "results_folder", "reveal_season", "score_season", "verify_season"]

Report = Callable[[str], None]


def open_season(
    board: Path, name: str, secret: Path, families: Sequence[str], regimes: Sequence[str], opened: date | None = None
) -> SeasonRecord:
    """Draw a secret, keep it in the new file `secret`, and publish its commitment in the season's record.

    `board` is the folder ``leaderboard/``; `opened` is today if not given. Raises L96BenchError if there is a season of
    that name, or the secret cannot be kept there.
    """
    path = record_path(board, name)
    if path.exists():
        raise L96BenchError(f"{path}: there is a season of this name; choose another")
    fields = {"name": name, "opened": opened or _today(), "families": list(families), "regimes": list(regimes)}
    _checked(fields | {"commitment": "0" * 64})  # before a secret is drawn
    drawn = draw_secret(secret, board)
    try:
        record = _checked(fields | {"commitment": Season(name, drawn).commitment})
        record.write(path)
    except BaseException:
        secret.unlink()
        raise
    return record


def reveal_season(
    board: Path, name: str, secret: bytes, revealed: date | None = None, *, empty: bool = False
) -> SeasonRecord:
    """Write the secret into the season's record, so that anybody can verify the season.

    Raises DataError if it does not match the commitment, or the season is revealed already, or, unless it may be
    `empty`, nothing was scored on it.
    """
    path = record_path(board, name)
    record = SeasonRecord.read(path)
    if record.secret is not None:
        raise DataError(f"season {name!r} was revealed on {record.revealed}")
    record.season(secret)
    record = _checked(record.model_dump() | {"secret": secret.hex(), "revealed": revealed or _today()})
    if not empty and not any((board / "seasons" / name).rglob("*.json")):
        raise DataError(
            f"season {name!r} has no rows, and can have none once its secret is known: expected entries that are "
            "scored on it; try `l96bench season score`, or reveal it with --empty"
        )
    record.write(path)
    return record


def _checked(fields: dict[str, object]) -> SeasonRecord:
    try:
        record = SeasonRecord.model_validate(fields)
    except ValidationError as error:
        raise L96BenchError("\n".join(faulty_fields(error))) from error
    return _dated(record)


def _dated(record: SeasonRecord) -> SeasonRecord:
    """Return the record if its dates can be so; else raise DataError."""
    if faults := record.date_faults(_today()):
        raise DataError(f"season {record.name!r}: {'; '.join(faults)}")
    return record


def _today() -> date:
    return datetime.now(UTC).date()


def results_folder(board: Path, name: str, drawn: bool) -> Path:
    """Return the folder of a season's rows, ``seasons/NAME/named`` or ``drawn``, laid out as ``results/``."""
    return board / "seasons" / name / ("drawn" if drawn else "named")


def score_season(
    board: Path,
    name: str,
    secret: bytes,
    entries: Sequence[str],
    *,
    n_jobs: int = 1,
    report: Report = lambda line: None,
) -> list[Result]:
    """Score entries on a season that is not revealed yet, and write their rows and the digests of its data.

    `entries` are baselines, and submissions by their names on the board or folders; ceilings are scored with them.
    Raises DataError if the secret or data do not match the record, or the season is over, and L96BenchError at the end
    if an entry failed; the rows of all others are written.
    """
    scoring = _begin(board, name, secret, n_jobs)
    results = []
    for drawn, result in scoring.rows([CEILING, *entries]):
        file = results_folder(board, name, drawn) / result.task / f"{result.slug}.json"
        result.write(file)
        score = result.score
        report(f"{score.value:7.2f} [{score.low:.2f}, {score.high:.2f}]  {file}")
        results.append(result)
    if scoring.faults:
        raise L96BenchError("these could not be scored:\n  " + "\n  ".join(scoring.faults))
    return results


def hand_out(board: Path, name: str, secret: bytes, folder: Path) -> list[Path]:
    """Write what entrants of a season need before they hand in, and the digests of its data; return the new files.

    These are observations: a file ``FAMILY-TRACK.npz`` a track, of equation recovery with an array (time, variable) for
    each problem under its id, of closures from observations with the arrays of each data set, and F. Raises DataError
    as `score_season`, and if nothing is needed.
    """
    scoring = _begin(board, name, secret, 1)
    written = []
    for task in scoring.tasks[False]:
        if arrays := task.handout():
            folder.mkdir(parents=True, exist_ok=True)
            written.append(folder / f"{task.family}-{task.regime_id}.npz")
            with BytesIO() as file:
                np.savez(file, allow_pickle=False, **arrays)
                write_atomic(written[-1], file.getvalue())
    if not written:
        raise DataError(
            f"season {name!r}: there is nothing to hand out; its entrants need no more than the public data"
        )
    return written


def _begin(board: Path, name: str, secret: bytes, n_jobs: int) -> _Scoring:
    """Make the data of a season that is not revealed yet, and write their digests into its record."""
    path = record_path(board, name)
    record = SeasonRecord.read(path)
    if record.secret is not None:
        raise DataError(f"season {name!r} is over: its data are known since {record.revealed}")
    scoring = _Scoring.of(board, record, secret, n_jobs)
    record.model_copy(update={"digests": scoring.data()}).write(path)
    return scoring


def verify_season(
    board: Path, name: str, entries: Sequence[str] | None = None, *, n_jobs: int = 1
) -> tuple[list[str], list[Verdict]]:
    """Make a revealed season's data from its secret, and verify its rows, or those of `entries`.

    Returns the digests that differ from those recorded, and a verdict for each row. Raises DataError if the season is
    not revealed, or a date of it cannot be so.
    """
    record = _dated(SeasonRecord.read(record_path(board, name)))
    scoring = _Scoring.of(board, record, None, n_jobs)
    made = scoring.data(check=False)
    wrong = sorted(key for key in made.keys() | record.digests.keys() if made.get(key) != record.digests.get(key))
    rows = {path: Result.read(path) for path in sorted((board / "seasons" / name).rglob("*.json"))}
    names = {path: _entry_of(row, board) for path, row in rows.items()}
    if entries is not None:
        rows = {path: row for path, row in rows.items() if names[path] in entries}
    wanted = list(dict.fromkeys(each for path in rows if (each := names[path])))
    again = {
        results_folder(board, name, drawn) / row.task / f"{row.slug}.json": row for drawn, row in scoring.rows(wanted)
    }
    verdicts = [Verdict(path, *_compare(row, again.get(path), scoring.faults)) for path, row in rows.items()]
    return wrong, verdicts


def _compare(row: Result, again: Result | None, faults: Sequence[str]) -> tuple[str, str]:
    if again is None:
        return DIFFERENT, "; ".join(each for each in faults if row.model.name in each) or "nothing here makes this row"
    for name in ("data_digests", "split", "scorer_version", "model"):
        if getattr(row, name) != getattr(again, name):
            return DIFFERENT, f"it has another {name.replace('_', ' ')}"
    return compare_numbers(row, again) if row.submission is None else compare(_as_scored(row), _as_scored(again))


def _as_scored(row: Result) -> Result:
    """Return a row without the links, the cost and the successor of its submission, which may have been said since."""
    return row if row.submission is None else row.model_copy(update={"submission": row.submission.scored})


def _entry_of(row: Result, board: Path) -> str:
    """Return the name of a row's entry for `score_season`: a submission, baseline or ceiling; "" if there is none."""
    if row.submission is not None:
        return row.slug if (board / "submissions" / row.slug / SUBMISSION_FILE).is_file() else ""
    if row.model.kind == "reference":
        return CEILING
    last = row.model.command.rpartition(" ")[2]
    return last if last in baseline_names() else ""


@dataclass(slots=True)
class _Scoring:
    """The inputs for scoring a season, and the failures so far."""

    board: Path
    record: SeasonRecord
    tasks: dict[bool, list[Task]]
    n_jobs: int
    faults: list[str]

    @classmethod
    def of(cls, board: Path, record: SeasonRecord, secret: bytes | None, n_jobs: int) -> _Scoring:
        season = record.season(secret)
        tasks = {drawn: record.tasks(season, drawn) for drawn in (False, True)}
        return cls(board, record, tasks, n_jobs, [])

    def data(self, check: bool = True) -> dict[str, str]:
        """Make the data and return their digests, which must match those recorded, if any."""
        made: dict[str, str] = {}
        for task in (each for tasks in self.tasks.values() for each in tasks):
            task.prepare()
            made |= {key: value for key, value in task.data_digests.items() if "/season " in key}
        if check and self.record.digests and made != self.record.digests:
            raise DataError(
                f"season {self.record.name!r}: the secret makes other data than the record has digests of; the "
                "simulator promises the same bits everywhere: please report this with your processor and versions"
            )
        return made

    def rows(self, entries: Sequence[str]) -> Iterator[tuple[bool, Result]]:
        """Yield the rows of entries as they are finished, and whether each is at drawn parameters."""
        folders = {name: folder for name in entries if (folder := self._folder(name)) is not None}
        yield from self._rows_of_code([name for name in entries if name not in folders])
        for name, folder in folders.items():
            submission = SubmissionFolder.read(folder)
            for drawn, tasks in self.tasks.items():
                own = [task for task in tasks if task.id in submission.submission.tasks]
                scored = score_folder(submission, own, status="verified", n_jobs=self.n_jobs)
                self.faults += [f"{name}: {fault}" for fault in scored.faults]
                yield from ((drawn, result) for result in scored.results)

    def _folder(self, name: str) -> Path | None:
        places = [self.board / "submissions" / slug_of(name), Path(name)]
        return next((place for place in places if (place / SUBMISSION_FILE).is_file()), None)

    def _rows_of_code(self, names: Sequence[str]) -> Iterator[tuple[bool, Result]]:
        units = [unit for name in names for unit in self._units(name)]
        n_seeds = Counter((unit.entry, task.source.label, task.id) for unit in units for task in unit.tasks)
        parts: dict[tuple[str, str, str], dict[int, Result]] = {}
        for outcome in in_parallel(run_unit, units, n_jobs=self.n_jobs):
            unit = units[outcome.index]
            self.faults += [f"{unit}: {outcome.fault}"] if outcome.fault else []
            for text in (outcome.value or {}).values():
                result = Result.model_validate_json(text)
                row = (unit.entry, result.split, result.task)
                found = parts.setdefault(row, {})
                found[unit.seed] = result
                if len(found) == n_seeds[row]:
                    seeds = [found[seed] for seed in sorted(found)]
                    drawn = result.split == split_name(self.record.name, True)
                    yield drawn, seeds[0] if unit.code is None else combine_seeds(seeds)

    def _units(self, name: str) -> list[Unit]:
        """Return a unit for each regime and training seed."""
        code = None if name == CEILING else _baseline(name)
        entry = None if code is None else code.load()
        command = f"l96bench season score {self.record.name} {name}"
        units = []
        for regime in self.record.regimes:
            own = tuple(
                task
                for tasks in self.tasks.values()
                for task in tasks
                if task.regime_id == regime and (entry is None or entry.accepts(task))
            )
            for seed in (0,) if entry is None else entry.seeds:
                keys = tuple(f"{name} {task.source.label} {task.id} {seed}" for task in own)
                units += [Unit(name, code, own, keys, seed, command=command)] if own else []
        return units


def _baseline(name: str) -> EntryCode:
    code = find_code(name)
    if code.name not in baseline_names():
        raise L96BenchError(f"{name}: expected a baseline, a submission on the board, or the folder of one")
    return code
