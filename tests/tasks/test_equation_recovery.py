"""Equation recovery on miniature tracks: every metric against an independent computation, and what an entry may do."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.linear_model import LinearRegression

from l96bench.data.recovery import load_instance
from l96bench.data.store import digests
from l96bench.errors import EquationError, L96BenchError, ModelError, ModelWarning
from l96bench.files import read_checked
from l96bench.metrics.comparison import compare_paired
from l96bench.results.record import Result
from l96bench.tasks.discovery import Discovery
from l96bench.tasks.equation_recovery import EquationRecovery, Problem

Array = NDArray[np.float64]


def true(problem: Problem) -> list[str]:
    return problem.instance.texts


def slow(problem: Problem, d: float = 1.0, more: str = "") -> str:
    """The true equation of X, its damping multiplied, and more."""
    o = problem.instance.coefficients
    return f"{o.a1}*X[k-1]*X[k+1] - {o.a2}*X[k-1]*X[k-2] - {d * o.d}*X[k] + {o.F}{more}"


def states(instance: Any) -> tuple[Array, Array]:
    """The states of the residual and their tendency, by the simulator's own right-hand side."""
    data = load_instance(instance)
    flat = np.array(data.test[:, ::10]).reshape(-1, data.test.shape[2])
    U = None if data.test_U is None else np.array(data.test_U[:, ::10]).reshape(len(flat), -1)
    return flat, instance.tendency(flat, U)


def norm(values: Array) -> float:
    return float(np.sqrt((values**2).sum()))


# The scale.


@pytest.mark.slow
@pytest.mark.parametrize("name", ["single", "two_scale"])
def test_references_are_the_ends_of_the_scale(name: str, request: pytest.FixtureRequest) -> None:
    task = request.getfixturevalue(name)
    floor, literature, ceiling = (task.references[end].evaluate() for end in ("floor", "literature", "ceiling"))
    assert floor.score.value == 0.0
    assert ceiling.score.value == 100.0
    assert floor.score.low == floor.score.high
    assert literature.metrics["recall"].value == literature.metrics["f1"].value == 1.0
    assert 60.0 < literature.score.value < 95.0
    assert ceiling.metrics["coefficient_error"].value == ceiling.metrics["operator_residual"].value == 0.0
    assert [each.metrics["n_terms"].value for each in (floor, ceiling)] == [0, 32 if name == "single" else 352]
    assert {each.failures.non_finite for each in (floor, literature, ceiling)} == {0}


@pytest.mark.slow
def test_where_y_is_hidden_the_ceiling_is_the_best_equation_of_the_true_terms(hidden: EquationRecovery) -> None:
    ceiling, resolved = hidden.references["ceiling"].evaluate(), hidden.evaluate_equations(true)
    assert ceiling.metrics["f1"].value == 1.0
    assert ceiling.metrics["effective_residual"].value < 1e-12
    assert resolved.score.value < ceiling.score.value < 100.0
    assert ceiling.metrics["score_h_0_1"].value > 99.5
    assert 80.0 < ceiling.metrics["score_h_1"].value < ceiling.metrics["score_h_0_1"].value
    mean = (ceiling.metrics["score_h_0_1"].value + ceiling.metrics["score_h_1"].value) / 2
    assert ceiling.score.value == pytest.approx(mean)


# Metrics, each computed again.


@pytest.mark.slow
def test_an_almost_right_equation_by_hand(single: EquationRecovery) -> None:
    """The damping is 10 % off and the constant is lost; X_k^2 is false: 3 of 4 terms are right, and so are 3 of 4."""
    result = single.evaluate_equations(
        lambda problem: [f"{slow(problem, 1.1)} - {problem.instance.coefficients.F} + 0.01*X[k]^2"]
    )
    errors, residuals = [], []
    for instance in single.instances:
        o, (X, f) = instance.coefficients, states(instance)
        off = np.sqrt((0.1 * o.d) ** 2 + o.F**2 + 0.01**2)
        errors.append(off / np.sqrt(o.a1**2 + o.a2**2 + o.d**2 + o.F**2))
        residuals.append(norm(-0.1 * o.d * X - o.F + 0.01 * X**2) / norm(f))
    metrics = {name: value.value for name, value in result.metrics.items()}
    assert metrics["precision"] == metrics["recall"] == metrics["f1"] == pytest.approx(0.75)
    assert metrics["coefficient_error"] == pytest.approx(np.median(errors))
    assert metrics["operator_residual"] == pytest.approx(np.mean(residuals))
    assert result.score.value == pytest.approx(50 * np.mean([0.75 + max(0, 1 - each) for each in residuals]))
    assert metrics["n_terms"] == 32


