"""Three-dimensional variational assimilation by minimization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.filters import BatchFilter, Streams, checked_covariance, matching_covariance, scaled
from l96bench.assimilation.layout import Layout
from l96bench.assimilation.observations import Observed
from l96bench.errors import L96BenchError

__all__ = ["ThreeDVar"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ThreeDVar(BatchFilter):
    """3D-Var: the minimum of J(v) = v'v / 2 + (d - H L v)' R^{-1} (d - H L v) / 2 with x_a = x_b + L v and L L' = B.

    Conjugate gradients in the control variable v, of all members and experiments at once (Courtier, Thepaut and
    Hollingsworth 1994; Bannister 2008, Q. J. R. Meteorol. Soc. 134, 1951). Its minimum is the analysis of
    `OptimalInterpolation`; what differs is how it is found.

    Parameters
    ----------
    covariance : (n, n) array
        B; `static_covariance` makes one.
    tolerance : float
        Stop when every gradient is below this fraction of its first length.

    Raises
    ------
    L96BenchError
        If B is no covariance, or the tolerance is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> observed = da.Network(K=8, window=0.05, std=1.0).draw(np.ones((1, 2, 8))).at(0)
    >>> B, background = da.static_covariance(np.random.default_rng(0).standard_normal((100, 8))), np.zeros((1, 8))
    >>> same = da.OptimalInterpolation(B).analyse(background, observed)
    >>> bool(np.allclose(da.ThreeDVar(B).analyse(background, observed), same))
    True
    """

    covariance: Array
    tolerance: float = 1e-10

    min_members: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariance", checked_covariance(self.covariance))
        if not 0 < self.tolerance < 1:
            raise L96BenchError(f"expected a tolerance between 0 and 1, got {self.tolerance}")

    def _update(self, background: Array, observed: Observed, rngs: Streams, layout: Layout) -> Array:
        values, vectors = np.linalg.eigh(matching_covariance(self.covariance, background))
        root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
        operator = observed.roots[:, :, None] * root[observed.points]
        return background + _minimum(operator, scaled(background, observed), self.tolerance) @ root


def _minimum(operator: Array, departures: Array, tolerance: float) -> Array:
    """Solve (I + G'G) v = G'd for v (experiment, member, n), with G (experiment, p, n), d (experiment, member, p)."""
    adjoint = operator.swapaxes(1, 2)
    residual = departures @ operator
    v, direction = np.zeros_like(residual), residual.copy()
    square = (residual * residual).sum(axis=-1, keepdims=True)
    target = tolerance**2 * square
    for _ in range(2 * operator.shape[2]):
        if (square <= target).all():
            break
        curved = direction + (direction @ adjoint) @ operator
        product = (direction * curved).sum(axis=-1, keepdims=True)
        step = np.divide(square, product, out=np.zeros_like(square), where=square > target)
        v += step * direction
        residual -= step * curved
        before, square = square, (residual * residual).sum(axis=-1, keepdims=True)
        direction = residual + np.divide(square, before, out=np.zeros_like(square), where=before > target) * direction
    return v
