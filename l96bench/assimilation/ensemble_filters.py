"""Filters with an ensemble background covariance: stochastic, hybrid, and square-root ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation import kernels
from l96bench.assimilation.filters import (
    BatchFilter,
    Streams,
    at_points,
    checked_covariance,
    matching_covariance,
    scaled,
    solved,
)
from l96bench.assimilation.layout import Layout, gaspari_cohn, groups, root_taper, taper_between
from l96bench.assimilation.observations import Observed
from l96bench.dynamics.draws import draw_normals
from l96bench.errors import L96BenchError

__all__ = ["ETKF", "LETKF", "EnKF", "HybridEnKF"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ETKF(BatchFilter):
    """The ensemble transform Kalman filter with the symmetric square root.

    Bishop, Etherton and Majumdar (2001), Mon. Wea. Rev. 129, 420; Hunt, Kostelich and Szunyogh (2007), Physica D 230,
    112. Its mean and covariance are those of the Kalman filter for the sample covariance of the background. It uses
    strict IEEE arithmetic: the same bits on every CPU.

    Parameters
    ----------
    rotate : bool
        Multiply the analysis anomalies, at each analysis, by a random orthogonal matrix that keeps their mean (Sakov
        and Oke 2008, Mon. Wea. Rev. 136, 1042), which keeps members from becoming outliers.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> observed = da.Network(K=8, window=0.05, std=1.0).draw(np.ones((1, 2, 8))).at(0)
    >>> background = np.random.default_rng(0).standard_normal((20, 8))
    >>> analysis = da.ETKF().analyse(background, observed)
    >>> bool((analysis.std(axis=0) < background.std(axis=0)).all())
    True
    """

    rotate: bool = False

    def _update(self, background: Array, observed: Observed, rngs: Streams, layout: Layout) -> Array:
        return _square_root(background, observed, rngs, layout, math.inf, self.rotate)


@dataclass(frozen=True, slots=True)
class LETKF(BatchFilter):
    """The local ensemble transform Kalman filter (Hunt, Kostelich and Szunyogh 2007, Physica D 230, 112).

    Every grid point has an analysis of its own, in which the precision of an observation at distance d is multiplied by
    ``gaspari_cohn(d, radius)``. Fast variables go with their grid point; components that belong to no point (the
    coefficients of a closure) see all observations in full. Strict IEEE arithmetic: the same bits on every CPU.

    Parameters
    ----------
    radius : float
        In grid points, the positive c of `gaspari_cohn`: no influence from 2 c on. Infinity makes it the ETKF.
    rotate : bool
        As for `ETKF`; one rotation for all points.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> observed = da.Network(K=8, window=0.05, std=1.0).draw(np.ones((1, 2, 8))).at(0)
    >>> background = np.random.default_rng(0).standard_normal((5, 8))
    >>> da.LETKF(radius=2.0).analyse(background, observed).shape
    (5, 8)
    """

    radius: float
    rotate: bool = False

    def __post_init__(self) -> None:
        gaspari_cohn(0.0, self.radius)

    def _update(self, background: Array, observed: Observed, rngs: Streams, layout: Layout) -> Array:
        return _square_root(background, observed, rngs, layout, self.radius, self.rotate)


def _square_root(
    ensembles: Array, observed: Observed, rngs: Streams, layout: Layout, radius: float, rotate: bool
) -> Array:
    """Replace the ensembles (experiment, member, n) by the analysis of the kernels."""
    order, starts = groups(layout, not math.isinf(radius))
    points = np.ascontiguousarray(observed.points)
    values = np.ascontiguousarray(observed.values)
    kernels.analyse(ensembles, points, values, observed.roots, root_taper(layout.K, radius), order, starts)
    if rotate:
        m = ensembles.shape[1]
        kernels.rotate(ensembles, draw_normals(rngs, (m * (m - 1) // 2,)))
    return ensembles


@dataclass(frozen=True, slots=True)
class EnKF(BatchFilter):
    """The stochastic ensemble Kalman filter, which perturbs the observations of every member.

    Burgers, van Leeuwen and Evensen (1998), Mon. Wea. Rev. 126, 1719. The perturbations have mean zero over the
    members, so that the mean of the analysis is that of the Kalman filter for the sample covariance.

    Parameters
    ----------
    radius : float
        Localize: multiply P H' and H P H' by ``gaspari_cohn(distance, radius)`` (Houtekamer and Mitchell 2001, Mon.
        Wea. Rev. 129, 123); positive, infinity for none. Components that belong to no point are not localized.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> observed = da.Network(K=8, window=0.05, std=1.0).draw(np.ones((1, 2, 8))).at(0)
    >>> background = np.random.default_rng(0).standard_normal((20, 8))
    >>> da.EnKF(radius=2.0).analyse(background, observed, np.random.default_rng(1)).shape
    (20, 8)
    """

    radius: float = math.inf

    def __post_init__(self) -> None:
        gaspari_cohn(0.0, self.radius)

    def _update(self, background: Array, observed: Observed, rngs: Streams, layout: Layout) -> Array:
        HP = _sample_covariance(background, observed, layout, self.radius)
        return _perturbed(background, observed, rngs, HP)


@dataclass(frozen=True, slots=True, eq=False)
class HybridEnKF(BatchFilter):
    """The stochastic ensemble Kalman filter whose covariance is partly climatological.

    P = (1 - weight) P_ensemble + weight B (Hamill and Snyder 2000, Mon. Wea. Rev. 128, 2905).

    Parameters
    ----------
    covariance : (n, n) array
        B; `static_covariance` makes one.
    weight : float
        0 (the `EnKF`) to 1 (the mean's analysis is that of `OptimalInterpolation`).
    radius : float
        Localization of the ensemble's part, as for `EnKF`.

    Raises
    ------
    L96BenchError
        If B is no covariance, the weight is outside [0, 1], or the radius is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> observed = da.Network(K=8, window=0.05, std=1.0).draw(np.ones((1, 2, 8))).at(0)
    >>> background = np.random.default_rng(0).standard_normal((20, 8))
    >>> da.HybridEnKF(np.eye(8), weight=0.5).analyse(background, observed, np.random.default_rng(1)).shape
    (20, 8)
    """

    covariance: Array
    weight: float
    radius: float = math.inf

    def __post_init__(self) -> None:
        gaspari_cohn(0.0, self.radius)
        if not 0 <= self.weight <= 1:
            raise L96BenchError(f"expected a weight of the climatological covariance from 0 to 1, got {self.weight}")
        object.__setattr__(self, "covariance", checked_covariance(self.covariance))

    def _update(self, background: Array, observed: Observed, rngs: Streams, layout: Layout) -> Array:
        B = matching_covariance(self.covariance, background)
        HP = (1.0 - self.weight) * _sample_covariance(background, observed, layout, self.radius)
        return _perturbed(background, observed, rngs, HP + self.weight * B[observed.points])


def _sample_covariance(background: Array, observed: Observed, layout: Layout, radius: float) -> Array:
    """H P, the localized sample covariances of the observed points with all components, (experiment, p, n)."""
    anomalies = background - background.mean(axis=1, keepdims=True)
    HP = at_points(anomalies, observed.points).swapaxes(1, 2) @ anomalies / (background.shape[1] - 1)
    if not math.isinf(radius):
        HP *= taper_between(layout, observed.points, radius).swapaxes(1, 2)
    return np.asarray(HP, dtype=np.float64)


def _perturbed(background: Array, observed: Observed, rngs: Streams, HP: Array) -> Array:
    """Return the analysis of every member with its own observation errors, for a background covariance H P."""
    roots = observed.roots
    errors = draw_normals(rngs, (background.shape[1], roots.shape[1]))
    errors -= errors.mean(axis=1, keepdims=True)
    HP = roots[:, :, None] * HP
    HPH = at_points(HP, observed.points) * roots[:, None, :]
    return background + solved(HP, HPH, scaled(background, observed, errors))
