"""The errors that l96bench raises. Each says what was expected, what came, and what to try."""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

TRACEBACK = "L96BENCH_TRACEBACK"
"""The environment variable that adds the whole traceback of an error in a user's code to messages."""
_HERE = Path(__file__).resolve().parent
_LIBRARIES = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class L96BenchError(Exception):
    """The base of every error that l96bench raises on purpose.

    Examples
    --------
    >>> import l96bench
    >>> try:
    ...     l96bench.simulate("wilks-f20", -1.0)
    ... except l96bench.L96BenchError as error:
    ...     print(type(error).__name__)
    ...
    ArgumentError
    """


class UnknownIdError(L96BenchError, KeyError):
    """An id (of a regime, a task, a split, a baseline) that is not registered.

    Examples
    --------
    >>> import l96bench
    >>> try:
    ...     l96bench.get_regime("wilks-f21")
    ... except l96bench.UnknownIdError as error:
    ...     print(error)
    ...
    no regime 'wilks-f21'. Did you mean 'wilks-f20' or 'wilks-f18'?
    """

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ArgumentError(L96BenchError, ValueError):
    """An argument that is out of range, such as a negative seed."""


class ModelError(L96BenchError):
    """A model that cannot be used: not fitted, wrong shape or dtype, or its own code raised.

    Examples
    --------
    >>> import l96bench
    >>> try:
    ...     l96bench.check_closure(lambda X: X[:1])
    ... except l96bench.ModelError as error:
    ...     print("refused")
    ...
    refused
    """


class NoGraphError(ModelError):
    """A model of which no graph is known: it cannot be exported, and tasks run it as it is."""


class EquationError(ModelError):
    """An equation that cannot be read: outside the grammar, out of range, or too large to expand.

    Examples
    --------
    >>> import l96bench
    >>> try:
    ...     l96bench.EquationSet.parse(["dX[k]/dt = X[k] +"], K=5)
    ... except l96bench.EquationError as error:
    ...     print("refused")
    ...
    refused
    """


class DataError(L96BenchError):
    """A data set that cannot be made, read or trusted.

    Examples
    --------
    >>> import l96bench
    >>> issubclass(l96bench.DataError, l96bench.L96BenchError)
    True
    """


class ResultError(L96BenchError):
    """A result file that cannot be read, or that does not belong where it was put.

    Examples
    --------
    >>> import l96bench, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "a.json").write_text("{}")
    ...     try:
    ...         l96bench.read_results(folder)
    ...     except l96bench.ResultError as error:
    ...         print("refused")
    ...
    refused
    """


class SubmissionError(L96BenchError):
    """A submission that cannot be read, run or trusted; the message has one line for each thing that is wrong.

    Examples
    --------
    >>> import l96bench
    >>> try:
    ...     l96bench.read_closure(b"not an ONNX file")
    ... except l96bench.SubmissionError as error:
    ...     print("refused")
    ...
    refused
    """


class ClusterError(L96BenchError):
    """A cluster that cannot be reached or used, or a process that was lost.

    Examples
    --------
    >>> import l96bench
    >>> issubclass(l96bench.ClusterError, l96bench.L96BenchError)
    True
    """


class MissingExtraError(L96BenchError, ModuleNotFoundError):
    """A library that an extra of the package installs is missing; the message names the line to type.

    Examples
    --------
    >>> import l96bench
    >>> issubclass(l96bench.MissingExtraError, ImportError)
    True
    """


class ActionError(L96BenchError):
    """An action of the wrong shape or dtype, or outside of the environment's box."""


class EpisodeError(L96BenchError):
    """An environment that was stepped or reset out of turn: before its first reset, after an end, or after `close`."""


class BlowUpError(L96BenchError):
    """An integration of the truth that left the range of finite numbers.

    Examples
    --------
    >>> import l96bench
    >>> try:
    ...     l96bench.simulate("wilks-f20", 1.0, dt=0.05, spin_up=0.0)
    ... except l96bench.BlowUpError as error:
    ...     print("blew up")
    ...
    blew up
    """


