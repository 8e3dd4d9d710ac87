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


class EquationError(ModelError):
    """An equation that cannot be read: outside the grammar, out of range, or too large to expand."""


class DataError(L96BenchError):
    """A data set that cannot be made, read or trusted."""


class ResultError(L96BenchError):
    """A result file that cannot be read, or that does not belong where it was put."""


class SubmissionError(L96BenchError):
    """A submission that cannot be read, run or trusted; the message has one line for each thing that is wrong."""


class ClusterError(L96BenchError):
    """A cluster that cannot be reached or used, or a process that is gone."""


class ActionError(L96BenchError):
    """An action of the wrong shape or dtype, or outside of the environment's box."""


class EpisodeError(L96BenchError):
    """An environment that was stepped or reset out of turn: before its first reset, after an end, or after `close`."""


class BlowUpError(L96BenchError):
    """An integration of the truth that left the range of finite numbers."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """The end of an error message: the registered names closest to `name`, or all of them when none is close."""
    choices = sorted(choices)
    close = get_close_matches(name, choices, n=3, cutoff=0.5)
    if close:
        return " Did you mean " + " or ".join(repr(match) for match in close) + "?"
    return " Known: " + ", ".join(choices) + "."