@pytest.mark.slow
def test_tendencies_are_those_of_the_simulator(
    single: EquationRecovery, two_scale: EquationRecovery, hidden: EquationRecovery
) -> None:
    for task in (single, two_scale, hidden):
        for instance, scorer in zip(task.instances, task._scorers.values(), strict=True):
            X, f = states(instance)
            assert len(X) > 400
            np.testing.assert_array_equal(scorer._states, X)
            np.testing.assert_allclose(scorer._tendency, f, rtol=1e-12, atol=1e-10)


@pytest.mark.slow
def test_scales_count_alike(two_scale: EquationRecovery) -> None:
    """One scale right and nothing of the other: half of everything, although Y has eight times as many equations."""
    for part in (0, 1):
        result = two_scale.evaluate_equations(lambda problem, part=part: [problem.instance.texts[part]])
        names = ("precision", "recall", "f1", "coefficient_error", "operator_residual")
        assert {result.metrics[name].value for name in names} == {0.5}
        assert result.score.value == 50.0


@pytest.mark.slow
def test_residual_of_the_resolved_equation_is_the_share_of_u(hidden: EquationRecovery) -> None:
    result = hidden.evaluate_equations(true)
    shares = []
    for instance in hidden.instances:
        f, U = states(instance)[1], np.array(load_instance(instance).test_U[:, ::10])
        shares.append(norm(U) / norm(f))
    assert result.metrics["operator_residual"].value == pytest.approx(np.mean(shares))
    assert [result.metrics[f"operator_residual_h_{h}"].value for h in ("0_1", "1")] == pytest.approx(shares)
    assert result.metrics["coefficient_error"].value == 0.0


@pytest.mark.slow
def test_effective_residual_is_that_against_linear_regression(hidden: EquationRecovery) -> None:
    result = hidden.evaluate_equations(lambda problem: [slow(problem, more=" + 0.1*X[k]^2")])
    expected = []
    for instance in hidden.instances:
        o, data, (X, f) = instance.coefficients, load_instance(instance), states(instance)
        rows = np.array(data.train[::10])
        tendency = instance.tendency(rows, np.array(data.train_U[::10]))
        difference = np.empty_like(f)
        for k in range(8):
            best = LinearRegression().fit(features(rows, k), tendency[:, k])
            own = features(X, k) @ [o.a1, -o.a2, -o.d, 0.1] + o.F
            difference[:, k] = own - best.predict(features(X, k))
        expected.append(norm(difference) / norm(f))
    found = [result.metrics[f"effective_residual_h_{h}"].value for h in ("0_1", "1")]
    assert found == pytest.approx(expected, rel=1e-6)


def features(X: Array, k: int) -> Array:
    before, after = X[:, (k - 1) % 8], X[:, (k + 1) % 8]
    return np.stack([before * after, before * X[:, (k - 2) % 8], X[:, k], X[:, k] ** 2], axis=1)


@pytest.mark.slow
def test_valid_time_of_no_equation_is_that_of_persistence(single: EquationRecovery, hidden: EquationRecovery) -> None:
    for task in (single, hidden):
        times = []
        for instance in task.instances:
            data = load_instance(instance)
            errors = np.sqrt(((data.test[:, :1] - data.test) ** 2).mean(axis=(0, 2)))
            times.append(0.05 * np.argmax(errors > 0.4 * data.train.std()) * instance.clock)
        result = task.evaluate_equations(["0"])
        assert result.metrics["valid_prediction_time"].value == pytest.approx(np.mean(times))


@pytest.mark.slow
def test_the_true_equation_forecasts_longest(single: EquationRecovery, two_scale: EquationRecovery) -> None:
    exact, near = (single.evaluate_equations(each) for each in (true, lambda problem: [slow(problem, 1.01)]))
    times = [each.metrics["valid_prediction_time"].value for each in (exact, near, single.evaluate_equations(["0"]))]
    assert times[0] > 6.0 > times[1] > 1.0 > times[2]
    assert two_scale.evaluate_equations(true).metrics["valid_prediction_time"].value > 0.8  # in MTU


