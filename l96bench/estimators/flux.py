"""Closures of a flux coupling, U_k = S_{k-1} - S_{k+1}, which conserve the momentum: sum_k U_k = 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.utils.validation import check_is_fitted

from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.regressors import StencilClosure
from l96bench.estimators.ring import RingRegressor, stencil_index, stencil_rows
from l96bench.estimators.training_loop import Layers, Recipe, moments, named_layers, train
from l96bench.parallel import one_thread

__all__ = ["CONSTRAINTS", "ConservativeNetwork", "FluxClosure", "FluxRegressor", "flux_divergence", "minimal_flux"]

CONSTRAINTS = ("none", "penalty", "flux", "staggered flux")
"""The ways in which a `ConservativeNetwork` may be made to conserve momentum."""


def flux_divergence(S: ArrayLike) -> NDArray:
    """Return U_k = S_{k-1} - S_{k+1} of fluxes; its sum over the ring is zero to rounding.

    Parameters
    ----------
    S : (..., K) array
        Fluxes.

    Returns
    -------
    (..., K) array
        In the units of the fluxes.

    Examples
    --------
    >>> from l96bench.estimators import flux_divergence
    >>> flux_divergence([1.0, 2.0, 4.0])
    array([ 2., -3.,  1.])
    """
    flux = np.asarray(S, dtype=np.float64)
    return np.asarray(np.roll(flux, 1, axis=-1) - np.roll(flux, -1, axis=-1))


def minimal_flux(U: ArrayLike) -> NDArray:
    """Return the smallest flux S whose divergence S_{k-1} - S_{k+1} is closest to U.

    The gauge is what leaves divergences as they are: a constant added to S at all points or, on an even ring, at every
    second one. In Fourier space S_q = i U_q / (2 sin(2 pi q / K)), and 0 where the sine is: S has no part in the gauge,
    and U is met exactly where it sums to zero over all points or, on an even ring, over those of each parity.

    Parameters
    ----------
    U : (..., K) array
        Tendencies, X a MTU.

    Returns
    -------
    (..., K) array
        Fluxes in the same units.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench.estimators import flux_divergence, minimal_flux
    >>> U = np.array([1.0, -3.0, 2.0])
    >>> flux_divergence(minimal_flux(U)).round(6)
    array([ 1., -3.,  2.])
    """
    forcing = np.asarray(U, dtype=np.float64)
    K = forcing.shape[-1]
    waves = np.arange(K // 2 + 1)
    sine = np.where(2 * waves % K == 0, 0.0, np.sin(2 * np.pi * waves / K))
    inverse = np.divide(0.5, sine, out=np.zeros_like(sine), where=sine != 0.0)
    return np.asarray(np.fft.irfft(1j * inverse * np.fft.rfft(forcing, axis=-1), K, axis=-1))


class FluxClosure(StencilClosure):
    """U_k = S_{k-1} - S_{k+1} (or between edges), S being a shared regressor's output at every point's stencil.

    Parameters
    ----------
    estimator : regressor of one output
        As for `StencilClosure`, fitted.
    index : (K, width) array of int
        As for `StencilClosure`; for edges, the points in the stencil of k + 1/2.
    constraint : {"none", "penalty", "flux", "staggered flux"}
        As for `ConservativeNetwork`.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import FluxRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> closure = FluxRegressor().fit(run.X, run.U).closure(0.01)
    >>> closure.constraint, bool(abs(closure.predict(run.X).sum(axis=1)).max() < 1e-9)
    ('flux', True)
    """

    def __init__(self, estimator: Any, index: NDArray, constraint: str) -> None:
        super().__init__(estimator, index)
        self.constraint = constraint

    def predict(self, X: NDArray) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        S = self.outputs([X])
        if self.constraint == "flux":
            return flux_divergence(S)
        if self.constraint == "staggered flux":
            return np.asarray(np.roll(S, 1, axis=1) - S)
        return S

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the graph of the regressor's outputs, a flux or U itself, and of U; see `Closure`."""
        S = super().graph(builder, x, K)
        if self.constraint not in ("flux", "staggered flux"):
            return S
        shifts = (-1, 1 if self.constraint == "flux" else 0)
        before, after = (builder.gather(S, (np.arange(K) + shift) % K) for shift in shifts)
        return builder.node("Sub", before, after)


