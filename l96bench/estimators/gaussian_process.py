"""A sparse Gaussian process for closures: the stencil of a point in, U at the point out, or draws of it."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from l96bench.checks import checked_random_state
from l96bench.dynamics.ar1 import AR1Noise, NoisyClosure, ar1_noise
from l96bench.dynamics.closures import MODEL_DT
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.errors import ModelError
from l96bench.estimators.regressors import LocalRegressor
from l96bench.estimators.ring import RingRegressor, lag_one_correlation, stencil_index, stencil_rows

__all__ = ["GaussianProcessClosure", "SampledGaussianProcess", "SparseGaussianProcess"]

_ROWS = 20_000  # of a block of the kernel matrix
_BLOCK = 256  # rows of a closure's features at once: what fits the cache, and is no work for several threads
_JITTER = 1e-6  # added to the prior variances of the inducing values, in units of the prior variance


class SparseGaussianProcess(RegressorMixin, BaseEstimator):
    """A Gaussian process on inducing points: the subset-of-regressors approximation, in closed form.

    f(x) = m + k(x)ᵀ w with the kernel's values k(x) at M inducing points Z and weights w that are a priori normal with
    covariance K_mm⁻¹. Given n targets with noise of variance s², w is normal with covariance A⁻¹ = (K_mm + K_mn K_nm /
    s²)⁻¹ and mean A⁻¹ K_mn (y - m) / s². With all data as inducing points, the mean is that of the exact process.

    The kernel is v exp(-½ sum_i ((x_i - x'_i) / l_i)²). Its variance v, a length l_i for each input and s² maximize the
    marginal likelihood of the exact process on a random subset; s² is then the mean squared residual of all data. The
    inducing points are the centres of k-means clusters of such a subset.

    Parameters
    ----------
    n_inducing, subset : int
        M (all distinct data when there are no more of them), and the rows that the hyperparameters are chosen on.
    length_scale : array-like of shape (features,) or float, optional
        The l_i; with `variance` and `noise`, all three in the inputs' and targets' own units, instead of the search.
    variance, noise : float, optional
        The kernel's variance v, and s² (which then stays as it is).
    random_state : int or None
        Seed of the subsets and the clusters.

    Attributes
    ----------
    inducing_, weights_, length_scale_ : (M, features), (M,) and (features,) arrays
        The inducing points, the mean of w, and the l_i.
    covariance_factor_ : (M, M) array
        R with R Rᵀ = A⁻¹: ``w = weights_ + R z`` for a standard normal z.
    variance_, noise_, mean_ : float
        v, s² and m, the mean of the targets.
    n_features_in_ : int

    References
    ----------
    Silverman (1985), J. R. Stat. Soc. B 47, 1-52; Quinonero-Candela and Rasmussen (2005), J. Mach. Learn. Res.
    6, 1939-1959 (the subset of regressors).

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench.estimators import SparseGaussianProcess
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(0.0, 6.0, (200, 1))
    >>> y = np.sin(x[:, 0]) + 0.1 * rng.standard_normal(200)
    >>> process = SparseGaussianProcess(n_inducing=20, subset=100).fit(x, y)
    >>> bool(abs(process.predict(x) - np.sin(x[:, 0])).max() < 0.2)
    True
    """

    noise_: float

    def __init__(
        self,
        n_inducing: int = 100,
        subset: int = 400,
        length_scale: ArrayLike | None = None,
        variance: float | None = None,
        noise: float | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.n_inducing, self.subset, self.length_scale, self.variance = n_inducing, subset, length_scale, variance
        self.noise, self.random_state = noise, random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to inputs X (n, features) and targets y (n,)."""
        rows, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        if self.n_inducing < 1 or self.subset < 2:
            raise ValueError(
                f"n_inducing must be at least 1 and subset at least 2; got {self.n_inducing} and {self.subset}."
            )
        rng = np.random.default_rng(checked_random_state(self.random_state))
        self.mean_ = float(targets.mean())
        self._choose_kernel(rows, targets, rng)
        self.inducing_ = self._clusters(rows, rng)
        products, moments = self._products(rows, targets - self.mean_)
        prior = self._kernel(self.inducing_) + _JITTER * self.variance_ * np.eye(len(self.inducing_))
        if self.noise is None:
            # What the mean leaves over once all data have been seen, rather than what a small subset suggests.
            weights = cho_solve(cho_factor(prior + products / self.noise_), moments / self.noise_)
            squares = np.sum((targets - self.mean_) ** 2) - 2 * weights @ moments + weights @ products @ weights
            self.noise_ = max(float(squares) / len(targets), 1e-12 * self.variance_)
        factor = np.linalg.cholesky(prior + products / self.noise_)
        self.weights_ = cho_solve((factor, True), moments / self.noise_)
        self.covariance_factor_ = solve_triangular(factor, np.eye(len(factor)), lower=True).T
        return self

    def predict(self, X: ArrayLike, return_std: bool = False) -> Any:
        """Return the mean (n,) at X (n, features); with `return_std` also the std of a new target, noise included."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        mean = self.features(rows) @ self.weights_ + self.mean_
        if not return_std:
            return mean
        spread = np.square(self.features(rows) @ self.covariance_factor_).sum(axis=1)
        return mean, np.sqrt(spread + self.noise_)

    def predict_unchecked(self, X: NDArray) -> NDArray:
        """Return the mean in single precision, without checks of X, for a closure to call at every step."""
        return np.asarray(self.features_unchecked(X) @ self.weights_.astype(np.float32) + np.float32(self.mean_))

    def features(self, X: NDArray) -> NDArray:
        """Return the kernel's values (n, M) at inputs X (n, features)."""
        return self._kernel(X)

    def features_unchecked(self, X: NDArray) -> NDArray:
        """Return `features` in single precision without checks; its exponentials take a quarter of the time."""
        centre, scale, z, offset = self._single_precision()
        out = np.empty((len(X), len(z)), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # a member that blows up
            for start in range(0, len(X), _BLOCK):
                x = ((X[start : start + _BLOCK] - centre) * scale).astype(np.float32)
                values = out[start : start + _BLOCK]
                np.matmul(x, z.T, out=values)
                values -= 0.5 * np.square(x).sum(axis=1)[:, None]
                values += offset
                np.exp(values, out=values)
        return out

    def graph(self, builder: GraphBuilder, x: str, width: int) -> str:
        """Return the mean (n, 1) at rows (n, width), in single precision like `predict_unchecked`; see `Closure`."""
        return self.mean_graph(builder, self.features_graph(builder, x))

    def mean_graph(self, builder: GraphBuilder, features: str) -> str:
        """Return the mean (n, 1), float64, for the kernel's values (n, M)."""
        weights, mean = self.weights_[None].astype(np.float32), np.array([self.mean_], dtype=np.float32)
        return builder.cast(builder.linear(features, weights, mean), np.float64)

    def features_graph(self, builder: GraphBuilder, x: str) -> str:
        """Return the kernel's values (n, M) at rows x (n, width), float32, like `features_unchecked`."""
        centre, scale, z, offset = self._single_precision()
        x = builder.node(
            "Mul", builder.node("Sub", x, builder.constant(centre, np.float64)), builder.constant(scale, np.float64)
        )
        x = builder.cast(x, np.float32)
        half = builder.node("Mul", builder.node("ReduceSumSquare", x, axes=[1]), builder.constant(0.5, np.float32))
        return builder.node("Exp", builder.node("Sub", builder.linear(x, z, offset), half))

    @property
    def n_parameters(self) -> int:
        """Inducing points, weights, length scales, variance, noise and mean."""
        check_is_fitted(self)
        return self.inducing_.size + self.weights_.size + self.length_scale_.size + 3

    def _single_precision(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return centre and inverse scale of inputs, inducing points in these units, and logs of their factors."""
        scale, centre = 1.0 / self.length_scale_, self.inducing_.mean(axis=0)
        z = ((self.inducing_ - centre) * scale).astype(np.float32)
        return centre, scale, z, (np.log(self.variance_) - 0.5 * np.square(z).sum(axis=1)).astype(np.float32)

    def _kernel(self, X: NDArray, Z: NDArray | None = None) -> NDArray:
        x, z = X / self.length_scale_, (self.inducing_ if Z is None else Z) / self.length_scale_
        squares = np.square(x).sum(axis=1)[:, None] + np.square(z).sum(axis=1) - 2 * x @ z.T
        return np.asarray(self.variance_ * np.exp(-0.5 * np.maximum(squares, 0.0)))

    def _choose_kernel(self, rows: NDArray, targets: NDArray, rng: np.random.Generator) -> None:
        given = (self.length_scale, self.variance, self.noise)
        if any(value is not None for value in given):
            if any(value is None for value in given):
                raise ValueError("length_scale, variance and noise are given together or not at all.")
            self.length_scale_ = np.broadcast_to(
                np.asarray(self.length_scale, dtype=np.float64), (rows.shape[1],)
            ).copy()
            self.variance_, self.noise_ = float(self.variance or 0.0), float(self.noise or 0.0)
            return
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        chosen = rng.choice(len(rows), min(self.subset, len(rows)), replace=False)
        spread, scale = rows.std(axis=0), float(targets.std()) or 1.0
        spread = np.where(spread > 0, spread, 1.0)
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(np.full(rows.shape[1], 3.0), (0.1, 100.0)) + WhiteKernel(0.1)
        exact = GaussianProcessRegressor(kernel, alpha=1e-8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # inputs that do not matter get the longest scale
            exact.fit(rows[chosen] / spread, (targets[chosen] - self.mean_) / scale)
        found = exact.kernel_
        self.length_scale_ = spread * np.ravel(found.k1.k2.length_scale)
        self.variance_ = scale**2 * float(found.k1.k1.constant_value)
        self.noise_ = scale**2 * float(found.k2.noise_level)

    def _clusters(self, rows: NDArray, rng: np.random.Generator) -> NDArray:
        """Return the centres of clusters of a subset, in units of the length scales."""
        from sklearn.cluster import KMeans

        if len(rows) <= self.n_inducing:
            return np.unique(rows, axis=0)
        sample = rows[rng.choice(len(rows), min(len(rows), 50 * self.n_inducing), replace=False)] / self.length_scale_
        clusters = KMeans(self.n_inducing, n_init=1, max_iter=20, random_state=int(rng.integers(2**31)))
        return np.asarray(clusters.fit(sample).cluster_centers_ * self.length_scale_)

    def _products(self, rows: NDArray, targets: NDArray) -> tuple[NDArray, NDArray]:
        """Return K_mn K_nm and K_mn y, summed block by block."""
        M = len(self.inducing_)
        products, moments = np.zeros((M, M)), np.zeros(M)
        for start in range(0, len(rows), _ROWS):
            block = self.features(rows[start : start + _ROWS])
            products += block.T @ block
            moments += block.T @ targets[start : start + _ROWS]
        return products, moments


class SampledGaussianProcess(RingRegressor):
    """A local Gaussian process with a stochastic closure: a function from the posterior for each member, and red noise.

    Each member keeps the weights that it draws at its start; U at a point is that function of its stencil plus a
    first-order autoregression with the noise variance s² of the process and the lag correlation of the training
    residuals, independent at every point.

    Parameters
    ----------
    process : SparseGaussianProcess, optional
        A clone of it is fitted to the stencils; the default one if not given.
    radius : int
        Neighbours seen on either side.
    interval : float
        Time in MTU between the rows of X, which are successive states of a trajectory.

    Attributes
    ----------
    estimator_ : LocalRegressor
        The fitted mean.
    phi_ : float
        Autocorrelation of the residual over `interval`.

    References
    ----------
    Parthipan et al. (2023), Geosci. Model Dev. 16, 4501-4519, for noise with memory.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import SampledGaussianProcess, SparseGaussianProcess
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = SampledGaussianProcess(SparseGaussianProcess(n_inducing=20, subset=50), radius=1).fit(run.X, run.U)
    >>> 0.0 <= model.phi_ < 1.0, model.closure(0.01).deterministic
    (True, False)
    """

    def __init__(self, process: SparseGaussianProcess | None = None, radius: int = 2, interval: float = 0.05) -> None:
        self.process, self.radius, self.interval = process, radius, interval

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) in time order and their added tendencies y, U (n, K)."""
        states, U = self._checked_training(X, y)
        process = SparseGaussianProcess() if self.process is None else self.process
        self.estimator_ = LocalRegressor(process, radius=self.radius).fit(states, self._like_y(U))
        residual = U - self.estimator_.predict(states).reshape(U.shape)
        self.phi_ = lag_one_correlation(residual[:-1], residual[1:])
        return self

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Return draws of U (member, n, K) along a trajectory X (n, K) in time order."""
        states = self._checked_states(X)
        process: SparseGaussianProcess = self.estimator_.estimator_
        weights = _drawn(process, n_members, rng)
        index = stencil_index(states.shape[1], self.radius)[self._points()]
        values = process.features(stencil_rows([states], index)) @ weights.T + process.mean_
        noise = ar1_noise((len(states), n_members, len(index)), self.phi_, np.sqrt(process.noise_), rng)
        U = np.moveaxis(values.reshape(len(states), -1, n_members), 2, 0) + np.moveaxis(noise, 1, 0)
        return U.reshape(*U.shape[:2], *self._y_shape)

    def closure(self, dt: float = 0.01) -> GaussianProcessClosure:
        """Return the stochastic closure for a resolved model that steps by `dt` MTU."""
        check_is_fitted(self)
        index = stencil_index(self.n_features_in_, self.radius)
        return GaussianProcessClosure(self.estimator_.estimator_, index, AR1Noise(self.phi_, self.interval, dt))


class GaussianProcessClosure(NoisyClosure):
    """One function and one red noise for each member, drawn at the start; see `SampledGaussianProcess`.

    Parameters
    ----------
    process : SparseGaussianProcess
        The fitted process.
    index : (K, width) array of int
        The points in the stencil of each point.
    noise : AR1Noise
        Of variance 1.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> from l96bench.estimators import SampledGaussianProcess, SparseGaussianProcess
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = SampledGaussianProcess(SparseGaussianProcess(n_inducing=20, subset=50), radius=1).fit(run.X, run.U)
    >>> closure = model.closure(0.01)
    >>> closure.start(3, np.random.default_rng(0))
    >>> closure.step(run.X[:3]).shape
    (3, 8)
    """

    graph_is_exact = False

    def __init__(self, process: SparseGaussianProcess, index: NDArray, noise: AR1Noise) -> None:
        super().__init__(noise)
        self.process, self.index = process, index
        self._weights: NDArray | None = None

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Draw a function for every member, and forget the noise."""
        self._weights = _drawn(self.process, n_members, rng)[:, :, None].astype(np.float32)
        self.noise.start(n_members, rng)

    def step(self, X: NDArray) -> NDArray:
        """Return the added tendency U (member, K) for the states X (member, K)."""
        if self._weights is None or len(X) != len(self._weights):
            raise ModelError(f"The closure was not started for the {len(X)} rows of X; call start first.")
        features = self.process.features_unchecked(stencil_rows([X], self.index))
        mean = features @ self.process.weights_.astype(np.float32) + np.float32(self.process.mean_)
        self.last_mean = mean.reshape(X.shape).astype(np.float64)
        U = np.matmul(features.reshape(*X.shape, -1), self._weights)[..., 0] + self.process.mean_
        return np.asarray(U + np.sqrt(self.process.noise_) * self.noise.step(X.shape), dtype=np.float64)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the graph of each member's function and of the noise; see `Closure`."""
        process, width, M = self.process, self.index.shape[1], len(self.process.weights_)
        drawn = builder.state(M, np.float64, "normal", MODEL_DT, past=False)
        builder.keep(drawn, drawn)
        weights = builder.linear(drawn, process.covariance_factor_, process.weights_)
        rows = builder.reshape(builder.gather(x, self.index), -1, width)
        features = process.features_graph(builder, rows)
        builder.mean(builder.reshape(process.mean_graph(builder, features), -1, K))
        own = builder.reshape(builder.cast(weights, np.float32), -1, M, 1)
        U = builder.reshape(builder.node("MatMul", builder.reshape(features, -1, K, M), own), -1, K)
        U = builder.cast(U, np.float64)
        U = builder.node("Add", U, builder.constant(process.mean_, np.float64))
        spread = builder.constant(np.sqrt(process.noise_), np.float64)
        return builder.node("Add", U, builder.node("Mul", spread, self.noise.graph(builder, K)))


def _drawn(process: SparseGaussianProcess, n_members: int, rng: np.random.Generator) -> NDArray:
    """Draw weights (member, M) from their posterior distribution."""
    z = rng.standard_normal((n_members, len(process.weights_)))
    return np.asarray(process.weights_ + z @ process.covariance_factor_.T)
