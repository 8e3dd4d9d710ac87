"""Cycles of forecast and analysis: many experiments at once, each with its own truth, observations and inflation."""

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
"""The purposes of the streams besides those of the observations (0 and 1)."""
RECENT = 20
"""Cycles over which a divergence is judged, as the time scale of an exponential average."""
START_SIZE = 0.1
"""Errors of the first ensemble, over those of the observations."""


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

    Every window the model carries all members to its end (the background), the filter moves them to the observations
    made there (the analysis), and inflation prepares them for the next one. Experiments share the model and the
    filter, and are run together: the model sees all members of all of them in one call.

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
        Members of every ensemble.
    seed : int or sequence
        All randomness. A number s gives experiment i the words ``[s, i]``; a sequence gives every experiment its
        number or words. Experiments with equal ones see the same observations, start and draws: give them to those
        that differ in inflation alone.
    spin_up_cycles : int
        Cycles to run before the first one that is recorded.
    inflation : float, (experiment,) array, or Inflation
        Numbers are factors on the analysis anomalies, ``Inflation(posterior=...)``. Nothing is inflated without
        assimilation.
    initial : (member, n) or (experiment, member, n) array, optional
        States to start from. By default the truth, moved by one normal error for the whole ensemble and one for each
        member, both a tenth of the observation error (a filter that starts far from the truth may lose it at once,
        which would say more of the start than of the filter); `model.embed` adds what is not X.
    limit : float, optional
        An experiment has diverged when the RMSE of its analysis mean over the latest 20 cycles or so (an exponential
        average from the spin-up on) exceeds this, so that a burst that the filter survives is none; or when
        something is not finite at any time. By default the standard deviation of the truth; infinity without
        assimilation.
    n_cycles : int, optional
        Stop after that many cycles; at the end of the truth by default.
    state : CycleState, optional
        Go on from the `state` of an earlier result, called with the same other arguments: seed, start and number of
        members are taken from it. The two results together are, bit for bit, what one call would have given.
    store_ensembles : bool
        Keep all members, before and after every analysis.
    progress : bool, optional
        Show a progress bar; by default when standard error is a terminal.

    Returns
    -------
    Cycled
        One batch of experiments equals, bit for bit, the same experiments run alone, as long as the model treats rows
        one by one (a stochastic closure draws for all rows together).

    Raises
    ------
    L96BenchError
        For shapes, sizes or numbers that do not fit together.
    ModelError
        If the model's own code raises, or returns something of the wrong shape.
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
    """The state of a batch of experiments, and one window of it."""

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
        """Start the model for all rows, with one stream that depends on the seeds of all experiments."""
        sequence = np.random.SeedSequence([word for words in self.words for word in words], spawn_key=(MODEL,))
        n_rows = self.ensembles.shape[0] * self.ensembles.shape[1]
        self.model.start(n_rows, np.random.Generator(np.random.PCG64(sequence)))

    def resume(self, state: CycleState) -> None:
        """Go on from a state."""
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
        """One window: the background, the analysis that is carried on, and what was observed; no limit in spin-up."""
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
        """The analysis, inflated; where nothing was observed it is the background."""
        analysis = self.filter.analyse(background, observed, self.rngs, self.model.layout)
        analysis = self._spared(self.inflation.after(analysis, background), analysis)
        seen = observed.n > 0
        if not seen.all():
            analysis = np.where(seen[:, None, None], analysis, background)
        constrain = getattr(self.model, "constrain", None)
        return analysis if constrain is None else constrain(analysis)

    def _spared(self, inflated: Array, ensembles: Array) -> Array:
        """Inflated ensembles with the coefficients of the others: no dynamics would ever take their spread back."""
        coefficients = self.model.layout.coefficients
        if inflated is ensembles or not coefficients.size:
            return inflated
        inflated[:, :, coefficients] = ensembles[:, :, coefficients]
        return inflated

    def _retire(self, ensembles: Array, gone: Any) -> None:
        """Note which experiments diverge in this cycle, and put all that ever did back to their start."""
        self.left[gone & (self.left < 0)] = self.done
        resting = self.left >= 0
        if resting.any():
            ensembles[resting] = self.resting[resting]

    def state(self) -> CycleState:
        """Everything that it takes to go on."""
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
    """The truth (experiment, time, K), its observations, and the seed words, once they fit together."""
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
