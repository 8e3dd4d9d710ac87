"""Check a contributed submission and report what was found before a person reviews it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from l96bench.board.flags import flags
from l96bench.board.seasons import load_rows
from l96bench.board.tables import make_tables, score_markdown
from l96bench.board.text import NONE, Markdown, escape, markdown_table, one_line
from l96bench.errors import L96BenchError
from l96bench.results.record import Result
from l96bench.submissions.contained import Limits
from l96bench.submissions.folder import SubmissionFolder, check_folder, require_own, score_folder
from l96bench.submissions.verify import DIFFERENT, compare
from l96bench.tasks.registry import make_task

__all__ = ["Contribution", "review_contribution"]

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


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", Markdown("\n".join(f"- {escape(line)}" for line in lines))] if lines else []


def review_contribution(folder: Path, board: Path, *, limits: Limits | None = None, n_jobs: int = 1) -> Contribution:
    """Check a submission without running its code, score its artifacts within limits, and compare with the board."""
    checked = check_folder(folder)
    found = Contribution(folder, [*checked.faults], [*checked.notes])
    if checked.submission is None or checked.faults:
        return found
    submission = SubmissionFolder.read(folder)
    found.facts = _facts(submission)
    _check_name(submission, board, found)
    given = [make_task(id) for id in submission.submission.tasks]
    tasks = [task for task in given if not submission.submission.artifact(task).startswith("python:")]
    if not tasks:
        found.faults.append("no task has an artifact that can be scored without running code")
        return found
    scored = score_folder(submission, tasks, status="verified", limits=limits, n_jobs=n_jobs)
    found.faults += scored.faults
    _compare_with_board(scored.results, board, found)
    return found


def _facts(folder: SubmissionFolder) -> dict[str, str]:
    submission = folder.submission
    files = [f"{name} ({len(data):,} bytes)" for name, data in sorted(folder.files.items())]
    artifacts = {
        artifact.name: artifact.digest for id in submission.tasks if (artifact := folder.artifact(make_task(id)))
    }
    return {
        "name": submission.name,
        "authors": ", ".join(submission.authors),
        "kind": submission.kind,
        "inputs": submission.inputs,
        "license": submission.license or "none given",
        "trained on": "; ".join(each.text() for each in submission.training) or "nothing",
        "files": ", ".join(files),
        **{f"SHA-256 of {name}": digest for name, digest in artifacts.items()},
    }


def _check_name(folder: SubmissionFolder, board: Path, found: Contribution) -> None:
    """Check that the name is free or its authors' own, and the folder's; note a mixture of scripts in it."""
    submission, place = folder.submission, folder.path.resolve()
    on_board = place.parent == (board / "submissions").resolve()
    if on_board:
        if place.name != submission.slug:
            found.faults.append(f"expected its folder to be called {submission.slug}, got {place.name}")
    else:
        try:
            require_own(submission, board)
        except L96BenchError as error:
            found.faults += str(error).splitlines()
    for file in sorted((board / "results").rglob(f"{submission.slug}.json")):
        if on_board and Result.read(file).submission is None:
            found.faults.append(f"name: {submission.name!r} is the name of a baseline ({file}); choose another")
    scripts = {unicodedata.name(each, "?").split()[0] for each in submission.name if each.isalpha()}
    if len(scripts) > 1:
        several = ", ".join(sorted(scripts)).lower()
        found.notes.append(f"name: letters of several scripts ({several}), which may look alike")
    if not submission.license:
        found.notes.append("license: none is given; may the board keep the files?")


def _compare_with_board(results: Sequence[Result], board: Path, found: Contribution) -> None:
    """Add ranks and flags, and check the rows that came with the submission."""
    rows = load_rows(board / "results")
    for result in results:
        row = rows.pop((result.task, result.slug), None)
        if row is not None and row.submission is not None:
            verdict, reason = compare(row, result)
            if verdict == DIFFERENT:
                what = "the row that came with it is not what its artifact makes"
                found.faults.append(f"{result.task}: {what}: {reason}")
    tasks = {result.task for result in results}
    together = [row for row in rows.values() if row.task in tasks] + list(results)
    for (task, slug), own in flags(together).items():
        for flag in own:
            if any((result.task, result.slug) == (task, slug) for result in results):
                (found.faults if flag.kind in _MUST_FIX else found.notes).append(f"{task}: {flag.text}")
    try:
        ranks = {(row.result.task, row.result.slug): row.rank for each in make_tables(together) for row in each.rows}
    except L96BenchError as error:
        found.faults += str(error).splitlines()
        ranks = {}
    found.rows = [(result, ranks.get((result.task, result.slug))) for result in results]
