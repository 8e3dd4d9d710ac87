"""Make a self-contained page of all diagnostics of an entry, and the pictures beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2

from l96bench.diagnostics.figures import plain, png, style
from l96bench.diagnostics.registry import Diagnostic, Section, find_diagnostic, list_diagnostics
from l96bench.diagnostics.standing import summary
from l96bench.diagnostics.subject import Subject
from l96bench.diagnostics.training import train
from l96bench.entries.entry import Entry
from l96bench.errors import L96BenchError
from l96bench.files import write_atomic
from l96bench.progress import progress as show_progress
from l96bench.results.record import Result
from l96bench.submissions.names import resolve

_LONGEST = 10
"""Rows of a table that is shown open; longer ones are folded."""


def default_folder(name: str, place: str) -> Path:
    """Return where the report of an entry goes by default: ``reports/ENTRY-PLACE``, a regime or track."""
    stem = Path(name).stem if name.endswith(".py") else name
    return Path("reports") / (re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip(".-") + f"-{place}")


def make_report(
    entry: str | Entry,
    place: str | None = None,
    output: Path | None = None,
    results: Sequence[Result] = (),
    *,
    only: Sequence[str | Diagnostic] | None = None,
    seed: int | None = None,
    progress: bool | None = None,
) -> tuple[Path, list[Section]]:
    """Train an entry, diagnose it, and write a page and a PNG for each picture into a folder.

    The page is ``index.html``; that of some diagnostics alone has their names, such as ``skill.html``.

    Parameters
    ----------
    entry : str or Entry
        An entry, or what `l96bench.submissions.names.resolve` takes: an entry, a submission's folder, an artifact or a
        result file.
    place : str, optional
        As for `train`.
    seed : int, optional
        As for `train`.
    output : Path, optional
        The folder; files of the same names are replaced, each all or nothing. See `default_folder`.
    results : sequence of Result
        The rows of the board that the entry is compared with.
    only : sequence of str or Diagnostic, optional
        The diagnostics; all that are for such an entry if not given.
    progress : bool, optional
        Show progress; by default when standard error is a terminal.

    Returns
    -------
    path : Path
        The page's file.
    sections : list of Section
        What is on it.

    Raises
    ------
    UnknownIdError, L96BenchError
        For an unknown entry or diagnostic; if the folder cannot be written. See also `l96bench.diagnostics.train`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import l96bench
    >>> from l96bench import diagnostics, tasks
    >>> entry = l96bench.Entry("slope", "polynomial", "X_k", lambda task, seed: l96bench.PolynomialRegressor(degree=1))
    >>> with tempfile.TemporaryDirectory() as folder, tasks.tasks_given_as(lambda task: task.miniature()):
    ...     path, sections = diagnostics.make_report(entry, "wilks-f20", pathlib.Path(folder), only=["density"])
    ...     print(path.name, len(sections))
    ...
    density.html 1
    """
    chosen = None if only is None else [find_diagnostic(each) for each in only]
    if isinstance(entry, Entry):
        name, found = entry.name, entry
    else:
        named = resolve(entry)
        name, found = named.text, named.entry()
    with show_progress(f"training {plain(found.name)}", 1, progress) as advance:
        subject = train(found, place, seed, next((each.kind for each in chosen or () if each.kind), None))
        advance(1)
    folder = default_folder(name, subject.place) if output is None else output
    total = len(list_diagnostics(subject) if chosen is None else chosen)
    with show_progress(f"report of {plain(found.name)} on {subject.place}", total, progress) as advance:
        return write_report(subject, folder, results, chosen, advance)


def write_report(
    subject: Subject,
    output: Path,
    results: Sequence[Result] = (),
    only: Sequence[str | Diagnostic] | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[Path, list[Section]]:
    """Write the report of a trained entry. The same subject and results give the same bytes.

    Parameters
    ----------
    subject : Subject
        A trained entry.
    output : Path
        The folder, as for `make_report`.
    results : sequence of Result
        As for `make_report`.
    only : sequence of str or Diagnostic, optional
        As for `make_report`.
    advance : callable
        Called with 1 after each section.

    Returns
    -------
    path : Path
        The page's file.
    sections : list of Section
        What is on it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import l96bench
    >>> from l96bench import diagnostics
    >>> entry = l96bench.Entry("none", "none", "", lambda task, seed: l96bench.NoClosure())
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> subject = diagnostics.Subject(entry, entry.model(task, 0), task)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, sections = diagnostics.write_report(subject, pathlib.Path(folder), only=["skill"])
    ...     print(path.name, sections[0].caption[:8])
    ...
    skill.html Left out
    """
    chosen = [find_diagnostic(each) for each in (list_diagnostics(subject) if only is None else only)]
    sections, pictures = [], {}
    for each in chosen:
        with style():
            section = each(subject, results)
            if section.figure is not None:
                pictures[each.name] = png(section.figure)
        sections.append(section)
        advance(1)
    try:
        for name, picture in pictures.items():
            write_atomic(output / f"{name}.png", picture)
        path = output / ("index.html" if only is None else f"{'-'.join(each.name for each in chosen)}.html")
        write_atomic(path, page(subject, summary(subject, results), sections, pictures))
    except OSError as error:
        raise L96BenchError(f"{output}: expected a folder that can be written, got {error}") from error
    return path, sections


def page(subject: Subject, first: Section, sections: Sequence[Section], pictures: dict[str, bytes]) -> str:
    """Return the page as HTML: every text escaped, every picture inside, nothing fetched from anywhere."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("l96bench.diagnostics"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(
        entry=subject.entry,
        place=subject.place,
        first=first,
        sections=sections,
        longest=_LONGEST,
        sources={name: f"data:image/png;base64,{base64.b64encode(each).decode()}" for name, each in pictures.items()},
        tasks=" and ".join(task.id for task in subject.tasks),
    )