@pytest.mark.slow
def test_a_blow_up_has_a_short_valid_time_and_no_warning(single: EquationRecovery) -> None:
    result = single.evaluate_equations(lambda problem: [slow(problem, more=" + 100*X[k]^7")])
    assert 0.0 < result.metrics["valid_prediction_time"].value < 0.2
    assert result.metrics["operator_residual"].value == 10.0
    assert result.failures.non_finite == 0


# What is summed up.


def mixed(problem: Problem) -> list[str]:
    """Right without noise, and nothing at a budget of 5 with noise; else the wrong damping."""
    if not problem.noise:
        return true(problem)
    return ["0"] if problem.budget == 5.0 else [slow(problem, 1.5)]


def test_the_score_is_the_mean_over_problems(single: EquationRecovery) -> None:
    assert [(each.instance.index, each.noise, each.budget) for each in single.problems[:4]] == [
        (0, 0.0, 5.0),
        (0, 0.0, 20.0),
        (0, 0.05, 5.0),
        (0, 0.05, 20.0),
    ]
    result = single.evaluate_equations(mixed)
    off = [norm(0.5 * each.coefficients.d * X) / norm(f) for each in single.instances for X, f in (states(each),)]
    rows = np.array([[100.0, 100.0, 0.0, 50 * (2 - each)] for each in off])
    metrics = {name: value.value for name, value in result.metrics.items()}
    assert result.score.value == pytest.approx(rows.mean())
    assert metrics["score_noise_00"] == 100.0
    assert metrics["score_noise_05"] == pytest.approx(rows[:, 2:].mean())
    assert metrics["score_budget_5"] == 50.0
    assert metrics["score_budget_20"] == pytest.approx(rows[:, 1::2].mean())
    assert metrics["f1_noise_05"] == 0.5
    assert result.series["f1_noise_05"] == [0.0, 1.0]
    assert result.series["operator_residual_noise_05"] == pytest.approx([1.0, np.mean(off)], rel=1e-5)
    assert result.series["score_by_instance"] == pytest.approx(rows.mean(axis=1), rel=1e-5)


def test_the_interval_resamples_instances_alike_for_all_entries(single: EquationRecovery) -> None:
    wrong, worse = (single.evaluate_equations(lambda p, d=d: [slow(p, d)]).score for d in (1.3, 1.5))
    means = {round(value, 6) for value in wrong.replicates}
    assert len(means) == 3, "two instances: both, or one of them twice"
    # Two instances: a variance of one degree of freedom, too small by half.
    stretch = np.sqrt(2.0) * student.ppf(0.975, 1) / student.ppf(0.975, np.inf)
    assert wrong.low == pytest.approx(max(0.0, wrong.value - stretch * (wrong.value - min(wrong.replicates))), abs=0.01)
    assert compare_paired(wrong.replicates, wrong.value, worse.replicates, worse.value).low > 0
    assert np.corrcoef(wrong.replicates, worse.replicates)[0, 1] > 0.99


@pytest.mark.slow
def test_every_number_is_finite_and_a_result_can_be_read_back(
    single: EquationRecovery, hidden: EquationRecovery, tmp_path: Path, everything_finite: Callable[[Result], bool]
) -> None:
    for task in (single, hidden):
        result = task.evaluate_equations(mixed)
        assert everything_finite(result)
        result.write(tmp_path / "result.json")
        assert Result.read(tmp_path / "result.json") == result
        assert result.failures.of == len(task.problems) == 8
        assert ("effective_residual" in result.metrics) == (task is hidden)


def test_the_digest_is_that_of_what_the_equations_say(single: EquationRecovery) -> None:
    """Of the terms of every target: flat indices of variables with their exponents, and coefficients."""

    def terms(problem: Problem, k: int) -> tuple:
        o, far, before, after = problem.instance.coefficients, (k - 2) % 8, (k - 1) % 8, (k + 1) % 8
        products = [(tuple(sorted(((far, 1), (before, 1)))), -o.a2), (tuple(sorted(((before, 1), (after, 1)))), o.a1)]
        return (*sorted(products), (((k, 1),), -o.d), ((), o.F))

    said = [repr(tuple(terms(problem, k) for k in range(8))) for problem in single.problems]
    first = single.evaluate_equations(true)
    assert first.predictions_digest == hashlib.sha256("\n\n".join(said).encode()).hexdigest()
    assert single.evaluate_equations(mixed).predictions_digest != first.predictions_digest