class FluxRegressor(RingRegressor):
    """Gauge-free flux: any regressor of one output, trained on the minimal flux of U; U is its divergence.

    A flux that is learned through its divergence has an arbitrary part, its gauge, which `minimal_flux` fixes before
    the training. U_k = s(X_{k-1-r} .. X_{k-1+r}) - s(X_{k+1-r} .. X_{k+1+r}) conserves momentum to rounding.

    Parameters
    ----------
    estimator : regressor of one output, default LinearRegression()
        A clone of it is fitted to the flux.
    radius : int
        Of the stencil that s sees, in points on either side.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import FluxRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = FluxRegressor(radius=1).fit(run.X, run.U)
    >>> bool(abs(model.predict(run.X).sum(axis=1)).max() < 1e-9)  # momentum is conserved
    True
    """

    def __init__(self, estimator: Any = None, radius: int = 2) -> None:
        self.estimator, self.radius = estimator, radius

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) and their added tendencies y, U (n, K)."""
        states, U = self._checked_training(X, y)
        _need_all_points(U, states)
        self._index = stencil_index(states.shape[1], self.radius)
        self.estimator_ = clone(LinearRegression() if self.estimator is None else self.estimator)
        self.estimator_.fit(stencil_rows([states], self._index), minimal_flux(U).ravel())
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        return self.closure().predict(self._checked_states(X))

    def closure(self, dt: float = 0.01) -> FluxClosure:
        """Return the closure, which does not depend on dt."""
        check_is_fitted(self)
        return FluxClosure(self.estimator_, self._index, "flux")


class ConservativeNetwork(RingRegressor):
    """A small network, shared around the ring and trained on whole states, whose U may be made to conserve momentum.

    - ``"none"``: U_k is the network's output at the stencil of point k, as in a `LocalRegressor`.
    - ``"penalty"``: the same, trained on mean_k (U_k - Û_k)² + weight (sum_k Û_k)² / K, both over the variance of U.
    - ``"flux"``: the network gives a flux, Û_k = S_{k-1} - S_{k+1}, and is trained on U through it. S is determined up
      to its gauge only (see `minimal_flux`): the constant that the last layer adds gets no gradient.
    - ``"staggered flux"``: it gives the flux G_{k+1/2} at the edges between points, from the r points on either side,
      and Û_k = G_{k-1/2} - G_{k+1/2}. Every flux coupling has this form, G_{k+1/2} = S_k + S_{k+1}, without the mode of
      alternating sign that S_{k-1} - S_{k+1} does not see.

    Parameters
    ----------
    constraint : {"none", "penalty", "flux", "staggered flux"}
        As above.
    weight : float
        Of the penalty.
    hidden : sequence of int
        As for `TorchRegressor`.
    activation : str
        As for `TorchRegressor`.
    epochs, min_steps : int
        As for `TorchRegressor`.
    learning_rate, weight_decay : float
        As for `TorchRegressor`.
    random_state : int or None
        As for `TorchRegressor`.
    radius, batch_size : int
        Points on either side in the stencil of a point or edge, and whole states in a batch.

    Attributes
    ----------
    estimator_ : TorchRegressor
    loss_curve_ : list of float

    References
    ----------
    Beucler et al. (2021), Phys. Rev. Lett. 126, 098302, doi:10.1103/PhysRevLett.126.098302: conservation as a
    penalty and by architecture; Yuval, O'Gorman and Hill (2021), Geophys. Res. Lett. 48, e2020GL091363: subgrid fluxes.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import ConservativeNetwork
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = ConservativeNetwork(hidden=(8,), epochs=1, min_steps=1).fit(run.X, run.U)
    >>> bool(abs(model.predict(run.X).sum(axis=1)).max() < 1e-3)
    True
    """

    def __init__(
        self,
        constraint: str = "flux",
        weight: float = 1.0,
        hidden: Sequence[int] = (64, 64),
        activation: str = "gelu",
        radius: int = 2,
        epochs: int = 10,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        weight_decay: float = 0.0,
        min_steps: int = 500,
        random_state: int | None = 0,
    ) -> None:
        self.constraint, self.weight, self.hidden, self.activation = constraint, weight, hidden, activation
        self.radius, self.epochs, self.batch_size, self.learning_rate = radius, epochs, batch_size, learning_rate
        self.weight_decay, self.min_steps, self.random_state = weight_decay, min_steps, random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on states X (n, K) and their added tendencies y, U (n, K)."""
        states, U = self._checked_training(X, y)
        _need_all_points(U, states)
        if self.constraint not in CONSTRAINTS or not self.weight >= 0:
            raise ValueError(
                f"constraint must be one of {list(CONSTRAINTS)} and weight at least 0; got {self.constraint!r}, "
                f"{self.weight}."
            )
        names = ("epochs", "batch_size", "learning_rate", "weight_decay", "min_steps")
        recipe = Recipe(schedule="one-cycle", **{name: getattr(self, name) for name in names})
        recipe.check()
        self._index = self._stencil(states.shape[1])
        (x_mean,), (x_std,) = moments(states.reshape(-1, 1), True)
        (u_mean,), (u_std,) = moments(U.reshape(-1, 1), True)
        # The mean of a flux's divergence is 0; a mean that is subtracted would be momentum out of nothing.
        u_mean = u_mean if self.constraint in ("none", "penalty") else 0.0
        inputs = torch.from_numpy(((states - x_mean) / x_std).astype(np.float32))
        targets = torch.from_numpy(((U - u_mean) / u_std).astype(np.float32))
        balance = np.sqrt(self.weight) if self.constraint == "penalty" else 0.0
        if balance:  # the sum's target stands beside those of the points
            zero_sum = torch.full((len(targets), 1), -balance * states.shape[1] * u_mean / u_std)
            targets = torch.cat([targets, zero_sum], dim=1)

        def make(generator: torch.Generator) -> _WholeStates:
            layers = Layers([self._index.shape[1], *self.hidden, 1], generator, self.activation)
            return _WholeStates(layers, torch.from_numpy(self._index), self.constraint, balance)

        with one_thread():
            network, self.loss_curve_, _ = train(make, inputs, targets, recipe, self.random_state)
        self.estimator_ = self._folded(network.layers, (x_mean, x_std), (u_mean, u_std))
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        return self.closure().predict(self._checked_states(X))

    def closure(self, dt: float = 0.01) -> FluxClosure:
        """Return the closure, which does not depend on dt."""
        check_is_fitted(self)
        return FluxClosure(self.estimator_, self._index, self.constraint)

    def _stencil(self, K: int) -> NDArray:
        """Return the points that the output at each point, or edge k + 1/2, depends on."""
        if self.constraint != "staggered flux":
            return stencil_index(K, self.radius)
        return (stencil_index(K, self.radius)[:, 1:]) % K if self.radius else np.arange(K)[:, None]

    def _folded(self, layers: Layers, x: tuple[float, float], u: tuple[float, float]) -> TorchRegressor:
        """Return the trained layers for inputs and outputs in their own units."""
        coefs, intercepts = layers.folded()
        coefs[0] = coefs[0] / x[1]
        intercepts[0] = intercepts[0] - coefs[0].sum(axis=1) * x[0]
        coefs[-1], intercepts[-1] = coefs[-1] * u[1], intercepts[-1] * u[1] + u[0]
        network = TorchRegressor(hidden=tuple(self.hidden), activation=self.activation)
        return network.load_state_dict({"one_output": np.array(True)} | named_layers(coefs, intercepts))


class _WholeStates:
    """A network in training: whole states (n, K) in, U (n, K) out, and its weighted sum where that is penalized."""

    def __init__(self, layers: Layers, index: torch.Tensor, constraint: str, balance: float) -> None:
        self.layers, self.index, self.constraint, self.balance = layers, index, constraint, balance
        self.weights = layers.weights

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        U = self.layers(x[:, self.index])[..., 0]
        if self.constraint == "flux":
            return torch.roll(U, 1, 1) - torch.roll(U, -1, 1)
        if self.constraint == "staggered flux":
            return torch.roll(U, 1, 1) - U
        return torch.cat([U, self.balance * U.sum(dim=1, keepdim=True)], dim=1) if self.balance else U


def _need_all_points(U: NDArray, states: NDArray) -> None:
    if U.shape != states.shape:
        raise ValueError(f"y must be U at all points, {states.shape}, to know their sum; got shape {U.shape}.")
