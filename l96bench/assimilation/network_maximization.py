"""Expectation-maximization whose closure is a network of a stencil of points and their past, with red noise."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.expectation_maximization import ExpectationMaximization
from l96bench.assimilation.observed import ObservedSeries
from l96bench.assimilation.smoothing_problem import SmoothingProblem
from l96bench.assimilation.state_space import (
    PHI_BOUNDS,
    TAIL,
    RedNoiseModel,
    StateSpaceLearner,
    StateSpaceModel,
    noise_of,
)
from l96bench.checks import checked_random_state
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.errors import L96BenchError

if TYPE_CHECKING:
    from l96bench.estimators.network import TorchRegressor

__all__ = ["NetworkMaximization", "RedNoiseNetwork"]

Array = NDArray[np.float64]

_STEPS, _RATE, _BATCH = 300, 0.003, 2048
"""Optimizer steps of a fit that goes on from the last one, the peak of its learning rate, and stencils in a batch."""
_FIRST_STEPS, _FIRST_RATE = 1200, 0.01
"""Steps and rate of a network's first fit."""


@dataclass(frozen=True, slots=True, eq=False)
class RedNoiseNetwork(StateSpaceModel):
    """U_k = f(X_{k-r} .. X_{k+r}, their distances from their past) + sigma e_k, f a network, e as in `StateSpaceModel`.

    Parameters
    ----------
    network : TorchRegressor
        Of 2 r + 1 inputs, and 2 r + 1 more, X - M, with a memory.
    radius : int
        The number r.
    sigma, phi, memory, low, high : float
        As in `RedNoiseModel`; beyond `low` and `high` the network's outputs stay as they are there.

    Examples
    --------
    >>> import numpy as np
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> rows = np.random.default_rng(0).standard_normal((100, 3))
    >>> network = l96bench.TorchRegressor(hidden=(4,), epochs=1, min_steps=1).fit(rows, rows[:, 1])
    >>> da.RedNoiseNetwork(network, radius=1, sigma=1.0, phi=0.5).closure(K=8).deterministic
    False
    """

    network: TorchRegressor
    radius: int
    sigma: float
    phi: float
    memory: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    @property
    def graph_is_exact(self) -> bool:
        """False: the runtime of a graph rounds otherwise."""
        return False

    def mean(self, X: Array, M: Array) -> Array:
        """Return f for X and M of any equal shape, points last."""
        inside = np.clip(X, self.low, self.high)
        distance = np.clip(X - M, self.low - self.high, self.high - self.low) if self.memory else None
        rows = _rows(inside, distance, self.radius)
        return np.asarray(self.network.predict_unchecked(rows), dtype=np.float64).reshape(X.shape)

    def mean_graph(self, builder: GraphBuilder, x: str, M: str, K: int) -> str:
        """Add f (n, K) for X and M (n, K) to a graph."""
        from l96bench.estimators.ring import stencil_index

        index = stencil_index(K, self.radius)
        parts = [builder.clipped(x, self.low, self.high)]
        if self.memory:
            reach = self.high - self.low
            parts.append(builder.clipped(builder.node("Sub", x, M), -reach, reach))
        stencils = [builder.reshape(builder.gather(part, index), -1, index.shape[1]) for part in parts]
        rows = builder.node("Concat", *stencils, axis=1) if self.memory else stencils[0]
        width = index.shape[1] * len(parts)
        return builder.reshape(self.network.graph(builder, rows, width), -1, K)


