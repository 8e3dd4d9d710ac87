"""Diagnostics, the sections that they make, and the registry in which they are found by name."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.figure import Figure

from l96bench.diagnostics.subject import Subject
from l96bench.errors import L96BenchError
from l96bench.plugins import Registry
from l96bench.results.record import Result

Results = Sequence[Result]
"""The rows of the board."""

_PACKAGE = "l96bench.diagnostics"


class LeftOutError(L96BenchError):
    """A diagnostic makes no sense for an entry, or lacks what it needs; the message says why.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> def lags(model):
    ...     raise diagnostics.LeftOutError("the model has no memory")
    ...
    >>> try:
    ...     lags(None)
    ... except diagnostics.LeftOutError as reason:
    ...     print(reason)
    ...
    the model has no memory
    """


@dataclass(frozen=True, slots=True)
class Section:
    """The picture and the numbers of one diagnostic of one entry.

    Parameters
    ----------
    caption : str
        What the picture shows and how it was computed; of a diagnostic that was left out, why.
    header : sequence of str
        The columns of the table.
    rows : sequence of sequence of str
        The key numbers as text, a cell for each column.
    figure : Figure, optional
        None when the diagnostic was left out.
    name, title : str
        Of the diagnostic, which fills them in.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> picture = diagnostics.figure(4.0, 3.0)
    >>> section = diagnostics.Section("The error in time.", ("lead", "error"), [("1", "0.3")], picture)
    >>> section.header
    ('lead', 'error')
    """

    caption: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figure: Figure | None = None
    name: str = ""
    title: str = ""


Make = Callable[[Any, Results], Section]
"""A function that computes and draws the section of a subject."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A picture of an entry with its numbers, and which entries it is for.

    Parameters
    ----------
    name, title : str
        The name, of small letters, digits, - and _, is also that of the picture's file.
    make : (Subject, sequence of Result) -> Section
        Computes and draws it, from the entry's runs and the rows of the board. It raises `LeftOutError` for an entry
        that it makes no sense for.
    kind : str, optional
        The `Task.kind` that it is for (closure, increment or equations), or a family of tasks; any entry if not given.
    order : int
        Its place on the page; those of this package lie between 0 and 1000.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> found = diagnostics.find_diagnostic("skill")
    >>> found.name, found.title
    ('skill', 'Forecast skill by lead')
    """

    name: str
    title: str
    make: Make
    kind: str | None = None
    order: int = 1000

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", self.name):
            raise L96BenchError(f"expected a diagnostic's name of small letters, digits, - and _, got {self.name!r}")

    @property
    def __wrapped__(self) -> Make:
        """The function that this object stands for."""
        return self.make

    def suits(self, subject: Subject) -> bool:
        """Return whether it is for such an entry."""
        return self.kind in (None, subject.kind, subject.task.family)

    def __call__(self, subject: Subject, results: Results = ()) -> Section:
        """Return its section, with its name and title; one without a picture, and why, where it makes no sense."""
        try:
            if not self.suits(subject):
                family = subject.task.family
                raise LeftOutError(f"it is for {self.kind}, and {subject.entry.name} is an entry of {family}")
            section = self.make(subject, results)
        except LeftOutError as reason:
            section = Section(f"Left out: {reason}.")
        if not isinstance(section, Section):
            raise L96BenchError(f"diagnostic {self.name!r}: expected it to return a Section, got {section!r:.80}")
        return replace(section, name=self.name, title=self.title)


def _checked(name: str, value: Any) -> Diagnostic:
    if not isinstance(value, Diagnostic) or value.name != name:
        raise L96BenchError(f"expected a Diagnostic of the name {name!r}, got {value!r:.80}")
    return value


_DIAGNOSTICS: Registry[Diagnostic] = Registry("diagnostic", _PACKAGE, _checked)


@functools.cache
def _import_own() -> None:
    """Import the modules of this package, which register their diagnostics."""
    for module in pkgutil.walk_packages(importlib.import_module(_PACKAGE).__path__, f"{_PACKAGE}."):
        importlib.import_module(module.name)


def _all() -> Registry[Diagnostic]:
    _import_own()
    return _DIAGNOSTICS


def register_diagnostic(
    name: str, title: str, *, kind: str | None = None, order: int = 1000
) -> Callable[[Make], Diagnostic]:
    """Turn the decorated function into a diagnostic and add it to all pages of the entries that it is for.

    An installed package names its diagnostics as entry points of the group ``l96bench.diagnostics`` as well, and they
    are found without an import.

    Parameters
    ----------
    name, title : str
        As of a `Diagnostic`.
    kind : str, optional
        As of a `Diagnostic`.
    order : int
        As of a `Diagnostic`.

    Returns
    -------
    function -> Diagnostic
        The decorator.

    Raises
    ------
    L96BenchError
        If another has the name.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> @diagnostics.register_diagnostic("training-seed", "Training seed")
    ... def training_seed(subject, results):
    ...     picture = diagnostics.figure(4.0, 3.0)
    ...     return diagnostics.Section("The seed of the training.", ("seed",), [(str(subject.seed),)], picture)
    ...
    >>> training_seed.title
    'Training seed'
    """

    def decorated(make: Make) -> Diagnostic:
        if not make.__module__.startswith(f"{_PACKAGE}."):
            _import_own()
        return _DIAGNOSTICS.register(name, Diagnostic(name, title, make, kind, order))

    return decorated


def find_diagnostic(name: str | Diagnostic) -> Diagnostic:
    """Return the diagnostic of that name; a diagnostic is returned as it is.

    Parameters
    ----------
    name : str or Diagnostic
        One of `list_diagnostics`.

    Returns
    -------
    Diagnostic
        It is called with a subject and results.

    Raises
    ------
    UnknownIdError
        If there is none; the message names the closest ones.
    L96BenchError
        If two packages offer it, or it cannot be loaded.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> diagnostics.find_diagnostic("skill").kind
    'closure'
    """
    return name if isinstance(name, Diagnostic) else _all()[name]


def list_diagnostics(subject: Subject | None = None) -> list[str]:
    """Return the names of the diagnostics for such an entry, or of all, in the order of the page.

    Those of other packages that cannot be loaded are left out with a warning.

    Parameters
    ----------
    subject : Subject, optional
        An entry; all diagnostics if not given.

    Returns
    -------
    list of str
        What `find_diagnostic` takes.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> "skill" in diagnostics.list_diagnostics()
    True
    """
    for error in _all().broken().values():
        warnings.warn(str(error), stacklevel=2)
    suitable = [each for each in _all().working().values() if subject is None or each.suits(subject)]
    return [each.name for each in sorted(suitable, key=lambda each: (each.order, each.name))]


def diagnose(diagnostic: str | Diagnostic, subject: Subject, results: Results = ()) -> Section:
    """Return the section of one diagnostic of a subject.

    It has no picture, and says why, where it makes no sense for the entry.

    Parameters
    ----------
    diagnostic : str or Diagnostic
        Its name, or itself; see `find_diagnostic` for errors.
    subject : Subject
        A trained entry, made by `train`.
    results : sequence of Result
        Rows of the board, for diagnostics that compare entries.

    Returns
    -------
    Section
        With caption, numbers and picture.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import diagnostics
    >>> entry = l96bench.Entry("none", "none", "", lambda task, seed: l96bench.NoClosure())
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> section = diagnostics.diagnose("skill", diagnostics.Subject(entry, entry.model(task, 0), task))
    >>> section.caption.startswith("Left out: ")
    True
    """
    return find_diagnostic(diagnostic)(subject, results)