# How equations are given.


@pytest.mark.slow
def test_equations_come_as_one_list_as_lists_by_id_or_as_a_function(single: EquationRecovery) -> None:
    lists = [true(problem) for problem in single.problems]
    named = {problem.id: texts for problem, texts in zip(single.problems, lists, strict=True)}
    results = [single.evaluate_equations(each) for each in (true, lists, named)]
    assert len({each.predictions_digest for each in results}) == 1
    same = single.evaluate_equations(["8 - X[k]"])
    assert same.score.value == single.evaluate_equations([["8 - X[k]"]] * 8).score.value > 0


def test_a_wrong_number_of_equations_is_an_error(single: EquationRecovery) -> None:
    named = {problem.id: ["0"] for problem in single.problems}
    for wrong in ([["0"]] * 7, "0", 5, {}, named | {"more": ["0"]}, {**dict(list(named.items())[1:])}):
        with pytest.raises(ModelError, match="expected"):
            single.evaluate_equations(wrong)


def test_what_cannot_be_read_is_an_error_or_a_warning(single: EquationRecovery) -> None:
    with pytest.raises(EquationError, match="unexpected '—' "):
        single.evaluate_equations(["8 — X[k]"])
    mixed = [["8 - X[k]"]] * 7 + [["8 — X[k]"]]
    with pytest.warns(ModelWarning, match=r"1 of 8 problems score 0 \(unparseable\); the first: .*EM DASH"):
        assert single.evaluate_equations(mixed).failures.non_finite == 1
    with pytest.warns(ModelWarning, match=r"8 of 8 problems score 0 \(not finite\); the first: not finite at"):
        single.evaluate_equations(["log(X[k])"])
    minus = single.evaluate_equations(["8 \u2212 X[k]"])
    assert minus.predictions_digest == single.evaluate_equations(["8 - X[k]"]).predictions_digest


# What models do.


