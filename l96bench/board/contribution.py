"""Check a contributed submission, or a whole change, and report what was found before a person reviews it."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from l96bench.board.change import Change, change_faults, submissions_of
from l96bench.board.flags import flags
from l96bench.board.repository import MergeError, Repository, opened
from l96bench.board.seasons import load_rows, revealed_seasons
from l96bench.board.tables import make_tables, score_markdown
from l96bench.board.text import NONE, Markdown, escape, markdown_table, one_line
from l96bench.errors import L96BenchError, ResultError, SubmissionError, shortened
from l96bench.files import write_atomic
from l96bench.results.load import read_results
from l96bench.results.record import Result
from l96bench.submissions.artifacts import left_out
from l96bench.submissions.comparison import DIFFERENT, IDENTICAL, compare
from l96bench.submissions.consistency import origin_faults, out_of_line, readable, row_faults
from l96bench.submissions.contained import Limits
from l96bench.submissions.fields import SUBMISSION_FILE
from l96bench.submissions.folder import (
    FolderReading,
    SubmissionFolder,
    check_folder,
    owner_of,
    require_own,
    score_folder,
)
from l96bench.submissions.fresh import fresh_text
from l96bench.submissions.reserved import skeleton
from l96bench.tasks.registry import make_task

__all__ = ["Contribution", "Reviewed", "review_change", "review_contribution"]

_COST = 10.0
"""The ratio of two costs of a call from which a person should look at them."""
_MUST_FIX = frozenset({"duplicate"})
"""Flags that keep a submission off the board; a person judges the others."""


@dataclass(slots=True)
class Contribution:
    """Facts, faults, notes and ranked result rows of a contributed submission; all texts may be untrusted."""

    folder: Path
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[Result, int | None]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing has to be fixed."""
        return not self.faults

    def text(self) -> str:
        """Return the findings as lines for a terminal."""
        lines = [f"wrong: {one_line(fault)}" for fault in self.faults]
        lines += [f"note:  {one_line(note)}" for note in self.notes]
        for result, rank in self.rows:
            score, place = result.score, NONE if rank is None else str(rank)
            lines.append(f"{score.value:7.2f} [{score.low:.2f}, {score.high:.2f}]  rank {place}  {result.task}")
        wrong = "nothing has to be fixed" if self.passed else f"faults to fix: {len(self.faults)}"
        return "\n".join([*lines, f"{one_line(str(self.folder))}: {wrong}"])

    def markdown(self) -> str:
        """Return the report as Markdown, in which every text of the submission is escaped."""
        verdict = "Nothing has to be fixed." if self.passed else f"Faults to fix: {len(self.faults)}."
        parts = [f"# Check of {escape(self.facts.get('name', self.folder.name))}", f"**{verdict}**"]
        parts += _listed("To be fixed", self.faults) + _listed("To be looked at", self.notes)
        if self.rows:
            body = [
                [result.task, score_markdown(result), NONE if rank is None else rank, result.predictions_digest[:12]]
                for result, rank in self.rows
            ]
            table = markdown_table(("task", "score", "rank", "predictions"), body, ("task",))
            parts += ["## Scores, from its artifacts", table]
        if self.facts:
            facts = [[name, value] for name, value in self.facts.items()]
            parts += ["## What it is", markdown_table(("", "given"), facts, left=("", "given"))]
        return "\n\n".join(parts) + "\n"


