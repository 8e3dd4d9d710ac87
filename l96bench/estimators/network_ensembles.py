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
from l96bench.dynamics.closures import MODEL_DT, Closure, as_closure
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.steps import Block, StepForm, SteppedClosure
from l96bench.errors import ModelError, NoGraphError
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.regressors import LocalRegressor, StencilClosure
from l96bench.estimators.ring import RingRegressor, stencil_index, stencil_rows
from l96bench.estimators.training_loop import forward, layers_graph
from l96bench.parallel import one_thread

__all__ = ["DeepEnsembleClosure", "DeepEnsembleRegressor", "DropoutRegressor", "DropoutStep"]

_INT64 = 7  # onnx.TensorProto.INT64
_BLOCK = 128  # members advanced at once: what fits the cache


class DeepEnsembleRegressor(RingRegressor):
    """An ensemble of networks that differ by their initial weights and batches.

    Parameters
    ----------
    estimator : regressor of X (n, K) -> U (n, K) with a ``random_state``, default LocalRegressor(TorchRegressor())
        Cloned `n_networks` times, each with seeds of its own. A stochastic one (with ``sample`` and a closure of its
        own) makes a mixture.
    n_networks : int
        Number of networks.
    random_state : int or None
        Source of the networks' seeds; None draws new ones.

    Attributes
    ----------
    estimators_ : list of the fitted clones

    References
    ----------
    Lakshminarayanan, Pritzel and Blundell (2017), "Simple and scalable predictive uncertainty estimation using
    deep ensembles", arXiv:1612.01474: random starts and shuffling, no bootstrap; the mixture's mean and members.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import DeepEnsembleRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> network = l96bench.TorchRegressor(hidden=(8,), epochs=1, min_steps=1)
    >>> model = DeepEnsembleRegressor(network, n_networks=2).fit(run.X, run.U)
    >>> len(model.estimators_), model.predict(run.X).shape
    (2, (400, 8))
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
    """An ensemble of closures; each member draws one of them at its start, and keeps it.

    Parameters
    ----------
    closures : sequence of Closure
        All alike likely.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> from l96bench.estimators import DeepEnsembleClosure
    >>> closure = DeepEnsembleClosure([l96bench.Polynomial([1.0]), l96bench.Polynomial([2.0])])
    >>> closure.start(100, np.random.default_rng(0))
    >>> np.unique(closure.step(np.zeros((100, 4))))
    array([1., 2.])
    """

    deterministic = False
    graph_is_exact = False

    def __init__(self, closures: Sequence[Closure]) -> None:
        self.closures = closures
        if any(hasattr(closure, "remember") for closure in closures):
            self.remember = self._remember
        self._n_members, self._groups = 0, [np.empty(0, dtype=np.intp)] * len(closures)

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Draw a closure for each of `n_members` members, and start all closures."""
        which = np.floor(rng.random(n_members) * len(self.closures))
        self._n_members, self._groups = n_members, [np.flatnonzero(which == i) for i in range(len(self.closures))]
        for closure, rows in zip(self.closures, self._groups, strict=True):
            closure.start(len(rows), rng)

    def _remember(self, history: NDArray) -> None:
        for closure, rows in zip(self.closures, self._groups, strict=True):
            if hasattr(closure, "remember"):
                closure.remember(np.ascontiguousarray(history[:, rows]))

    def step(self, X: NDArray) -> NDArray:
        """Return U (member, K) for the states X (member, K), each from the member's own closure."""
        if len(X) != self._n_members:
            raise ModelError(f"The closure was started for {self._n_members} members; X has {len(X)} rows.")
        U = np.empty(X.shape)
        for closure, rows in zip(self.closures, self._groups, strict=True):
            if len(rows):
                U[rows] = closure.step(np.ascontiguousarray(X[rows]))
        return U

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the graph of the member's own closure, for closures without noise and memory; see `Closure`."""
        if not all(each.deterministic and not hasattr(each, "remember") for each in self.closures):
            raise NoGraphError("no graph is known of an ensemble of closures with noise or memory")
        drawn = builder.state(1, np.float64, "uniform", MODEL_DT, past=False)
        builder.keep(drawn, drawn)
        count = builder.constant(float(len(self.closures)), np.float64)
        which = builder.node("Floor", builder.node("Mul", drawn, count))
        if len({_shape_of(each) for each in self.closures} - {None}) == 1:
            return _chosen(builder, x, self.closures, builder.node("Cast", builder.reshape(which, -1), to=_INT64))
        every = [builder.closure(x, each, K) for each in self.closures]
        U = every[0]
        for i, each in enumerate(every[1:], start=1):
            own = builder.node("Equal", which, builder.constant(float(i), np.float64))
            U = builder.node("Where", own, each, U)
        return U


