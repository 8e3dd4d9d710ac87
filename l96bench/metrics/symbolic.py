"""How close recovered equations are to the true ones: their terms, coefficients, tendencies and forecasts.

A *term* is a pair (target, monomial): one summand of the equation of one variable. Where the targets belong to groups
of very different size, such as 8 X and 64 Y, every metric is computed in each group (a range of targets) and averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from l96bench.metrics.arrays import FloatArray, finite

Term = TypeVar("Term", bound=tuple[int, Hashable])
"""A target (the flat index of its variable) and a monomial in canonical form."""
Tendency = Callable[[FloatArray], FloatArray]
"""States (n, n_state) -> tendencies (n, n_targets)."""


@dataclass(frozen=True, slots=True)
class SupportScores:
    """Which of the true terms were found, and which of the terms that were found are true; each within 0 and 1.

    Parameters
    ----------
    precision : float
        Of the terms that were found, the share that are true.
    recall : float
        Of the true terms, the share that were found.
    f1 : float
        The harmonic mean of both.

    Examples
    --------
    >>> from l96bench import metrics
    >>> metrics.support_scores({(0, "1"), (0, "X[0]")}, {(0, "X[0]"), (0, "X[1]")}, [range(1)])
    SupportScores(precision=0.5, recall=0.5, f1=0.5)
    """

    precision: float
    recall: float
    f1: float


def support_scores(found: Collection[Term], true: Collection[Term], groups: Sequence[range]) -> SupportScores:
    """Return precision, recall and F1 of a set of terms, averaged over groups of targets.

    With tp right, fp false and fn missed terms they are ``tp / (tp + fp)``, ``tp / (tp + fn)`` and
    ``2 tp / (2 tp + fp + fn)`` (van Rijsbergen 1979, Information Retrieval, chapter 7); all three are 0 in a group
    where nothing was found.

    Parameters
    ----------
    found, true : collection of (target, monomial)
        The terms.
    groups : sequence of range
        The targets of each group, such as those of X and those of Y.

    Returns
    -------
    SupportScores
        Each within 0 and 1.

    Examples
    --------
    >>> from l96bench import metrics
    >>> found, true = {(0, "1"), (0, "X[0]")}, {(0, "X[0]"), (0, "X[1]")}
    >>> metrics.support_scores(found, true, [range(1)]).f1
    0.5
    """
    rows = []
    for group in groups:
        own, right = ({term for term in terms if term[0] in group} for terms in (found, true))
        hits = len(own & right)
        rows.append((_share(hits, len(own)), _share(hits, len(right)), _share(2 * hits, len(own) + len(right))))
    precision, recall, f1 = np.mean(rows, axis=0)
    return SupportScores(float(precision), float(recall), float(f1))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def coefficient_error(found: Mapping[Term, float], true: Mapping[Term, float], groups: Sequence[range]) -> float:
    """Return the relative error of the coefficients, ``||c_hat - c||_2 / ||c||_2`` over the union of the terms of both.

    The normalized coefficient error of the literature on sparse regression (Kaptanoglu et al. 2023, Nonlinear Dyn. 111,
    13143-13164, doi:10.1007/s11071-023-08525-4; Messenger and Bortz 2021, Multiscale Model. Simul. 19, 1474-1497,
    doi:10.1137/20M1343166), averaged over groups of targets: 0 for the true coefficients, 1 for none; not bounded.

    Parameters
    ----------
    found, true : mapping of (target, monomial) to float
        The coefficients.
    groups : sequence of range
        The targets of each group.

    Returns
    -------
    float
        At least 0.

    Examples
    --------
    >>> from l96bench import metrics
    >>> true = {(0, "1"): 8.0, (0, "X[0]"): -1.0}
    >>> metrics.coefficient_error({}, true, [range(1)]), metrics.coefficient_error(true, true, [range(1)])
    (1.0, 0.0)
    """
    errors = []
    for group in groups:
        terms = [term for term in found.keys() | true.keys() if term[0] in group]
        own, right = (np.array([each.get(term, 0.0) for term in terms]) for each in (found, true))
        errors.append(_relative(own - right, right))
    return float(np.mean(errors))


def operator_residual(predicted: NDArray[np.float64], truth: NDArray[np.float64], groups: Sequence[range]) -> float:
    """Return the relative error of the right-hand side, ``||f_hat - f||_2 / ||f||_2`` over states, a mean over groups.

    It is 0 for the true equations, 1 for ``f_hat = 0``; not bounded.

    Parameters
    ----------
    predicted, truth : (state, target) array
        Tendencies at the same states.
    groups : sequence of range
        The targets of each group.

    Returns
    -------
    float
        At least 0.

    Raises
    ------
    ValueError
        If a tendency is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> truth = np.ones((10, 4))
    >>> metrics.operator_residual(0.5 * truth, truth, [range(4)])
    0.5
    """
    predicted, truth = finite("predicted", predicted), finite("truth", truth)
    columns = [slice(group.start, group.stop) for group in groups]
    return float(np.mean([_relative(predicted[:, own] - truth[:, own], truth[:, own]) for own in columns]))


def _relative(difference: FloatArray, reference: FloatArray) -> float:
    """The ratio of two Euclidean norms, the first of numbers whose squares may overflow."""
    with np.errstate(over="ignore"):
        size = _norm(difference)
        if not np.isfinite(size):
            scale = float(np.abs(difference).max())
            size = scale * _norm(difference / scale)
        return size / _norm(reference)


def _norm(values: FloatArray) -> float:
    # Not by BLAS, whose order of summation is the machine's.
    return float(np.sqrt(np.sum(np.square(values))))


def best_coefficients(
    features: NDArray[np.float64], tendency: NDArray[np.float64], support: NDArray[np.bool_]
) -> FloatArray:
    """Return the least-squares coefficients of the best equations that have just the terms of a support.

    Outside of it coefficients are 0; where terms are linearly dependent on these states they are the shortest ones.

    Parameters
    ----------
    features : (state, monomial) array
        The values of the monomials.
    tendency : (state, target) array
        What they explain.
    support : (target, monomial) array of bool
        Which of them explain each tendency.

    Returns
    -------
    (target, monomial) array
        The coefficients.

    Raises
    ------
    ValueError
        If a feature or tendency is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> features = np.random.default_rng(0).standard_normal((50, 3))
    >>> found = metrics.best_coefficients(features, 2.0 * features[:, :1], np.array([[True, True, False]]))
    >>> np.abs(found).round(6)
    array([[2., 0., 0.]])
    """
    n = features.shape[1]
    coefficients = np.zeros(support.shape)
    if not n:
        return coefficients
    scale = np.abs(finite("features", features)).max(axis=0)
    scale[scale == 0.0] = 1.0
    # The triangle has the sums of squares and products of all rows: the systems that are left are small.
    rows = np.column_stack([features / scale, finite("tendency", tendency)])
    triangle = np.asarray(np.linalg.qr(rows, mode="r"))
    for target, own in enumerate(support):
        coefficients[target, own] = np.linalg.lstsq(triangle[:, :n][:, own], triangle[:, n + target], rcond=None)[0]
    return coefficients / scale


def forecast_rmse(
    tendency: Tendency, truth: NDArray[np.float64], *, interval: float, dt: float, K: int, stop: float
) -> FloatArray:
    """Return the RMSE over cases and the first `K` variables of forecasts from the first true states.

    The equations are integrated by classical RK4, all cases in one batch, to the first lead at which the RMSE exceeds
    `stop`, or is not finite; it is infinite from there on.

    Parameters
    ----------
    tendency : states (case, n_state) -> tendencies (case, n_state)
        The equations.
    truth : (case, lead, n_state) array
        Begins with the initial states.
    interval : float
        MTU between leads, a whole number of steps.
    dt : float
        Step in MTU.
    K : int
        Variables that are compared.
    stop : float
        The RMSE at which to stop, in units of X.

    Returns
    -------
    (lead,) array
        In units of X, 0 at the first lead.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> truth = np.exp(-0.1 * np.arange(3))[None, :, None] * np.ones((2, 3, 4))
    >>> metrics.forecast_rmse(lambda X: -X, truth, interval=0.1, dt=0.01, K=4, stop=1.0).round(6)
    array([0., 0., 0.])
    """
    state, n_steps = np.array(truth[:, 0]), round(interval / dt)
    rmse = np.full(truth.shape[1], np.inf)
    rmse[0] = 0.0
    with np.errstate(all="ignore"):  # what leaves stops the loop
        for lead in range(1, truth.shape[1]):
            for _ in range(n_steps):
                state = _step(tendency, state, dt)
            error = float(np.sqrt(np.mean(np.square(state[:, :K] - truth[:, lead, :K]))))
            if not error <= stop:
                break
            rmse[lead] = error
    return rmse


def _step(tendency: Tendency, state: FloatArray, dt: float) -> FloatArray:
    """One step of classical RK4."""
    k1 = tendency(state)
    k2 = tendency(state + (0.5 * dt) * k1)
    k3 = tendency(state + (0.5 * dt) * k2)
    k4 = tendency(state + dt * k3)
    return np.asarray(state + (dt / 6.0) * (k1 + 2.0 * (k2 + k3) + k4), dtype=np.float64)
