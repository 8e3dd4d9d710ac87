"""The glossary's entries: what a number in a result is, its unit, and which way is better."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from l96bench.errors import L96BenchError

__all__ = ["Metric", "find_metric", "with_shift"]

_DIRECTIONS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "truth": "best at the truth's",
    "none": "neither way is better",
}
_PLACE = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Metric:
    """The definition of a metric, or of a curve, that results have.

    Parameters
    ----------
    key : str
        Its key in results. Names in braces stand for numbers, as in ``r2_budget_{mtu}``; title and definition may use
        them.
    title, definition : str
        A short name, and what the number is.
    unit : str
        "1" for what has none.
    better : {"higher", "lower", "truth", "none"} or float
        Which way is better: "truth" is best at the truth's value, a number at that number.
    axis : str
        What a curve runs over; empty for a metric, which is one number.
    least, most : float, optional
        A row whose metric is outside of these, beyond its interval if it has one, has no rank.
    flag : str
        The flag of such a row.

    Examples
    --------
    >>> import l96bench
    >>> (rmse,) = [metric for metric in l96bench.glossary("subgrid-forcing") if metric.key == "rmse"]
    >>> rmse.title, rmse.better
    ('RMSE', 'lower')
    """

    key: str
    title: str
    definition: str
    unit: str
    better: Literal["higher", "lower", "truth", "none"] | float
    axis: str = ""
    least: float | None = None
    most: float | None = None
    flag: str = "recalled"

    def __post_init__(self) -> None:
        if not (self.key and self.title and self.definition and self.unit):
            raise L96BenchError(f"expected a metric with key, title, definition and unit, got {self!r}")
        if isinstance(self.better, str) and self.better not in _DIRECTIONS:
            raise L96BenchError(f"{self.key}: expected `better` in {[*_DIRECTIONS]} or a number, got {self.better!r}")

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        return _DIRECTIONS[self.better] if isinstance(self.better, str) else f"best at {self.better:g}"

    @property
    def label(self) -> str:
        """The title with unit, if any, and direction."""
        return f"{self.title} ({'' if self.unit == '1' else f'{self.unit}, '}{self.direction})"

    def at(self, key: str) -> Metric | None:
        """Return the metric with the numbers of a key in place of the names; None if it is not of that key."""
        parts = _PLACE.split(self.key)
        pattern = "".join(
            f"(?P<{part}>[0-9]+(?:_[0-9]+)?)" if i % 2 else re.escape(part) for i, part in enumerate(parts)
        )
        found = re.fullmatch(pattern, key)
        if found is None:
            return None
        numbers = {name: f"{float(digits.replace('_', '.')):g}" for name, digits in found.groupdict().items()}
        title, definition = (
            _PLACE.sub(lambda match: numbers.get(match[1], match[0]), text) for text in (self.title, self.definition)
        )
        return replace(self, key=key, title=title, definition=definition)


def find_metric(metrics: Iterable[Metric], key: str, *, curve: bool = False) -> Metric | None:
    """Return the metric (or the curve) of a key among some, its numbers filled in; None if there is none.

    Parameters
    ----------
    metrics : iterable of Metric
        Such as a `glossary`.
    key : str
        As results have it, such as ``"r2_budget_10"``.
    curve : bool
        Whether to look among the curves.

    Returns
    -------
    Metric or None
        With that key.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import metrics
    >>> metrics.find_metric(l96bench.glossary("subgrid-forcing"), "r2_budget_10").key
    'r2_budget_10'
    """
    return next((own for each in metrics if bool(each.axis) == curve and (own := each.at(key))), None)


def with_shift(*metrics: Metric) -> tuple[Metric, ...]:
    """Return metrics, each followed by the same one with the suffix ``_shift``: at the forcing F + 4.

    Parameters
    ----------
    *metrics : Metric
        At the regime's forcing.

    Returns
    -------
    tuple of Metric
        Twice as many.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import metrics
    >>> rmse = metrics.find_metric(l96bench.glossary("subgrid-forcing"), "rmse")
    >>> [metric.key for metric in metrics.with_shift(rmse)]
    ['rmse', 'rmse_shift']
    """
    return tuple(
        each
        for own in metrics
        for each in (
            own,
            replace(
                own,
                key=f"{own.key}_shift",
                title=f"{own.title}, shift",
                definition=f"{own.definition} At the forcing F + 4, of a closure trained at F.",
            ),
        )
    )
