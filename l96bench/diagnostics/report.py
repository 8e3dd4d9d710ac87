"""One self-contained page of all diagnostics of an entry, and the pictures beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2

from l96bench.diagnostics.catalogue import DIAGNOSTICS, diagnose, diagnostics_of
from l96bench.diagnostics.figures import plain, png, style
from l96bench.diagnostics.section import Section
from l96bench.diagnostics.subject import AnySubject, train
from l96bench.entries.entry import find_entry
from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.files import write_atomic
from l96bench.progress import progress as show_progress
from l96bench.results.record import Result

__all__ = ["default_folder", "make_report", "page", "write_report"]


def default_folder(name: str, place: str) -> Path:
    """Where the report of an entry goes when nothing else is said: ``reports/ENTRY-PLACE``, a regime or track."""
    stem = Path(name).stem if name.endswith(".py") else name
    return Path("reports") / (re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip(".-") + f"-{place}")


def make_report(
    name: str,
    regime: str,
    output: Path | None = None,
    results: Sequence[Result] = (),
    *,
    only: Sequence[str] | None = None,
    seed: int | None = None,
    progress: bool | None = None,
) -> tuple[Path, list[Section]]:
    """Train an entry, diagnose it, and write a page and a PNG for each picture into a folder.

    The page is ``index.html``; that of some diagnostics alone has their names, such as ``skill.html``.

    Parameters
    ----------
    name : str
        As `l96bench.entries.entry.find_entry` takes it: a baseline, the path of a script, or MODULE:OBJECT.
    regime : str
        Or a track; see `l96bench.diagnostics.subject.train`.
    output : Path, optional
        The folder; files of the same names are replaced, each all or nothing. See `default_folder`.
    results : sequence of Result
        The rows of the board that the entry is compared with.
    only : sequence of str, optional
        Names of diagnostics; all that the kind of entry has if not given.
    seed : int, optional
        Training seed; the entry's first if not given.
    progress : bool, optional
        Show progress; by default when standard error is a terminal.

    Returns
    -------
    path : Path
        Of the page.
    sections : list of Section

    Raises
    ------
    UnknownIdError
        For an unknown entry, regime, track or diagnostic.
    L96BenchError
        If the entry enters no task there, or the folder cannot be written.
    ModelError
        If the entry's own code raises.
    """
    for each in only or ():
        if each not in DIAGNOSTICS:
            raise UnknownIdError(f"no diagnostic {each!r}." + nearest(each, DIAGNOSTICS))
    entry = find_entry(name)[0]
    with show_progress(f"training {plain(entry.name)}", 1, progress) as advance:
        subject = train(entry, regime, seed)
        advance(1)
    names = diagnostics_of(subject) if only is None else list(only)
    with show_progress(f"report of {plain(entry.name)} on {subject.place}", len(names), progress) as advance:
        folder = default_folder(name, subject.place) if output is None else output
        return write_report(subject, folder, results, names, advance)


def write_report(
    subject: AnySubject,
    output: Path,
    results: Sequence[Result] = (),
    names: Sequence[str] | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[Path, list[Section]]:
    """The report of a trained entry; see `make_report`. The same subject and results give the same bytes."""
    everything = diagnostics_of(subject)
    names = everything if names is None else names
    sections, pictures = [], {}
    for name in names:
        with style():
            section = diagnose(name, subject, results)
            if section.figure is not None:
                pictures[name] = png(section.figure)
        sections.append(section)
        advance(1)
    try:
        for name, picture in pictures.items():
            write_atomic(output / f"{name}.png", picture)
        path = output / ("index.html" if list(names) == everything else f"{'-'.join(names)}.html")
        write_atomic(path, page(subject, sections, pictures))
    except OSError as error:
        raise L96BenchError(f"{output}: expected a folder that can be written, got {error}") from error
    return path, sections


def page(subject: AnySubject, sections: Sequence[Section], pictures: dict[str, bytes]) -> str:
    """The page as HTML: every text escaped, every picture inside, nothing fetched from anywhere."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("l96bench.diagnostics"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    sources = {
        name: "data:image/png;base64," + base64.b64encode(picture).decode() for name, picture in pictures.items()
    }
    template = environment.get_template("report.html.j2")
    tasks = " and ".join(task.id for task in subject.tasks)
    return template.render(entry=subject.entry, place=subject.place, sections=sections, sources=sources, tasks=tasks)
