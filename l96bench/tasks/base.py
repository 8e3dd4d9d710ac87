"""What every task has: an id, data, a score with its interval, and references scored by the same program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from l96bench.data.splits import data_regimes
from l96bench.errors import L96BenchError
from l96bench.metrics.uncertainty import bootstrap_indices, interval, resampling_weights
from l96bench.regimes import other_regimes, register_regime, seed_word
from l96bench.results.record import Cost, Environment, ModelInfo, Result, Score, SeedScore
from l96bench.tasks.artifacts import EQUATIONS, ONNX, Content, Example, Expected
from l96bench.tasks.parts import LEVEL, N_REPLICATES, SCORER_VERSION, Column, Parts, Reference, Work, describe
from l96bench.tasks.sources import MINIATURE, REGISTERED, Source

if TYPE_CHECKING:
    import gymnasium
    import xarray

__all__ = ["KINDS", "Task", "shared"]

T = TypeVar("T", bound="Task")
KINDS = ("closure", "increment", "equations")
"""What a model of a task may be; see `Task.kind`."""


@dataclass(frozen=True)
class Task(ABC):
    """One question on one regime (or track). A family of tasks is a subclass, which says everything about itself.

    Parameters
    ----------
    regime_id : str
        The regime (or track) whose data are used.
    version : int
        A change that would move a score is a new version.
    source : Source, optional
        Where the data come from; the registered data sets if not given.

    Attributes
    ----------
    family : str
        The first part of the ids of the family's tasks.
    kind : {"closure", "increment", "equations"}
        What a model of it is: a closure of the resolved model, a model of analysis increments, or a method that
        finds equations.
    title, question : str
        Heading and text of the family's tables; the text says what scores 0 and what scores 100.
    columns : tuple of Column
        The metrics in its tables.
    splits : tuple of str
        The data sets that its tasks read.
    default_regimes : tuple of str
        The regimes or tracks of a run that names none.
    training_set : str
        What models are fitted to, in words.
    artifact_kinds : tuple of {"onnx", "equations", "predictions"}
        The kinds of files that its tasks can score.
    seconds : float
        What an evaluation takes, roughly, to begin with the longest.
    env_id : str or None
        Gymnasium's id of the family's environment, where it has one.
    env_option : str
        The environment's argument that names the regime (or track).
    seasonal : bool
        Whether its test data can be those of a season.
    """

    regime_id: str
    version: int = 1
    source: Source = field(default=REGISTERED, kw_only=True)

    family: ClassVar[str]
    kind: ClassVar[str] = "closure"
    title: ClassVar[str]
    question: ClassVar[str] = ""
    columns: ClassVar[tuple[Column, ...]] = ()
    splits: ClassVar[tuple[str, ...]] = ()
    default_regimes: ClassVar[tuple[str, ...]] = ("wilks-f20", "arnold-c4")
    training_set: ClassVar[str] = "train"
    artifact_kinds: ClassVar[tuple[str, ...]] = (ONNX, EQUATIONS)
    seconds: ClassVar[float] = 5.0
    env_id: ClassVar[str | None] = None
    env_option: ClassVar[str] = "regime"
    seasonal: ClassVar[bool] = False

    @classmethod
    def regime_ids(cls) -> tuple[str, ...]:
        """Return the regimes (or tracks) that the family has tasks for: all with data sets."""
        return data_regimes()

    @property
    def id(self) -> str:
        """The task's name, ``family/regime-vN``."""
        return f"{self.family}/{self.regime_id}-v{self.version}"

    # Data.

    def make(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        """Make the arrays of one of the family's own splits, from recorded seeds; `arrays` keeps them.

        Parameters
        ----------
        split : str
            One of `splits`.
        progress : bool, optional
            Show progress; by default when standard error is a terminal.
        """
        raise L96BenchError(f"{type(self).__name__}.make: expected it to make the split {split!r}; {self.id} reads it")

    def key(self, split: str) -> str:
        """Return the name under which the digests of a split are recorded."""
        return f"{self.family}/{self.regime_id}/{split}"

    def recipe(self, split: str) -> str:
        """Return all that a split depends on beside the code: data of another recipe lie in another place."""
        return repr((type(self).__name__, self.regime_id, self.version, split))

    def arrays(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        """Return the arrays of a split by name, read-only; they are made when the cache does not hold them."""
        return self.source.arrays(self, split, progress)

    @property
    def available_splits(self) -> tuple[str, ...]:
        """Those of the family's splits that the regime has."""
        return self.splits

    def prepare(self, progress: bool | None = None) -> None:
        """Make the data that the task reads, where the cache does not hold them."""
        for split in self.available_splits:
            self.arrays(split, progress)

    @property
    def data_digests(self) -> dict[str, str]:
        """SHA-256 of the arrays behind the task, by ``regime/split/array``."""
        return self.source.digests(self)

    def to_xarray(self) -> xarray.DataTree:
        """All splits as an xarray tree, one dataset a split."""
        import xarray

        trees = {
            split: xarray.Dataset(
                {
                    name: ([f"{name}_{axis}" for axis in range(array.ndim)], array)
                    for name, array in self.arrays(split).items()
                },
                attrs={"task": self.id, "split": split},
            )
            for split in self.available_splits
        }
        return xarray.DataTree.from_dict(trees)

    def miniature(self) -> Self:
        """Return the task in miniature: the same code on minutes of data, made in a second, to try a model on."""
        return shared(self.in_miniature())

    def in_miniature(self) -> Self:
        """Return a copy whose sizes are those of the miniature; a family with sizes of its own extends it."""
        return replace(self, source=MINIATURE)

    @property
    def training_task(self) -> Task:
        """The task that models are made for and trained on: this one, but for the tasks of a season."""
        return shared(self.source.training(self))

    # Models.

    def fit(self, model: Any, budget: float | None = None) -> float:
        """Fit a model in place to the training data; return the processor seconds that it took.

        A family whose models are fitted before they are scored extends it; in others nothing happens.
        """
        return 0.0

    def as_run(self, model: Any) -> Any:
        """Return the model as it is run, once for all parts of an evaluation."""
        return model

    @abstractmethod
    def assess(self, model: Any, work: Work) -> Parts:
        """Measure what the family is about: the score of a model, its replicates, and its metrics.

        Raises
        ------
        ModelError
            If the model cannot be used: not fitted, wrong shape or dtype, or its own code raises. Predictions that are
            not finite and runs that blow up are no errors: they are counted, and score as the definition says.
        """

    def learning_curve(self, model: Any) -> dict[str, Any]:
        """Return metrics of clones of the model that are fitted to less data, where the family reports them."""
        return {}

    def cost(self, model: Any, training_seconds: float | None) -> Cost:
        """Return what the model costs."""
        return Cost(training_seconds=training_seconds)

    def score(self, model: Any) -> float:
        """Return the model's score: 100 is the ceiling of the family, 0 its floor. `evaluate` gives the interval."""
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
            What the family takes (see the family's class), fitted where the family does not fit it itself.
        info : ModelInfo, optional
            How the row is called; made from the model when not given.
        budgets : bool
            Also refit clones of the model at every training budget, for the families that report it.
        training_seconds : float, optional
            What the training took of all processors together, for the record.
        progress : bool, optional
            Show progress; by default when standard error is a terminal.
        n_jobs : int, optional
            Processes, for the families whose evaluation fits many models, as in joblib: None is 1 unless a
            ``joblib.parallel_config`` says otherwise, -1 all processors.
        checkpoint : Path, optional
            A folder from which an interrupted evaluation of such a family carries on.

        Raises
        ------
        ModelError
            If the model cannot be used; see `assess`.
        """
        info = describe(model) if info is None else info
        run = self.as_run(model)
        parts = self.assess(run, Work((info.seeds or [0])[0], progress, n_jobs, checkpoint))
        if budgets:
            parts.metrics.update(self.learning_curve(model))
        seconds = training_seconds if parts.training_seconds is None else parts.training_seconds
        return self.result(info, parts, self.cost(run, seconds))

    @property
    def references(self) -> Mapping[str, Reference]:
        """Floor, ceiling and the literature's method, by name; each is scored when its result is asked for."""
        return MappingProxyType({})

    @property
    def word(self) -> int:
        """The 32-bit word that stands for the regime (or track) in the seeds of the evaluation."""
        return seed_word(self.regime_id)

    def weights(self, n_blocks: int, purpose: str) -> NDArray[np.float64]:
        """Return how often each bootstrap replicate holds each block: the same for all entries of the task."""
        seed = (self.word, self.version, seed_word(f"bootstrap {purpose}"))
        return resampling_weights(bootstrap_indices(n_blocks, N_REPLICATES, seed), n_blocks)

    def result(self, info: ModelInfo, parts: Parts, cost: Cost | None = None) -> Result:
        """Return the record of an evaluation."""
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

    # Files of models.

    @property
    def form(self) -> str:
        """What a file must fit: tasks of one family with equal forms accept the same files."""
        return self.regime_id

    @property
    def expected_predictions(self) -> Expected:
        """The arrays that a file of predictions must hold, for the families that score some."""
        raise L96BenchError(f"{self.id} runs its models and cannot score predictions; try an .onnx")

    def read_model(self, content: Content) -> Any:
        """Return the model in a file, ready for `evaluate`.

        Raises
        ------
        SubmissionError
            If the file holds none that the task can score.
        """
        raise L96BenchError(f"{self.id} has no files of models; expected {self.family} to say how one is loaded")

    def check_content(self, content: Content) -> None:
        """Raise `SubmissionError` unless the task can score the file; needs no data sets."""
        self.read_model(content)

    def evaluate_content(self, content: Content, info: ModelInfo) -> Result:
        """Score the model in a file."""
        return self.evaluate(self.read_model(content), info, progress=False)

    def check_trial(self, model: Any, result: Result) -> None:
        """Raise `SubmissionError` if a result on the miniature shows that a model (or `Content`) is unfit."""
        return

    def export(self, model: Any) -> Content:
        """Return a trained model as the content of a file that scores what the model scores.

        Raises
        ------
        ModelError
            If no file can hold the model.
        """
        raise L96BenchError(f"{self.id} has no files of models; expected {self.family} to say how one is made")

    @classmethod
    def example(cls) -> Example:
        """Return a small, honest submission that works as it is."""
        raise L96BenchError(f"{cls.family} has no example of a submission")

    # Environment.

    def make_env(self, num_envs: int | None = None, **options: Any) -> gymnasium.Env | gymnasium.vector.VectorEnv:
        """Return the task as a Gymnasium environment, of one row or, given `num_envs`, natively batched.

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

    # A task pickles as its parameters, without data or results, and brings a regime that only this process knows.

    def __getstate__(self) -> dict[str, Any]:
        state = {each.name: getattr(self, each.name) for each in fields(self)}
        regime = other_regimes().get(self.regime_id)
        return state if regime is None else {**state, "_regime": regime}

    def __setstate__(self, state: dict[str, Any]) -> None:
        regime = state.pop("_regime", None)
        if regime is not None:
            register_regime(regime)
        self.__dict__.update(state)


_shared: dict[Task, Task] = {}


def shared(task: T) -> T:
    """Return the same object for equal tasks, so that what one has read and computed serves all that ask."""
    return cast("T", _shared.setdefault(task, task))
