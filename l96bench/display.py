"""Show objects to people: as a short text, and on matplotlib axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axes_for", "brief", "draw_hovmoeller"]


def brief(thing: Any) -> str:
    """Return a dataclass as one short line, in which arrays are their shapes and what is None is left out."""
    return f"{type(thing).__name__}({', '.join(_parts(thing))})"


def _parts(thing: Any) -> Iterator[str]:
    for each in fields(thing):
        value = getattr(thing, each.name)
        if value is not None:
            yield f"{each.name}={_brief_value(value)}"


def _brief_value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.shape) if value.dtype == np.float64 else f"{value.dtype} {value.shape}"
    if isinstance(value, list | tuple):
        return f"{len(value)} values" if len(value) > 4 else f"({', '.join(map(_brief_value, value))})"
    if isinstance(value, dict):
        return f"{{{', '.join(map(repr, value))}}}"
    name = getattr(value, "id", None)
    return repr(name if isinstance(name, str) else value)


def axes_for(ax: Axes | None) -> Axes:
    """Return the matplotlib axes that were given, or new ones of a new figure, which notebooks show."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(layout="constrained")[1]


def draw_hovmoeller(
    ax: Axes | None, time: NDArray[np.float64], field: NDArray[np.float64], label: str, **options: Any
) -> Axes:
    """Draw a field (time, K) over point and time in MTU, time upwards, with a colour bar; return its axes.

    `options` are those of matplotlib's `imshow`; colours are symmetric about 0 if they set none.
    """
    ax = axes_for(ax)
    finite = np.abs(field[np.isfinite(field)])
    reach = float(np.percentile(finite, 99.5)) if finite.size else 1.0
    step = float(time[1] - time[0]) if len(time) > 1 else 1.0
    look: dict[str, Any] = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "cmap": "RdBu_r"}
    look |= {"extent": (0.5, field.shape[1] + 0.5, float(time[0]) - step / 2, float(time[-1]) + step / 2)}
    look |= {} if {"norm", "vmin", "vmax"} & options.keys() else {"vmin": -reach, "vmax": reach}
    image = ax.imshow(field, **(look | options))
    ax.set(xlabel="point k", ylabel="time (MTU)")
    ax.figure.colorbar(image, ax=ax, label=label)
    return ax
