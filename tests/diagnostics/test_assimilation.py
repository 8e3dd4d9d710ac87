"""Diagnostics of a cycled filter, against the run itself, the score, and samples of known statistics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from l96bench.assimilation.models import ResolvedModel
from l96bench.assimilation.record import Cycled
from l96bench.assimilation.statistics import innovation_statistics, rank_counts
from l96bench.diagnostics import AssimilationSubject, diagnose, write_report
from l96bench.diagnostics.assimilation.increments import Increments
from l96bench.diagnostics.assimilation.innovations import innovation_correlation, normalized_innovations
from l96bench.diagnostics.assimilation.reliability import BLOCK, binned_spread, blocked_rmse, ranks
from l96bench.tasks.assimilation_system import AssimilationSystem


@pytest.fixture(scope="module")
def run(assimilation_subject: AssimilationSubject) -> Cycled:
    return assimilation_subject.runs["model"]


def numbers(subject: AssimilationSubject, name: str, row: str) -> list[str]:
    """The cells of one row of a section's table."""
    return next(list(cells) for cells in diagnose(name, subject).rows if cells[0] == row)


@pytest.mark.slow
def test_the_cycles_are_those_of_the_score(assimilation_subject: AssimilationSubject) -> None:
    metrics = assimilation_subject.task.evaluate(assimilation_subject.model).metrics
    _, background, analysis, ratio, inflation, diverged = numbers(assimilation_subject, "cycles", "model")
    assert background == f"{metrics['background_rmse'].value:.3f}"
    assert analysis == f"{metrics['analysis_rmse'].value:.3f}"
    assert ratio == f"{metrics['spread_over_error'].value:.2f}"
    assert float(inflation) == metrics["inflation"].value
    assert diverged == "0 of 2"
    _, increment, error, *_ = numbers(assimilation_subject, "increments", "all points")
    assert increment == f"{metrics['r2_increment'].value:.3f}"
    assert error == f"{metrics['r2_error'].value:.3f}"


def test_rmse_is_pooled_over_segments_and_blocks() -> None:
    rmse = np.array([[3.0, 4.0, 0.0, 0.0, 9.0], [0.0, 0.0, 5.0, 12.0, 9.0]])
    np.testing.assert_allclose(blocked_rmse(rmse, 2), [np.sqrt(25 / 4), np.sqrt(169 / 4)])


@pytest.mark.slow
def test_a_reliable_ensemble_lies_on_the_diagonal(run: Cycled) -> None:
    rng, m = np.random.default_rng(0), run.n_members
    spread = rng.uniform(0.5, 2.0, (50, *run.truth.shape[1:]))
    truth = np.sqrt((m + 1) / m) * spread * rng.standard_normal(spread.shape)
    made = replace(run, truth=truth, background_mean=np.zeros_like(truth), background_spread=spread)
    found, error = binned_spread(made)
    assert len(found) == 10
    np.testing.assert_allclose(error / found, 1.0, atol=4 / np.sqrt(2 * truth.size / 10))
    assert found[0] < 0.7 < 1.8 < found[-1]


@pytest.mark.slow
def test_ranks_are_counted_and_their_intervals_hold_what_is_expected(run: Cycled) -> None:
    rng = np.random.default_rng(1)
    uniform = replace(run, ranks=rng.integers(0, run.n_members + 1, (100, 120, 8)))
    for each in (run, uniform):
        n_blocks = each.ranks.shape[0] * each.ranks.shape[1] // BLOCK
        weights = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), 1000).astype(float)
        found = ranks(each, weights)
        counts = rank_counts(each)
        np.testing.assert_allclose(found.share, counts * len(counts) / counts.sum())
    assert found.away <= 0.15 * len(counts)  # of intervals of 95 %
    half = (found.high - found.low).mean() / 2
    assert half == pytest.approx(1.96 * np.sqrt(len(counts) / uniform.ranks.size), rel=0.1)  # the binomial interval
    lowest = ranks(replace(uniform, ranks=np.zeros_like(uniform.ranks)), weights)
    assert lowest.share[0] == lowest.low[0] == lowest.high[0] == run.n_members + 1
    assert lowest.away == run.n_members + 1


