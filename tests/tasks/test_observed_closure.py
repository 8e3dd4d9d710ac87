"""`observed-closure`: the observations, what is out of reach of a fit, the score, and ways to win without learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import l96bench
from l96bench.assimilation.observations import Network
from l96bench.assimilation.observed import OBSERVED_TRACKS, ObservedSeries, observe, series_of
from l96bench.data.splits import DATA_VERSION
from l96bench.dynamics.polynomial import Polynomial, fitted_coefficients
from l96bench.errors import L96BenchError, ModelError
from l96bench.regimes import seed_word
from l96bench.tasks.artifacts import Content
from l96bench.tasks.checks import check_task
from l96bench.tasks.observed_closure import ObservedClosure
from l96bench.tasks.registry import make_task

Array = NDArray[np.float64]
DENSE = "observed-closure/wilks-f20-dense-v1"
each_track = pytest.mark.parametrize("track", OBSERVED_TRACKS)


class Learns:
    """A polynomial closure whose coefficients a function finds in the observations."""

    deterministic = True

    def __init__(self, learn: Callable[[ObservedSeries], Array]) -> None:
        self.learn = learn
        self.coefficients = np.zeros(1)

    def fit(self, observations: ObservedSeries) -> Learns:
        self.coefficients = np.asarray(self.learn(observations))
        return self

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Do nothing."""

    def step(self, X: Array) -> Array:
        return np.asarray(np.polynomial.polynomial.polyval(X, self.coefficients))


class LearnsWithU(Learns):
    def given_U(self, X: Array, U: Array) -> Polynomial:
        return Polynomial(fitted_coefficients(X, U, len(self.coefficients) - 1))


def raw_tendencies(observations: ObservedSeries) -> Array:
    """A quartic fitted to the noise: differences of the raw observations less the resolved tendency."""
    values = observations.values
    X = values[:-1]
    resolved = np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + observations.F
    return fitted_coefficients(X, np.diff(values, axis=0) / observations.window - resolved, 4)


@pytest.mark.slow
@each_track
def test_the_contract_of_every_family(track: str) -> None:
    check_task(make_task(f"observed-closure/{track}-v1"))


@pytest.mark.slow
@each_track
def test_observations_are_the_truth_and_independent_errors(track: str) -> None:
    """The truth is simulated again here, from the seed words that the documentation tells."""
    own = OBSERVED_TRACKS[track]
    series = make_task(f"observed-closure/{track}-v1").miniature().train
    window = own.network.window
    words = [own.regime.word, DATA_VERSION, seed_word(f"{track} observations")]
    truth = l96bench.simulate(own.regime_id, 60.0 + window, interval=window, seed=words).X[1:]
    errors = series.values - truth
    seen = errors[series.observed]
    n = len(seen)
    assert abs(seen.mean()) < 4 / np.sqrt(n)
    assert abs(seen.std() - 1.0) < 4 / np.sqrt(2 * n)
    assert abs(np.corrcoef(seen, truth[series.observed])[0, 1]) < 4 / np.sqrt(n)
    assert abs(np.corrcoef(seen[1:], seen[:-1])[0, 1]) < 4 / np.sqrt(n)
    np.testing.assert_allclose(series.time, window * np.arange(1, len(truth) + 1))
    assert (series.F, series.K, series.std) == (own.regime.F, 8, 1.0)


def test_the_points_of_every_track() -> None:
    shares: dict[str, Any] = {}
    for track in ("dense", "sparse", "fixed"):
        seen = make_task(f"observed-closure/arnold-c4-{track}-v1").miniature().train.observed
        shares[track] = seen
    assert shares["dense"].all()
    assert (shares["sparse"].sum(axis=1) == 4).all()
    assert len(np.unique(shares["sparse"], axis=0)) > 40  # of 70
    assert np.array_equal(shares["fixed"].any(axis=0), np.isin(np.arange(8), [0, 4]))
    assert shares["fixed"][:, [0, 4]].all()


@each_track
def test_training_validation_and_other_draws_differ(track: str) -> None:
    own = OBSERVED_TRACKS[track]
    parts = [("observations", None), ("observations-valid", None), ("observations", 0), ("observations", 1)]
    drawn = [observe(own, part, 2.0, draw, False)["values"] for part, draw in parts]
    for i, one in enumerate(drawn):
        assert not any(np.isin(one, other).any() for other in drawn[i + 1 :])
    assert np.array_equal(observe(own, "observations", 2.0, 1, False)["values"], drawn[3])


