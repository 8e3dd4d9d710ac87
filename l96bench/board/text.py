"""Markdown from untrusted strings: escaping, numbers, tables, code."""

from __future__ import annotations

import html
from collections.abc import Sequence

NONE = "\N{EN DASH}"

_ESCAPES = str.maketrans(
    {sign: html.escape(sign, quote=False) for sign in "&<>"} | {sign: f"\\{sign}" for sign in "\\`*_[]|~$"}
)


class Markdown(str):
    """Text that is Markdown already and must not be escaped."""

    __slots__ = ()


def escape(text: object) -> Markdown:
    """One line of Markdown that shows ``text`` as it is; `Markdown` passes unchanged.

    HTML and Markdown lose their meaning; line breaks and characters that do not print, such as those that reverse the
    direction of writing, become spaces.
    """
    if isinstance(text, Markdown):
        return text
    return Markdown(one_line(str(text)).translate(_ESCAPES))


def one_line(text: str) -> str:
    """The text with line breaks, and characters that do not print, as single spaces."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


def number(value: float | None, spec: str) -> str:
    """A number in a format specification; a dash for ``None``, scientific notation from a million on."""
    if value is None:
        return NONE
    return format(value, f"z{spec}" if abs(value) < 1e6 else ".1e")


def count(value: int | None) -> str:
    """A whole number with its thousands apart; a dash for ``None``."""
    return NONE if value is None else f"{value:,d}"


def interval(value: float, low: float | None, high: float | None, spec: str) -> Markdown:
    """An estimate with its interval, such as ``84.7 [84.1, 85.2]``."""
    ends = "" if low is None or high is None else f" [{number(low, spec)}, {number(high, spec)}]"
    return Markdown(number(value, spec) + ends)


def code_block(text: str) -> Markdown:
    """An indented code block, which no text can end early (a fence could be)."""
    return Markdown("\n".join(f"    {line}" for line in text.splitlines()))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]], left: Sequence[str] = ()) -> Markdown:
    """A Markdown table with aligned columns.

    Parameters
    ----------
    header : sequence of str
        The columns' names.
    rows : sequence of sequences
        The cells; everything but `Markdown` is escaped.
    left : sequence of str
        Names of the columns that are aligned to the left; the others are numbers and go to the right.
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
