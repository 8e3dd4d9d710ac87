"""Define the interface of filters, optimal interpolation, and a filter without assimilation.

A filter maps a background ensemble and observations to an analysis ensemble, for a batch (experiment, member, n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.assimilation.layout import Layout
from l96bench.assimilation.observations import Observed
from l96bench.errors import L96BenchError

__all__ = ["Filter", "NoAssimilation", "OptimalInterpolation", "static_covariance"]

Array = NDArray[np.float64]
Streams = Sequence[np.random.Generator]


@runtime_checkable
class Filter(Protocol):
    """The interface that a cycle needs of a filter; `min_members` is the smallest ensemble size.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> isinstance(da.ETKF(), da.Filter), da.ETKF.min_members
    (True, 2)
    """

    min_members: ClassVar[int]

    def analyse(
        self,
        ensemble: Array,
        observed: Observed,
        rng: np.random.Generator | Streams | None = None,
        layout: Layout | None = None,
    ) -> Array:
        """Return the analysis ensemble, in the shape of the background `ensemble`, which is not changed."""


class BatchFilter:
    """The base of the filters here: checks and shapes around `_update`, which handles whole batches."""

    min_members: ClassVar[int] = 2

    def analyse(
        self,
        ensemble: Array,
        observed: Observed,
        rng: np.random.Generator | Streams | None = None,
        layout: Layout | None = None,
    ) -> Array:
        """Return the analysis ensemble, in the shape of the background `ensemble`, which is not changed.

        Parameters
        ----------
        ensemble : (member, n) or (experiment, member, n) array
        observed : Observed
            Observations of all experiments.
        rng : numpy Generator, or one for each experiment, optional
            For filters that draw; from seed 0 if not given.
        layout : Layout, optional
            Positions of the components, for localization; X alone by default.

        Raises
        ------
        L96BenchError
            For too few members, or shapes that do not match.
        """
        background = np.array(ensemble, dtype=np.float64)
        single = background.ndim == 2
        background = background[None] if single else background
        if background.ndim != 3 or len(background) != len(observed.values):
            raise L96BenchError(
                f"expected an ensemble (member, n), or (experiment, member, n) for observations of "
                f"{len(observed.values)} experiments, got {np.shape(ensemble)}"
            )
        if background.shape[1] < self.min_members:
            raise L96BenchError(
                f"expected at least {self.min_members} members for {type(self).__name__}, got {background.shape[1]}"
            )
        layout = Layout.ring(background.shape[2]) if layout is None else layout
        if layout.n != background.shape[2] or (observed.points >= layout.K).any():
            raise L96BenchError(
                f"expected states of {layout.n} components and observations of the first {layout.K}, got "
                f"{background.shape[2]} components and points up to {observed.points.max()}"
            )
        rngs = [rng] * len(background) if isinstance(rng, np.random.Generator) else rng
        if rngs is None:
            rngs = [np.random.default_rng([0, i]) for i in range(len(background))]
        analysis = self._update(background, observed, rngs, layout)
        return analysis[0] if single else analysis

    def _update(self, background: Array, observed: Observed, rngs: Streams, layout: Layout) -> Array:
        """Return the analysis (experiment, member, n); `background` may be overwritten."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class NoAssimilation(BatchFilter):
    """No analysis: the ensemble runs free, as a lower bound of skill in every comparison.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> observed = da.Network(K=8, window=0.05, std=1.0).draw(np.ones((1, 2, 8))).at(0)
    >>> bool((da.NoAssimilation().analyse(np.zeros((5, 8)), observed) == 0.0).all())
    True
    """

    min_members: ClassVar[int] = 1

    def _update(self, background: Array, observed: Observed, rngs: Streams, layout: Layout) -> Array:
        return background


@dataclass(frozen=True, slots=True, eq=False)
class OptimalInterpolation(BatchFilter):
    """Optimal interpolation: the best linear estimate for a constant background covariance B, in closed form.

    x_a = x_b + B H' (H B H' + R)^{-1} (y - H x_b), for every member with the same observations; one member is enough
    (Gandin 1963; Kalnay 2003, Atmospheric Modeling, Data Assimilation and Predictability, section 5.4).

    Parameters
    ----------
    covariance : (n, n) array
        B, symmetric; `static_covariance` makes one.
    mean : (n,) array or float, optional
        Climatological mean to use as x_b instead of the forecast: then nothing is cycled, and B is the climatological
        covariance itself.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> observed = da.Network(K=8, window=0.05, std=1.0).draw(np.ones((1, 2, 8))).at(0)
    >>> analysis = da.OptimalInterpolation(np.eye(8)).analyse(np.zeros((1, 8)), observed)
    >>> bool(np.allclose(analysis, observed.values / 2))  # background and observation have equal errors
    True
    """

    covariance: Array
    mean: ArrayLike | None = None

    min_members: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariance", checked_covariance(self.covariance))

    def _update(self, background: Array, observed: Observed, rngs: Streams, layout: Layout) -> Array:
        B = matching_covariance(self.covariance, background)
        if self.mean is not None:
            background[:] = self.mean
        roots = observed.roots
        # The rows of B at the observed points: H B, and from it H B H', both scaled by R^{-1/2}.
        HB = roots[:, :, None] * B[observed.points]
        return background + solved(HB, at_points(HB, observed.points) * roots[:, None, :], scaled(background, observed))