def test_nobody_has_observed_the_truth() -> None:
    task = make_task(DENSE).miniature()
    for name in ("X", "U"):
        with pytest.raises(L96BenchError, match="not known here"):
            getattr(task.train, name)
    entrant = task.training_task
    assert np.array_equal(entrant.train.values, task.train.values)
    for split in task.available_splits[2:]:
        with pytest.raises(L96BenchError, match="the observations alone"):
            entrant.arrays(split)
    for attempt in (
        lambda: entrant.online,
        lambda: entrant.score(None),
        lambda: entrant.references["ceiling"].evaluate(),
    ):
        with pytest.raises(L96BenchError, match="the observations alone"):
            attempt()
    with pytest.raises(ValueError, match="read-only"):
        task.train.values[0] = 0.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "reach",
    [
        lambda: l96bench.simulate("wilks-f20", 1.0),
        lambda: l96bench.simulate("three-scale", 0.1),
        lambda: l96bench.make_task("online-rollout/wilks-f20-v2").train.U,
        lambda: l96bench.make_task("da-increment/dense-v1").train.U,
        lambda: l96bench.make_task(DENSE).miniature().online.train.U,
        lambda: l96bench.assimilation.TruthModel("wilks-f20").advance(np.zeros((1, 264)), 0.01),
        lambda: l96bench.make_task("equation-recovery/two-scale-v1").instances[0],
    ],
    ids=["simulate", "three scales", "training data", "archive", "miniature", "truth model", "instances"],
)
def test_a_fit_reaches_neither_truth_nor_simulator(reach: Callable[[], Any]) -> None:
    def learn(observations: ObservedSeries) -> Array:
        reach()
        return np.zeros(1)

    with pytest.raises(ModelError, match="can neither be simulated nor read here"):
        make_task(DENSE).miniature().fit(Learns(learn))
    assert l96bench.simulate("wilks-f20", 0.1, spin_up=0.0).X.shape == (2, 8)  # here it can


@pytest.mark.slow
def test_a_fit_that_fails_or_ends_its_process_says_so() -> None:
    task = make_task(DENSE).miniature()

    def ends(observations: ObservedSeries) -> Array:
        import os

        os._exit(3)

    with pytest.raises(L96BenchError, match=r"Learns\.fit: it ended its process \(exit code 3\)"):
        task.fit(Learns(ends))
    with pytest.raises(ModelError, match=r"Learns\.fit.*division by zero"):
        task.fit(Learns(lambda observations: np.array([1 / 0])))
    assert task.fit(Polynomial([0.0])) == 0.0


@pytest.mark.slow
def test_the_score_is_that_of_the_test_and_both_draws_are_shown() -> None:
    task = make_task(DENSE).miniature()
    model = LearnsWithU(lambda observations: np.array([0.0, -0.9 - 1e-4 * observations.values[0, 0]]))
    assert task.fit(model) >= 0.0
    found = task.evaluate(model)
    online = task.online.evaluate(Polynomial(model.coefficients))
    assert found.score.value == online.score.value
    assert {**found.metrics}.items() >= {key: online.metrics[key] for key in ("forecast_part", "climate_part")}.items()
    again = Learns(model.learn).fit(replace(task, draw=int(found.predictions_digest[:12], 16)).train)
    other = task.online.evaluate(Polynomial(again.coefficients))
    assert found.metrics["fresh_score"].value == pytest.approx(other.score.value, abs=1e-9)
    assert found.metrics["fresh_score"].value != found.score.value
    given = task.online.evaluate(Polynomial(fitted_coefficients(task.online.train.X, task.online.train.U, 1)))
    assert found.metrics["share"].value == pytest.approx(found.score.value / given.score.value)


@pytest.mark.slow
def test_a_closure_that_nobody_trained_here_shows_no_second_draw() -> None:
    task = make_task(DENSE).miniature()
    found = task.evaluate(Polynomial([0.0, -0.9]))
    assert not {"fresh_score", "share"} & found.metrics.keys()
    assert not task.answers_anew(type(task).example().content)
    with pytest.raises(L96BenchError, match="has no fresh draws"):
        task.fresh(1)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["observed-closure/wilks-f20-fixed-v1", "online-rollout/wilks-f20-v2"])
