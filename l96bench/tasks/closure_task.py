"""Base class of the families that score closures: training samples of X and U, and files of closures."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.data.splits import CASES, DATA_VERSION, Cases, get_split, split_regime
from l96bench.display import brief
from l96bench.dynamics.closures import as_closure
from l96bench.dynamics.polynomial import Polynomial, fitted_coefficients
from l96bench.dynamics.predictions import predict
from l96bench.dynamics.steps import SteppedClosure
from l96bench.equations.closure import EquationClosure
from l96bench.errors import L96BenchError, SubmissionError, user_error
from l96bench.graphs.models import as_submitted, exported
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.graphs.onnx_step import OnnxStep, read_closure
from l96bench.graphs.step_checks import check_step
from l96bench.graphs.step_map import rewritten
from l96bench.regimes import Regime, get_regime
from l96bench.results.record import Cost, ModelInfo, Result
from l96bench.tasks.artifacts import EQUATIONS, ONNX, Content, Example
from l96bench.tasks.base import Task
from l96bench.tasks.cost import measure_cost
from l96bench.tasks.parts import COMMAND, Parts
from l96bench.tasks.sources import MINIATURE

if TYPE_CHECKING:
    import xarray

__all__ = ["LITERATURE", "ClosureTask", "Samples"]

LITERATURE = ModelInfo(
    name="fitted quartic (reference)",
    kind="reference",
    inputs="X_k",
    parameters=5,
    trained_on="train, 2000 MTU",
    command=COMMAND,
    source="Wilks 2005, doi:10.1256/qj.04.03 (form), fitted to the exact coupling",
)
_EXAMPLE_REGIME, _EXAMPLE_MTU = "wilks-f20", 40
"""Training data of an example."""
FileClosure = OnnxClosure | SteppedClosure | EquationClosure
"""A closure in a file."""
_SIGN_ROWS = 500
"""Training states at which the sign of U is compared."""
_passed: set[tuple[Any, ...]] = set()
"""Digests of the files that have passed their check, and of the states that they were checked on."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The X and U of one split, memory-mapped and read-only.

    Parameters
    ----------
    X, U : (time, K) array for one trajectory, (trajectory, time, K) for several
        Resolved state and the tendency that the fast variables add to it.
    interval : float
        MTU between samples.

    Examples
    --------
    >>> import l96bench
    >>> train = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature().train
    >>> train.X.shape, train.U.shape, train.interval
    ((1200, 8), (1200, 8), 0.05)
    """

    X: NDArray[np.float64]
    U: NDArray[np.float64]
    interval: float

    __repr__ = brief

    @property
    def time(self) -> NDArray[np.float64]:
        """Time of each sample since the trajectory's first, in MTU, (time,)."""
        return np.asarray(self.interval * np.arange(self.X.shape[-2]), dtype=np.float64)

    def prefix(self, duration: float) -> Samples:
        """Return the first `duration` MTU of every trajectory, as a smaller training set."""
        n = round(duration / self.interval)
        if not 1 <= n <= self.X.shape[-2]:
            longest = self.X.shape[-2] * self.interval
            raise L96BenchError(f"expected a budget between {self.interval} and {longest:g} MTU, got {duration}")
        return Samples(self.X[..., :n, :], self.U[..., :n, :], self.interval)


