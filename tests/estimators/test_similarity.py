"""Closures for systems with other h and c: the scaled law, what they are told, and what they find out from the past."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.resolved import rollout
from l96bench.errors import ModelError
from l96bench.estimators import (
    AR1Regressor,
    InContextRegressor,
    NearestSystem,
    OneForAll,
    PastLikelihoodRegressor,
    PolynomialRegressor,
    SimilarityNetwork,
    SimilarityPolynomial,
    SimilarityRecurrentRegressor,
)
from l96bench.estimators.in_context import PAST, InContextStep
from l96bench.graphs.models import exported
from l96bench.regimes import Regime
from l96bench.tasks.registry import make_task
from l96bench.tasks.unseen_physics import SystemSamples

Array = NDArray[np.float64]
PARAMETERS = [(0.6, 4.0), (0.8, 5.0), (1.0, 7.0), (1.1, 9.0)]
OTHER = Regime("other", 8, 32, 20.0, h=1.3, c=12.0)
SMALL = SimilarityRecurrentRegressor(units=4, warm_up=2, length=3, batch_size=8, min_steps=5, epochs=1)
TINY = {"n_systems": 6, "duration": 12.0, "hidden": 4, "features": 3, "steps": 4, "batch_size": 2}
MODELS: list[Any] = [
    OneForAll(PolynomialRegressor(degree=2)),
    NearestSystem(AR1Regressor()),
    SimilarityPolynomial(),
    SimilarityPolynomial(2, noise=False),
    SimilarityNetwork((4,)),
    SMALL,
    InContextRegressor(SMALL, **TINY),
    PastLikelihoodRegressor(SimilarityPolynomial(2, noise=False)),
    PastLikelihoodRegressor(SMALL),
]


def law(x: Array, c: float) -> Array:
    """U / (h c) of a made-up system, given h X."""
    return -0.2 - 0.9 * x + 0.02 * x**2 + (0.5 + 0.3 * x) / c


def samples(n: int = 400, noise: float = 0.0) -> list[SystemSamples]:
    """Systems that obey the law, X being independent normal numbers, with a white noise of h c `noise`."""
    found = []
    for i, (h, c) in enumerate(PARAMETERS):
        rng = np.random.default_rng(i)
        X = rng.normal(3.0, 4.0, (n, 8))
        U = h * c * (law(h * X, c) + noise * rng.standard_normal(X.shape))
        found.append(SystemSamples(Regime(f"own-{i}", 8, 32, 20.0, h=h, c=c), X, U))
    return found


def closure_of(model: Any, regime: Regime = OTHER) -> Any:
    told = isinstance(model, OneForAll | InContextRegressor | PastLikelihoodRegressor)
    return as_closure(model.closure(0.01) if told else model.closure(0.01, regime))


def test_a_law_in_scaled_variables_holds_for_systems_never_seen() -> None:
    model = SimilarityPolynomial(2, noise=False).fit(samples())
    X = np.random.default_rng(9).normal(3.0, 4.0, (50, 8))
    for regime in (OTHER, Regime("b", 8, 32, 20.0, h=0.3, c=1.5)):
        expected = regime.h * regime.c * law(regime.h * X, regime.c)
        np.testing.assert_allclose(closure_of(model, regime).predict(X), expected, rtol=1e-7, atol=1e-7)


def test_noise_has_the_size_and_memory_of_the_residual() -> None:
    """White noise of .3 h c in all systems is one of phi 0, up to the least phi there is."""
    closure = SimilarityPolynomial(2).fit(samples(2000, 0.3)).closure(0.01, OTHER)
    assert closure.sigma == pytest.approx(0.3 * OTHER.h * OTHER.c, rel=0.05)
    assert closure.phi < 0.02


@pytest.mark.slow
def test_a_network_and_its_folded_weights_agree_with_the_law() -> None:
    model = SimilarityNetwork((32, 32), radius=0, noise=False).fit(samples(3000))
    regime = Regime("inside", 8, 32, 20.0, h=0.9, c=6.0)
    X = np.random.default_rng(9).normal(3.0, 3.0, (200, 8))
    expected = regime.h * regime.c * law(regime.h * X, regime.c)
    assert np.std(closure_of(model, regime).predict(X) - expected) < 0.1 * np.std(expected)


def test_folded_recurrent_weights_are_the_unit_in_scaled_variables() -> None:
    """Against the unit itself, which is given the scaled X, the column of log c, and the scales of U."""
    import torch

    model = clone(SMALL).fit(samples())
    (x_mean, x_std), (u_mean, u_std), (c_mean, c_std) = model.scales_.values()
    unit = torch.nn.GRU(8, 4)
    names = ("input", "state", "input_bias", "state_bias")
    with torch.no_grad():
        for own, name in zip(unit.parameters(), names, strict=True):
            own.copy_(torch.from_numpy(model.weights_[name]))
        X = np.random.default_rng(2).normal(3.0, 4.0, (6, 1, 8))
        stencils = np.stack([np.roll(X, -offset, axis=2) for offset in range(-2, 3)], axis=-1)[:, 0]
        scaled = (OTHER.h * stencils - x_mean) / x_std
        told = np.full((6, 8, 1), (np.log(OTHER.c) - c_mean) / c_std)
        inputs = np.concatenate([scaled, told, np.zeros((6, 8, 2))], axis=2)
        hidden = unit(torch.from_numpy(inputs.astype(np.float32)))[0].numpy()
    U = (hidden @ model.weights_["output"][0] + model.weights_["output_bias"][0]) * u_std + u_mean
    weights = model.weights_of(OTHER)
    state = torch.zeros(8, 4)
    from l96bench.estimators.recurrences import GatedUnit

    own = GatedUnit(weights, 2)
    for time in range(6):
        x = torch.from_numpy(stencils[time].astype(np.float32))
        state = own.advance(x, state, torch.zeros(8, 2))
        np.testing.assert_allclose(own.output(state).numpy(), U[time] * OTHER.h * OTHER.c, rtol=2e-3, atol=2e-3)


def test_the_nearest_system_is_the_nearest() -> None:
    systems = samples()
    model = NearestSystem(PolynomialRegressor(degree=2)).fit(systems)
    X = np.random.default_rng(9).normal(3.0, 4.0, (5, 8))
    for each in systems:
        close = Regime("close", 8, 32, each.regime.F, h=each.regime.h + 0.01, c=each.regime.c - 0.1)
        expected = PolynomialRegressor(degree=2).fit(each.X, each.U).predict(X)
        np.testing.assert_array_equal(closure_of(model, close).predict(X), expected)


def test_one_for_all_is_fitted_to_all() -> None:
    systems = samples()
    model = OneForAll(PolynomialRegressor(degree=2)).fit(systems)
    X, U = (np.concatenate([getattr(each, name) for each in systems]) for name in "XU")
    fitted = np.polynomial.polynomial.polyfit(X.ravel(), U.ravel(), 2)
    np.testing.assert_allclose(closure_of(model).coefficients, fitted, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda each: type(each).__name__)
def test_models_clone_copy_and_pickle_before_and_after_their_fit(model: Any) -> None:
    fitted = clone(model).fit(samples())
    X = np.random.default_rng(1).normal(3.0, 4.0, (3, 5, 8))

    def run(one: Any) -> Array:
        closure = closure_of(one)
        checked_start(closure, 5, np.random.default_rng(0), np.repeat(X[:1], 12, axis=0))
        return np.stack([checked_step(closure, each) for each in X])

    expected = run(fitted)
    assert np.isfinite(expected).all()
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), clone(model).fit(samples())):
        np.testing.assert_array_equal(run(again), expected)
    assert repr(clone(fitted)) == repr(model)


def test_who_is_told_nothing_says_what_is_missing() -> None:
    for model in (NearestSystem(PolynomialRegressor()), SimilarityPolynomial(), SMALL):
        with pytest.raises(ModelError, match="with the h and c of a system"):
            clone(model).fit(samples()).closure(0.01)


def test_informed_closures_of_one_system_have_files() -> None:
    """A recurrent unit's file, whose U `exported` compares with its own."""
    for model in (SMALL, SimilarityPolynomial()):
        exported(clone(model).fit(samples()).closure(0.01, OTHER), 8)


