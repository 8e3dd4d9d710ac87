"""Tell who answers each question of the board best, who shares the first rank, at what cost, and what does not win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from l96bench.board.flags import is_attack
from l96bench.board.seasons import is_apart
from l96bench.board.tables import Row, Table, lead
from l96bench.board.text import NONE, interval, number
from l96bench.results.origin import Origin
from l96bench.results.score import Value

__all__ = ["Winner", "attacks", "winners"]

_NAMED = 2
"""Entries that cannot be told apart from the best and are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Winner:
    """The best row of a table, and what to know of it.

    Attributes
    ----------
    table : Table
    first : Row
    tied : tuple of Row
        Those that cannot be told apart from it.
    n_sharing : int
        The number of others that share its rank: told apart from it, but not from all of the rank.
    next : Row or None
        The best of those that are told apart from it.
    """

    table: Table
    first: Row
    tied: tuple[Row, ...]
    n_sharing: int
    next: Row | None

    @property
    def ahead(self) -> Value | None:
        """Its score less that of the next, by the paired bootstrap."""
        return None if self.next is None else lead(self.first.result, self.next.result)

    @property
    def margin(self) -> str:
        """The same with its interval in words."""
        own = self.ahead
        return "told apart from none" if own is None else interval(own.value, own.low, own.high, ".2f")

    @property
    def named(self) -> tuple[Row, ...]:
        """Those of the tied that are named."""
        return self.tied if len(self.tied) <= _NAMED + 1 else self.tied[:_NAMED]

    @property
    def n_more(self) -> int:
        """The number of the tied that are not named."""
        return len(self.tied) - len(self.named)

    @property
    def cost(self) -> str:
        """Time of a call; of the training where there is no call; a dash where neither is known."""
        own = self.first.result.cost
        if own.microseconds_per_call is not None:
            return f"{number(own.microseconds_per_call, '.2f')} µs"
        return NONE if own.training_seconds is None else f"{number(own.training_seconds, '.0f')} s to fit"

    @property
    def cheapest(self) -> str:
        """Time of a call of the cheapest of the tied, if that is below the winner's; else an empty text."""
        costs = [cost for row in self.tied if (cost := row.result.cost.microseconds_per_call) is not None]
        own = self.first.result.cost.microseconds_per_call
        return f"tied from {number(min(costs), '.2f')} µs" if costs and own is not None and min(costs) < own else ""


def winners(tables: Sequence[Table]) -> tuple[Winner, ...]:
    """Return the winner of every table that has a ranked row.

    It is the best row, but one that the board trained itself, or that is sealed, goes before a declared row from which
    it cannot be told apart.
    """
    found = []
    for one in tables:
        ranked = [row for row in one.rows if row.rank is not None]
        if not ranked:
            continue
        level = [row for row in ranked if row.behind is None or not is_apart(row.behind)]
        first = next((row for row in level if row.origin is not Origin.DECLARED), ranked[0])
        tied: list[Row] = []
        apart: list[Row] = []
        for row in ranked:
            if row is not first:
                (apart if is_apart(lead(first.result, row.result)) else tied).append(row)
        sharing = sum(row.rank == first.rank for row in apart)
        found.append(Winner(one, first, tuple(tied), sharing, next(iter(apart), None)))
    return tuple(found)


def attacks(tables: Sequence[Table]) -> dict[str, list[tuple[Table, Row, str]]]:
    """Return the rows of every attack with their tables and how many ranked rows are above, by slug."""
    found: dict[str, list[tuple[Table, Row, str]]] = {}
    for one in tables:
        ranked = [row.result.score.value for row in one.rows if row.rank is not None]
        for row in (each for each in one.rows if is_attack(each.result)):
            above = sum(score > row.result.score.value for score in ranked)
            found.setdefault(row.result.slug, []).append((one, row, f"below {above} of {len(ranked)}"))
    return found
