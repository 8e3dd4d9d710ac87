"""Tell who answers each question of the board best, who shares the first rank, at what cost, and what does not win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from l96bench.board.flags import is_attack
from l96bench.board.seasons import is_apart
from l96bench.board.tables import Row, Table
from l96bench.board.text import NONE, interval, number
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
        The first row of the next rank.
    """

    table: Table
    first: Row
    tied: tuple[Row, ...]
    n_sharing: int
    next: Row | None

    @property
    def ahead(self) -> Value | None:
        """The difference of the best from the first row of the next rank, by the paired bootstrap."""
        return None if self.next is None else self.next.behind

    @property
    def margin(self) -> str:
        """The same with its interval in words; all share its rank where there is no next rank."""
        own = self.ahead
        return "all share its rank" if own is None else interval(own.value, own.low, own.high, ".2f")

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
    """Return the winner of every table that has a ranked row."""
    found = []
    for one in tables:
        ranked = [row for row in one.rows if row.rank is not None]
        if ranked:
            sharing = [row for row in ranked[1:] if row.rank == 1]
            tied = tuple(row for row in sharing if row.behind is None or not is_apart(row.behind))
            after = next((row for row in ranked if row.rank != 1), None)
            found.append(Winner(one, ranked[0], tied, len(sharing) - len(tied), after))
    return tuple(found)


def attacks(tables: Sequence[Table]) -> dict[str, list[tuple[Table, Row]]]:
    """Return the rows of every attack with their tables, by slug."""
    found: dict[str, list[tuple[Table, Row]]] = {}
    for one in tables:
        for row in one.rows:
            if is_attack(row.result):
                found.setdefault(row.result.slug, []).append((one, row))
    return found