class NetworkMaximization(StateSpaceLearner[RedNoiseNetwork]):
    """A network closure with red noise that makes noisy observations of X likely.

        U_k = f(X_{k-r} .. X_{k+r}, X_{k-r} - M_{k-r} .. X_{k+r} - M_{k+r}) + sigma e_k,    dM/dt = (X - M) / memory

    Expectation-maximization as in `ExpectationMaximization`, which gives the start: smooth under the present closure,
    and go on training the network on the members, (X, M) to U. So that fewer rounds are needed, it is trained on
    targets that lie further from its present outputs than U (over-relaxation), but for the last rounds.

    Parameters
    ----------
    start : ExpectationMaximization, optional
        What finds the closure to begin with; the cuts into series, members and inflation are its own.
    hidden : sequence of int
        Units of each hidden layer of the network.
    radius : int
        The number r of neighbours on either side.
    memory : float
        MTU over which M forgets; 0 for a closure of the present X alone.
    rounds, last_rounds : int
        Rounds with a fifth of the observations each, and with all of them and no over-relaxation.
    over_relaxation : float
        From 0 to 2: the distance beyond U, in distances of U from the present outputs.
    random_state : int or None
        Seed of all randomness; None draws a new one.

    Attributes
    ----------
    model_ : RedNoiseNetwork
        The closure's network and numbers.
    log_likelihood_ : list of float
        Of an observation given those before it, in each round, before its fit.

    References
    ----------
    As for `ExpectationMaximization`; Brajard et al. (2020), J. Comput. Sci. 44, 101171: a network, trained on what an
    ensemble filter makes of the observations, in turn. Salakhutdinov and Roweis (2003), ICML: over-relaxed
    expectation-maximization.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> series = l96bench.make_task("observed-closure/wilks-f20-dense-v1").miniature().train
    >>> start = da.ExpectationMaximization(degree=1, first_rounds=1, rounds=1, n_members=30, length=5.0)
    >>> learner = da.NetworkMaximization(start, hidden=(4,), rounds=1, last_rounds=0).fit(series)
    >>> learner.model_.network.hidden
    (4,)
    """

    def __init__(
        self,
        start: ExpectationMaximization | None = None,
        hidden: tuple[int, ...] = (32, 32),
        radius: int = 2,
        memory: float = 0.0,
        rounds: int = 10,
        last_rounds: int = 4,
        over_relaxation: float = 1.0,
        random_state: int | None = 0,
    ) -> None:
        self.start, self.hidden, self.radius, self.memory = start, hidden, radius, memory
        self.rounds, self.last_rounds, self.over_relaxation = rounds, last_rounds, over_relaxation
        self.random_state = random_state

    def fit(self, observations: ObservedSeries) -> Self:
        """Fit to an `ObservedSeries`; `L96BenchError` where it is shorter than one of the series it is cut into."""
        self._check()
        seeds = np.random.SeedSequence(checked_random_state(self.random_state)).generate_state(2)
        start = copy.deepcopy(ExpectationMaximization() if self.start is None else self.start)
        start.set_params(random_state=int(seeds[0]))
        first = start.fit(observations).model_
        problem = SmoothingProblem(
            observations, start.length, start.spin_up, start.n_members, start.inflation, start.lag
        )
        rng = np.random.default_rng(seeds[1])
        model: StateSpaceModel = replace(first, memory=self.memory)
        self.log_likelihood_: list[float] = []
        plan = [(5, self.over_relaxation)] * self.rounds + [(1, 0.0)] * self.last_rounds
        for number, (share, beyond) in enumerate(plan):
            members = problem.smoothed(model, rng, slice(number % share, None, share))
            self.log_likelihood_.append(members.log_likelihood)
            network = model = self._trained(model, members.X, members.M, members.U, beyond, rng)
        self.model_, self.K_ = network, observations.K
        return self

    def _fitted(self, blank: RedNoiseModel, X: Array, M: Array, U: Array) -> RedNoiseNetwork:
        return self._trained(blank, X, M, U, 0.0, np.random.default_rng(checked_random_state(self.random_state)))

    def _trained(
        self, model: StateSpaceModel, X: Array, M: Array, U: Array, beyond: float, rng: np.random.Generator
    ) -> RedNoiseNetwork:
        """Return the model after the fit of a round to X, M and U, all (time, ..., K)."""
        from l96bench.estimators.network import TorchRegressor

        K, present = X.shape[-1], model.mean(X, M)
        if isinstance(model, RedNoiseNetwork):
            network, steps, rate = copy.deepcopy(model.network), _STEPS if beyond else _FIRST_STEPS, _RATE
        else:
            network, steps, rate = TorchRegressor(self.hidden, "tanh", warm_start=True), _FIRST_STEPS, _FIRST_RATE
        seed = int(rng.integers(2**31))
        network.set_params(epochs=1, min_steps=steps, batch_size=_BATCH, learning_rate=rate, random_state=seed)
        states, past, targets = (each.reshape(-1, K) for each in (X, M, U + beyond * (U - present)))
        some = rng.permutation(len(states))[: steps * _BATCH // K]
        distance = states[some] - past[some] if self.memory else None
        network.fit(_rows(states[some], distance, self.radius), targets[some].ravel())
        low, high = (float(value) for value in np.quantile(states[some], [TAIL, 1.0 - TAIL]))
        found = RedNoiseNetwork(network, self.radius, 1.0, 0.5, self.memory, low, high)
        sigma, phi = noise_of(U - present - (found.mean(X, M) - present) / (1.0 + beyond))
        sigma *= (sigma / model.sigma) ** beyond
        odds = [value / (1.0 - value) for value in (phi, model.phi)]
        phi = 1.0 / (1.0 + 1.0 / (odds[0] * (odds[0] / odds[1]) ** beyond))
        return replace(found, sigma=sigma, phi=float(np.clip(phi, *PHI_BOUNDS)))

    def _check(self) -> None:
        """Raise `L96BenchError` for parameters that cannot be used."""
        counts = (self.rounds, self.last_rounds)
        if min(counts) < 0 or not sum(counts) or self.memory < 0 or not 0 <= self.over_relaxation <= 2:
            raise L96BenchError(
                f"expected rounds, memory >= 0 and over_relaxation from 0 to 2, got rounds and last_rounds {counts}, "
                f"memory {self.memory} and over_relaxation {self.over_relaxation}"
            )

    def __repr__(self) -> str:
        names = ("hidden", "radius", "memory", "random_state")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def _rows(X: Array, distance: Array | None, radius: int) -> Array:
    """Return the inputs (n K, width) of a network for X and, with a memory, X - M, both (..., K)."""
    from l96bench.estimators.ring import stencil_index, stencil_rows

    K = X.shape[-1]
    parts = [part.reshape(-1, K) for part in (X, distance) if part is not None]
    return stencil_rows(parts, stencil_index(K, radius))
