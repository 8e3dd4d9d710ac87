"""Check arguments that many functions share: seeds, and times that are whole multiples of each other."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from l96bench.errors import ArgumentError

__all__ = ["checked_random_state", "checked_seed", "seed_words", "whole_multiple"]


def checked_seed(seed: Any, name: str = "seed") -> int:
    """Return a seed as an int; ArgumentError unless it is a whole number from 0 on."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise ArgumentError(f"expected {name} as a whole number from 0 on, got {seed!r}; try {name}=0")
    return number


def checked_random_state(random_state: Any) -> int | None:
    """Return the `random_state` of an estimator: a seed from 0 on, or None to draw one each time."""
    return None if random_state is None else checked_seed(random_state, "random_state")


def seed_words(seed: int | Sequence[int], name: str = "seed") -> list[int]:
    """Return the words of a seed, a whole number from 0 on or a sequence of these; ArgumentError otherwise."""
    if isinstance(seed, str) or not hasattr(seed, "__iter__"):
        return [checked_seed(seed, name)]
    return [checked_seed(word, f"every word of {name}") for word in seed]


def whole_multiple(duration: float, interval: float, name: str = "duration", of: str = "interval") -> int:
    """Return how many times `interval` fits into `duration`; ArgumentError unless it is a whole number from 1 on.

    The ratio must be whole to a relative 1e-9; `name` and `of` are what messages call the two times.
    """
    ratio = duration / interval if interval > 0 else math.nan
    whole = round(ratio) if math.isfinite(ratio) else 0
    if whole < 1 or abs(ratio - whole) > 1e-9 * whole:
        raise ArgumentError(
            f"{name} {duration} must be a positive whole multiple of {of} {interval}; it is {ratio:.12g} times that"
        )
    return whole
