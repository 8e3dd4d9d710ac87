"""The bound of ten climatological standard deviations: what lies beyond it has blown up."""

from __future__ import annotations

__all__ = ["BOUND", "bounds"]

BOUND = 10.0
"""Climatological standard deviations from the mean beyond which a value counts as blown up."""


def bounds(mean: float, std: float) -> tuple[float, float]:
    """The lowest and the highest value that has not blown up, for the climatology's mean and standard deviation."""
    return mean - BOUND * std, mean + BOUND * std
