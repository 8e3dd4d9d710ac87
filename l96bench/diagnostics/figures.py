"""The look of every picture: colours that all eyes can tell apart, sizes that can be read, the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = [
    "BLACK",
    "BLUE",
    "DIVERGING",
    "GREEN",
    "GREY",
    "PALETTE",
    "SEQUENTIAL",
    "SKY",
    "VERMILION",
    "band",
    "bin_edges",
    "figure",
    "integer_ticks",
    "plain",
    "png",
    "style",
]

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
"""Okabe and Ito (2008), "Color Universal Design"."""
GREY = "#767676"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
SEQUENTIAL, DIVERGING = "cividis", "RdBu_r"
DPI = 110

_STYLE: dict[Any, Any] = {
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.labelsize": 10.0,
    "legend.fontsize": 9.0,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.alpha": 0.3,
    "lines.linewidth": 1.8,
    "axes.axisbelow": True,
    "font.family": "DejaVu Sans",
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's own defaults and the changes above inside, the caller's settings outside."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, on a canvas of its own."""
    made = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(made)
    return made


def png(picture: Figure) -> bytes:
    """The picture as a PNG file: no date, no version of a program, so that equal pictures are equal bytes."""
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def band(
    ax: Axes,
    x: NDArray[np.float64],
    curve: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    *,
    color: str,
    label: str,
    dashes: str = "-",
) -> None:
    """A line with its interval: estimate, low and high, each (n,)."""
    value, low, high = curve
    ax.fill_between(x, low, high, color=color, alpha=0.2, lw=0)
    ax.plot(x, value, color=color, ls=dashes, label=label)


def plain(text: str, length: int = 48) -> str:
    """Text of others as a picture may show it: one line, not too long, its dollar signs no mathematics."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split()).lstrip("_")
    short = line if len(line) <= length else line[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return short.replace("$", r"\$")


def bin_edges(values: NDArray[np.float64], ends: tuple[float, float], n_bins: int) -> NDArray[np.float64]:
    """Edges of equal bins between two percentiles of the values, (n_bins + 1,)."""
    low, high = np.percentile(values, ends)
    return np.linspace(float(low), float(high), n_bins + 1)


def integer_ticks(ax: Axes, values: NDArray[np.int64]) -> None:
    """Ticks of the horizontal axis on whole numbers, few enough to be read."""
    step = max(1, -(-len(values) // 9))
    kept = [int(value) for value in values if value % step == 0]
    ax.set_xticks(kept)