class DropoutRegressor(RingRegressor):
    """Monte Carlo dropout: a local network whose members are networks thinned by dropout.

    Parameters
    ----------
    estimator : TorchRegressor with ``dropout``, default TorchRegressor(dropout=0.1)
        A clone of it is fitted to the stencils.
    radius : int
        Neighbours seen on either side; 2 radius + 1 <= K.
    masks : {"run", "step"}
        Whether a member has one mask for its whole run or a new one at every step; all its points share it.

    Attributes
    ----------
    estimator_ : the fitted LocalRegressor around a clone of `estimator`

    References
    ----------
    Gal and Ghahramani (2016), "Dropout as a Bayesian approximation", arXiv:1506.02142. The variance of the
    noise that they add to the spread of the networks is left out.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import DropoutRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> network = l96bench.TorchRegressor(hidden=(8,), dropout=0.2, epochs=1, min_steps=1)
    >>> DropoutRegressor(network).fit(run.X, run.U).closure(0.01).deterministic
    False
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

    def closure(self, dt: float = 0.01) -> SteppedClosure:
        """Return the stochastic closure for a resolved model with the step `dt` (MTU)."""
        check_is_fitted(self)
        index = stencil_index(self.n_features_in_, self.radius)
        return SteppedClosure(DropoutStep(self.estimator_.estimator_, index, self.masks, dt), dt)


class DropoutStep:
    """The step of a network at the stencils of all points, with a dropout mask for each member.

    The masks come from uniform numbers, one for each hidden unit: state that never changes, or new ones in every step.

    Parameters
    ----------
    network : TorchRegressor
        The fitted network of a stencil.
    index : (K, width) array of int
        The points in the stencil of each point.
    masks : {"run", "step"}
        Whether a mask is for the whole run, or new in every step.
    dt : float
        Step in MTU.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench.estimators import DropoutStep, TorchRegressor
    >>> rng = np.random.default_rng(0)
    >>> network = TorchRegressor(hidden=(4,), dropout=0.2, epochs=1, min_steps=1)
    >>> network = network.fit(rng.standard_normal((50, 3)), rng.standard_normal((50, 1)))
    >>> index = (np.arange(8)[:, None] + [-1, 0, 1]) % 8
    >>> [block.size for block in DropoutStep(network, index, "run", dt=0.01).form.state]
    [4]
    """

    dtype = np.float32

    def __init__(self, network: TorchRegressor, index: NDArray, masks: str, dt: float) -> None:
        self.network, self.K, self._index, self._masks = network, len(index), index, masks
        size = sum(network.hidden)
        if masks == "run":
            self.form = StepForm((Block(size, dt, "uniform"),), past=False)
        else:
            self.form = StepForm(uniform=(Block(size, dt),), past=False)

    def __call__(
        self, X: NDArray, state: NDArray, noise: NDArray, uniform: NDArray
    ) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return U (n, K) and the state as it is; see `l96bench.dynamics.steps.Step`."""
        network, U = self.network, np.empty(X.shape)
        layers, activation, residual = network.layers(), network.activation, network.residual
        masks = network.masks_of(state if self._masks == "run" else uniform)
        drawn = [torch.from_numpy(mask)[:, None] for mask in masks]
        # A member that blows up becomes infinite in single precision, as it soon would anyway.
        with torch.inference_mode(), one_thread(), np.errstate(over="ignore"):
            stencils = torch.from_numpy(np.take(X.astype(np.float32), self._index, axis=1))
            for first in range(0, len(X), _BLOCK):
                rows = slice(first, first + _BLOCK)
                own = [mask[rows] for mask in drawn]
                U[rows] = forward(stencils[rows], layers, activation, residual, masks=own)[..., 0].numpy()
        return U, state, None

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the graph of the thinned network; see `Closure`."""
        network, size = self.network, sum(self.network.hidden)
        if self._masks == "run":
            drawn = builder.state(size, np.float32, "uniform", MODEL_DT, past=False)
            builder.keep(drawn, drawn)
        else:
            drawn = builder.uniform(size, np.float32, MODEL_DT)
        keep = builder.constant(1.0 - network.dropout, np.float32)
        kept = builder.node("Div", builder.cast(builder.node("Less", drawn, keep), np.float32), keep)
        masks = [
            builder.reshape(builder.gather(kept, np.arange(last - units, last)), -1, 1, units)
            for units, last in zip(network.hidden, np.cumsum(network.hidden), strict=True)
        ]
        parts = (network.coefs_, network.intercepts_, network.activation, network.residual)
        return builder.reshape(layers_graph(builder, builder.gather(x, self._index), *parts, masks=masks), -1, K)


def _shape_of(closure: Closure) -> Any:
    """Return what two networks must have in common to be one with other weights; None for other closures."""
    network = getattr(closure, "estimator", None)
    if type(closure) is not StencilClosure or type(network) is not TorchRegressor:
        return None
    return tuple(each.shape for each in network.coefs_), network.activation, network.residual, closure.index.tobytes()


def _chosen(builder: GraphBuilder, x: str, closures: Sequence[Any], which: str) -> str:
    """Add the networks of closures of one shape with the weights (n,) of each row's own: U (n, K), float64."""
    networks, index = [each.estimator for each in closures], closures[0].index

    def linear(seen: str, i: int) -> str:
        weights = builder.constant([network.coefs_[i].T for network in networks], np.float32)
        biases = builder.constant([network.intercepts_[i][None] for network in networks], np.float32)
        own = (builder.node("Gather", each, which, axis=0) for each in (weights, biases))
        return builder.node("Add", builder.node("MatMul", seen, next(own)), next(own))

    first = networks[0]
    parts = (first.coefs_, first.intercepts_, first.activation, first.residual)
    U = layers_graph(builder, builder.gather(x, index), *parts, linear=linear)
    return builder.reshape(U, -1, len(index))


def _shares(n_members: int, n_networks: int, rng: np.random.Generator) -> list[slice]:
    """Return the members of each network: every n_networks-th, from a random one on."""
    first = int(rng.integers(n_networks))
    return [slice((i - first) % n_networks, n_members, n_networks) for i in range(n_networks)]