@pytest.mark.slow
def test_normalized_innovations_have_the_variance_that_their_filter_expects(run: Cycled) -> None:
    made = replace(run, background_spread=np.full_like(run.background_spread, 0.6))
    found = normalized_innovations(made)
    statistics = innovation_statistics(made)
    assert found.size == statistics.n
    assert np.mean(found**2) == pytest.approx(statistics.variance / (0.36 + 1.0))


@pytest.mark.slow
def test_the_correlation_of_innovations_is_that_of_the_process_they_come_from(run: Cycled) -> None:
    """AR(1) in time at each of 8 points, of which 3 drawn ones are seen in each cycle."""
    rng, phi, shape = np.random.default_rng(2), 0.7, (20, 2000, 8)
    values = np.empty(shape)
    values[:, 0] = rng.standard_normal((20, 8))
    for i in range(1, shape[1]):
        values[:, i] = phi * values[:, i - 1] + np.sqrt(1 - phi**2) * rng.standard_normal((20, 8))
    points = rng.permuted(np.broadcast_to(np.arange(8), shape), axis=2)[:, :, :3]
    made = replace(run, truth=values, points=points, innovations=np.take_along_axis(values, points, axis=2))
    found = innovation_correlation(made, 4)
    np.testing.assert_allclose(found, phi ** np.arange(5), atol=0.02)


@pytest.mark.slow
def test_increments_that_are_known_are_predicted_perfectly(assimilation_subject: AssimilationSubject) -> None:
    test = assimilation_subject.task.test
    known = {row.tobytes(): own for row, own in zip(test.X.reshape(-1, 8), test.U.reshape(-1, 8), strict=True)}

    def predict(X: np.ndarray) -> np.ndarray:
        return np.array([known[row.tobytes()] for row in X])

    oracle = replace(assimilation_subject, model=SimpleNamespace(predict=predict))
    vars(oracle)["cycles"] = assimilation_subject.cycles
    section = diagnose("increments", oracle)
    _, increment, _, predicted, actual, *_ = section.rows[0]
    assert (increment, predicted) == ("1.000", actual)
    assert [row[0] for row in section.rows] == ["all points"]  # dense: every point is observed


def test_points_are_parted_where_some_are_not_observed() -> None:
    observed = np.array([[[True, False], [False, False]]])
    made = Increments(*[np.zeros((1, 2, 2))] * 4, observed, 0.0, 0.0)
    assert {name: int(inside.sum()) for name, inside in made.parts().items()} == {
        "all points": 4,
        "observed": 1,
        "not observed": 3,
    }


def test_a_forecast_model_of_its_own_predicts_no_increments(assimilation_subject: AssimilationSubject) -> None:
    task = assimilation_subject.task
    system = replace(assimilation_subject, model=AssimilationSystem(ResolvedModel(task.regime)))
    section = diagnose("increments", system)
    assert section.figure is None
    assert "predicts no increments" in section.caption


@pytest.mark.slow
def test_the_innovations_of_the_perfect_model_are_consistent(assimilation_subject: AssimilationSubject) -> None:
    perfect = numbers(assimilation_subject, "innovations", "perfect model")
    none = numbers(assimilation_subject, "innovations", "no correction")
    assert float(perfect[6]) == pytest.approx(1.0, abs=0.15)
    assert abs(float(perfect[6]) - 1.0) < abs(float(none[6]) - 1.0)


@pytest.mark.slow
def test_the_page_has_its_own_sections(assimilation_subject: AssimilationSubject, tmp_path: Path) -> None:
    path, sections = write_report(assimilation_subject, tmp_path)
    assert path == tmp_path / "index.html"
    assert [each.name for each in sections] == ["cycles", "reliability", "innovations", "increments", "standing"]
    assert [each.name for each in sections if each.figure is None] == ["standing"]
    assert "has no row of da-increment/dense-v1 yet" in sections[-1].caption
    assert "linear increment on dense" in path.read_text(encoding="utf-8")
    assert "it is for closure" in diagnose("skill", assimilation_subject).caption
