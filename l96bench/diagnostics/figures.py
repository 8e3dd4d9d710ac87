"""Shared parts of all pictures: colours for the colour-blind too, sizes, bins, and reproducible PNG files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

Array = NDArray[np.float64]

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
"""Okabe and Ito (2008), "Color Universal Design"."""
GREY = "#767676"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
SEQUENTIAL, DIVERGING = "cividis", "RdBu_r"
LOOKS = ((BLUE, "-"), (VERMILION, "--"), (BLACK, ":"))
"""Colours and dashes of a model, of the floor that it is compared with, and of the ceiling."""
MARKS = ("o", "s", "D", "^")
HEXBIN: dict[str, Any] = {"cmap": "Greys", "bins": "log", "mincnt": 1, "linewidths": 0, "alpha": 0.7}
"""The look of densities of points."""
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
    """Use matplotlib's own defaults with the changes above; the caller's settings return afterwards.

    Yields
    ------
    None
        Until the end of the context.

    Examples
    --------
    >>> import matplotlib
    >>> from l96bench import diagnostics
    >>> with diagnostics.style():
    ...     matplotlib.rcParams["font.size"]
    ...
    10.0
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches, on a canvas of its own.

    Parameters
    ----------
    width, height : float
        In inches.

    Returns
    -------
    matplotlib.figure.Figure
        Without axes.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> picture = diagnostics.figure(4.0, 3.0)
    >>> picture.get_size_inches()
    array([4., 3.])
    """
    made = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(made)
    return made


def png(picture: Figure) -> bytes:
    """Return a PNG file without date or version of a program, so that equal pictures are equal bytes.

    Parameters
    ----------
    picture : matplotlib.figure.Figure
        Such as from `figure`.

    Returns
    -------
    bytes
        The file.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> diagnostics.png(diagnostics.figure(4.0, 3.0))[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def band(
    ax: Axes,
    x: Array,
    curve: tuple[Array, Array, Array],
    *,
    color: str,
    label: str,
    dashes: str = "-",
    scale: float = 1.0,
) -> None:
    """Draw a line with its interval.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    x : (n,) array
        Places along the axis.
    curve : (estimate, low, high)
        Each (n,).
    color, label : str
        Of the line.
    dashes : str
        As matplotlib writes them.
    scale : float
        What the curve is divided by.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import diagnostics
    >>> ax = diagnostics.figure(4.0, 3.0).subplots()
    >>> x = np.arange(3.0)
    >>> diagnostics.band(ax, x, (x, x - 1.0, x + 1.0), color="k", label="error")
    >>> len(ax.lines), len(ax.collections)
    (1, 1)
    """
    value, low, high = (part / scale for part in curve)
    ax.fill_between(x, low, high, color=color, alpha=0.2, lw=0)
    ax.plot(x, value, color=color, ls=dashes, label=label)


def plain(text: str, length: int = 48) -> str:
    r"""Return untrusted text as a picture may show it: one short line, in which a dollar sign is a dollar sign.

    Parameters
    ----------
    text : str
        Such as an entry's name.
    length : int
        The most characters.

    Returns
    -------
    str
        Without line breaks, dots standing for the rest of a long one.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> diagnostics.plain("one\nline"), len(diagnostics.plain("x" * 100))
    ('one line', 48)
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split()).lstrip("_")
    short = line if len(line) <= length else line[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return short.replace("$", r"\$")


def bin_edges(values: Array, ends: tuple[float, float], n_bins: int) -> Array:
    """Return the edges of equal bins between two percentiles of the values.

    Parameters
    ----------
    values : array
        Of any shape.
    ends : (float, float)
        The percentiles, from 0 to 100.
    n_bins : int
        Number of bins.

    Returns
    -------
    (n_bins + 1,) array
        In the units of the values.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import diagnostics
    >>> diagnostics.bin_edges(np.arange(101.0), (0.0, 100.0), 4)
    array([  0.,  25.,  50.,  75., 100.])
    """
    low, high = np.percentile(values, ends)
    return np.linspace(float(low), float(high), n_bins + 1)


def integer_ticks(ax: Axes, values: NDArray[np.int64]) -> None:
    """Put ticks of the horizontal axis on whole numbers, few enough to be read.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Whose axis it is.
    values : (n,) array of int
        The whole numbers on it.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import diagnostics
    >>> ax = diagnostics.figure(4.0, 3.0).subplots()
    >>> diagnostics.integer_ticks(ax, np.arange(-9, 10))
    >>> [int(tick) for tick in ax.get_xticks()]
    [-9, -6, -3, 0, 3, 6, 9]
    """
    step = max(1, -(-len(values) // 9))
    ax.set_xticks([int(value) for value in values if value % step == 0])


def legend_above(picture: Figure, ax: Axes, columns: int, **options: Any) -> None:
    """Put the legend of one of the axes above the whole picture."""
    picture.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=columns, **options)


@dataclass(frozen=True, slots=True)
class Conditional:
    """Mean, 10th and 90th percentile of U in bins of X, and the mean X of each bin; each (bin,)."""

    X: Array
    mean: Array
    low: Array
    high: Array


def conditional(X: Array, U: Array, n_bins: int = 40) -> Conditional:
    """Return mean and 80 % range of U in bins of X between its 0.1 and 99.9 percentiles; X and U of one shape."""
    x, u = X.ravel(), U.ravel()
    places = np.digitize(x, bin_edges(x, (0.1, 99.9), n_bins)) - 1
    bins = [inside for inside in (places == i for i in range(n_bins)) if inside.sum() >= 5]
    rows = [(x[inside].mean(), u[inside].mean(), *np.percentile(u[inside], (10, 90))) for inside in bins]
    return Conditional(*np.array(rows).reshape(-1, 4).T)
