"""Cycle forecasts and analyses of many experiments, each with its own truth, observations and inflation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.assimilation.filters import Filter, NoAssimilation
from l96bench.assimilation.inflation import Inflation
from l96bench.assimilation.models import ForecastModel, checked_advance, copied
from l96bench.assimilation.observations import Network, Observations, Observed, checked_truth
from l96bench.assimilation.record import Cycled, CycleState, Recorder
from l96bench.dynamics.draws import Seed, Streams, draw_normals, streams, words_of
from l96bench.errors import L96BenchError, ModelError
from l96bench.parallel import one_thread
from l96bench.progress import progress as show_progress

__all__ = ["CycleState", "Cycled", "cycle"]

Array = NDArray[np.float64]

START, FILTER, MODEL = 2, 3, 4
"""The random streams besides those of the observations (0 and 1)."""
RECENT = 20
"""The time scale, in cycles, of the exponential average by which divergence is judged."""
START_SIZE = 0.1
"""Error of the first ensemble, relative to that of the observations."""


def cycle(
    truth: ArrayLike,
    model: ForecastModel,
    filter: Filter,
    observations: Network | Observations,
    *,
    n_members: int = 20,
    seed: Seed = 0,
    spin_up_cycles: int = 0,
    inflation: ArrayLike | Inflation = 1.0,
    initial: ArrayLike | None = None,
    limit: float | None = None,
    n_cycles: int | None = None,
    state: CycleState | None = None,
    store_ensembles: bool = False,
    progress: bool | None = None,
) -> Cycled:
    """Cycle a forecast model and a filter over observations of a truth.

    In every window the model advances all members to its end (the background), the filter assimilates the observations
    made there (the analysis), and inflation prepares the members for the next one. All experiments run together: the
    model sees all their members in one call.

    Parameters
    ----------
    truth : (time, K) or (experiment, time, K) array
        The true X, one sample a window, the first at the start.
    model : ForecastModel
        Such as `ResolvedModel`.
    filter : Filter
        Such as `ETKF`.
    observations : Network or Observations
        A network draws them from the truth; they do not depend on the model or the filter.
    n_members : int
        Ensemble size.
    seed : int or sequence
        Seed of all randomness. A number s gives experiment i the words ``[s, i]``; a sequence gives every experiment
        its number or words. Experiments with equal seeds have the same observations, start and draws, as those that
        differ only in inflation should.
    spin_up_cycles : int
        Cycles before the first one that is recorded.
    inflation : float, (experiment,) array, or Inflation
        Numbers are factors on the analysis anomalies, ``Inflation(posterior=...)``. Nothing is inflated without
        assimilation.
    initial : (member, n) or (experiment, member, n) array, optional
        States to start from. By default the truth plus one normal error for the whole ensemble and one for each member,
        both a tenth of the observation error (a filter that starts far from the truth may lose it at once);
        `model.embed` adds what is not X.
    limit : float, optional
        An experiment has diverged when the exponential average (over about 20 cycles) of the RMSE of its analysis mean
        exceeds this, or anything is not finite. By default the standard deviation of the truth; infinity without
        assimilation.
    n_cycles : int, optional
        Stop after that many cycles; at the end of the truth by default.
    state : CycleState, optional
        Resume from the `state` of an earlier result, with the same other arguments; seed, start and number of members
        are taken from it. The results together equal those of one call bit for bit.
    store_ensembles : bool
        Keep all members, before and after every analysis.
    progress : bool, optional
        Show a progress bar; by default when standard error is a terminal.

    Returns
    -------
    Cycled
        The experiments of a batch equal the same ones run alone bit for bit, if the model treats rows one by one (a
        stochastic closure draws for all rows together).

    Raises
    ------
    L96BenchError
        For shapes, sizes or numbers that do not match.
    ModelError
        If the model's own code raises, or returns something of the wrong shape.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> truth = l96bench.simulate("wilks-f20", 10.0, spin_up=5.0).X
    >>> network = da.Network(K=8, window=0.05, std=1.0)
    >>> run = da.cycle(truth, da.ResolvedModel("wilks-f20"), da.ETKF(), network, spin_up_cycles=50, inflation=1.5)
    >>> run.analysis_mean.shape, bool(abs(run.analysis_mean - run.truth).mean() < 1.0)
    ((1, 149, 8), True)
    """
    if isinstance(filter, type) or not isinstance(filter, Filter):
        raise L96BenchError(f"expected a filter such as ETKF(), got {_described(filter)}")
    truth, observations, words = _experiments(truth, model, observations, seed if state is None else state.seed)
    given: Any = 1.0 if isinstance(filter, NoAssimilation) else inflation
    factors = (given if isinstance(given, Inflation) else Inflation(posterior=given)).for_experiments(len(truth))
    run = _Run(model, filter, observations, factors, words)
    if state is None:
        run.start(truth[:, 0], n_members, initial)
    else:
        run.resume(state)
    left = observations.n_cycles - run.done
    total = left if n_cycles is None else n_cycles
    if not (spin_up_cycles >= 0 and 0 <= total <= left):
        raise L96BenchError(
            f"expected spin_up_cycles >= 0 and n_cycles from 0 to the {left} that are left, "
            f"got {spin_up_cycles} and {n_cycles}"
        )
    limit = _limit(limit, truth, filter)
    first = max(run.done, spin_up_cycles)
    n_recorded = max(run.done + total - first, 0)
    record = Recorder(truth, observations, model.layout, run.ensembles.shape[1], first, n_recorded, store_ensembles)
    # For matrices of this size more threads only wait for each other.
    with show_progress("data assimilation", total, progress) as report, one_thread():
        for _ in range(total):
            at = run.done
            background, analysis, observed = run.advance(truth[:, at + 1], None if at < spin_up_cycles else limit)
            if at >= first:
                record.add(at, background, analysis, observed)
            report(1)
    return record.finished(run.left, limit, run.state())


class _Run:
    """The state of a batch of experiments, with methods that advance it by one window."""

    def __init__(
        self,
        model: ForecastModel,
        filter: Filter,
        observations: Observations,
        inflation: Inflation,
        words: list[list[int]],
    ) -> None:
        self.model, self.filter, self.observations, self.inflation = model, filter, observations, inflation
        self.words = words
        self.rngs = streams(words, len(words), FILTER)
        self.left, self.recent = np.full(len(words), -1), np.zeros(len(words))
        self.done = 0

    def start(self, X: Array, n_members: int, initial: ArrayLike | None) -> None:
        """Make the first ensembles, and start the model."""
        n = self.model.layout.n
        if n_members < self.filter.min_members:
            raise L96BenchError(
                f"expected at least {self.filter.min_members} members for {type(self.filter).__name__}, got {n_members}"
            )
        rngs = streams(self.words, len(X), START)
        if initial is None:
            ensembles = self.model.embed(_around(X, n_members, self.observations, rngs), rngs)
        else:
            ensembles = np.asarray(initial, dtype=np.float64)
        shape = (len(X), n_members, n)
        if ensembles.shape not in (shape, shape[1:]) or not np.isfinite(ensembles).all():
            raise L96BenchError(f"expected finite initial states {shape} or {shape[1:]}, got {ensembles.shape}")
        self.ensembles = np.array(np.broadcast_to(ensembles, shape))
        self.resting = self.ensembles.copy()
        self._start_model()

    def _start_model(self) -> None:
        """Start the model for all rows, with one random stream seeded by all experiments."""
        sequence = np.random.SeedSequence([word for words in self.words for word in words], spawn_key=(MODEL,))
        n_rows = self.ensembles.shape[0] * self.ensembles.shape[1]
        self.model.start(n_rows, np.random.Generator(np.random.PCG64(sequence)))

    def resume(self, state: CycleState) -> None:
        """Resume from a state."""
        if isinstance(state.model, ModelError):
            raise state.model
        self.ensembles, self.resting = state.ensembles.copy(), state.resting
        self.done, self.left, self.recent = state.cycle, state.left.copy(), state.recent.copy()
        remembered = None if state.model is None else copied(state.model)
        if remembered is None:
            self._start_model()
        else:
            self.model = remembered
        for rng, saved in zip(self.rngs, state.streams, strict=True):
            rng.bit_generator.state = saved

    def advance(self, truth: Array, limit: float | None) -> tuple[Array, Array, Observed | None]:
        """Run one window; return the background, the analysis and the observations. The spin-up has no limit."""
        E, m, n = self.ensembles.shape
        rows = checked_advance(self.model, self.ensembles.reshape(E * m, n), self.observations.window)
        background, observed = rows.reshape(E, m, n), self.observations.at(self.done)
        with np.errstate(over="ignore", invalid="ignore"):
            self._retire(background, ~np.isfinite(background).all(axis=(1, 2)))
            background = self._spared(self.inflation.before(background), background)
            analysis = background if observed is None else self._analysed(background, observed)
            gone = ~np.isfinite(analysis).all(axis=(1, 2))
            if limit is not None:
                error = analysis[:, :, : truth.shape[1]].mean(axis=1) - truth
                self.recent += ((error * error).mean(axis=1) - self.recent) / RECENT
                gone |= ~(self.recent <= limit * limit)
            self._retire(analysis, gone)
        self.ensembles = analysis
        self.done += 1
        return background, analysis, observed

    def _analysed(self, background: Array, observed: Observed) -> Array:
        """Return the inflated analysis; the background if nothing was observed."""
        analysis = self.filter.analyse(background, observed, self.rngs, self.model.layout)
        analysis = self._spared(self.inflation.after(analysis, background), analysis)
        seen = observed.n > 0
        if not seen.all():
            analysis = np.where(seen[:, None, None], analysis, background)
        constrain = getattr(self.model, "constrain", None)
        return analysis if constrain is None else constrain(analysis)

    def _spared(self, inflated: Array, ensembles: Array) -> Array:
        """Return inflated ensembles with the coefficients not inflated, as the forecast never reduces their spread."""
        coefficients = self.model.layout.coefficients
        if inflated is ensembles or not coefficients.size:
            return inflated
        inflated[:, :, coefficients] = ensembles[:, :, coefficients]
        return inflated

    def _retire(self, ensembles: Array, gone: Any) -> None:
        """Note which experiments diverge in this cycle, and reset all diverged ones to their start."""
        self.left[gone & (self.left < 0)] = self.done
        resting = self.left >= 0
        if resting.any():
            ensembles[resting] = self.resting[resting]

    def state(self) -> CycleState:
        """Return everything that is needed to resume."""
        remembered: ForecastModel | ModelError | None
        try:
            remembered = copied(self.model)
        except ModelError as error:
            remembered = error
        saved = [dict(rng.bit_generator.state) for rng in self.rngs]
        arrays = self.ensembles.copy(), self.resting, self.left.copy(), self.recent.copy()
        return CycleState(self.done, *arrays, self.words, saved, remembered)


def _experiments(
    truth: ArrayLike, model: ForecastModel, observations: Network | Observations, seed: Seed
) -> tuple[Array, Observations, list[list[int]]]:
    """Return the truth (experiment, time, K), its observations, and the seed words, after checking that they match."""
    if isinstance(model, type) or not isinstance(model, ForecastModel):
        raise ModelError(f"expected a forecast model such as ResolvedModel(regime, closure), got {_described(model)}")
    K = model.layout.K
    if observations.K != K:
        raise L96BenchError(f"expected observations on the model's {K} points, got a network of {observations.K}")
    truth = checked_truth(truth, K)
    words = words_of(seed, len(truth))
    if isinstance(observations, Network):
        observations = observations.draw(truth, words)
    if (observations.n_experiments, observations.n_cycles) != (len(truth), truth.shape[1] - 1):
        raise L96BenchError(
            f"expected observations of {len(truth)} experiments and {truth.shape[1] - 1} cycles, one less than samples "
            f"of the truth, got {observations.n_experiments} and {observations.n_cycles}"
        )
    return truth, observations, words


def _described(value: Any) -> str:
    return f"the class {value.__name__}; try an instance" if isinstance(value, type) else type(value).__name__


def _limit(limit: float | None, truth: Array, filter: Filter) -> float:
    if limit is None:
        return math.inf if isinstance(filter, NoAssimilation) else float(truth.std())
    if not limit > 0:
        raise L96BenchError(f"expected a positive limit of the RMSE, got {limit}")
    return float(limit)


def _around(X: Array, n_members: int, observations: Observations, rngs: Streams) -> Array:
    """Members (experiment, member, K) around the truth X (experiment, K) at the start."""
    size = START_SIZE * np.median(observations.std[np.isfinite(observations.std)])
    normals = draw_normals(rngs, (n_members + 1, X.shape[1]))
    return np.asarray(X[:, None] + size * (normals[:, :1] + normals[:, 1:]), dtype=np.float64)
