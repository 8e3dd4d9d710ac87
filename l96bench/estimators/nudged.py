"""Coupled online learning: a network learns while its model runs beside a truth that is nudged to follow it.

No gradient flows through a model. Source: Rasp (2020), Geosci. Model Dev. 13, 2185-2196, doi:10.5194/gmd-13-2185-2020.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from l96bench.checks import whole_multiple
from l96bench.dynamics.differentiable import differentiable_step
from l96bench.dynamics.truth import TRUTH_DT, State, advance, simulate
from l96bench.errors import ModelError
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.online_training import started
from l96bench.estimators.regressors import StencilRegressor
from l96bench.estimators.ring import stencil_index, stencil_rows
from l96bench.estimators.rollout_training import SharedNetwork, descend
from l96bench.metrics.bounds import BOUND, bounds
from l96bench.parallel import one_thread
from l96bench.regimes import Regime, get_regime, seed_word

__all__ = ["CoupledOnlineRegressor", "CoupledRuns"]


class CoupledRuns:
    """Pairs of a truth run and a resolved-model run that are nudged towards each other before every step of `dt`."""

    def __init__(
        self,
        regime: Regime,
        states: list[State],
        X: NDArray[np.float64],
        tau: float,
        tau_model: float = math.inf,
        dt: float = 0.01,
    ) -> None:
        if not (tau >= dt and tau_model >= dt):
            raise ModelError(f"expected nudging times of at least dt = {dt} MTU, got tau {tau}, tau_model {tau_model}")
        if regime.scales < 2:
            raise ModelError(f"expected a regime with fast variables to learn from, got {regime.id!r}")
        self.regime, self.states, self.X, self.dt = regime, states, X.copy(), dt
        self.tau, self.tau_model = tau, tau_model
        self._n_steps = whole_multiple(dt, TRUTH_DT, "dt", "the truth's step")
        self._first = [tuple(part.copy() for part in state) for state in states]

    @property
    def truth(self) -> NDArray[np.float64]:
        """The states X (pair, K) of the truth runs."""
        return np.stack([state[0] for state in self.states])

    def nudge(self) -> NDArray[np.float64]:
        """Pull the runs of each pair together; return the change (pair, K) of the truth's X."""
        apart = self.X - self.truth
        pull = (self.dt / self.tau) * apart
        for state, by in zip(self.states, pull, strict=True):
            state[0][:] += by
        self.X = self.X - (self.dt / self.tau_model) * apart
        return pull

    def step(self, U: NDArray[np.float64]) -> NDArray[np.float64]:
        """Make one step under U (pair, K), a function of the model's X; return the targets (pair, K) for that X."""
        before = self.truth
        for state in self.states:
            advance(self.regime, state, self._n_steps)
        ahead = differentiable_step(torch.from_numpy(self.X), torch.from_numpy(U), self.regime.F, self.dt).numpy()
        target = U + ((self.truth - before) - (ahead - self.X)) / self.dt
        self.X = ahead
        return np.where(np.isfinite(target), target, U)  # a truth run that blew up teaches nothing

    def rescue(self, low: float, high: float) -> int:
        """Reset members outside the limits to the truth (truth runs to their start); return the number of members."""
        for state, first in zip(self.states, self._first, strict=True):
            if not ((state[0] > low) & (high > state[0])).all():
                for part, before in zip(state, first, strict=True):
                    part[:] = before
        lost = ~((low < self.X) & (high > self.X)).all(axis=1)
        self.X[lost] = self.truth[lost]
        return int(lost.sum())