@dataclass(slots=True)
class Reviewed:
    """What was found in a whole change, and in each of the submissions that it brings."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    submissions: list[Contribution] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing has to be fixed."""
        return not self.faults and all(each.passed for each in self.submissions)

    def text(self) -> str:
        """Return the findings as lines for a terminal."""
        lines = [f"wrong: {one_line(fault)}" for fault in shortened(self.faults)]
        lines += [f"note:  {one_line(note)}" for note in self.notes]
        verdict = "nothing has to be fixed" if self.passed else "it cannot be accepted as it is"
        return "\n".join([*lines, *(each.text() for each in self.submissions), f"the change: {verdict}"])

    def markdown(self) -> str:
        """Return the report as Markdown, in which every text of the change is escaped."""
        verdict = "Nothing has to be fixed." if self.passed else "It cannot be accepted as it is."
        parts = ["# Check of the change", f"**{verdict}**", *_listed("To be fixed", shortened(self.faults))]
        parts += _listed("To be looked at", self.notes)
        return "\n\n".join([*parts, *(each.markdown().strip() for each in self.submissions)]) + "\n"


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", Markdown("\n".join(f"- {escape(line)}" for line in lines))] if lines else []


def review_contribution(
    folder: Path,
    board: Path,
    *,
    rows: Mapping[str, Result] | None = None,
    beside: Sequence[Result] = (),
    limits: Limits | None = None,
    n_jobs: int = 1,
) -> Contribution:
    """Check a submission without running its code, score its artifacts within limits, and compare with the board.

    `rows` are those that come with it, by task; if not given, those of a submission that is on the board already.
    `beside` are results that are new to the board as well.
    """
    reading = FolderReading.of(folder)
    checked = check_folder(reading)
    found = Contribution(folder, [*checked.faults], [*checked.notes])
    if checked.submission is None or checked.faults:
        return found
    if rows is not None:  # a change of the repository, in which nothing is left out
        found.faults += [f"{name!r:.100}: an unexpected file; remove it from the change" for name in left_out(folder)]
    submission = reading.folder()
    found.facts = _facts(submission)
    placed = folder.resolve().parent == (board / "submissions").resolve()
    _check_name(submission, board, placed or rows is not None, found)
    given = [make_task(id) for id in submission.submission.tasks]
    tasks = [task for task in given if not submission.submission.artifact(task).startswith("python:")]
    if not tasks:
        found.faults.append("no task has an artifact that can be scored without running code")
    if rows is not None:
        _check_rows(submission, rows, board, found)
    if not tasks or (rows is not None and found.faults):
        return found
    scored = score_folder(submission, tasks, status="verified", limits=limits, n_jobs=n_jobs, fresh=True)
    found.faults += scored.faults
    if rows is None and placed:
        rows = {row.task: row for row in read_results(board / "results") if row.slug == submission.submission.slug}
    _compare_rows(scored.results, rows or {}, placed, found)
    _compare_with_board(scored.results, [*load_rows(board / "results").values(), *beside], board, found)
    return found


def review_change(
    repository: Path,
    base: str,
    board: Path,
    *,
    head: str = "HEAD",
    limits: Limits | None = None,
    n_jobs: int = 1,
) -> Reviewed:
    """Judge what merging `head` into `base` would change on the board, two commits of a repository.

    First the paths: one's own folder and rows only. Then the files as they were committed, which are written into an
    empty folder: every submission is checked, and scored if nothing else is wrong. `board` is that of `base`.
    """
    found = Reviewed()
    with opened(repository) as git:
        first, last = git.commit(base), git.commit(head)
        try:
            change = Change(git.files(first), git.files(git.merged(first, last)))
        except MergeError as error:
            found.faults.append(str(error))
            return found
        if not change.touches_board:
            found.notes.append("nothing of the board changes, and nothing was checked")
            return found
        found.faults += change_faults(change)
        for slug in submissions_of(change) if not found.faults else ():
            if old := change.folder(slug, before=True).get(SUBMISSION_FILE):
                found.faults += _owner_faults(git.content(old), change, git, slug)
                found.notes.append(
                    f"{slug}: an update of a submission; is one of its authors among those of the commits, "
                    f"{', '.join(git.authors(first, last)[:5])}?"
                )
        names: dict[str, str] = {}
        for slug in submissions_of(change):
            if (other := names.setdefault(skeleton(slug), slug)) != slug:
                found.faults.append(f"{other} and {slug} read alike; expected names that can be told apart")
        if found.faults:
            return found
        for slug in submissions_of(change):
            with tempfile.TemporaryDirectory(prefix="l96bench-contribution-") as place:
                folder = Path(place) / "submissions" / slug
                for name, file in change.folder(slug).items():
                    write_atomic(folder / name, git.content(file))
                rows, faults = _rows_of(change, git, slug, Path(place) / "results")
                if faults:
                    found.submissions.append(Contribution(Path(slug), faults))
                    continue
                new = [row for each in found.submissions for row, _ in each.rows]
                one = review_contribution(folder, board, rows=rows, beside=new, limits=limits, n_jobs=n_jobs)
                one.folder = Path(slug)
                found.submissions.append(one)
    return found


