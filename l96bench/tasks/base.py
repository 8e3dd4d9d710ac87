"""The base class of all tasks: an id, data sets, a score with its interval, and references scored the same way."""

from __future__ import annotations

import functools
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import checked_seed
from l96bench.data.splits import data_regimes
from l96bench.errors import L96BenchError, ModelWarning
from l96bench.metrics.glossary import Metric
from l96bench.metrics.uncertainty import bootstrap_indices, resampling_weights
from l96bench.regimes import other_regimes, register_regime, seed_word
from l96bench.results.record import Cost, Environment, ModelInfo, Result
from l96bench.results.score import Score, SeedScore
from l96bench.tasks.artifacts import EQUATIONS, ONNX, Content, Example, Expected
from l96bench.tasks.parts import LEVEL, N_REPLICATES, SCORER_VERSION, Aligned, Column, Parts, Reference, Work, describe
from l96bench.tasks.sources import MINIATURE, REGISTERED, Fresh, Source, shared

if TYPE_CHECKING:
    import gymnasium
    import xarray

__all__ = ["KINDS", "Task", "shared"]

KINDS = ("closure", "increment", "equations")
"""The kinds of models; see `Task.kind`."""


@dataclass(frozen=True)
class Task(ABC):
    """One benchmark task: a question about one regime (or track). Each family of tasks is a subclass.

    Parameters
    ----------
    regime_id, version : str, int
        The regime (or track) whose data are used, and a number that is raised by every change that moves a score.
    source : Source, optional
        Where the data come from; the registered data sets by default.

    Attributes
    ----------
    family : str
        The first part of the task ids.
    kind : {"closure", "increment", "equations"}
        What a model is: a closure of the resolved model, a model of analysis increments, or a discoverer of equations.
    title, question, training_set : str
        Heading and text of the family's tables, which says what scores 0 and 100; what models are fitted to, in words.
    columns : tuple of Column
        The metrics in the tables.
    glossary : tuple of Metric
        The definitions of all metrics and curves that results may have; `l96bench.glossary` reads them.
    splits, default_regimes : tuple of str
        The data sets that the tasks read; the regimes (or tracks) of a run that names none.
    seconds : float
        Rough duration of an evaluation; the longest are started first.
    env_id, env_option : str or None, str
        Id of the family's Gymnasium environment, if any, and its argument that names the regime (or track).
    redrawn, has_seasons : bool
        Whether a seed or a season's secret can draw test data anew; whether only the latter can, of another system.
    artifact_kinds, heeds : tuple of str
        The kinds of files that can be scored (onnx, equations, predictions), and what a submission may say of how its
        file is run: names of fields of `Described`.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1")
    >>> isinstance(task, l96bench.Task), task.family, task.regime_id
    (True, 'subgrid-forcing', 'wilks-f20')
    """

    regime_id: str
    version: int = 1
    source: Source = field(default=REGISTERED, kw_only=True)

    family: ClassVar[str]
    kind: ClassVar[str] = "closure"
    title: ClassVar[str]
    question: ClassVar[str] = ""
    columns: ClassVar[tuple[Column, ...]] = ()
    glossary: ClassVar[tuple[Metric, ...]] = ()
    splits: ClassVar[tuple[str, ...]] = ()
    default_regimes: ClassVar[tuple[str, ...]] = ("wilks-f20", "arnold-c4")
    training_set: ClassVar[str] = "train"
    artifact_kinds: ClassVar[tuple[str, ...]] = (ONNX, EQUATIONS)
    seconds: ClassVar[float] = 5.0
    env_id: ClassVar[str | None] = None
    env_option: ClassVar[str] = "regime"
    redrawn: ClassVar[bool] = False
    has_seasons: ClassVar[bool] = False
    heeds: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def regime_ids(cls) -> tuple[str, ...]:
        """Return the regimes (or tracks) that the family has tasks for: all with data sets."""
        return data_regimes()

    @property
    def id(self) -> str:
        """The task's name, ``family/regime-vN``."""
        return f"{self.family}/{self.regime_id}-v{self.version}"

    def make(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        """Generate the arrays of one of `splits` from recorded seeds, without the cache, which `arrays` uses.

        Parameters
        ----------
        split : str
        progress : bool, optional
            Show progress; by default when standard error is a terminal.
        """
        raise L96BenchError(f"{type(self).__name__}.make: expected it to make the split {split!r}; {self.id} reads it")

    def key(self, split: str) -> str:
        """Return the name under which the digests of a split are recorded."""
        return f"{self.family}/{self.regime_id}/{split}"

    def recipe(self, split: str) -> str:
        """Return all that a split depends on beside the code, which decides its place in the cache."""
        return repr((type(self).__name__, self.regime_id, self.version, split))

    def arrays(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        """Return the arrays of a split by name, read-only; they are made when the cache does not hold them."""
        return self.source.arrays(self, split, progress)

    @property
    def available_splits(self) -> tuple[str, ...]:
        """The splits of the family that exist for this regime."""
        return self.splits

    def prepare(self, progress: bool | None = None) -> None:
        """Make the data sets that the cache does not hold yet."""
        for split in self.available_splits:
            self.arrays(split, progress)

    @property
    def data_digests(self) -> dict[str, str]:
        """SHA-256 of the arrays behind the task, by ``regime/split/array``."""
        return self.source.digests(self)

    def handout(self) -> dict[str, NDArray[np.float64]]:
        """Return what a season gives entrants before they hand in, by name; empty if they need nothing."""
        return {}

    def to_xarray(self) -> xarray.DataTree:
        """Return all splits as an xarray tree, one dataset per split."""
        import xarray

        trees = {
            split: xarray.Dataset(
                {key: ([f"{key}_{axis}" for axis in range(x.ndim)], x) for key, x in self.arrays(split).items()},
                attrs={"task": self.id, "split": split},
            )
            for split in self.available_splits
        }
        return xarray.DataTree.from_dict(trees)

    def miniature(self) -> Self:
        """Return a small copy of the task, with the same code on data made in a second, for trying out models."""
        return shared(self.in_miniature())

    def in_miniature(self) -> Self:
        """Return a copy with the sizes of the miniature; families with sizes of their own extend it."""
        return replace(self, source=MINIATURE)

    def fresh(self, seed: int) -> Self:
        """Return the same question about test data that are drawn anew from a seed; models are fitted to the same data.

        Raises
        ------
        L96BenchError
            If the family's test data are always the same.
        """
        if not self.redrawn:
            raise L96BenchError(f"{self.family} has no fresh draws: its `make` does not use the task's source")
        return shared(replace(self, source=Fresh(checked_seed(seed), self.source)))

    def answers_anew(self, content: Content) -> bool:
        """Return whether the model in a file can answer the question about a fresh draw as well."""
        return self.redrawn

    @property
    def training_task(self) -> Task:
        """The task whose training data models are fitted to: this one, except for the tasks of a season."""
        return shared(self.source.training(self))

    def fit(self, model: Any, budget: float | None = None) -> float:
        """Fit a model in place to the training data, if the family does so, and return the CPU seconds."""
        return 0.0

    def as_run(self, model: Any) -> Any:
        """Return the model in the form in which all parts of an evaluation run it."""
        return model

    @abstractmethod
    def assess(self, model: Any, work: Work) -> Parts:
        """Score a model: return its score, the bootstrap replicates and the metrics.

        Raises
        ------
        ModelError
            If the model is not fitted, gives a wrong shape or dtype, or raises. Predictions that are not finite and
            runs that blow up are no errors: they are counted and lower the score.
        """

    def remark(self, model: Any, parts: Parts) -> str:
        """Return what the author of a model should know about its score; an empty text by default."""
        return ""

    def possible_scores(self, row: Result) -> tuple[float, float]:
        """Return the smallest and the largest score that the metrics of a row allow; any score by default."""
        return -math.inf, math.inf

    def aligned(self, row: Result) -> Sequence[Aligned]:
        """Return the pairs of numbers of a row that lie on one line for all rows of the task; none by default."""
        return ()

    def learning_curve(self, model: Any) -> dict[str, Any]:
        """Return metrics of clones of the model fitted to less data, for the families that report them."""
        return {}

    def cost(self, model: Any, training_seconds: float | None) -> Cost:
        """Return the computational cost of a model."""
        return Cost(training_seconds=training_seconds)

    def score(self, model: Any) -> float:
        """Return the score of a model, from 0 (floor) to 100 (ceiling); `evaluate` also gives its interval."""
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
        """Score a model on the test data.

        Parameters
        ----------
        model : object
            What the family takes (see its class), fitted unless the family fits it itself.
        info : ModelInfo, optional
            Name and description of the model for the record; derived from the model by default.
        budgets : bool
            Also refit clones of the model at every training budget, for the families that report it.
        training_seconds : float, optional
            CPU time of the training, for the record.
        progress : bool, optional
            Show progress; by default when standard error is a terminal.
        n_jobs : int, optional
            Processes, for families that fit many models, as in joblib: None is 1 unless a ``joblib.parallel_config``
            says otherwise, -1 all processors.
        checkpoint : Path, optional
            Folder from which such an evaluation resumes after an interruption.

        Raises
        ------
        ModelError
            As `assess`.
        """
        info = describe(model) if info is None else info
        run = self.as_run(model)
        parts = self.assess(run, Work((info.seeds or [0])[0], progress, n_jobs, checkpoint))
        if remark := self.remark(run, parts):
            warnings.warn(remark, ModelWarning, stacklevel=2)
        if budgets:
            parts.metrics.update(self.learning_curve(model))
        spent = [each for each in (training_seconds, parts.training_seconds) if each is not None]  # before, and now
        return self.result(info, parts, self.cost(run, sum(spent) if spent else None))

    @property
    def references(self) -> Mapping[str, Reference]:
        """Reference models by name: floor, ceiling and the literature's method, scored when results are needed."""
        return MappingProxyType({})

    @property
    def word(self) -> int:
        """The 32-bit seed word of the regime (or track) in the evaluation."""
        return seed_word(self.regime_id)

    @property
    def blocks(self) -> int | None:
        """The number of blocks that the bootstrap of the score resamples; None where so many need no correction."""
        return None

    def weights(self, n_blocks: int, purpose: str) -> NDArray[np.float64]:
        """Return how often each bootstrap replicate draws each block (replicate, block), alike for all models."""
        return _weights(n_blocks, (self.word, self.version, seed_word(f"bootstrap {purpose}")))

    def result(self, info: ModelInfo, parts: Parts, cost: Cost | None = None) -> Result:
        """Return the record of an evaluation."""
        seeds = [SeedScore(seed=info.seeds[0], value=parts.score)] if len(info.seeds) == 1 else []
        score = Score.of(
            parts.score, parts.replicates, level=LEVEL, method=parts.method, seeds=seeds, blocks=self.blocks
        )
        return Result(
            task=self.id,
            task_version=self.version,
            data_digests=self.data_digests,
            scorer_version=SCORER_VERSION,
            split=self.source.label,
            model=info,
            score=score,
            metrics=parts.metrics,
            series={name: np.asarray(values).tolist() for name, values in parts.series.items()},
            failures=parts.failures,
            cost=Cost() if cost is None else cost,
            environment=Environment.current(),
            predictions_digest=parts.digest,
        )

    @property
    def form(self) -> str:
        """Description of the files that fit the task: tasks of one family with equal forms accept the same files."""
        return self.regime_id

    @property
    def expected_predictions(self) -> Expected:
        """The arrays that a file of predictions must hold, for the families that score predictions."""
        raise L96BenchError(f"{self.id} runs its models and cannot score predictions; try an .onnx")

    def read_model(self, content: Content) -> Any:
        """Return the model in a file, ready for `evaluate`; raise `SubmissionError` if the task cannot score it."""
        raise L96BenchError(f"{self.id} has no files of models; expected {self.family} to say how one is loaded")

    def check_content(self, content: Content) -> None:
        """Raise `SubmissionError` unless the task can score the file; needs no data sets."""
        self.read_model(content)

    def evaluate_content(self, content: Content, info: ModelInfo) -> Result:
        """Score the model in a file."""
        return self.evaluate(self.read_model(content), info, progress=False)

    def check_trial(self, model: Any, result: Result) -> None:
        """Raise `SubmissionError` if a result on the miniature shows that a model (or `Content`) is unusable."""
        return

    def export(self, model: Any) -> Content:
        """Return a trained model as content of a file with the same score; `ModelError` if no file can hold it."""
        raise L96BenchError(f"{self.id} has no files of models; expected {self.family} to say how one is made")

    @classmethod
    def example(cls) -> Example:
        """Return a small, complete submission that works as it is."""
        raise L96BenchError(f"{cls.family} has no example of a submission")

    def make_env(self, num_envs: int | None = None, **options: Any) -> gymnasium.Env | gymnasium.vector.VectorEnv:
        """Return the task as a Gymnasium environment, or as a batched vector environment if `num_envs` is given.

        Parameters
        ----------
        num_envs : int, optional
            Rows of a vector environment.
        **options
            Further arguments of the environment; see the family's class in `l96bench.envs`. `L96BenchError` if the
            family has no environment, or an option cannot be used.
        """
        import gymnasium

        if self.env_id is None:
            raise L96BenchError(f"{self.family} has no environment; try that of subgrid-forcing")
        options = {self.env_option: self.regime_id, **options}
        if num_envs is None:
            return gymnasium.make(self.env_id, **options)
        return gymnasium.make_vec(self.env_id, num_envs=num_envs, **options)

    # A task pickles as its parameters, without data or results, and brings a regime that only this process knows.

    def __getstate__(self) -> dict[str, Any]:
        regime = other_regimes().get(self.regime_id)
        return {each.name: getattr(self, each.name) for each in fields(self)} | ({"_regime": regime} if regime else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        regime = state.pop("_regime", None)
        if regime is not None:
            register_regime(regime)
        self.__dict__.update(state)


@functools.lru_cache(maxsize=32)
def _weights(n_blocks: int, seed: tuple[int, ...]) -> NDArray[np.float64]:
    weights = resampling_weights(bootstrap_indices(n_blocks, N_REPLICATES, seed), n_blocks)
    weights.flags.writeable = False
    return weights
