"""The memory polynomial: a nonlinear autoregression with moving average and exogenous input (NARMAX)."""

from __future__ import annotations

import functools
import itertools
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_discrete_lyapunov
from scipy.signal import lfilter, lfiltic
from sklearn.utils.validation import check_is_fitted

from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.polynomial import ten_digits
from l96bench.dynamics.steps import Block, StepForm, SteppedClosure
from l96bench.errors import ModelError
from l96bench.estimators.ring import RingRegressor, check_whole

__all__ = ["MemoryPolynomialRegressor", "MemoryPolynomialStep"]

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

    References
    ----------
    Chorin and Lu (2015), Proc. Natl. Acad. Sci. 112, 9804-9809, doi:10.1073/pnas.1512080112; Lu, Lin and
    Chorin (2017), Physica D 340, 46-57. Hannan and Rissanen (1982), Biometrika 69, 81-94: the fit.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import MemoryPolynomialRegressor
    >>> run = l96bench.simulate("wilks-f20", 50.0, spin_up=5.0)
    >>> model = MemoryPolynomialRegressor(degree=1).fit(run.X, run.U)
    >>> model.ar_.shape, model.coef_.shape, model.sigma_ > 0.0
    ((1,), (2, 1), True)
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

    def closure(self, dt: float = 0.01) -> SteppedClosure:
        """Return the stochastic closure for a resolved model with the step `dt` (MTU), a divisor of 0.05."""
        check_is_fitted(self)
        if self.interval != HISTORY_INTERVAL:
            raise ModelError(f"expected a fit to rows {HISTORY_INTERVAL} MTU apart, got interval={self.interval}")
        return SteppedClosure(MemoryPolynomialStep(self), dt)

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
        shares = self.shares(X, points)
        drive = np.full(shares.shape[:-1], self.intercept_)
        for j in range(self.x_lags + 1):
            drive += shares[np.maximum(np.arange(len(X)) - j, 0), ..., j]
        rest = (self.intercept_ + shares[0].sum(axis=-1)) / (1.0 - self.ar_.sum())
        feedback = np.r_[1.0, -self.ar_]
        start = lfiltic([1.0], feedback, np.ones(len(self.ar_)))
        mean, _ = lfilter([1.0], feedback, drive, axis=0, zi=start.reshape(-1, *[1] * rest.ndim) * rest)
        return np.asarray(mean, dtype=np.float64)

    def shares(self, X: NDArray, points: NDArray) -> NDArray:
        """Return g_j(X) of every lag j, (..., points, x_lags + 1)."""
        return np.asarray(self._terms(X, points) @ self.coef_.T, dtype=np.float64)

    def _burn_in(self) -> int:
        """Return the number of intervals until the noise has forgotten its start."""
        slowest = float(np.abs(np.roots(np.r_[1.0, -self.ar_])).max(initial=0.1))
        return len(self.ma_) + int(np.ceil(np.log(_FORGOTTEN) / np.log(max(slowest, 0.1))))


