"""Compare a row with the score of its artifact on a fresh draw: test data that nobody could fit anything to."""

from __future__ import annotations

from l96bench.results.origin import FRESH_LEVEL, FreshDraw
from l96bench.results.record import Result
from l96bench.results.score import Score

__all__ = ["fresh_draw", "fresh_moved", "fresh_seed", "fresh_text"]


def fresh_seed(digest: str) -> int:
    """Return the seed of the fresh draw for an artifact of this SHA-256.

    Whoever makes an artifact does not know the draw before it is finished, and anybody can make it afterwards.
    """
    return int(digest[:15], 16)


def fresh_draw(row: Result, score: Score, seed: int) -> FreshDraw:
    """Return the comparison of a row with the score on a fresh draw; the two share no test data."""
    found = row.score.compare_independent(score, FRESH_LEVEL)
    return FreshDraw(
        seed=seed,
        score=score.value,
        difference=found.difference,
        low=found.low,
        high=found.high,
        level=FRESH_LEVEL,
    )


def fresh_text(row: Result) -> str:
    """Return in words how a row's artifact does on a fresh draw, and what that means for its rank."""
    own = row.fresh
    if own is None:
        return "no fresh draw can score it: it has no rank until a season seals it"
    about = f"on a fresh draw {own.score:.2f}, a difference of {own.difference:+.2f} [{own.low:+.2f}, {own.high:+.2f}]"
    if not own.falls:
        return about
    return f"{about}: beyond the interval" + ("" if row.submission is None else ", it has no rank")


def fresh_moved(row: Result, again: Result, tolerance: float, least: float) -> str:
    """Return how the recorded score on a fresh draw is not the one here; empty if it is, or if none is recorded.

    Rounding may move it by a fraction (`tolerance`) of the width of the interval, or by `least`.
    """
    told, here = row.fresh, again.fresh
    if told is None or told == here:
        return ""
    if here is None:
        return "it tells a score on a fresh draw, which its artifact has not"
    reach = max(least, tolerance * (here.high - here.low))
    near = all(abs(getattr(told, name) - getattr(here, name)) <= reach for name in ("score", "difference"))
    near = near and max(abs(told.low - here.low), abs(told.high - here.high)) <= 2 * reach
    same = (told.seed, told.level) == (here.seed, here.level)
    return "" if near and same else f"score {told.score:.4f} on a fresh draw, here {here.score:.4f}"
