"""What the tutorials share: forecasts from many initial states, intervals over trajectories, claims and pictures."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from numpy.typing import NDArray

import l96bench
from l96bench.diagnostics import figure, png, style
from l96bench.metrics import bootstrap_indices, compare_paired, interval, resampling_weights

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "leaderboard" / "results"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, from a bootstrap over test trajectories."""

    value: float
    replicates: Array

    @property
    def low(self) -> float:
        """The lower end."""
        return min(self.value, interval(self.replicates)[0])

    @property
    def high(self) -> float:
        """The upper end."""
        return max(self.value, interval(self.replicates)[1])

    def text(self, spec: str = ".2f") -> l96bench.Markdown:
        """Such as ``0.41 [0.38, 0.44]``."""
        return l96bench.Markdown(f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]")

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The paired difference: both are resampled with the same trajectories."""
        versus = compare_paired(self.replicates, self.value, other.replicates, other.value)
        return Estimate(versus.difference, self.replicates - other.replicates)

    def __rmul__(self, factor: float) -> "Estimate":
        """A multiple."""
        return Estimate(factor * self.value, factor * self.replicates)

    def over(self, other: "Estimate") -> "Estimate":
        """The paired ratio."""
        return Estimate(self.value / other.value, self.replicates / other.replicates)


def blocked(values: Array, change: Callable[[Array], Array] = lambda mean: mean) -> Estimate:
    """A function of the mean of values (block, ...), with its interval from resampled blocks."""
    blocks = values.reshape(len(values), -1).mean(axis=1)
    weights = resampling_weights(bootstrap_indices(len(blocks)), len(blocks))
    replicates = change(weights @ blocks / len(blocks))
    return Estimate(float(change(np.asarray(blocks.mean()))), np.asarray(replicates, dtype=np.float64))


def r2(truth: Array, predicted: Array, reference_mean: float) -> Estimate:
    """R² of U (trajectory, time, K) about the training mean: pooled, with its interval over trajectories."""
    errors, spread = ((values**2).mean(axis=(1, 2)) for values in (truth - predicted, truth - reference_mean))
    weights = resampling_weights(bootstrap_indices(len(errors)), len(errors))
    return Estimate(float(1 - errors.mean() / spread.mean()), 1 - (weights @ errors) / (weights @ spread))


@dataclass(frozen=True)
class World:
    """One training trajectory, and test trajectories from seeds of their own; sampled every 0.05 MTU.

    ``starts`` are the rows of every test trajectory at which forecasts begin.
    """

    train: l96bench.Trajectory
    test: l96bench.Trajectory
    starts: NDArray[np.int64]
    lead: float

    @property
    def regime(self) -> l96bench.Regime:
        """The system."""
        return self.train.regime

    @property
    def initial(self) -> Array:
        """States that forecasts start from, (case, K), trajectory by trajectory."""
        return self.test.X[:, self.starts].reshape(-1, self.regime.K)

    @property
    def leads(self) -> Array:
        """MTU ahead, (lead,); the first is 0.05."""
        return np.asarray(0.05 * np.arange(1, round(self.lead / 0.05) + 1), dtype=np.float64)

    @property
    def std(self) -> float:
        """Climatological standard deviation of X."""
        return float(self.train.X.std())

    def forecast(self, model: Any, **options: Any) -> Array:
        """The resolved model under a closure, from every initial state: (trajectory, case, lead, K)."""
        past = np.stack([self.test.X[:, self.starts - 20 + i].reshape(-1, self.regime.K) for i in range(20)])
        run = l96bench.rollout(
            model, self.initial, self.lead + 0.05, regime=self.regime, history=past, progress=False, **options
        )
        return self.by_trajectory(run.X[1:])

    def by_trajectory(self, X: Array) -> Array:
        """Forecasts (lead, case, K) as (trajectory, case, lead, K)."""
        return X.reshape(len(X), len(self.test.X), len(self.starts), -1).transpose(1, 2, 0, 3)

    def truth(self) -> Array:
        """What happened, in the shape of `forecast`."""
        rows = self.starts[:, None] + np.arange(1, len(self.leads) + 1)
        return self.test.X[:, rows]

    def rmse(self, model: Any, lead: float, **options: Any) -> Estimate:
        """RMSE over the climatological standard deviation at one lead, with its interval over trajectories."""
        return self.rmse_of(self.forecast(model, **options), lead)

    def rmse_of(self, forecast: Array, lead: float) -> Estimate:
        """As `rmse`, of a forecast that was made already."""
        error = (forecast - self.truth())[:, :, round(lead / 0.05) - 1]
        return blocked(error**2, lambda mean: np.sqrt(mean) / self.std)

    def rmse_curve(self, forecast: Array) -> Array:
        """RMSE over the climatological standard deviation at every lead."""
        return np.sqrt(((forecast - self.truth()) ** 2).mean(axis=(0, 1, 3))) / self.std

    def r2(self, model: Any) -> Estimate:
        """Offline skill of an estimator on the test trajectories, one after the other."""
        predicted = np.stack([model.predict(states) for states in self.test.X])
        return r2(self.test.U, predicted, float(self.train.U.mean()))


def world(
    regime: str, training: float, n_test: int, n_starts: int, lead: float = 2.0, apart: float = 2.5, seed: int = 1
) -> World:
    """Truth to learn from (`training` MTU) and to test on: `n_test` trajectories with `n_starts` forecasts each."""
    train = l96bench.simulate(regime, training, seed=[seed, 0], store_fast=False, progress=False)
    duration = 1.0 + n_starts * apart + lead
    test = l96bench.simulate(regime, duration, seed=[seed, 1], n_trajectories=n_test, store_fast=False, progress=False)
    return World(train, test, 20 + round(apart / 0.05) * np.arange(n_starts), lead)


@dataclass(frozen=True)
class Claim:
    """Something that the book concludes, what the fair test finds, and whether it survives."""

    notebook: str
    book: str
    test: str
    survives: bool

    def row(self) -> tuple[str, str, str, str]:
        """A line of the page's table."""
        return (f"`{self.notebook}`", self.book, self.test, "yes" if self.survives else "**no**")