class MemoryPolynomialStep:
    """The step of a fitted memory polynomial at every point, 0.05 MTU long.

    Its state holds what the past contributes to the mean of the next steps: with v_j the part that arrives in j steps,

        mean = m + g_0(X) + v_1,        v_j' = v_{j+1} + g_j(X) + a_j mean,

    and v at the start is that of a past that has always been the first X. The noise has the same form with d_j xi in
    place of g_j; the state is a transformation of it that is standard normal when the noise is stationary.

    Parameters
    ----------
    polynomial : MemoryPolynomialRegressor
        The fitted polynomial.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import MemoryPolynomialRegressor, MemoryPolynomialStep
    >>> run = l96bench.simulate("wilks-f20", 50.0, spin_up=5.0)
    >>> step = MemoryPolynomialStep(MemoryPolynomialRegressor(degree=1).fit(run.X, run.U))
    >>> step.K, [block.size for block in step.form.noise]
    (8, [8])
    """

    dtype = np.float64

    def __init__(self, polynomial: MemoryPolynomialRegressor) -> None:
        self.polynomial, self.K = polynomial, int(polynomial.n_features_in_)
        self.depth = max(polynomial.x_lags, len(polynomial.ar_), 1)
        self.ar, self.map, self.gain, self.read = (
            np.zeros(self.depth),
            *_stationary(polynomial.ar_, polynomial.ma_, polynomial.sigma_),
        )
        self.ar[: len(polynomial.ar_)] = polynomial.ar_
        n_noise = len(self.gain)
        # One column is the share of a past that the state has: 0 at the start, then 1.
        ahead, noise = [Block(self.K)] * self.depth, [Block(self.K, start="normal")] * n_noise
        self.form = StepForm((*ahead, Block(1), *noise), (Block(self.K),))

    def __call__(
        self, X: NDArray, state: NDArray, noise: NDArray, uniform: NDArray
    ) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return U (n, K), the next state and the mean (n, K); see `l96bench.dynamics.steps.Step`."""
        model, n = self.polynomial, len(X)
        shares = np.zeros((n, self.depth + 1, self.K))
        shares[:, : model.x_lags + 1] = np.moveaxis(model.shares(X, np.arange(self.K)), -1, 1)
        coming = state[:, : self.K * self.depth].reshape(n, self.depth, self.K)
        seen = state[:, self.K * self.depth].reshape(n, 1, 1)
        rest = (model.intercept_ + shares.sum(axis=1, keepdims=True)) / (1.0 - self.ar.sum())
        always = np.cumsum((shares[:, 1:] + self.ar[:, None] * rest)[:, ::-1], axis=1)[:, ::-1]
        coming = np.where(seen > 0, coming / np.where(seen > 0, seen, 1.0), always)
        mean = model.intercept_ + shares[:, 0] + coming[:, 0]
        later = np.concatenate([coming[:, 1:], np.zeros((n, 1, self.K))], axis=1)
        later = later + shares[:, 1:] + self.ar[:, None] * mean[:, None]
        kept = [later.reshape(n, -1), np.ones((n, 1))]
        U = mean + model.sigma_ * noise
        if n_noise := len(self.gain):
            before = state[:, self.K * self.depth + 1 :].reshape(n, n_noise, self.K)
            U = U + self.read @ before
            kept.append((self.map @ before + self.gain[:, None] * noise[:, None]).reshape(n, -1))
        return U, np.concatenate(kept, axis=1), mean

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the step's graph; see `Closure`. Each variable is an array (n, K): none of them needs a transposition."""
        model, depth, f64 = self.polynomial, self.depth, np.float64

        def times(values: str, factor: float) -> str:
            return builder.node("Mul", values, builder.constant(factor, f64))

        def added(*values: str) -> str:
            return functools.reduce(functools.partial(builder.node, "Add"), values)

        ahead, seen = [builder.state(K, f64) for _ in range(depth)], builder.state(1, f64)
        before = [builder.state(K, f64, "normal") for _ in self.gain]
        xi = builder.noise(K, f64)
        one, intercept = builder.constant(1.0, f64), builder.constant(model.intercept_, f64)
        advected = ""
        if model.advection:
            left, right, two_left = (builder.gather(x, (np.arange(K) + i) % K) for i in (-1, 1, -2))
            advected = builder.node("Mul", left, builder.node("Sub", right, two_left))
        shares: list[list[str]] = [[] for _ in range(depth + 1)]
        for share, coefs in zip(shares, model.coef_, strict=False):
            powers, rest_of = coefs[: model.degree], coefs[model.degree :]
            share.append(builder.polynomial(x, np.r_[0.0, powers]))
            share.extend(times(advected, value) for value in rest_of)
        shares = [[added(*share)] if share else [] for share in shares]
        rest = times(added(intercept, *itertools.chain(*shares)), 1.0 / (1.0 - self.ar.sum()))
        is_seen = builder.node("Greater", seen, builder.constant(0.0, f64))
        seen_or_one = builder.node("Where", is_seen, seen, one)
        inverse = builder.node("Div", one, seen_or_one)
        always: list[str] = []
        for share, weight in reversed([*zip(shares[1:], self.ar, strict=True)]):
            always = [added(*share, times(rest, weight), *always[:1]), *always]
        coming = [
            builder.node("Where", is_seen, builder.node("Mul", kept, inverse), each)
            for kept, each in zip(ahead, always, strict=True)
        ]
        mean = added(intercept, *shares[0], coming[0])
        for j, (kept, share, weight) in enumerate(zip(ahead, shares[1:], self.ar, strict=True)):
            builder.keep(kept, added(times(mean, weight), *share, *coming[j + 1 : j + 2]))
        builder.keep(seen, builder.node("Div", seen_or_one, seen_or_one))
        builder.mean(mean)
        U = added(mean, times(xi, model.sigma_))
        for kept, gain, row in zip(before, self.gain, self.map, strict=True):
            shifted = (times(each, weight) for each, weight in zip(before, row, strict=True))
            builder.keep(kept, added(times(xi, gain), *shifted))
        return added(U, *(times(each, weight) for each, weight in zip(before, self.read, strict=True)))

    def __repr__(self) -> str:
        return f"MemoryPolynomialStep({self.polynomial!r})"


def _stationary(ar: NDArray, ma: NDArray, sigma: float) -> tuple[NDArray, NDArray, NDArray]:
    """Return the noise of an ARMA process as a recursion of a standard normal state.

    With w_j the part of the noise that arrives in j steps, w' = A w + b xi and e = w_1 + sigma xi for a standard normal
    xi. Its stationary covariance P = L Lᵀ solves P = A P Aᵀ + b bᵀ, and s = L⁻¹ w is standard normal. Returns the
    matrix L⁻¹ A L, the vector L⁻¹ b and the first row of L.
    """
    n = max(len(ar), len(ma))
    if not n or not sigma:
        return np.zeros((0, 0)), np.zeros(0), np.zeros(0)
    a, d = np.zeros(n), np.zeros(n)
    a[: len(ar)], d[: len(ma)] = ar, ma
    A, b = np.eye(n, k=1), sigma * (a + d)
    A[:, 0] += a
    values, vectors = np.linalg.eigh(solve_discrete_lyapunov(A, np.outer(b, b)))
    used = values > 1e-12 * max(values.max(), 1e-300)
    L = vectors[:, used] * np.sqrt(values[used])
    inverse = vectors[:, used].T / np.sqrt(values[used])[:, None]
    signs = np.where(L[0] < 0, -1.0, 1.0)
    found = signs[:, None] * (inverse @ A @ L) * signs, signs * (inverse @ b), signs * L[0]
    rounded = (np.reshape([ten_digits(float(value)) for value in each.ravel()], each.shape) for each in found)
    return tuple(rounded)  # type: ignore[return-value]


def _stable(ar: NDArray) -> NDArray:
    """Reflect the roots of an autoregression into the unit circle, to `_LARGEST_ROOT` at most."""
    roots = np.roots(np.r_[1.0, -ar])
    size = np.abs(roots)
    if not (size > _LARGEST_ROOT).any():
        return ar
    reflected = np.where(size > 1, roots / np.maximum(size, 1.0) ** 2, roots)
    reflected *= np.minimum(1.0, _LARGEST_ROOT / np.maximum(np.abs(reflected), _LARGEST_ROOT))
    return np.asarray(-np.poly(reflected)[1:].real, dtype=np.float64)
