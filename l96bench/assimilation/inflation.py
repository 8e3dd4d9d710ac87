"""Keep ensembles from becoming overconfident: inflation, and relaxation to the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.errors import L96BenchError

__all__ = ["Inflation", "spread"]


def spread(ensembles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation (divided by m - 1) over the members of (..., member, n); zero for one member."""
    m = ensembles.shape[-2]
    if m == 1:
        return np.zeros((*ensembles.shape[:-2], ensembles.shape[-1]))
    anomalies = ensembles - ensembles.mean(axis=-2, keepdims=True)
    return np.asarray(np.sqrt((anomalies * anomalies).sum(axis=-2) / (m - 1)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Inflation:
    """Factors on the anomalies of the members, in the order in which they are applied.

    The background is multiplied by `prior`; the analysis is relaxed by `rtpp`, then by `rtps`, then multiplied by
    `posterior`. Means never change. Factors are of anomalies, not of variances. A cycle does not inflate components
    that belong to no grid point, such as coefficients of a closure.

    Parameters
    ----------
    prior, posterior : float or (experiment,) array
        Multiplicative inflation before and after the analysis (Anderson and Anderson 1999, Mon. Wea. Rev. 127, 2741).
    rtpp : float or (experiment,) array
        Relaxation to prior perturbations, 0 (none) to 1: A = (1 - rtpp) A_analysis + rtpp A_background
        (Zhang, Snyder and Sun 2004, Mon. Wea. Rev. 132, 1238, equation 5).
    rtps : float or (experiment,) array
        Relaxation to prior spread, 0 (none) and more: A = A_analysis (1 + rtps (s_background - s_analysis) /
        s_analysis), component by component (Whitaker and Hamill 2012, Mon. Wea. Rev. 140, 3078, equation 2).

    Raises
    ------
    L96BenchError
        If a factor is not positive, a relaxation is negative, or rtpp is above 1.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> da.Inflation(posterior=1.1).posterior
    array(1.1)
    """

    prior: ArrayLike = 1.0
    posterior: ArrayLike = 1.0
    rtpp: ArrayLike = 0.0
    rtps: ArrayLike = 0.0

    def __post_init__(self) -> None:
        for name, low, high in (("prior", 0, np.inf), ("posterior", 0, np.inf), ("rtpp", 0, 1), ("rtps", 0, np.inf)):
            value = np.array(getattr(self, name), dtype=np.float64)
            positive = name in ("prior", "posterior")
            if (
                value.ndim > 1
                or not (np.isfinite(value) & (value >= low) & (value <= high)).all()
                or (positive and not (value > 0).all())
            ):
                expected = "a positive number" if positive else f"a number from {low} to {high}"
                raise L96BenchError(f"expected {name} as {expected}, or one an experiment, got {getattr(self, name)}")
            object.__setattr__(self, name, value)

    def for_experiments(self, n: int) -> Inflation:
        """Return the same with one value an experiment; raise if the number of values differs."""
        try:
            parts = [np.broadcast_to(getattr(self, name), (n,)) for name in ("prior", "posterior", "rtpp", "rtps")]
        except ValueError as error:
            raise L96BenchError(
                f"expected inflation as a number or one for each of {n} experiments: {error}"
            ) from error
        return Inflation(*parts)

    def before(self, background: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the background (experiment, member, n) that the filter gets."""
        return _multiplied(background, self.prior)

    def after(self, analysis: NDArray[np.float64], background: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the analysis (experiment, member, n) that is carried on, given the background that the filter got."""
        rtpp, rtps = (np.asarray(value)[..., None, None] for value in (self.rtpp, self.rtps))
        if rtpp.any():
            mean = analysis.mean(axis=1, keepdims=True)
            prior = background - background.mean(axis=1, keepdims=True)
            analysis = mean + ((1.0 - rtpp) * (analysis - mean) + rtpp * prior)
        if rtps.any():
            mean, now, before = analysis.mean(axis=1, keepdims=True), spread(analysis), spread(background)
            ratio = np.divide(before - now, now, out=np.zeros_like(now), where=now > 0)
            analysis = mean + (analysis - mean) * (1.0 + rtps * ratio[:, None])
        return _multiplied(analysis, self.posterior)


def _multiplied(ensembles: NDArray[np.float64], factor: ArrayLike) -> NDArray[np.float64]:
    factor = np.asarray(factor)[..., None, None]
    if (factor == 1.0).all():
        return ensembles
    mean = ensembles.mean(axis=1, keepdims=True)
    return np.asarray(mean + factor * (ensembles - mean), dtype=np.float64)