class ModelWarning(UserWarning):
    """A warning about a model that its author should know."""


def user_error(what: str, error: BaseException, hint: str = "") -> ModelError:
    """Return the error to raise, ``from error``, when a user's code has raised: it says what raised, and the line.

    `what` is such as ``"Slope.fit"``; `hint` follows the error's own message.
    """
    return ModelError(f"{what} raised {described(error)}{hint}{place_of(error)}")


def described(error: BaseException) -> str:
    """Return the type and the message of an error."""
    return f"{type(error).__name__}: {error}"


def place_of(error: BaseException) -> str:
    """Return where an error was raised, as the end of a message: the innermost line of the user's code, or of any.

    With the environment variable L96BENCH_TRACEBACK the whole traceback follows.
    """
    frames = [(each.filename, each.lineno, each.name) for each in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:  # its place is no frame
        frames.append((error.filename, error.lineno, "<module>"))
    own = [frame for frame in frames if is_users_file(frame[0])]
    if not frames or (isinstance(error, L96BenchError) and not own):
        return ""
    file, line, name = (own or frames)[-1]
    inside = "" if name == "<module>" else f", in {name}"
    whole = "\n" + "".join(traceback.format_exception(error)) if os.environ.get(TRACEBACK, "0") not in {"", "0"} else ""
    return f" [{file}, line {line}{inside}]{whole}"


def is_users(error: BaseException) -> bool:
    """Return whether an error was raised in user code, or in what user code has called."""
    return any(is_users_file(each.filename) for each in traceback.extract_tb(error.__traceback__))


def is_users_file(file: str) -> bool:
    """Return whether a file is user code: neither of this package (its baselines apart) nor of an installed library."""
    path = Path(file)
    if path.is_relative_to(_HERE):
        return path.is_relative_to(_HERE / "baselines")
    return not file.startswith(("<", *_LIBRARIES))


def whole_sentences(text: str, most: int = 300) -> str:
    """Return a text on one line, cut behind a sentence, or a word, so that it has at most so many characters."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    end = line.rfind(". ", 0, most)
    return line[: end + 1] if end > 0 else line[:most].rpartition(" ")[0] + " ..."


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return the end of an error message: the names closest to `name`, or the first of them when none is close."""
    choices = sorted(choices)
    close = get_close_matches(name, choices, n=3, cutoff=0.5)
    if close:
        return " Did you mean " + " or ".join(repr(match) for match in close) + "?"
    return " Known: " + ", ".join(shortened(choices, 40)) + "."


def shortened(faults: Sequence[str], most: int = 20) -> list[str]:
    """Return the first lines of a list of faults, and how many more there are."""
    return [*faults[:most], f"... and {len(faults) - most:,} more"] if len(faults) > most else list(faults)


def faulty_fields(
    error: ValidationError, known: Callable[[tuple[int | str, ...]], Iterable[str]] | None = None
) -> list[str]:
    """Return a line for every field that pydantic refused: its place, what was expected, and what was given.

    `known` returns the keys that are allowed at the place of an unknown one.
    """
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        where, message = ".".join(f"{each!s:.60}" for each in fault["loc"]), fault["msg"].removeprefix("Value error, ")
        came = f", got {fault['input']!r:.80}" if isinstance(fault["input"], str | int | float | bool) else ""
        if fault["type"] == "missing":
            message = "expected this key, it is missing"
        elif fault["type"] == "extra_forbidden" and known is not None:
            keys, key = list(known(fault["loc"])), str(fault["loc"][-1])
            close = nearest(key, keys) if get_close_matches(key, keys, cutoff=0.5) else ""
            message, came = f"unknown key; known are {', '.join(keys)}{'.' * bool(close)}{close}", ""
        lines.append(f"{where}: {message}{came}" if where else f"{message}{came}")
    return shortened(lines)