class CoupledOnlineRegressor(StencilRegressor):
    """A stencil network that is fitted to U and then trained further in pairs of coupled runs.

    In each step of `dt` the truth and the model of a pair are nudged towards each other (each X by ``dt / tau`` of the
    difference), then step by themselves; the network's target is U + (dX/dt of the truth - dX/dt of the model under U).

    Its training data are X and U, then ``pairs * duration`` MTU of its own truth runs, from other seeds than those of
    any data set. Equal data, parameters and `random_state` give equal networks on one kind of CPU.

    Parameters
    ----------
    regime : str or Regime
        The truth that is run.
    network : TorchRegressor, optional
        As for `OnlineNetworkRegressor`.
    radius : int
        As for `OnlineNetworkRegressor`.
    start : {"least squares", "random"} or mapping
        As for `OnlineNetworkRegressor`.
    learning_rate : float
        As for `OnlineNetworkRegressor`.
    pairs, every : int
        Pairs of runs, and steps of the model, of 0.01 MTU, for each step of the optimizer.
    duration, spin_up : float
        MTU that each pair runs while the network learns, and of the truth before that.
    tau, tau_model : float
        Times in MTU in which the truth is nudged to the model, and the model to the truth; infinite for no nudging, as
        of the model in Rasp (2020).
    random_state : int or None
        Seed of the network and of the runs; None draws a new one.

    Attributes
    ----------
    estimator_ : TorchRegressor
        The network from the stencil of a point to its U.
    loss_curve_, difference_curve_ : lists of float
        For each step of the optimizer, the mean squared difference of tendencies over the variance of U, and that of
        the X of a pair over the variance of X.
    n_rescued_ : int
        Members of the model that blew up and were reset to the truth.

    References
    ----------
    Rasp (2020), Geosci. Model Dev. 13, 2185-2196, doi:10.5194/gmd-13-2185-2020.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import CoupledOnlineRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> network = l96bench.TorchRegressor(hidden=(8,), epochs=1, min_steps=1)
    >>> model = CoupledOnlineRegressor("wilks-f20", network, pairs=2, duration=0.2, spin_up=1.0).fit(run.X, run.U)
    >>> model.predict(run.X).shape
    (400, 8)
    """

    def __init__(
        self,
        regime: str | Regime,
        network: TorchRegressor | None = None,
        radius: int = 2,
        start: str | Mapping[str, ArrayLike] = "least squares",
        pairs: int = 32,
        duration: float = 60.0,
        spin_up: float = 20.0,
        tau: float = 0.1,
        tau_model: float = math.inf,
        every: int = 4,
        learning_rate: float = 0.001,
        random_state: int | None = 0,
    ) -> None:
        self.regime, self.network, self.radius, self.start, self.pairs = regime, network, radius, start, pairs
        self.duration, self.spin_up, self.tau, self.tau_model, self.every = duration, spin_up, tau, tau_model, every
        self.learning_rate, self.random_state = learning_rate, random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) and y, U (n, K) or the U of point 0 alone; then learn in coupled runs."""
        X, U = self._checked_training(X, y)
        regime = get_regime(self.regime)
        if X.shape[1] != regime.K:
            raise ValueError(f"X must have the {regime.K} points of {regime.id}; got n_features={X.shape[1]}.")
        self._index = stencil_index(regime.K, self.radius)
        rows = stencil_rows([X], self._index[self._points()])
        scales = (float(X.mean()), float(X.std()) or 1.0, float(U.mean()), float(U.std()) or 1.0)
        runs = CoupledRuns(regime, *self._states(regime), self.tau, self.tau_model)
        steps = whole_multiple(self.duration, runs.dt * self.every, of="the optimizer's interval")
        limits = bounds(*scales[:2])
        self.difference_curve_: list[float] = []
        self.n_rescued_ = 0
        with one_thread():
            network = started(self.network, self.start, self.random_state, rows, U)
            shared = SharedNetwork(network, self._index, scales)

            def loss_of() -> torch.Tensor:
                seen, shown = [], []
                for _ in range(self.every):
                    self.n_rescued_ += runs.rescue(*limits)
                    runs.nudge()
                    seen.append(torch.from_numpy(runs.X.astype(np.float32)))
                    with torch.no_grad():
                        forcing = shared(seen[-1]).numpy().astype(np.float64)
                    shown.append(torch.from_numpy(runs.step(forcing).astype(np.float32)))
                apart = np.nan_to_num(np.abs(runs.X - runs.truth) / scales[1], nan=BOUND)
                self.difference_curve_.append(float(np.mean(np.minimum(apart, BOUND) ** 2)))
                return ((shared(torch.cat(seen)) - torch.cat(shown)) / scales[3]).square().mean()

            self.loss_curve_, _ = descend(shared.weights, loss_of, steps, self.learning_rate)
            self.estimator_ = shared.trained()
        return self

    def _states(self, regime: Regime) -> tuple[list[State], NDArray[np.float64]]:
        """Return states of the truth after a spin-up, from seeds of their own, and the equal X of the model."""
        word = int(np.random.SeedSequence(self.random_state).generate_state(1)[0])
        seed = [regime.word, seed_word("coupled online learning"), word]
        run = simulate(
            *(regime, TRUTH_DT), interval=TRUTH_DT, seed=seed, n_trajectories=self.pairs, spin_up=self.spin_up,
            threads=1, progress=False)  # fmt: skip
        parts = [part for part in (run.X, run.Y, run.Z) if part is not None]
        arrays = [
            np.array(part).reshape(self.pairs, *shape) for part, shape in zip(parts, regime.state_shapes, strict=True)
        ]
        return [tuple(part[i].copy() for part in arrays) for i in range(self.pairs)], arrays[0].copy()
