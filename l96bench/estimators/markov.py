"""The conditional Markov chain closure of Crommelin and Vanden-Eijnden (2008)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from l96bench.checks import whole_multiple
from l96bench.dynamics.closures import MODEL_DT
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.steps import Block, StepForm, SteppedClosure
from l96bench.estimators.ring import RingRegressor, check_whole

__all__ = ["MarkovChainRegressor", "MarkovChainStep"]


class MarkovChainRegressor(RingRegressor):
    """A Markov chain for U_k whose transitions depend on the previous and the present X_k.

    X is cut into bins of equal width, and U within each bin into `n_states` states of equal population. The chain jumps
    once an `interval`, independently at every point, with the probabilities counted in the data for the bins of X_k
    before and after the jump. A state stands for the mean of U in it, interpolated linearly in X between the means of X
    in the bins, so that U follows X between jumps.

    ``predict`` is the mean of U given the present X and the bins of the past. Rows are therefore successive states of
    ONE trajectory, in training as in prediction.

    Parameters
    ----------
    n_bins, n_states : int
        Bins of X, between its 0.1 and 99.9 percentiles (the outer two are open), and states in each.
    prior : float
        Pseudo-counts of each pair of bins and state, distributed as the jumps of all bins together.
    interval : float
        Time in MTU between the rows of X, and between jumps.

    Attributes
    ----------
    edges_, centres_ : ndarrays of shapes (n_bins - 1,) and (n_bins,)
        The inner edges of the bins, and the mean of X in each bin.
    values_ : ndarray of shape (n_bins, n_states)
        Mean of U in each state.
    transitions_ : ndarray of shape (n_bins, n_bins, n_states, n_states)
        Probability of each state (last axis) after a jump, by the bin before, the bin after, and the state before.

    References
    ----------
    Crommelin and Vanden-Eijnden (2008), J. Atmos. Sci. 65, 2661-2675, doi:10.1175/2008JAS2566.1.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import MarkovChainRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = MarkovChainRegressor(n_bins=4, n_states=2).fit(run.X, run.U)
    >>> model.transitions_.shape, model.predict(run.X).shape
    ((4, 4, 2, 2), (400, 8))
    """

    def __init__(self, n_bins: int = 16, n_states: int = 8, prior: float = 1.0, interval: float = 0.05) -> None:
        self.n_bins, self.n_states, self.prior, self.interval = n_bins, n_states, prior, interval

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) in time order and y, which is U (n, K) or the U of point 0 alone."""
        for name in ("n_bins", "n_states"):
            check_whole(name, getattr(self, name), 1)
        if not 0 < self.prior < np.inf:
            raise ValueError(f"prior must be a positive number of jumps; got {self.prior!r}.")
        X, U = self._checked_training(X, y)
        if len(X) < 2:
            raise ValueError(f"A jump needs at least 2 rows in time order; got n_samples={len(X)}.")
        X = X[:, self._points()]
        low, high = np.quantile(X, [0.001, 0.999])
        edges = np.linspace(low, high, self.n_bins + 1)[1:-1]
        bins = np.searchsorted(edges, X, side="right")
        # Empty bins, of a small training set, are joined to a neighbour by dropping an edge.
        occupied = np.unique(bins)
        self.edges_ = edges[occupied[1:] - 1]
        bins = np.searchsorted(occupied, bins)
        states = np.empty_like(bins)
        self.centres_ = np.empty(len(occupied))
        self.values_ = np.empty((len(occupied), self.n_states))
        for i in range(len(occupied)):
            inside = bins == i
            self.centres_[i] = X[inside].mean()
            states[inside], self.values_[i] = _quantile_states(U[inside], self.n_states)
        self.transitions_ = self._counted(bins, states)
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the mean of U (n, K) along a trajectory X (n, K), or that of point 0 if fitted to it alone."""
        X = self._checked_states(X)[:, self._points()]
        left, right, weight = self._position(X)
        value = (1 - weight)[..., None] * self.values_[left] + weight[..., None] * self.values_[right]
        return self._like_y(np.sum(np.stack(list(self._filtered(X))) * value, axis=-1))

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Draw U (member, n, K) along a trajectory X (n, K) in time order: runs of the chain."""
        X = self._checked_states(X)[:, self._points()]
        bins, points = self.bins(X), np.arange(X.shape[1])
        cumulative = np.cumsum(self.transitions_, axis=-1)[..., :-1]
        states = np.empty((len(X), n_members, len(points)), dtype=np.intp)
        states[0] = rng.integers(self.n_states, size=states.shape[1:])
        for i in range(1, len(X)):
            rows = cumulative[bins[i - 1], bins[i], states[i - 1]]
            states[i] = np.sum(rng.random(rows.shape[:-1])[..., None] >= rows, axis=-1)
        draws = self.value(np.broadcast_to(X[:, None], states.shape), states)
        return np.moveaxis(draws, 1, 0).reshape(n_members, len(X), *self._y_shape)

    def closure(self, dt: float = 0.01) -> SteppedClosure:
        """Return the stochastic closure for a resolved model with the step `dt` (MTU), a divisor of `interval`."""
        check_is_fitted(self)
        every = whole_multiple(self.interval, dt, "interval", "the model step")
        return SteppedClosure(MarkovChainStep(self, every, dt), dt)

    @property
    def n_parameters(self) -> int:
        """The number of edges, values and free transition probabilities."""
        check_is_fitted(self)
        free = self.transitions_.size // self.n_states * (self.n_states - 1)
        return self.edges_.size + self.centres_.size + self.values_.size + free

    def _counted(self, bins: NDArray, states: NDArray) -> NDArray:
        """Count the transition probabilities of successive rows, pooled over points."""
        n_bins, n_states = self.values_.shape
        shape = (n_bins, n_bins, n_states, n_states)
        jumps = np.ravel_multi_index((bins[:-1], bins[1:], states[:-1], states[1:]), shape).ravel()
        counts = np.bincount(jumps, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
        everywhere = counts.sum(axis=(0, 1)) + 1.0 / n_states
        everywhere /= everywhere.sum(axis=-1, keepdims=True)
        counts += self.prior * everywhere
        return np.asarray(counts / counts.sum(axis=-1, keepdims=True), dtype=np.float64)

    def bins(self, X: NDArray) -> NDArray:
        """Return the bin of each X."""
        return np.searchsorted(self.edges_, X, side="right")

    def _position(self, X: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return the two bins between whose centres X lies, and the weight of the second for interpolation."""
        inside = np.clip(X, self.centres_[0], self.centres_[-1])
        right = np.searchsorted(self.centres_[1:-1], inside, side="right") + 1
        left, right = right - 1, np.minimum(right, len(self.centres_) - 1)
        width = np.where(right > left, self.centres_[right] - self.centres_[left], 1.0)
        return left, right, (inside - self.centres_[left]) / width

    def value(self, X: NDArray, states: NDArray) -> NDArray:
        """Return U at X in the given states."""
        left, right, weight = self._position(X)
        return np.asarray((1 - weight) * self.values_[left, states] + weight * self.values_[right, states])

    def _filtered(self, X: NDArray) -> Iterator[NDArray]:
        """Yield the probabilities of the states (..., n_states) at each of the successive X (time, ...)."""
        bins = self.bins(X)
        probability = np.full((*X.shape[1:], self.n_states), 1.0 / self.n_states)
        yield probability
        for before, after in itertools.pairwise(bins):
            probability = np.matmul(probability[..., None, :], self.transitions_[before, after])[..., 0, :]
            yield probability


class MarkovChainStep:
    """The step of a chain at every point.

    Its state holds the bin of X at the last jump and the state of the chain, for every point, and the number of steps
    since that jump, -1 before the first, at which all states are equally likely.

    Parameters
    ----------
    chain : MarkovChainRegressor
        The fitted chain.
    every : int
        Steps from one jump to the next.
    dt : float
        Step in MTU.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import MarkovChainRegressor, MarkovChainStep
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> chain = MarkovChainRegressor(n_bins=4, n_states=2).fit(run.X, run.U)
    >>> step = MarkovChainStep(chain, every=5, dt=0.01)
    >>> [block.size for block in step.form.state], [block.size for block in step.form.uniform]
    ([17], [8])
    """

    dtype = np.float64
    graph_is_exact = True

    def __init__(self, chain: MarkovChainRegressor, every: int, dt: float) -> None:
        self.chain, self.every, self.K = chain, every, int(chain.n_features_in_)
        self._cumulative = np.cumsum(chain.transitions_, axis=-1)[..., :-1]
        start = (0.0,) * (2 * self.K) + (-1.0,)
        self.form = StepForm((Block(2 * self.K + 1, dt, start),), (), (Block(self.K, dt),))

    def __call__(
        self, X: NDArray, state: NDArray, noise: NDArray, uniform: NDArray
    ) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return U (n, K) and the next state; see `l96bench.dynamics.steps.Step`."""
        before, states = (part.astype(np.intp) for part in np.split(state[:, :-1], 2, axis=1))
        since, chain = state[:, -1:], self.chain
        jumps = since <= 0
        if jumps.any():
            bins = chain.bins(X)
            drawn = np.sum(uniform[..., None] >= self._cumulative[before, bins, states], axis=-1)
            first = np.floor(uniform * chain.n_states).astype(np.intp)
            states = np.where(since < 0, first, np.where(jumps, drawn, states))
            before = np.where(jumps, bins, before)
        counted = np.maximum(since, 0.0) + 1
        counted = np.where(counted >= self.every, 0.0, counted)
        following = np.concatenate([before, states, counted], axis=1, dtype=np.float64)
        return chain.value(X, states), following, None

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the step's graph; see `Closure`."""
        chain, f64, i64 = self.chain, np.float64, np.int64
        n_bins, n_states = chain.values_.shape

        def number(value: float) -> str:
            return builder.constant(value, f64)

        def count(truths: str) -> str:  # (n, K, m) to (n, K)
            axes = builder.constant([2], i64)
            return builder.node("ReduceSum", builder.cast(truths, f64), axes, keepdims=0)

        def lookup(table: NDArray, index: str) -> str:
            return builder.node("Gather", builder.constant(table, f64), builder.cast(index, i64), axis=0)

        def combined(*parts: tuple[str, int]) -> str:
            """Return the index in a table of several axes, of these sizes, as a float."""
            (total, _), *rest = parts
            for part, size in rest:
                total = builder.node("Add", builder.node("Mul", total, number(size)), part)
            return total

        uniform, deep = builder.uniform(K, f64, MODEL_DT), builder.reshape(x, -1, K, 1)
        state = builder.state(2 * K + 1, f64, self.form.state[0].start, MODEL_DT)
        before, states = builder.gather(state, np.arange(K)), builder.gather(state, np.arange(K, 2 * K))
        since = builder.gather(state, np.array([2 * K]))
        edges = chain.edges_ if len(chain.edges_) else np.array([np.inf])
        bins = count(builder.node("GreaterOrEqual", deep, builder.constant(edges, f64)))
        table = self._cumulative.reshape(n_bins * n_bins * n_states, -1)
        if not table.shape[1]:
            table = np.full((len(table), 1), np.inf)
        rows = lookup(table, combined((before, 0), (bins, n_bins), (states, n_states)))
        drawn = count(builder.node("GreaterOrEqual", builder.reshape(uniform, -1, K, 1), rows))
        first = builder.node("Floor", builder.node("Mul", uniform, number(n_states)))
        jumps, begins = (builder.node(each, since, number(0.0)) for each in ("LessOrEqual", "Less"))
        now = builder.node("Where", begins, first, builder.node("Where", jumps, drawn, states))
        one_more = builder.node("Add", builder.node("Max", since, number(0.0)), number(1.0))
        is_last = builder.node("GreaterOrEqual", one_more, number(self.every))
        counted = builder.node("Where", is_last, number(0.0), one_more)
        builder.keep(state, builder.node("Concat", builder.node("Where", jumps, bins, before), now, counted, axis=1))
        inside = builder.clipped(x, chain.centres_[0], chain.centres_[-1])
        inner = chain.centres_[1:-1] if len(chain.centres_) > 2 else np.array([np.inf])
        left = count(builder.node("GreaterOrEqual", builder.reshape(inside, -1, K, 1), builder.constant(inner, f64)))
        right = builder.node("Min", builder.node("Add", left, number(1.0)), number(n_bins - 1))
        width = np.append(np.diff(chain.centres_), 1.0)
        at = builder.node("Sub", inside, lookup(chain.centres_, left))
        weight = builder.node("Div", at, lookup(width, left))
        ends = (lookup(chain.values_.ravel(), combined((end, 0), (now, n_states))) for end in (left, right))
        shares = builder.node("Sub", number(1.0), weight), weight
        return builder.node("Add", *(builder.node("Mul", *each) for each in zip(shares, ends, strict=True)))

    def __repr__(self) -> str:
        return f"MarkovChainStep({self.chain!r})"


def _quantile_states(U: NDArray, n_states: int) -> tuple[NDArray, NDArray]:
    """Return the quantile of each U (n,) and the mean of U in each quantile, interpolated for empty ones."""
    order = np.argsort(U, kind="stable")
    rank = np.empty(len(U), dtype=np.intp)
    rank[order] = np.arange(len(U))
    states = rank * n_states // len(U)
    total = np.bincount(states, weights=U, minlength=n_states)
    count = np.bincount(states, minlength=n_states)
    filled = np.flatnonzero(count)
    values = np.interp(np.arange(n_states), filled, total[filled] / count[filled])
    return states, values