@dataclass(frozen=True)
class ClosureTask(Task):
    """Base class of tasks for closures, fitted to pairs of X and U; `cases` are the forecasts' initial conditions.

    Parameters
    ----------
    regime_id : str
        The regime whose data are used.
    version : int
        Raised by every change that moves a score.
    source : Source, optional
        Where the data come from; the registered data sets by default.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> isinstance(task, l96bench.ClosureTask), task.train.U.shape
    (True, (1200, 8))
    """

    training_set: ClassVar[str] = "train, 2000 MTU"
    heeds: ClassVar[tuple[str, ...]] = ("step",)
    cases: ClassVar[Cases] = CASES

    @property
    def regime(self) -> Regime:
        """The system that the task is about."""
        return self.source.regime(self.regime_id)

    @property
    def has_shift(self) -> bool:
        """Whether there are test data of a warmer climate (forcing F + 4): for two-scale regimes."""
        return self.source.has_shift and self.regime.scales == 2

    @property
    def available_splits(self) -> tuple[str, ...]:
        """All splits, without those of the warmer climate where there is none."""
        return tuple(name for name in self.splits if self.has_shift or "shift" not in name)

    def make(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        """Simulate a split of the regime; all families of closures share it."""
        return self.source.simulated(self.regime, split, self.cases, progress)

    def key(self, split: str) -> str:
        """Return ``regime/split``."""
        return f"{self.regime_id}/{split}"

    def recipe(self, split: str) -> str:
        """Return the regime's parameters and the size of the split."""
        return repr((DATA_VERSION, self.regime, get_split(self.regime, split)))

    @cached_property
    def train(self) -> Samples:
        """Training split: one trajectory of 2,000 MTU, every 0.05 MTU."""
        return self.samples("train")

    @cached_property
    def train_fine(self) -> Samples:
        """The training trajectory every 0.01 MTU, for models that are trained through rollouts."""
        return self.samples("train-fine")

    @cached_property
    def valid(self) -> Samples:
        """Validation split: one trajectory of 200 MTU."""
        return self.samples("valid")

    @cached_property
    def test(self) -> Samples:
        """Test split: 10 trajectories of 200 MTU, each from its own seed."""
        return self.samples("test")

    @cached_property
    def shift(self) -> Samples:
        """Test split in a warmer climate (forcing F + 4), for two-scale regimes only."""
        return self.samples("shift")

    def samples(self, name: str) -> Samples:
        """Return a split as samples of X and U."""
        split = get_split(self.regime_id, name)
        arrays = self.arrays(name)
        X, U = (arrays[key][0] if split.n_trajectories == 1 else arrays[key] for key in ("X", "U"))
        return Samples(X, U, split.interval)

    def to_xarray(self) -> xarray.DataTree:
        """Return all splits as an xarray tree, one dataset per split, with units and the regime's parameters."""
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

    @property
    def word(self) -> int:
        """The 32-bit word that stands for the regime in the seeds of the evaluation."""
        return self.regime.word

    def fit(self, model: Any, budget: float | None = None) -> float:
        """Fit a model in place to the training split, or its first `budget` MTU, and return the CPU seconds.

        A model without ``fit`` is left as it is. Raises `ModelError` if the model's own code raises.
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

    def as_run(self, model: Any) -> Any:
        """Return the model as its exported file would run: the ONNX graph, where that rounds differently."""
        return as_submitted(model, self.regime.K)

    def cost(self, model: Any, training_seconds: float | None) -> Cost:
        """Return the cost of training and of calling the closure."""
        return (
            Cost(training_seconds=training_seconds)
            if model is None
            else measure_cost(self.regime, model, training_seconds)
        )

    def evaluate_literature(self) -> Result:
        """Score the literature's closure: a quartic fitted to the training split."""
        from l96bench.estimators.regressors import PolynomialRegressor

        model = PolynomialRegressor(degree=4)
        return self.evaluate(model, LITERATURE, training_seconds=self.fit(model))

    @property
    def form(self) -> str:
        """The number of points, which a file's closure must fit."""
        return str(self.regime.K)

    def read_model(self, content: Content) -> Any:
        """Return the closure (or model of increments) in a file, as it is described to be run."""
        return self.in_role(self.read_closure(content), content)

    def in_role(self, closure: FileClosure, content: Content) -> Any:
        """Return a file's closure as it is described to be run: by default as it is."""
        return closure

    def read_closure(self, content: Content) -> FileClosure:
        """Return the closure (or model of increments) in a file, whatever is said about it."""
        said = content.described.step
        if said is not None and content.kind != ONNX:
            raise SubmissionError(f"{content.name}: step: expected an ONNX file, whose inputs it names")
        match content.kind:
            case "onnx":
                K = self.regime.K
                data = content.value if said is None else rewritten(content.value, said, K, content.name)
                return read_closure(data, K, content.name)
            case "equations" if isinstance(content.value, dict):
                expected = f"{self.id} expects one list of equations, U[k] = .., got a mapping"
                raise SubmissionError(f"{content.name}: {expected}")
            case "equations":
                return EquationClosure(content.value, self.regime.K)
        raise SubmissionError(
            f"{content.name}: {self.id} runs its models and cannot score {content.kind}; try an .onnx"
        )

    def check_content(self, content: Content) -> None:
        """Raise unless the file's closure gives finite U for normal random states, each computed on its own."""
        states = np.random.default_rng(0).normal(2.5, 3.5, (64, self.regime.K))
        check_closure(self.read_closure(content), states, content)

    def evaluate_content(self, content: Content, info: ModelInfo) -> Result:
        """Score the closure in a file, after checking it along the training trajectory."""
        closure = self.checked_closure(content)
        info = info.model_copy(update={"parameters": closure.n_parameters})
        return self.evaluate(self.in_role(closure, content), info, progress=False)

    def checked_closure(self, content: Content) -> FileClosure:
        """Return the closure in a file, whatever is said about it, after checking it along the training trajectory."""
        closure, rows = self.read_closure(content), np.array(self.train.X)
        check_closure(closure, rows[:: max(1, len(rows) // 64)][:64], content, rows)
        return closure

    def check_trial(self, model: Any, result: Result) -> None:
        """Raise `SubmissionError` if the negative of a closure is far closer to the true U than the closure."""
        if fault := self._sign_fault(self.read_model(model) if isinstance(model, Content) else model):
            raise SubmissionError(fault)

    def remark(self, model: Any, parts: Parts) -> str:
        """Return that the sign is wrong, if the negative of a model is far closer to the true U."""
        return self._sign_fault(model)

    def _sign_fault(self, model: Any) -> str:
        X, U = self.train.X[:_SIGN_ROWS], self.train.U[:_SIGN_ROWS]
        try:
            return sign_fault(predict(model, np.array(X), np.random.default_rng(0))[0], U)
        except L96BenchError:  # a model that does not answer such rows has another form
            return ""

    def export(self, model: Any) -> Content:
        """Return a closure of equations as equations, any other closure as an ONNX graph."""
        closure = as_closure(model)
        if isinstance(closure, EquationClosure):
            return Content("equations", EQUATIONS, closure.equations.texts("U"))
        return Content("closure", ONNX, exported(model, self.regime.K).data)

    @classmethod
    def example(cls) -> Example:
        """Return a quartic closure fitted to 40 MTU of training data."""
        task = cls(cls.default_regimes[0])
        return quartic_example(task, task.export(example_quartic()))


def sign_fault(U: NDArray[np.float64], truth: NDArray[np.float64]) -> str:
    """Return what is wrong with predictions U if their negative is far closer to the truth; else an empty text.

    The negative must have at most half of the mean square error.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        own, other = (float(np.mean(np.square(each - truth))) for each in (U, -U))
    if not other < 0.5 * own:
        return ""
    return (
        f"U is of opposite sign: its mean square error is {own:.3g}, and that of its negative {other:.3g}. U is added "
        "to dX/dt here, while the literature often prints what is subtracted; try the negative"
    )


def example_quartic() -> Polynomial:
    """Return a quartic closure fitted to the first 40 MTU of the training data of `wilks-f20`."""
    arrays = MINIATURE.simulated(get_regime(_EXAMPLE_REGIME), "train", CASES, False)
    train = Samples(arrays["X"][0], arrays["U"][0], 0.05).prefix(_EXAMPLE_MTU)
    return Polynomial(fitted_coefficients(train.X, train.U, 4))


def quartic_example(task: Task, content: Content, more: str = "") -> Example:
    """Return the closure of `example_quartic` as a submission to a task."""
    description = (
        f"A quartic {'closure' if more else 'in X'}, fitted to {_EXAMPLE_MTU} MTU of the exact coupling{more}."
    )
    training = ({"regime": _EXAMPLE_REGIME, "split": "train", "mtu": _EXAMPLE_MTU},)
    return Example("example quartic", "polynomial", "X_k", description, task.id, content, training)


def check_closure(
    model: FileClosure, X: NDArray[np.float64], content: Content, path: NDArray[np.float64] | None = None
) -> None:
    """Raise `SubmissionError` unless a closure gives finite U for states X (n, K), each computed independently.

    A trajectory (time, K), if given, drives the long run of a closure with memory. An ONNX file that has passed is not
    checked again on the same states: the tasks of a regime, and their fresh draws, share them.
    """
    if isinstance(model, EquationClosure):
        if not np.isfinite(model.predict(X)).all():
            raise SubmissionError(f"{content.name}: expected finite U for states of the attractor, got NaN or infinity")
        return
    file = model.step_function if isinstance(model, SteppedClosure) else model
    assert isinstance(file, OnnxClosure | OnnxStep)
    given = (file.data, X.tobytes(), b"" if path is None else path.tobytes())
    key = X.shape, *(hashlib.sha256(each).digest() for each in given)
    if key in _passed:
        return
    if isinstance(file, OnnxClosure):
        file.check_rows(X)
    else:
        check_step(file, X, path)
    _passed.add(key)
