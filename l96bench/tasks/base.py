"""What every task has: an id, splits, a score with its interval, and references scored by the same program."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.data.splits import DATA_REGIMES, get_split, split_regime
from l96bench.data.store import digests, load
from l96bench.errors import L96BenchError, user_error
from l96bench.metrics.uncertainty import bootstrap_indices, interval, resampling_weights
from l96bench.regimes import Regime, get_regime, seed_word
from l96bench.results.record import Cost, Environment, Failures, ModelInfo, Result, Score, SeedScore, Value
from l96bench.tasks.cost import count_parameters, measure_cost

if TYPE_CHECKING:
    import gymnasium
    import xarray

__all__ = ["LEVEL", "N_REPLICATES", "SCORER_VERSION", "Reference", "Samples", "Task"]

SCORER_VERSION = "1"
"""Version of the scoring program; rows of different versions are never compared."""
N_REPLICATES = 1000
LEVEL = 0.95
"""Replicates of the bootstrap, and level of every interval."""
COMMAND = "task.references"
"""What makes the rows of the references."""
LITERATURE = ModelInfo(
    name="fitted quartic (reference)",
    kind="reference",
    inputs="X_k",
    parameters=5,
    trained_on="train, 2000 MTU",
    command=COMMAND,
    source="Wilks 2005, doi:10.1256/qj.04.03 (form), fitted to the exact coupling",
)


@dataclass(frozen=True, slots=True)
class Samples:
    """One split, memory-mapped and read-only.

    Attributes
    ----------
    X, U : (time, K) array for one trajectory, (trajectory, time, K) for several
        Resolved state and the tendency that the fast variables add to it.
    interval : float
        MTU between samples.
    """

    X: NDArray[np.float64]
    U: NDArray[np.float64]
    interval: float

    @property
    def time(self) -> NDArray[np.float64]:
        """MTU since the first sample of a trajectory, (time,)."""
        return np.asarray(self.interval * np.arange(self.X.shape[-2]), dtype=np.float64)

    def prefix(self, duration: float) -> Samples:
        """The first `duration` MTU of every trajectory: a training budget."""
        n = round(duration / self.interval)
        if not 1 <= n <= self.X.shape[-2]:
            longest = self.X.shape[-2] * self.interval
            raise L96BenchError(f"expected a budget between {self.interval} and {longest:g} MTU, got {duration}")
        return Samples(self.X[..., :n, :], self.U[..., :n, :], self.interval)


@dataclass(frozen=True, slots=True)
class Reference:
    """A fixed point of a task's scale, scored by the same program as every entry.

    Attributes
    ----------
    info : ModelInfo
    evaluate : () -> Result
    """

    info: ModelInfo
    evaluate: Callable[[], Result]

    @property
    def score(self) -> float:
        """The reference's score."""
        return self.evaluate().score.value