def test_a_file_that_tells_the_age_of_its_run_is_not_scored(family: str) -> None:
    data = (Path(__file__).parents[1] / "submissions" / "corpus" / "step" / "counts-down.onnx").read_bytes()
    info = l96bench.ModelInfo(name="clock", kind="example", inputs="X", command="none")
    with pytest.raises(ModelError, match="tells the age of a run"):
        make_task(family).miniature().evaluate_content(Content("closure.onnx", "onnx", data), info)


class FitsItsPast:
    """A closure that fits a quartic to the states that it is given, all rows together: they are of the truth.

    No path is needed: in a statistically steady state the mean of dX_k/dt given X_k is zero.
    """

    deterministic, interval = False, 0.05

    def __init__(self, F: float) -> None:
        self.F = F

    def remember(self, past: Array) -> None:
        middle, slope = past[1:-1], (past[2:] - past[:-2]) / (2 * self.interval)
        resolved = np.roll(middle, 1, -1) * (np.roll(middle, -1, -1) - np.roll(middle, 2, -1)) - middle + self.F
        self.closure = Polynomial(fitted_coefficients(middle.reshape(-1, 8), (slope - resolved).reshape(-1, 8), 4))

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.closure = Polynomial([0.0])

    def step(self, X: Array) -> Array:
        return np.asarray(self.closure.predict(np.clip(X, -12, 18)))


@pytest.mark.real_data
def test_a_closure_that_learns_from_the_rows_of_the_test_is_refused() -> None:
    """Its members depend on each other, also where it calls itself stochastic."""
    for deterministic in (True, False):
        model = FitsItsPast(20.0)
        model.deterministic = deterministic
        with pytest.raises(ModelError, match="expected U of a member to depend on that member alone"):
            make_task(DENSE).online.score(model)


@pytest.mark.real_data
def test_what_wins_without_learning() -> None:
    """Each attack is far below a quartic that is given U, the least that learning is after; its margin is printed."""
    task = make_task(DENSE)
    honest = task.online.evaluate_literature().score.value
    attacks = {
        "the mean of U, known by chance": Polynomial([float(task.online.train.U.mean())]),
        "a closure fitted to the noise": Learns(raw_tendencies).fit(task.train),
    }
    for name, model in attacks.items():
        score = task.online.score(model)
        print(f"{name}: {score:.1f}, {honest - score:.1f} below {honest:.1f}")
        assert score < honest - 40.0, name


def test_bad_observations_are_refused() -> None:
    network = Network(8, 0.05, 1.0)
    with pytest.raises(L96BenchError, match=r"expected values \(time, 8\), got \(5, 7\)"):
        ObservedSeries(np.zeros((5, 7)), network, 20.0)
    with pytest.raises(L96BenchError, match="finite values, or NaN"):
        ObservedSeries(np.full((5, 8), np.inf), network, 20.0)
    series = ObservedSeries(np.zeros((20, 8)), network, 20.0)
    assert len(series.prefix(0.5).values) == 10
    with pytest.raises(L96BenchError, match=r"expected a budget between 0\.05 and 1 MTU, got 2"):
        series.prefix(2.0)
    with pytest.raises(L96BenchError, match=r"no track 'wilks-f20-dence'.*Did you mean 'wilks-f20-dense'"):
        ObservedClosure("wilks-f20-dence").track  # noqa: B018
    several = ObservedSeries(np.zeros((20, 8)), Network(8, 0.05, tuple(np.ones(8))), 20.0)
    with pytest.raises(L96BenchError, match=r"network\.std"):
        several.std  # noqa: B018


def test_arrays_and_series_are_the_same_observations() -> None:
    track = OBSERVED_TRACKS["wilks-f20-sparse"]
    arrays = observe(track, "observations", 1.0, progress=False)
    series = series_of(track, arrays)
    for row in range(len(series.values)):
        assert np.array_equal(series.values[row, arrays["points"][row].astype(int)], arrays["values"][row])
        assert series.observed[row].sum() == 4
    fixed = OBSERVED_TRACKS["wilks-f20-fixed"]
    arrays = observe(fixed, "observations", 1.0, progress=False)
    assert np.array_equal(series_of(fixed, arrays).values[:, [0, 4]], arrays["values"])
    tree = make_task("observed-closure/wilks-f20-sparse-v1").miniature().to_xarray()
    assert int(tree["train"]["values"].count()) == 4 * 300
