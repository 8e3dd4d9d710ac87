"""The errors that l96bench raises. Each says what was expected, what came, and what to try."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class L96BenchError(Exception):
    """The base of every error that l96bench raises on purpose."""


class UnknownIdError(L96BenchError, KeyError):
    """An id (of a regime, a task, a split, a baseline) that is not registered."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ModelError(L96BenchError):
    """A model that cannot be used: not fitted, wrong shape or dtype, or its own code raised."""


class DataError(L96BenchError):
    """A data set that cannot be made, read or trusted."""


class ResultError(L96BenchError):
    """A result file that cannot be read, or that does not belong where it was put."""


class BlowUpError(L96BenchError):
    """An integration of the truth that left the range of finite numbers."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """The end of an error message: the registered names closest to `name`, or all of them when none is close."""
    choices = sorted(choices)
    close = get_close_matches(name, choices, n=3, cutoff=0.5)
    if close:
        return " Did you mean " + " or ".join(repr(match) for match in close) + "?"
    return " Known: " + ", ".join(choices) + "."
