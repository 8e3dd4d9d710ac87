"""Options of entries: what they are, how they are written, and how the models of an entry get them."""

from __future__ import annotations

import ast
import copy
import hashlib
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import cloudpickle
import numpy as np

from l96bench.entries.entry import Entry
from l96bench.errors import ArgumentError, described, nearest
from l96bench.tasks.base import Task

__all__ = ["NO_OPTIONS", "Options", "configured", "parse_options"]

_LONGEST = 100
"""Characters of the name of a row."""
_NOT_LITERAL = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)
_MARKS = set("()[]{}'\"")
"""Characters that a text has only within quotes."""
_NUMBERS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
"""The numbers that are no Python literals."""


@dataclass(frozen=True, slots=True)
class Options:
    """Parameters of an entry's models that differ.

    Attributes
    ----------
    key : str
        A text by which options are told apart: of everything in their values, so that 1, 1.0 and True are different,
        as are two objects that look alike.
    values : tuple of (str, value)
        In the order in which they were given.
    """

    key: str = ""
    values: tuple[tuple[str, Any], ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Options:
        """Return options with these values; numbers of NumPy become those of Python.

        Raises
        ------
        ArgumentError
            If a value cannot be pickled.
        """
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
        key = ", ".join(f"{name}={_identity(name, value)}" for name, value in plain.items())
        return cls(key, tuple(plain.items()))

    def __bool__(self) -> bool:
        return bool(self.values)

    def __str__(self) -> str:
        return "".join(f", {name}={value!r}" for name, value in self.values)

    def command(self, entry: str, task: str, draw: int) -> str:
        """Return what makes the row of an entry with these options: on the command line, or in Python if it must be."""
        if all(_is_literal(value) for _, value in self.values):
            options = "".join(f" --option {shlex.quote(f'{name}={value!r},')}" for name, value in self.values)
            return f"l96bench sweep {shlex.quote(entry)} --task {task}{options} --draw {draw}"
        options = ", ".join(f"{name!r}: [{value!r}]" for name, value in self.values)
        return f"l96bench.sweep({entry!r}, {{{options}}}, [{task!r}], draw={draw})"


NO_OPTIONS = Options()


def configured(entry: Entry, options: Options) -> Entry:
    """Return an entry whose models get these parameters by ``set_params`` when they are made.

    Raises
    ------
    ArgumentError
        When it makes a model, or at once if `make` trains the model itself: that it has no ``set_params``, or that the
        model has no such parameter, and which there are.
    """
    if not options:
        return entry
    if entry.trained_on is not None:
        raise ArgumentError(f"{entry.name!r} has no options: it trains its model while it makes it")

    def make(task: Task, seed: int) -> Any:
        model = entry.make(task, seed)
        if not all(callable(getattr(model, name, None)) for name in ("get_params", "set_params")):
            raise ArgumentError(
                f"{entry.name!r} has no options: its model, {type(model).__name__}, has no `get_params` and "
                "`set_params`, as estimators of scikit-learn do"
            )
        values = copy.deepcopy(dict(options.values))  # training may change them
        outer = {name: value for name, value in values.items() if "__" not in name}
        for part in (outer, {name: value for name, value in values.items() if name not in outer}):
            known = model.get_params()  # the parts of a model can be options, which have other parameters
            for name in part.keys() - known.keys():
                inner = [each for each in known if each.endswith(f"__{name}")]
                raise ArgumentError(f"{entry.name!r} has no option {name!r}." + nearest(name, inner or known))
            model.set_params(**part)
        return model

    return replace(entry, name=textwrap.shorten(f"{entry.name}{options}", _LONGEST, placeholder=" ..."), make=make)


def parse_options(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of options that are written as ``name=value,value``.

    Values are Python literals, nan, inf and -inf; what is none is a text.

    Raises
    ------
    ArgumentError
        If a text is not written so, or a name is there twice.
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.isidentifier() or not values or name in found:
            raise ArgumentError(f"expected options such as degree=1,2,3, each named once, got {text!r}")
        found[name] = list(_values(values))
    return found


def _values(text: str) -> Iterable[Any]:
    """Yield the values of a list, each the shortest that is a literal, or else a text up to the next comma."""
    parts = text.split(",")
    while parts:
        within = _MARKS & set(parts[0])
        for n in range(1, (len(parts) if within else 1) + 1):
            with suppress(*_NOT_LITERAL):
                yield _literal(",".join(parts[:n]))
                break
        else:
            if within:
                raise ArgumentError(f"expected values such as 1,2 or relu,(16,16) or ('a','b'), got {text!r}")
            if parts[0].strip():
                yield parts[0].strip()
        del parts[:n]


def _literal(text: str) -> Any:
    name = text.strip()
    return _NUMBERS[name] if name in _NUMBERS else ast.literal_eval(name)


def _is_literal(value: Any) -> bool:
    """Return whether the text of a value says all that is in it, and can be read back."""
    with suppress(*_NOT_LITERAL):
        return type(_literal(repr(value))) is type(value)
    return False


def _identity(name: str, value: Any) -> str:
    """Return a text that only this value has."""
    if _is_literal(value):
        return repr(value)
    try:
        return hashlib.sha256(cloudpickle.dumps(value)).hexdigest()
    except Exception as error:
        raise ArgumentError(f"expected values of {name!r} that can be pickled, got {described(error)}") from error