def _owner_faults(old: bytes, change: Change, git: Repository, slug: str) -> list[str]:
    """Return a line if a submission's folder is changed by others than the authors that it has so far."""
    new = change.folder(slug).get(SUBMISSION_FILE)
    if new is None:
        return [f"{slug}: expected its {SUBMISSION_FILE}"]
    try:
        name, authors = owner_of(old)
        if owner_of(git.content(new)) != (name, authors):
            return [f"{slug}: it is {name!r} of {', '.join(authors)}, whose name and authors stay; choose another name"]
    except SubmissionError as error:
        return [f"{slug}: {line}" for line in str(error).splitlines()]
    return []


def _rows_of(change: Change, git: Repository, slug: str, folder: Path) -> tuple[dict[str, Result], list[str]]:
    """Return the rows of a submission after a change by task, and a line for each that cannot be read."""
    rows, faults = {}, []
    for task, file in change.rows(slug).items():
        path = folder / task / f"{slug}.json"
        write_atomic(path, git.content(file))
        try:
            rows[task] = Result.read(path)
        except ResultError as error:
            faults += [line.replace(f"{folder}/", "results/") for line in str(error).splitlines()]
    return rows, faults


def _facts(folder: SubmissionFolder) -> dict[str, str]:
    submission = folder.submission
    files = [f"{name} ({len(data):,} bytes)" for name, data in sorted(folder.files.items())]
    tasks = [make_task(id) for id in submission.tasks]
    artifacts = {each.name: each.digest for task in tasks if (each := folder.artifact(task))}
    run_as = {task.id: str(submission.described(task)) for task in tasks}
    lifecycle = submission.lifecycle
    return {
        "name": submission.name,
        "authors": ", ".join(submission.authors),
        "kind": submission.kind,
        "inputs": submission.inputs,
        "license": submission.license or "none given",
        "trained on": "; ".join(each.text() for each in submission.training) or "nothing",
        **{f"{id} runs it as": text for id, text in run_as.items() if text},
        **({} if submission.training_cost is None else {"training took": str(submission.training_cost)}),
        **{f"link to {label}": link for label, link in submission.links.items()},
        **({} if lifecycle is None or not lifecycle.superseded_by else {"superseded by": lifecycle.superseded_by}),
        "files": ", ".join(files),
        **{f"SHA-256 of {name}": digest for name, digest in artifacts.items()},
    }


def _check_name(folder: SubmissionFolder, board: Path, placed: bool, found: Contribution) -> None:
    """Check that the name is free or its authors' own, and the folder's; note a mixture of scripts in it."""
    submission, place = folder.submission, folder.path.resolve()
    if placed and place.name != submission.slug:
        found.faults.append(f"expected its folder to be called {submission.slug}, got {place.name}")
    try:
        require_own(submission, board)
    except L96BenchError as error:
        found.faults += str(error).splitlines()
    scripts = {unicodedata.name(each, "?").split()[0] for each in submission.name if each.isalpha()}
    if len(scripts) > 1:
        several = ", ".join(sorted(scripts)).lower()
        found.notes.append(f"name: letters of several scripts ({several}), which may look alike")
    if any(skeleton(each) == skeleton("l96bench") for each in submission.authors):
        found.notes.append("authors: l96bench is the name of this project; did its maintainers make it?")
    if not submission.license:
        found.notes.append("license: none is given; may the board keep the files?")
    later = None if submission.lifecycle is None else submission.lifecycle.superseded_by
    if later is not None and not (board / "submissions" / later / SUBMISSION_FILE).is_file():
        found.notes.append(f"lifecycle: no submission on the board is called {later}")


