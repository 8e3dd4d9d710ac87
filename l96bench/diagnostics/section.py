"""What the page shows of one diagnostic, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.diagnostics.skill import Curve

__all__ = ["LEADS", "TITLES", "Section", "interval_text", "nearest_lead"]

LEADS = (0.5, 1.0, 2.0)
"""The leads in MTU that tables show."""

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "hovmoeller": "Truth and model in space and time",
        "density": "Subgrid tendency against resolved state",
        "skill": "Forecast skill by lead",
        "spread": "Spread, error and ranks",
        "climate": "Climate",
        "regimes": "Regimes",
        "attribution": "Where forecast errors come from",
        "importance": "What the closure looks at",
        "relevance": "What the network's output is made of",
        "learning": "Learning curves",
        "scatter": "Offline against online",
        "pareto": "Skill against cost",
        "cycles": "Errors of background and analysis",
        "reliability": "Spread, error and ranks of the cycled ensemble",
        "innovations": "Innovations",
        "increments": "Increments, predicted and actual",
        "equations": "True and discovered coefficients",
        "terms": "Terms that are found",
        "recovery": "Recovery against noise and budget",
        "standing": "Where it stands",
    }
)
"""The headings of the diagnostics by their names."""


@dataclass(frozen=True, slots=True)
class Section:
    """One diagnostic of one entry, ready for a page.

    Attributes
    ----------
    name : str
        A key of `TITLES`.
    caption : str
        What the picture shows and how it was computed; of one that was left out, why.
    header : sequence of str
    rows : sequence of rows
        The key numbers as a table.
    figure : Figure or None
        None when the diagnostic was left out.
    """

    name: str
    caption: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figure: Figure | None = None

    @property
    def title(self) -> str:
        """The heading."""
        return TITLES[self.name]


def interval_text(curve: Curve, i: int, scale: float = 1.0) -> str:
    """A curve at one lead over a scale, such as ``1.996 [1.876, 2.108]``."""
    value, low, high = (float(part[i]) / scale for part in curve.parts)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def nearest_lead(leads: NDArray[np.float64], lead: float) -> int:
    """The index of the lead that is closest to one in MTU."""
    return int(np.argmin(np.abs(leads - lead)))
