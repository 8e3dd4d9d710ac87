"""Stochastic closures from ensembles of networks or Monte Carlo dropout, each member keeping its network or mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from l96bench.checks import checked_random_state
from l96bench.dynamics.closures import Closure, as_closure
from l96bench.errors import ModelError
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.regressors import LocalRegressor
from l96bench.estimators.ring import RingRegressor, stencil_index, stencil_rows
from l96bench.estimators.training_loop import forward
from l96bench.parallel import one_thread

__all__ = ["DeepEnsembleClosure", "DeepEnsembleRegressor", "DropoutClosure", "DropoutRegressor"]

_BLOCK = 128  # members advanced at once: what fits the cache


class DeepEnsembleRegressor(RingRegressor):
    """An ensemble of networks that differ by their initial weights and batches.

    Parameters
    ----------
    estimator : regressor of X (n, K) -> U (n, K) with a ``random_state``, default LocalRegressor(TorchRegressor())
        Cloned `n_networks` times, each with seeds of its own. A stochastic one (with ``sample`` and a closure of its
        own) makes a mixture.
    n_networks : int
    random_state : int or None
        Source of the networks' seeds; None draws new ones.

    Attributes
    ----------
    estimators_ : list of the fitted clones

    Sources: Lakshminarayanan, Pritzel and Blundell (2017), "Simple and scalable predictive uncertainty estimation using
    deep ensembles", arXiv:1612.01474: random starts and shuffling, no bootstrap; the mixture's mean and members.
    """

    def __init__(self, estimator: Any = None, n_networks: int = 5, random_state: int | None = 0) -> None:
        self.estimator, self.n_networks, self.random_state = estimator, n_networks, random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit every network to states X (n, K) and y, which is U (n, K) or the U of point 0 alone."""
        if self.n_networks < 1:
            raise ValueError(f"n_networks must be at least 1; got {self.n_networks}.")
        X, U = self._checked_training(X, y)
        base = LocalRegressor(TorchRegressor()) if self.estimator is None else self.estimator
        random = [name for name in base.get_params() if name.split("__")[-1] == "random_state"]
        if not random:
            raise ValueError(f"estimator must have a random_state, or all its clones are one; got {base!r}.")
        seeds = np.random.SeedSequence(checked_random_state(self.random_state)).generate_state(self.n_networks)
        self.estimators_ = []
        for seed in seeds:
            network = clone(base).set_params(**dict.fromkeys(random, int(seed)))
            self.estimators_.append(network.fit(X, self._like_y(U)))
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the networks' mean U (n, K) for the states X (n, K), or that of point 0 if fitted to it alone."""
        X = self._checked_states(X)
        return self._like_y(np.mean([network.predict(X) for network in self.estimators_], axis=0))

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Draw U (member, n, K) for X (n, K): each member is one network, and the networks have equal shares."""
        X = self._checked_states(X)
        groups = _shares(n_members, len(self.estimators_), rng)
        draws = np.empty((n_members, len(X), *self._y_shape))
        for network, rows in zip(self.estimators_, groups, strict=True):
            n = len(range(*rows.indices(n_members)))
            if n:
                draws[rows] = network.sample(X, n, rng) if hasattr(network, "sample") else network.predict(X)
        return draws

    def closure(self, dt: float = 0.01) -> DeepEnsembleClosure:
        """Return the stochastic closure for a resolved model with the step `dt` (MTU)."""
        check_is_fitted(self)
        return DeepEnsembleClosure([as_closure(network, dt) for network in self.estimators_])


class DeepEnsembleClosure:
    """An ensemble of closures; members take them in turn, from a random one on, and keep theirs."""

    deterministic = False

    def __init__(self, closures: Sequence[Closure]) -> None:
        self.closures = closures
        self._n_members, self._groups = 0, [slice(0, 0)] * len(closures)

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Start all closures and assign them to `n_members` members."""
        self._n_members, self._groups = n_members, _shares(n_members, len(self.closures), rng)
        for closure, rows in zip(self.closures, self._groups, strict=True):
            closure.start(len(range(*rows.indices(n_members))), rng)

    def remember(self, history: NDArray) -> None:
        """Pass past states (past, member, K) to the closures that have a memory."""
        for closure, rows in zip(self.closures, self._groups, strict=True):
            if hasattr(closure, "remember"):
                closure.remember(np.ascontiguousarray(history[:, rows]))

    def step(self, X: NDArray) -> NDArray:
        """Return U (member, K) for the states X (member, K), each from the member's own closure."""
        if len(X) != self._n_members:
            raise ModelError(f"The closure was started for {self._n_members} members; X has {len(X)} rows.")
        U = np.empty(X.shape)
        for closure, rows in zip(self.closures, self._groups, strict=True):
            own = np.ascontiguousarray(X[rows])
            if len(own):
                U[rows] = closure.step(own)
        return U


