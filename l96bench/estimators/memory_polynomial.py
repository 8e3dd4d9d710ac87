"""The memory polynomial: a nonlinear autoregression with moving average and exogenous input (NARMAX)."""

from __future__ import annotations

from collections import deque
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter, lfiltic
from sklearn.utils.validation import check_is_fitted

from l96bench.checks import whole_multiple
from l96bench.dynamics.polynomial import ten_digits
from l96bench.errors import ModelError
from l96bench.estimators.markov import thinned
from l96bench.estimators.ring import RingRegressor, check_whole, interpolated

__all__ = ["MemoryPolynomialClosure", "MemoryPolynomialRegressor"]

_LONGER = 5
"""Additional lags of the autoregression that estimates the noise."""
_LARGEST_ROOT = 0.999
"""The largest root of the autoregression: the fraction of the memory left after one interval."""
_FORGOTTEN = 1e-4
"""The fraction of the noise's start that is left after its burn-in."""


class MemoryPolynomialRegressor(RingRegressor):
    """A memory polynomial: U from the present and past X, the past U, and a moving average of noise.

    With n counting intervals, for every point k::

        U^n = m + sum_{j=1..p} a_j U^{n-j} + sum_{j=0..r} g_j(X^{n-j}) + xi^n + sum_{j=1..q} d_j xi^{n-j}
        g_j(X)_k = sum_{i=1..degree} b_{ji} X_k^i + c_j X_{k-1} (X_{k+1} - X_{k-2})

    with xi independent and normal. This is the model of Chorin and Lu with the present X among its terms. With
    `advection` it can infer U from how much faster X moved than the resolved tendency says, but mistakes another
    forcing than in training for U.

    ``predict`` follows the recursion along X without noise. Rows are successive states of ONE trajectory, in training
    as in prediction. The fit is least squares in the two stages of Hannan and Rissanen: the residual of a long
    autoregression of U with the same input estimates xi, which is then a known input.

    Parameters
    ----------
    degree, x_lags, u_lags, noise_lags : int
        Highest power of X, r, p and q.
    advection : bool
        Whether to include the terms in c_j.
    interval : float
        Time in MTU from n to n + 1: that between the rows of X.

    Attributes
    ----------
    ar_, ma_ : ndarrays of shapes (u_lags,) and (noise_lags,)
        a_j, and d_j. Roots of a_j outside the unit circle, which few data may give, are reflected into it.
    coef_ : ndarray of shape (x_lags + 1, degree + advection)
        b_{ji}, then c_j, for each lag j.
    intercept_, sigma_ : float
        m, and the standard deviation of xi.

    Sources: Chorin and Lu (2015), Proc. Natl. Acad. Sci. 112, 9804-9809, doi:10.1073/pnas.1512080112; Lu, Lin and
    Chorin (2017), Physica D 340, 46-57. Hannan and Rissanen (1982), Biometrika 69, 81-94: the fit.
    """

    def __init__(
        self,
        degree: int = 4,
        x_lags: int = 1,
        u_lags: int = 1,
        noise_lags: int = 1,
        advection: bool = False,
        interval: float = 0.05,
    ) -> None:
        self.degree, self.x_lags, self.u_lags, self.noise_lags = degree, x_lags, u_lags, noise_lags
        self.advection, self.interval = advection, interval

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) in time order and y, which is U (n, K) or the U of point 0 alone."""
        for name, least in (("degree", 1), ("x_lags", 0), ("u_lags", 0), ("noise_lags", 0)):
            check_whole(name, getattr(self, name), least)
        X, U = self._checked_training(X, y)
        long = max(self.x_lags, self.u_lags + self.noise_lags + _LONGER)
        needed = (long if self.noise_lags else max(self.x_lags, self.u_lags)) + self.noise_lags + 2
        if len(X) < needed:
            raise ValueError(f"these lags need at least {needed} rows in time order; got n_samples={len(X)}.")
        terms = self._terms(X, self._points())
        first, noise = max(self.x_lags, self.u_lags), np.zeros_like(U)
        if self.noise_lags:
            noise[long:] = self._least_squares(terms, U, noise, (long, 0), long)[1]
            first = long + self.noise_lags
        solution, residual = self._least_squares(terms, U, noise, (self.u_lags, self.noise_lags), first)
        digits = np.array([ten_digits(float(value)) for value in solution])
        self.intercept_, rest = float(digits[0]), digits[1:]
        self.ar_, self.ma_, rest = np.split(rest, [self.u_lags, self.u_lags + self.noise_lags])
        self.ar_ = _stable(self.ar_)
        self.coef_ = rest.reshape(self.x_lags + 1, -1)
        self.sigma_ = ten_digits(float(residual.std()))
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the mean of U (n, K) along a trajectory X (n, K), or that of point 0 if fitted to it alone.

        The state before the first row is assumed to have always been that of the first row.
        """
        return self._like_y(self._mean(self._checked_states(X), self._points()))

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Draw U (member, n, K) along a trajectory X (n, K) in time order: the mean plus correlated noise."""
        mean = self.predict(X)
        burn_in = self._burn_in()
        xi = self.sigma_ * rng.standard_normal((n_members, burn_in + len(mean), *mean.shape[1:]))
        noise: NDArray = lfilter(np.r_[1.0, self.ma_], np.r_[1.0, -self.ar_], xi, axis=1)
        return mean + noise[:, burn_in:]

    def closure(self, dt: float = 0.01) -> MemoryPolynomialClosure:
        """Return the stochastic closure for a resolved model with the step `dt` (MTU), a divisor of `interval`."""
        check_is_fitted(self)
        every = whole_multiple(self.interval, dt, "interval", "the model step")
        return MemoryPolynomialClosure(self, every)

    @property
    def n_parameters(self) -> int:
        """The number of fitted coefficients, that of the strength of the noise included."""
        check_is_fitted(self)
        return self.coef_.size + self.ar_.size + self.ma_.size + 2

    def _terms(self, X: NDArray, points: NDArray) -> NDArray:
        """Return the terms of g at some points, (..., points, terms), of states X (..., K)."""
        terms = [X[..., points] ** power for power in range(1, self.degree + 1)]
        if self.advection:
            K = X.shape[-1]
            terms.append(X[..., (points - 1) % K] * (X[..., (points + 1) % K] - X[..., (points - 2) % K]))
        return np.stack(terms, axis=-1)

    def _least_squares(
        self, terms: NDArray, U: NDArray, noise: NDArray, lags: tuple[int, int], first: int
    ) -> tuple[NDArray, NDArray]:
        """Return the solution [m, a_1 .. a_p, d_1 .. d_q, terms of lag 0 .. r] for lags (p, q), and the residual."""
        p, q = lags
        n = len(U)
        columns = [np.ones((n - first, U.shape[1], 1))]
        columns += [U[first - j : n - j, :, None] for j in range(1, p + 1)]
        columns += [noise[first - j : n - j, :, None] for j in range(1, q + 1)]
        columns += [terms[first - j : n - j] for j in range(self.x_lags + 1)]
        design = np.concatenate(columns, axis=-1)
        # Columns of one size keep the high powers from drowning the low ones.
        size = np.sqrt(np.mean(np.square(design), axis=(0, 1)))
        size[size == 0] = 1.0
        target = U[first:]
        scaled = np.linalg.lstsq((design / size).reshape(target.size, -1), target.ravel(), rcond=None)[0]
        solution = np.asarray(scaled / size, dtype=np.float64)
        return solution, np.asarray(target - design @ solution, dtype=np.float64)

    def _mean(self, X: NDArray, points: NDArray) -> NDArray:
        """Return the recursion without noise along X (time, ..., K), from the fixed point of the first state."""
        shares = self._shares(X, points)
        drive = np.full(shares.shape[:-1], self.intercept_)
        for j in range(self.x_lags + 1):
            drive += shares[np.maximum(np.arange(len(X)) - j, 0), ..., j]
        rest = (self.intercept_ + shares[0].sum(axis=-1)) / (1.0 - self.ar_.sum())
        feedback = np.r_[1.0, -self.ar_]
        start = lfiltic([1.0], feedback, np.ones(len(self.ar_)))
        mean, _ = lfilter([1.0], feedback, drive, axis=0, zi=start.reshape(-1, *[1] * rest.ndim) * rest)
        return np.asarray(mean, dtype=np.float64)

    def _shares(self, X: NDArray, points: NDArray) -> NDArray:
        """Return g_j(X) of every lag j, (..., points, x_lags + 1)."""
        return np.asarray(self._terms(X, points) @ self.coef_.T, dtype=np.float64)

    def _burn_in(self) -> int:
        """Return the number of intervals until the noise has forgotten its start."""
        slowest = float(np.abs(np.roots(np.r_[1.0, -self.ar_])).max(initial=0.1))
        return len(self.ma_) + int(np.ceil(np.log(_FORGOTTEN) / np.log(max(slowest, 0.1))))


class MemoryPolynomialClosure:
    """A memory polynomial at every point of each member of a resolved model with `every` steps an interval.

    The mean is computed at every step from the values one, two, ... intervals before, so that it follows X without
    delay. The noise is drawn once an interval and held. Before the start the mean has followed the states given to
    `remember`, interpolated linearly, or else has always seen the first one; the noise is stationary.
    """

    deterministic = False

    def __init__(self, polynomial: MemoryPolynomialRegressor, every: int) -> None:
        self._polynomial = polynomial
        self._every = every
        self._depth = max(polynomial.x_lags, polynomial.u_lags, 1) * every
        self.start(0, np.random.default_rng(0))

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget the past of the closure; noise is drawn from `rng`."""
        self._n_members, self._rng, self._steps = n_members, rng, 0
        self._history: NDArray | None = None
        self._past: deque[tuple[NDArray, NDArray]] = deque(maxlen=self._depth)

    def remember(self, history: NDArray) -> None:
        """Take the states before the start, (past, member, K), `HISTORY_INTERVAL` apart, newest last."""
        self._history = thinned(history, self._polynomial.interval)

    def step(self, X: NDArray) -> NDArray:
        """Return U (member, K) for the states X (member, K) and those of earlier steps."""
        if len(X) != self._n_members:
            raise ModelError(f"The closure was started for {self._n_members} members; X has {len(X)} rows.")
        model = self._polynomial
        if not self._past:
            self._fill(X)
        if self._steps % self._every == 0:
            self._draw()
        self._steps += 1
        shares = model._shares(X, np.arange(X.shape[1]))
        mean = model.intercept_ + shares[..., 0]
        for j in range(1, model.x_lags + 1):
            mean += self._past[-j * self._every][0][..., j]
        for j, weight in enumerate(model.ar_, start=1):
            mean += weight * self._past[-j * self._every][1]
        self._past.append((shares, mean))
        return mean + self._noise[0]

    def _fill(self, X: NDArray) -> None:
        """Fill the buffer from the states before X, and draw stationary noise."""
        model, every = self._polynomial, self._every
        known = X[None] if self._history is None else np.concatenate([self._history, X[None]])
        points = np.arange(X.shape[1])
        shares, mean = model._shares(known, points), model._mean(known, points)
        for j in range(self._depth, 0, -1):
            position = len(known) - 1 - j / every
            self._past.append((interpolated(shares, position), interpolated(mean, position)))
        self._noise: deque[NDArray] = deque([np.zeros(X.shape)] * max(len(model.ar_), 1), maxlen=max(len(model.ar_), 1))
        self._xi: deque[NDArray] = deque([np.zeros(X.shape)] * len(model.ma_), maxlen=len(model.ma_))
        for _ in range(model._burn_in()):
            self._draw()

    def _draw(self) -> None:
        """Draw the noise of the next interval; the newest is first."""
        model = self._polynomial
        xi = model.sigma_ * self._rng.standard_normal(self._noise[0].shape)
        noise = xi.copy()
        for weight, before in zip(model.ar_, self._noise, strict=False):
            noise += weight * before
        for weight, before in zip(model.ma_, self._xi, strict=True):
            noise += weight * before
        self._noise.appendleft(noise)
        self._xi.appendleft(xi)


def _stable(ar: NDArray) -> NDArray:
    """Reflect the roots of an autoregression into the unit circle, to `_LARGEST_ROOT` at most."""
    roots = np.roots(np.r_[1.0, -ar])
    size = np.abs(roots)
    if not (size > _LARGEST_ROOT).any():
        return ar
    reflected = np.where(size > 1, roots / np.maximum(size, 1.0) ** 2, roots)
    reflected *= np.minimum(1.0, _LARGEST_ROOT / np.maximum(np.abs(reflected), _LARGEST_ROOT))
    return np.asarray(-np.poly(reflected)[1:].real, dtype=np.float64)