@pytest.fixture(autouse=True, scope="module")
def by_value() -> Iterator[None]:
    """The models below travel by value, like those of a script."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


class Oracle:
    """Knows the answer by the first state, notes its calls in a file, and fails where data are few."""

    def __init__(self, task: EquationRecovery, log: Path) -> None:
        self.known = {float(problem.observed()[0][0, 0]): problem.instance.texts for problem in task.problems}
        self.log = log

    def fit(self, X: Array, t: Array) -> None:
        with self.log.open("a") as log:
            log.write(f"{len(t)} {t[1] - t[0]:.3g}\n")
        self.texts = self.known[float(X[0, 0])]
        if len(t) == 500:
            raise ValueError("too short")

    def equations(self) -> list[str]:
        return self.texts


@pytest.mark.slow
def test_a_model_is_fitted_to_every_problem_and_fails_alone(single: EquationRecovery, tmp_path: Path) -> None:
    log, checkpoint = tmp_path / "log", tmp_path / "kept"
    model = Oracle(single, log)
    result = single.evaluate(model, checkpoint=checkpoint, progress=False, n_jobs=2)
    assert sorted(log.read_text().splitlines()) == ["2000 0.01"] * 4 + ["500 0.01"] * 4
    assert result.score.value == 50.0
    assert (result.failures.non_finite, result.failures.of) == (4, 8)
    assert "4 raised (first: ValueError: too short)" in result.failures.note
    assert result.metrics["failed"].value == 0.5
    kept = [each for path in checkpoint.iterdir() for each in json.loads(read_checked(path) or "").values()]
    assert result.cost.training_seconds == pytest.approx(sum(each["seconds"] for each in kept))
    assert result.cost.microseconds_per_call is None
    again = single.evaluate(model, checkpoint=checkpoint, progress=False)
    assert again == result
    assert len(log.read_text().splitlines()) == 8


@pytest.mark.slow
def test_pysindy_models_and_regressors_of_scikit_learn_are_adapted(single: EquationRecovery) -> None:
    pysindy = pytest.importorskip("pysindy")
    sparse = single.evaluate(pysindy.SINDy(optimizer=pysindy.STLSQ(threshold=0.2)), progress=False)
    assert sparse.failures.non_finite == 0
    assert sparse.metrics["f1_noise_00"].value > 0.9
    full = single.evaluate(LinearRegression(), progress=False)
    assert full.metrics["recall"].value == 1.0
    assert full.metrics["precision"].value < 0.1
    with pytest.raises(ModelError, match="expected a model with fit"):
        single.evaluate("X[k]", progress=False)


def test_what_is_too_slow_or_unparseable_or_not_finite_scores_zero(single: EquationRecovery) -> None:
    kinds = [
        Discovery(None, 10.0, "too slow", "stopped"),
        Discovery(("X[k] +",), 0.0),
        Discovery(("log(X[k])",), 0.0),
        Discovery(("X[k]*1e308*1e308",), 0.0),
    ]
    found = [*kinds, *(Discovery(tuple(true(problem)), 0.0) for problem in single.problems[4:])]
    result = single.result(single.references["floor"].info, single._parts(found))
    assert result.series["score_by_instance"] == [0.0, 100.0]
    assert result.score.value == 50.0
    assert result.failures.non_finite == 4
    assert [f"1 {kind}" in result.failures.note for kind in ("too slow", "unparseable", "not finite")].count(True) >= 2
    assert result.metrics["valid_prediction_time"].low == 0.0
    assert result.metrics["coefficient_error"].value == 0.5


# The instances.


@pytest.mark.slow
def test_fresh_instances_are_others_and_the_same_for_a_seed() -> None:
    task = EquationRecovery("single")
    fresh = task.fresh(5)
    assert fresh.id == task.id
    assert isinstance(fresh, EquationRecovery)
    assert len(task.problems) == len(fresh.problems) == 120
    assert fresh.instances == task.fresh(5).instances
    sets = [{each.coefficients for each in some.instances} for some in (task, fresh, task.fresh(6))]
    assert len(set.union(*sets)) == 30


@pytest.mark.slow
def test_data_digests_name_the_instances(single: EquationRecovery) -> None:
    own = single.data_digests
    assert set(own) == {f"single/seed-11-instance-{i}/{name}" for i in (0, 5) for name in ("train", "test")}
    for id in EquationRecovery.regime_ids():
        task = EquationRecovery(id)
        registered = task.data_digests
        arrays = 4 if task.track.hidden else 2
        assert len(registered) == 10 * arrays
        assert registered.items() <= digests().items()


@pytest.mark.slow
def test_hidden_problems_offer_pairs_for_closures(hidden: EquationRecovery, single: EquationRecovery) -> None:
    X, U = hidden.problems[0].pairs()
    assert X.shape == U.shape == (500, 8)
    np.testing.assert_array_equal(X, hidden.problems[0].observed()[0])
    assert np.corrcoef(X.ravel(), U.ravel())[0, 1] < -0.5
    with pytest.raises(L96BenchError, match="expected a hidden instance"):
        single.problems[0].pairs()


def test_coarse_tracks_observe_every_fifth_sample() -> None:
    coarse, fine = (EquationRecovery(id).fresh(11).problems[5] for id in ("single-coarse", "single"))
    assert (coarse.noise, coarse.budget) == (fine.noise, fine.budget) == (0.01, 100.0)
    (X, t), (fine_X, fine_t) = coarse.observed(), fine.observed()
    np.testing.assert_array_equal(X, fine_X[::5])
    np.testing.assert_allclose(t, fine_t[::5])


def test_there_are_problems_in_place_of_splits(single: EquationRecovery) -> None:
    assert not hasattr(single, "train")
    assert not hasattr(single, "regime")
    assert single.fit(object()) == 0.0


@pytest.mark.slow
def test_the_tree_has_one_dataset_an_instance(hidden: EquationRecovery) -> None:
    tree = hidden.to_xarray()
    assert set(tree.children) == {"instance-0", "instance-5"}
    data = tree["instance-5"]
    assert dict(data.sizes) == {"time": 10_000, "variable": 8, "case": 20, "lead": 201, "k": 8}
    assert data.attrs["F"] == hidden.instances[1].coefficients.F
    np.testing.assert_array_equal(data["test_U"], load_instance(hidden.instances[1]).test_U)


@pytest.mark.parametrize("seed", [None, -1, 1.5, "0"])
def test_fresh_instances_have_a_seed(seed: Any) -> None:
    """Without one they would be the recorded instances."""
    with pytest.raises(L96BenchError, match="expected seed as a whole number from 0 on"):
        EquationRecovery("single").fresh(seed)