def test_a_settled_system_stays_whatever_comes() -> None:
    model = InContextRegressor(SMALL, **TINY).fit(samples())
    step = InContextStep(model)
    rng = np.random.default_rng(0)
    past = rng.normal(3.0, 4.0, (PAST + 5, 2, 8))
    state = np.zeros((2, sum(step.sizes)), dtype=np.float32)
    told = []
    for X in past:
        noise = np.zeros((2, 16), dtype=np.float32)
        _, state, _ = step(X, state, noise, np.empty((2, 0), dtype=np.float32))
        total, count = np.split(state, np.cumsum(step.sizes)[:-1], axis=1)[2:]
        told.append(step._told(total, count))
    assert np.array_equal(told[0], np.repeat(model.told_[0][None], 2, axis=0))  # before there is a whole window
    assert not np.array_equal(told[PAST - 1], told[PAST - 2])
    assert all(np.array_equal(each, told[PAST - 1]) for each in told[PAST:])
    alone = np.zeros((1, state.shape[1]), dtype=np.float32)
    for X in past:
        _, alone, _ = step(X[1:], alone, np.zeros((1, 16), dtype=np.float32), np.empty((1, 0), dtype=np.float32))
    np.testing.assert_allclose(alone[0], state[1], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_past_tells_strong_coupling_from_weak() -> None:
    """h^2 c, to which U is about proportional, is found to less than its spread after a short training."""
    task = make_task("unseen-physics/interpolate-v1").miniature()
    closure_model = SimilarityRecurrentRegressor(units=8, min_steps=300)
    model = InContextRegressor(closure_model, n_systems=300, duration=20.0, hidden=24, steps=400, batch_size=16).fit(
        task.train
    )
    rng = np.random.default_rng(3)
    X, truth = model._synthetic(rng, 8)
    step = InContextStep(model)
    state = np.zeros((X.shape[1], sum(step.sizes)), dtype=np.float32)
    noise, uniform = np.zeros((X.shape[1], 16), dtype=np.float32), np.empty((X.shape[1], 0), dtype=np.float32)
    for time in range(PAST):
        _, state, _ = step(X[time] + rng.standard_normal(X[time].shape), state, noise, uniform)
    total, count = np.split(state, np.cumsum(step.sizes)[:-1], axis=1)[2:]
    found, true = (2.0 * each[:, 0] + each[:, 1] for each in (step._told(total, count), truth))
    assert np.std(found - true) < 0.8 * np.std(true)


@pytest.mark.slow
def test_the_likeliest_system_is_found_of_pasts_that_the_filters_own_model_has_made() -> None:
    """Systems drawn by chance, run by the resolved model under the fitted law, and observed with errors of 1."""
    model = PastLikelihoodRegressor(SimilarityPolynomial(noise=False)).fit(
        make_task("unseen-physics/interpolate-v1").miniature().train
    )
    rng = np.random.default_rng(4)
    regimes = [
        Regime(f"drawn-{i}", 8, 32, rng.uniform(12.0, 28.0), h=rng.uniform(0.5, 1.2), c=rng.uniform(3.0, 10.0))
        for i in range(12)
    ]
    truth = np.array([(each.F, np.log(each.h), np.log(each.c)) for each in regimes])
    runs = [
        rollout(model.filter_.closure(0.01, each), rng.normal(3.0, 4.0, (1, 8)), 20.0, regime=each, interval=0.05)
        for each in regimes
    ]
    past = np.stack([run.X[-200:, 0] for run in runs], axis=1)
    past += rng.standard_normal(past.shape)
    found = model.estimate(past)
    assert np.all(misfit(model, past, found) <= misfit(model, past, truth) + 1e-6)
    assert np.abs(found[:, 0] - truth[:, 0]).mean() < 0.6
    strength = (found - truth) @ [0.0, 2.0, 1.0]
    assert np.std(strength) < 0.6 * np.std(truth @ [0.0, 2.0, 1.0])
    alone = model.estimate(past[:, 3:4])
    np.testing.assert_allclose(alone[0], found[3], rtol=1e-7)


def misfit(model: PastLikelihoodRegressor, past: Array, told: Array) -> Array:
    """What the class promises to minimize, by a loop over rows and the resolved model's own roll-out."""
    found = []
    for row, (F, h, c) in enumerate(told):
        regime = Regime("told", 8, 32, F, h=float(np.exp(h)), c=float(np.exp(c)))
        closure, X, total = model.filter_.closure(0.01, regime), past[0, row], 0.0
        for time in range(1, len(past)):
            ahead = rollout(closure, X[None], 0.1, regime=regime, interval=0.05).X[1, 0]
            d = past[time, row] - ahead
            total += np.square(d).sum() if time > 10 else 0.0
            X = ahead + model.gain_ * d
        ends = [(8.0, 33.0), np.log((0.33, 1.4)), np.log((1.0, 13.5))]
        centre, spread = np.mean(ends, axis=1), np.ptp(ends, axis=1) / np.sqrt(12.0)
        found.append(total / model.variance_ + np.square((np.array([F, h, c]) - centre) / spread).sum())
    return np.array(found)


def test_a_noisy_polynomial_is_refused() -> None:
    with pytest.raises(ModelError, match="noise=False"):
        PastLikelihoodRegressor(SimilarityPolynomial()).fit(samples())


def test_members_share_what_their_past_tells() -> None:
    closure = PastLikelihoodRegressor(SimilarityPolynomial(2, noise=False)).fit(samples()).closure(0.01)
    past = np.random.default_rng(0).normal(3.0, 4.0, (60, 2, 8))
    X = past[-1]
    closure.start(4, np.random.default_rng(0))
    closure.remember(past[:, [0, 1, 1, 0]])
    U = closure.step(X[[0, 0, 1, 0]])
    np.testing.assert_array_equal(U[0], U[3])
    assert np.abs(U[0] - U[1]).max() > 1e-6
    closure.start(1, np.random.default_rng(0))
    closure.remember(past[:, 1:])
    np.testing.assert_array_equal(closure.step(X[1:])[0], U[2])
