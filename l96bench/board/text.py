"""Markdown from untrusted strings: escaping, numbers, tables, code, templates."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jinja2

NONE = "\N{EN DASH}"

_ESCAPES = str.maketrans(
    {sign: html.escape(sign, quote=False) for sign in "&<>"} | {sign: f"\\{sign}" for sign in "\\`*_[]|~$"}
)


class Markdown(str):
    """Text that is Markdown already and must not be escaped.

    Examples
    --------
    >>> import l96bench
    >>> l96bench.Markdown("**best**")
    '**best**'
    """

    __slots__ = ()


def escape(text: object) -> Markdown:
    """Return one line of Markdown that shows ``text`` literally; `Markdown` passes unchanged."""
    if isinstance(text, Markdown):
        return text
    return Markdown(one_line(str(text)).translate(_ESCAPES))


def one_line(text: str) -> str:
    """Return the text with line breaks, and characters that do not print, as single spaces."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


def number(value: float | None, spec: str) -> str:
    """Return a number in a format specification; a dash for ``None``, scientific notation from a million on."""
    if value is None:
        return NONE
    return format(value, f"z{spec}" if abs(value) < 1e6 else ".1e")


def count(value: int | None) -> str:
    """Return a whole number with its thousands apart; a dash for ``None``."""
    return NONE if value is None else f"{value:,d}"


def interval(value: float, low: float | None, high: float | None, spec: str) -> Markdown:
    """Return an estimate with its interval, such as ``84.7 [84.1, 85.2]``."""
    ends = "" if low is None or high is None else f" [{number(low, spec)}, {number(high, spec)}]"
    return Markdown(number(value, spec) + ends)


def distinct(values: Iterable[str]) -> str:
    """Return the different values that are not empty, in the order in which they first come."""
    return "; ".join(dict.fromkeys(value for value in values if value))


def templates(finalize: Callable[[Any], Any], *, autoescape: bool = False) -> jinja2.Environment:
    """Return the board's templates, in which `finalize` makes every value safe and an unknown name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("l96bench.board"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def code_block(text: str) -> Markdown:
    """Return an indented code block, which no text can end early, as it could a fence."""
    return Markdown("\n".join(f"    {line}" for line in text.splitlines()))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]], left: Sequence[str] = ()) -> Markdown:
    """Return a Markdown table; columns named in `left` are aligned to the left, the others to the right.

    Every cell but `Markdown` is escaped.

    Parameters
    ----------
    header : sequence of str
        The heads of the columns.
    rows : sequence of sequences
        The cells of each row, from left to right.
    left : sequence of str
        The heads of the columns whose cells are aligned to the left.

    Returns
    -------
    Markdown
        The lines of the table.

    Examples
    --------
    >>> import l96bench
    >>> print(l96bench.markdown_table(("entry", "score"), [("quartic", "84.7"), ("linear", "79.1")], left=("entry",)))
    | entry   | score |
    | ------- | ----: |
    | quartic |  84.7 |
    | linear  |  79.1 |
    """
    cells = [[escape(cell) for cell in row] for row in [header, *rows]]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    flush_left = [name in left for name in header]
    rule = ["-" * width if flush else "-" * (width - 1) + ":" for width, flush in zip(widths, flush_left, strict=True)]

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if flush else cell.rjust(width)
            for cell, width, flush in zip(row, widths, flush_left, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    return Markdown("\n".join([line(cells[0]), line(rule), *map(line, cells[1:])]))