class DropoutRegressor(RingRegressor):
    """Monte Carlo dropout: a local network whose members are networks thinned by dropout.

    Parameters
    ----------
    estimator : TorchRegressor with ``dropout``, default TorchRegressor(dropout=0.1)
    radius : int
        Neighbours seen on either side; 2 radius + 1 <= K.
    masks : {"run", "step"}
        Whether a member has one mask for its whole run or a new one at every step; all its points share it.

    Attributes
    ----------
    estimator_ : the fitted LocalRegressor around a clone of `estimator`

    Sources: Gal and Ghahramani (2016), "Dropout as a Bayesian approximation", arXiv:1506.02142. The variance of the
    noise that they add to the spread of the networks is left out.
    """

    def __init__(self, estimator: Any = None, radius: int = 2, masks: str = "run") -> None:
        self.estimator, self.radius, self.masks = estimator, radius, masks

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) and y, which is U (n, K) or the U of point 0 alone."""
        if self.masks not in ("run", "step"):
            raise ValueError(f"masks must be 'run' or 'step'; got {self.masks!r}.")
        network = TorchRegressor(dropout=0.1) if self.estimator is None else self.estimator
        if not getattr(network, "dropout", 0):
            raise ValueError(f"estimator must be a TorchRegressor with dropout above 0; got {network!r}.")
        X, U = self._checked_training(X, y)
        self.estimator_ = LocalRegressor(network, self.radius).fit(X, self._like_y(U))
        return self

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Draw U (member, n, K) for X (n, K): each member is one thinned network, or a new one for each row."""
        X = self._checked_states(X)
        network: TorchRegressor = self.estimator_.estimator_
        rows = stencil_rows([X], stencil_index(X.shape[1], self.radius)[self._points()])
        n = 1 if self.masks == "run" else len(X)
        draws = []
        for _ in range(n_members):
            masks = network.draw_masks(n, rng)
            if n > 1:
                masks = [np.repeat(mask, len(rows) // n, axis=0) for mask in masks]
            draws.append(self._like_y(network.predict_masked(rows, masks)))
        return np.stack(draws)

    def closure(self, dt: float = 0.01) -> DropoutClosure:
        """Return the stochastic closure; it does not depend on dt."""
        check_is_fitted(self)
        return DropoutClosure(self.estimator_.estimator_, stencil_index(self.n_features_in_, self.radius), self.masks)


class DropoutClosure:
    """A network at the stencils `index` (K, width) of all points, with a dropout mask for each member."""

    deterministic = False

    def __init__(self, network: TorchRegressor, index: NDArray, masks: str = "run") -> None:
        self.network, self.masks, self._index = network, masks, index
        self._layers = network.layers()
        self.start(0, np.random.default_rng(0))

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Draw the masks of `n_members` members."""
        self._n_members, self._rng = n_members, rng
        self._masks = self._drawn()

    def step(self, X: NDArray) -> NDArray:
        """Return U (member, K) for the states X (member, K)."""
        if X.shape != (self._n_members, len(self._index)):
            raise ModelError(f"The closure was started for shape {(self._n_members, len(self._index))}; X: {X.shape}.")
        if self.masks == "step":
            self._masks = self._drawn()
        U = np.empty(X.shape)
        activation, residual = self.network.activation, self.network.residual
        # A member that blows up becomes infinite in single precision, as it soon would anyway.
        with torch.inference_mode(), one_thread(), np.errstate(over="ignore"):
            stencils = torch.from_numpy(np.take(X.astype(np.float32), self._index, axis=1))
            for first in range(0, len(X), _BLOCK):
                rows = slice(first, first + _BLOCK)
                masks = [mask[rows] for mask in self._masks]
                U[rows] = forward(stencils[rows], self._layers, activation, residual, masks=masks)[..., 0].numpy()
        return U

    def _drawn(self) -> list[torch.Tensor]:
        """Draw the mask of each hidden layer, (member, 1, units)."""
        return [torch.from_numpy(mask)[:, None] for mask in self.network.draw_masks(self._n_members, self._rng)]


def _shares(n_members: int, n_networks: int, rng: np.random.Generator) -> list[slice]:
    """Return the members of each network: every n_networks-th, from a random one on."""
    first = int(rng.integers(n_networks))
    return [slice((i - first) % n_networks, n_members, n_networks) for i in range(n_networks)]