@dataclass(frozen=True)
class Task:
    """The base of the four families. Subclasses say how a model is scored.

    Parameters
    ----------
    regime_id : str
        The regime whose data are used.
    version : int
        A change that would move a score is a new version; old ones keep running.

    Attributes
    ----------
    regime_ids : tuple of str
        The regimes (or tracks) that the family has tasks for.
    training_set : str
        What models are fitted to, in words.
    training_budgets : tuple of float
        Training budgets in MTU besides the whole 2,000: prefixes of the training trajectory.
    env_id : str or None
        Gymnasium's id of the family's environment, where it has one.
    env_option : str
        The environment's argument that names the regime (or track).
    """

    regime_id: str
    version: int = 1

    family: ClassVar[str]
    splits: ClassVar[tuple[str, ...]]
    regime_ids: ClassVar[tuple[str, ...]] = DATA_REGIMES
    training_set: ClassVar[str] = "train, 2000 MTU"
    training_budgets: ClassVar[tuple[float, ...]] = (10.0, 100.0, 1000.0)
    env_id: ClassVar[str | None] = None
    env_option: ClassVar[str] = "regime"

    @property
    def id(self) -> str:
        """The task's name, ``family/regime-vN``."""
        return f"{self.family}/{self.regime_id}-v{self.version}"

    @property
    def regime(self) -> Regime:
        """The system that the task is about."""
        return get_regime(self.regime_id)

    @cached_property
    def train(self) -> Samples:
        """2,000 MTU in one trajectory, every 0.05 MTU."""
        return self._samples("train")

    @cached_property
    def train_fine(self) -> Samples:
        """The same trajectory every 0.01 MTU, for models that are trained through rollouts."""
        return self._samples("train-fine")

    @cached_property
    def valid(self) -> Samples:
        """200 MTU in one trajectory, for the choice of models."""
        return self._samples("valid")

    @cached_property
    def test(self) -> Samples:
        """10 trajectories of 200 MTU, each from its own seed."""
        return self._samples("test")

    @cached_property
    def shift(self) -> Samples:
        """As test, in a warmer climate: forcing F + 4. Only two-scale regimes have it."""
        return self._samples("shift")

    @property
    def has_shift(self) -> bool:
        """Whether the regime has a shifted climate."""
        return self.regime.scales == 2

    def _arrays(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        """The arrays of a split; miniature tasks take them from elsewhere."""
        return load(self.regime, split, progress)

    def _samples(self, name: str) -> Samples:
        split = get_split(self.regime_id, name)
        arrays = self._arrays(name)
        X, U = (arrays[key][0] if split.n_trajectories == 1 else arrays[key] for key in ("X", "U"))
        return Samples(X, U, split.interval)

    def prepare(self, progress: bool | None = None) -> None:
        """Make the data that the task reads, where the cache does not hold them."""
        for split in self.splits:
            if self.has_shift or "shift" not in split:
                self._arrays(split, progress)

    def to_xarray(self) -> xarray.DataTree:
        """All splits as an xarray tree, one dataset a split, with dimensions, units and the regime's parameters."""
        import xarray

        parts = {}
        parameters = ("id", *"KJIFhbcdeg", "coupling", "source")
        for name in ("train", "valid", "test", *(("shift",) if self.has_shift else ())):
            samples: Samples = getattr(self, name)
            dims = ("trajectory", "time", "k")[-samples.X.ndim :]
            regime = split_regime(self.regime, get_split(self.regime, name))
            parts[name] = xarray.Dataset(
                {key: (dims, getattr(samples, key), {"units": "1"}) for key in "XU"},
                coords={"time": ("time", samples.time, {"units": "MTU"})},
                attrs={"task": self.id, "split": name} | {key: getattr(regime, key) for key in parameters},
            )
        return xarray.DataTree.from_dict(parts)

    def make_env(self, num_envs: int | None = None, **options: Any) -> gymnasium.Env | gymnasium.vector.VectorEnv:
        """The task as a Gymnasium environment, of one row or, given `num_envs`, natively batched.

        Parameters
        ----------
        num_envs : int, optional
            Rows of a vector environment.
        **options
            What the environment takes besides the regime (or track); see the family's class in `l96bench.envs`.

        Raises
        ------
        L96BenchError
            If the family has no environment, or an option cannot be used.
        """
        import gymnasium

        if self.env_id is None:
            raise L96BenchError(f"{self.family} has no environment; try that of subgrid-forcing")
        options = {self.env_option: self.regime_id, **options}
        if num_envs is None:
            return gymnasium.make(self.env_id, **options)
        return gymnasium.make_vec(self.env_id, num_envs=num_envs, **options)

    def fit(self, model: Any, budget: float | None = None) -> float:
        """Fit a model in place to the training split, or to its first `budget` MTU; the processor seconds that it took.

        A model without ``fit`` is left as it is.

        Raises
        ------
        ModelError
            If the model's own code raises.
        """
        if not callable(getattr(model, "fit", None)):
            return 0.0
        samples = self.train if budget is None else self.train.prefix(budget)
        start = time.process_time()
        try:
            model.fit(np.array(samples.X), np.array(samples.U))
        except Exception as error:
            raise user_error(f"{type(model).__name__}.fit", error) from error
        return time.process_time() - start

    def score(self, model: Any) -> float:
        """The model's score: 100 is the ceiling, 0 the floor of the family. `evaluate` gives the interval with it."""
        return self.evaluate(model).score.value

    def evaluate(
        self,
        model: Any,
        info: ModelInfo | None = None,
        *,
        budgets: bool = False,
        training_seconds: float | None = None,
        progress: bool | None = None,
        n_jobs: int | None = None,
        checkpoint: Path | None = None,
    ) -> Result:
        """Score a fitted model on the test data.

        Parameters
        ----------
        model : object
            What the family takes (see the family's class).
        info : ModelInfo, optional
            How the row is called; made from the model when not given.
        budgets : bool
            Also refit clones of the model at every training budget, for the families that report it.
        training_seconds : float, optional
            What the training took of all processors together, for the record.
        progress : bool, optional
            Show progress; by default when standard error is a terminal.
        n_jobs : int, optional
            Processes, for the families whose evaluation fits many models (`equation-recovery`), as in joblib.
        checkpoint : Path, optional
            A folder from which an interrupted evaluation of such a family carries on.

        Raises
        ------
        ModelError
            If the model cannot be used: not fitted, wrong shape or dtype, or its own code raises. Predictions that are
            not finite and runs that blow up are no errors: they are counted, and score as the design says.
        """
        raise L96BenchError(f"{type(self).__name__} does not say how a model is scored")

    @property
    def references(self) -> Mapping[str, Reference]:
        """Floor, ceiling and the literature's closure, by name; each is scored when its result is asked for."""
        return MappingProxyType({})

    def _evaluate_literature(self) -> Result:
        from l96bench.estimators.regressors import PolynomialRegressor

        model = PolynomialRegressor(degree=4)
        return self.evaluate(model, LITERATURE, training_seconds=self.fit(model))

    @property
    def data_digests(self) -> dict[str, str]:
        """SHA-256 of the arrays behind the task, by ``regime/split/array``."""
        names = [f"{self.regime_id}/{split}/" for split in self.splits]
        return {key: value for key, value in digests().items() if any(key.startswith(name) for name in names)}

    def weights(self, n_blocks: int, purpose: str) -> NDArray[np.float64]:
        """How often each bootstrap replicate holds each block: the same for all entries of the task."""
        seed = (self.regime.word, self.version, seed_word(f"bootstrap {purpose}"))
        return resampling_weights(bootstrap_indices(n_blocks, N_REPLICATES, seed), n_blocks)

    def result(self, model: Any, info: ModelInfo | None, parts: Parts, training_seconds: float | None) -> Result:
        """The record of an evaluation."""
        info = describe(model) if info is None else info
        seeds = [SeedScore(seed=info.seeds[0], value=parts.score)] if len(info.seeds) == 1 else []
        low, high = interval(parts.replicates, LEVEL)
        score = Score(
            value=parts.score,
            low=min(low, parts.score),
            high=max(high, parts.score),
            level=LEVEL,
            method=parts.method,
            replicates=parts.replicates.tolist(),
            seeds=seeds,
        )
        cost = Cost(training_seconds=training_seconds)
        if model is not None:
            cost = measure_cost(self.regime, model, training_seconds)
        return Result(
            task=self.id,
            task_version=self.version,
            data_digests=self.data_digests,
            scorer_version=SCORER_VERSION,
            split="test",
            model=info,
            score=score,
            metrics=parts.metrics,
            series={name: np.asarray(values).tolist() for name, values in parts.series.items()},
            failures=parts.failures,
            cost=cost,
            environment=Environment.current(),
            predictions_digest=parts.digest,
        )


@dataclass(frozen=True)
class Parts:
    """What an evaluation found, before it becomes a record."""

    score: float
    replicates: NDArray[np.float64]
    method: str
    metrics: dict[str, Value]
    failures: Failures
    digest: str
    series: dict[str, Any] = field(default_factory=dict)


def value_of(estimate: float, replicates: NDArray[np.float64]) -> Value:
    """A metric with its bootstrap interval; the interval is widened to hold the estimate where it is skewed."""
    low, high = interval(replicates, LEVEL)
    return Value(value=estimate, low=min(low, estimate), high=max(high, estimate))


def describe(model: Any) -> ModelInfo:
    """A plain description of a model that came without one."""
    return ModelInfo(
        name=type(model).__name__,
        kind="unnamed",
        inputs="X",
        parameters=count_parameters(model),
        command="task.evaluate(model)",
        description=" ".join(repr(model).split())[:500],
    )