def scaled(background: Array, observed: Observed, perturbations: Array | None = None) -> Array:
    """Return R^{-1/2} (y + e - H x), (experiment, member, p); 0 where an observation is missing."""
    roots = observed.roots[:, None, :]
    values = np.where(np.isnan(observed.values), 0.0, observed.values)[:, None, :]
    departures = roots * (values - at_points(background, observed.points))
    if perturbations is not None:
        departures += np.where(roots > 0.0, perturbations, 0.0)
    return departures


def at_points(rows: Array, points: NDArray[np.int64]) -> Array:
    """Return the components at the points (experiment, p) of every row of (experiment, row, n)."""
    index = np.broadcast_to(points[:, None, :], (*rows.shape[:2], points.shape[1]))
    return np.take_along_axis(rows, index, axis=2)


def solved(HP: Array, HPH: Array, departures: Array) -> Array:
    """Return the increments (experiment, member, n) departures (I + HPH)^{-1} HP, all scaled by R^{-1/2}.

    A missing observation is a row of zeros and gives no increment. An experiment with covariances that are not finite
    gets NaN.
    """
    finite = np.isfinite(HPH).all(axis=(1, 2), keepdims=True)
    weights = np.linalg.solve(np.where(finite, HPH, 0.0) + np.eye(HPH.shape[-1]), departures.swapaxes(1, 2))
    return np.where(finite, weights.swapaxes(1, 2) @ HP, np.nan)


def checked_covariance(covariance: ArrayLike) -> Array:
    """Return a covariance as a read-only float64 array, square, symmetric and positive semi-definite."""
    B = np.array(covariance, dtype=np.float64)
    if B.ndim != 2 or B.shape[0] != B.shape[1] or not np.isfinite(B).all():
        raise L96BenchError(f"expected a finite covariance (n, n), got {np.shape(covariance)}")
    size, symmetric = np.abs(B).max(), 0.5 * (B + B.T)
    if np.abs(B - B.T).max() > 1e-10 * size or not np.linalg.eigvalsh(symmetric).min() >= -1e-8 * size:
        raise L96BenchError("expected a symmetric, positive semi-definite covariance; try static_covariance(X)")
    B = symmetric
    B.flags.writeable = False
    return B


def matching_covariance(B: Array, background: Array) -> Array:
    """Return the covariance, or raise if its size is not that of the states."""
    if len(B) != background.shape[2]:
        raise L96BenchError(f"expected a covariance of {background.shape[2]} components like the states, got {len(B)}")
    return B


def static_covariance(X: ArrayLike, scale: float = 1.0, homogeneous: bool = True) -> Array:
    """Return a background covariance B estimated from climatological states.

    Parameters
    ----------
    X : (..., K) array
        States of a long trajectory.
    scale : float
        Factor on the covariance; far less than 1 is best, as a background is much better than climatology.
    homogeneous : bool
        Average over the points of the ring, which are equivalent: B_kl then depends on k - l alone.

    Returns
    -------
    (K, K) array
        In units of X².

    Raises
    ------
    L96BenchError
        For fewer than 2 states, or a scale that is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> X = np.random.default_rng(0).standard_normal((1000, 4))
    >>> da.static_covariance(X, scale=0.1).round(1) + 0.0
    array([[0.1, 0. , 0. , 0. ],
           [0. , 0.1, 0. , 0. ],
           [0. , 0. , 0.1, 0. ],
           [0. , 0. , 0. , 0.1]])
    """
    rows = np.asarray(X, dtype=np.float64)
    rows = rows.reshape(-1, rows.shape[-1])
    if len(rows) < 2 or not scale > 0:
        raise L96BenchError(f"expected at least 2 states and a positive scale, got {len(rows)} and {scale}")
    anomalies = rows - (rows.mean() if homogeneous else rows.mean(axis=0))
    covariance = anomalies.T @ anomalies / (len(rows) - 1)
    if homogeneous:
        K = len(covariance)
        k = np.arange(K)
        by_offset = np.array([covariance[k, (k + offset) % K].mean() for offset in range(K)])
        by_offset = 0.5 * (by_offset + by_offset[-k])
        covariance = by_offset[(k - k[:, None]) % K]
    return checked_covariance(scale * covariance)