def _check_rows(folder: SubmissionFolder, rows: Mapping[str, Result], board: Path, found: Contribution) -> None:
    """Check the rows that came with a submission without running anything: whose they are, and their numbers."""
    submission = folder.submission
    for id in submission.tasks:
        if submission.artifact(make_task(id)).startswith("python:"):
            found.faults.append(f"{id}: expected a file, got code, which nobody else can score; such rows stay private")
        elif id not in rows:
            found.faults.append(f"{id}: expected its row in results/{id}/{submission.slug}.json; see `l96bench submit`")
    for id, row in rows.items():
        where = f"results/{id}/{submission.slug}.json"
        if row.task != id or row.slug != submission.slug or id not in submission.tasks:
            found.faults.append(f"{where}: not a row of this submission, but of {row.model.name!r:.120} in {row.task}")
            continue
        task = make_task(id)
        beside = readable(each for each in sorted((board / "results" / id).glob("*.json")) if each.stem != row.slug)
        wrong = row_faults(row, task) + origin_faults(row, folder) + out_of_line([*beside, row], task).get(row.slug, [])
        if row.status != "verified" or row.cost.training_seconds is not None:
            wrong.append("expected the status `verified` and no time of training, as `l96bench submit` writes them")
        found.faults += [f"{where}: {each}" for each in wrong]


def _compare_rows(results: Sequence[Result], rows: Mapping[str, Result], placed: bool, found: Contribution) -> None:
    """Compare the rows that came with a submission with what its artifacts make."""
    for result in results:
        row = rows.get(result.task)
        if row is None or row.submission is None:
            continue
        if row.fresh is None and result.fresh is not None and not placed:
            found.faults.append(f"{result.task}: expected its score on a fresh draw, as `l96bench submit` writes it")
        verdict, reason = compare(row, result)
        if verdict == DIFFERENT:
            what = "the row that came with it is not what its artifact makes"
            found.faults.append(f"{result.task}: {what}: {reason}")
        elif verdict != IDENTICAL:
            found.notes.append(f"{result.task}: the row that came with it was made on another machine: {reason}")
        for name in ("microseconds_per_call", "kernel_steps_per_call"):
            told, here = getattr(row.cost, name), getattr(result.cost, name)
            if (told is None) != (here is None):
                found.faults.append(f"{result.task}: {name}: expected {here}, got {told}")
            elif told is not None and not here / _COST <= told <= here * _COST:
                found.notes.append(f"{result.task}: {name} is {told:.3g} in its row, and {here:.3g} here")


def _compare_with_board(results: Sequence[Result], rows: Sequence[Result], board: Path, found: Contribution) -> None:
    """Add ranks and flags among the rows of the board."""
    own = {(result.task, result.slug) for result in results}
    tasks = {result.task for result in results}
    together = [row for row in rows if row.task in tasks and (row.task, row.slug) not in own] + list(results)
    for (task, slug), raised in flags(together).items():
        for flag in raised if (task, slug) in own else ():
            (found.faults if flag.kind in _MUST_FIX else found.notes).append(f"{task}: {flag.text}")
    try:
        ranks = {
            (row.result.task, row.result.slug): row.rank
            for each in make_tables(together, revealed_seasons(board))
            for row in each.rows
        }
    except L96BenchError as error:
        found.faults += str(error).splitlines()
        ranks = {}
    found.notes += [f"{result.task}: {fresh_text(result)}" for result in results]
    found.rows = [(result, ranks.get((result.task, result.slug))) for result in results]
