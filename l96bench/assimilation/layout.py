"""Describe the positions of state components on the ring, and localize the influence of observations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.errors import L96BenchError

__all__ = ["GLOBAL", "Layout", "gaspari_cohn", "ring_taper", "taper_between"]

GLOBAL = -1
"""The position of a component that belongs to no point, such as a closure's coefficient."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The grid point of every component of a state; the first K are X_0 .. X_{K-1}, in every model.

    Parameters
    ----------
    K : int
        Points of the ring.
    positions : tuple of int
        The point of every component, `GLOBAL` for none.

    Raises
    ------
    L96BenchError
        If the first K positions are not 0 .. K - 1, or another is neither a point nor `GLOBAL`.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> layout = da.ResolvedModel("wilks-f20").layout
    >>> layout.K, layout.n, da.TruthModel("wilks-f20").layout.n
    (8, 8, 264)
    """

    K: int
    positions: tuple[int, ...]

    def __post_init__(self) -> None:
        wrong = [k for k in self.positions[self.K :] if not -1 <= k < self.K]
        if self.K < 1 or self.positions[: self.K] != tuple(range(self.K)) or wrong:
            raise L96BenchError(
                f"expected positions that begin with 0 .. {self.K - 1}, the others points or {GLOBAL}, got "
                f"{self.positions[: self.K]} and {wrong or 'nothing wrong'} after them"
            )

    @classmethod
    def ring(cls, K: int, n_global: int = 0) -> Layout:
        """Return the layout of X, and perhaps of coefficients that belong to no point."""
        return cls(K, (*range(K), *[GLOBAL] * n_global))

    @property
    def n(self) -> int:
        """The number of components."""
        return len(self.positions)

    @property
    def coefficients(self) -> NDArray[np.int64]:
        """The indices of the components that belong to no point."""
        return np.array([i for i, position in enumerate(self.positions) if position == GLOBAL], dtype=np.int64)


@lru_cache(maxsize=64)
def groups(layout: Layout, localized: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the components sorted by group, and the start of each of the K + 1 groups: points, then the global one.

    Without localization all components are in the global group.
    """
    positions = np.array(layout.positions)
    group = np.where((positions == GLOBAL) | (not localized), layout.K, positions)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(layout.K + 2))
    return order.astype(np.int64), starts.astype(np.int64)


def gaspari_cohn(distance: ArrayLike, radius: float) -> NDArray[np.float64]:
    """Return the compactly supported, fifth-order correlation function of Gaspari and Cohn (1999, equation 4.10).

    Q. J. R. Meteorol. Soc. 125, 723-757. `radius` is their c: 1 at distance 0, 0 at distance 2 c and beyond. Other
    programs give the length L of the Gaussian exp(-d² / 2 L²) that it resembles: c = sqrt(10 / 3) L, or 1.82 L.

    Parameters
    ----------
    distance : array
        Not negative.
    radius : float
        In the same units; infinity gives 1 everywhere.

    Returns
    -------
    array of the shape of `distance`
        Within 0 and 1.

    Raises
    ------
    L96BenchError
        If the radius is not positive.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> da.gaspari_cohn([0.0, 1.0, 2.0], radius=1.0).round(3)
    array([1.   , 0.208, 0.   ])
    """
    if not radius > 0:
        raise L96BenchError(f"expected a positive localization radius (infinity for none), got {radius}")
    z = np.asarray(distance, dtype=np.float64) / radius
    near = 1.0 + z * z * (-5.0 / 3.0 + z * (5.0 / 8.0 + z * (1.0 / 2.0 - z / 4.0)))
    safe = np.where(z > 1.0, z, 1.0)
    far = 4.0 + z * (-5.0 + z * (5.0 / 3.0 + z * (5.0 / 8.0 + z * (-1.0 / 2.0 + z / 12.0)))) - 2.0 / (3.0 * safe)
    return np.where(z <= 1.0, near, np.where(z < 2.0, np.maximum(far, 0.0), 0.0))


@lru_cache(maxsize=64)
def ring_taper(K: int, radius: float) -> NDArray[np.float64]:
    """Return the Gaspari-Cohn taper for the distances along the ring of offsets 0 .. K - 1.

    Parameters
    ----------
    K : int
        Points of the ring.
    radius : float
        As for `gaspari_cohn`, in grid points.

    Returns
    -------
    (K,) array
        Within 0 and 1; read-only.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> da.ring_taper(4, radius=1.0).round(3)
    array([1.   , 0.208, 0.   , 0.208])
    """
    offset = np.arange(K)
    taper = gaspari_cohn(np.minimum(offset, K - offset), radius)
    taper.flags.writeable = False
    return taper


@lru_cache(maxsize=64)
def root_taper(K: int, radius: float) -> NDArray[np.float64]:
    """Return the square root of `ring_taper`, which multiplies the square root of an observation's precision."""
    root = np.ones(K) if math.isinf(radius) else np.sqrt(ring_taper(K, radius))
    root.flags.writeable = False
    return root


def taper_between(layout: Layout, points: NDArray[np.int64], radius: float) -> NDArray[np.float64]:
    """Return the taper (experiment, n, p) between components and observed points (experiment, p); 1 for global ones."""
    positions = np.array(layout.positions)[:, None]
    taper = ring_taper(layout.K, radius)[(positions - points[:, None, :]) % layout.K]
    return np.where(positions == GLOBAL, 1.0, taper)