@dataclass
class Chapter:
    """What a tutorial finds: its claims, and the numbers that tests look at."""

    claims: list[Claim] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def add(self, *sections: str) -> None:
        """Show Markdown in the tutorial."""
        display(Markdown("\n\n".join(textwrap.dedent(section).strip() for section in sections)))

    def picture(self, name: str, alt: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
        """Draw a picture on a figure of that size in inches, and show it with a line about it."""
        with style():
            made = figure(*size)
            draw(made)
            self.numbers[f"picture of {name}"] = png(made)
        display(Image(self.numbers[f"picture of {name}"]), Markdown(f"*{alt}.*"))

    def show_claims(self) -> None:
        """Show what the book concludes, what is found here, and whether it survives."""
        self.add(claims_table(self.claims))


def claims_table(claims: Sequence[Claim]) -> str:
    """The claims, and whether they survive."""
    header = ("notebook", "the book's conclusion", "the fair test", "survives")
    return l96bench.markdown_table(
        header, [[l96bench.Markdown(cell) for cell in claim.row()] for claim in claims], left=header
    )


def committed(task: str) -> dict[str, l96bench.Result]:
    """The rows of the leaderboard's table of a task by the entries' names."""
    return {each.model.name: each for each in l96bench.read_results(RESULTS) if each.task == task}


def score(result: l96bench.Result) -> l96bench.Markdown:
    """A committed score with its interval."""
    return l96bench.Markdown(f"{result.score.value:.1f} [{result.score.low:.1f}, {result.score.high:.1f}]")


def versus_of(first: l96bench.Result, second: l96bench.Result) -> Estimate:
    """The paired difference of two committed scores."""
    a, b = (Estimate(each.score.value, np.array(each.score.replicates)) for each in (first, second))
    return a - b
