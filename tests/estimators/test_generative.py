"""Generative closures on data whose law is known, and as closures."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from l96bench.dynamics.ar1 import ar1_noise
from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.steps import SteppedClosure
from l96bench.errors import ModelError
from l96bench.estimators.generative import GANRegressor, GeneratorNetwork, ProbabilisticRecurrentRegressor, energy_score
from l96bench.estimators.recurrences import GatedUnit, RecurrentStep, along
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing_memory import SubgridForcingMemory

pytestmark = pytest.mark.training

K, PHI, STD = 4, 0.8, 1.5
TINY: dict[str, dict[str, Any]] = {
    "rnn": {"units": 6, "epochs": 1, "min_steps": 20, "batch_size": 16},
    "gan": {"hidden": (8,), "epochs": 1, "min_steps": 20, "batch_size": 32},
}
CLASSES: dict[str, Any] = {"rnn": ProbabilisticRecurrentRegressor, "gan": GANRegressor}


@functools.cache
def red() -> tuple[NDArray, NDArray]:
    """X slow, as the resolved variables are, and U = -X/2 + 1 + STD e with e a stationary AR(1) of correlation PHI."""
    rng = np.random.default_rng(0)
    X = 1.0 + ar1_noise((6000, K), 0.98, 2.0, rng)
    return X, -0.5 * X + 1.0 + STD * ar1_noise((6000, K), PHI, 1.0, rng)


@functools.cache
def fitted(name: str) -> Any:
    X, U = red()
    if name == "rnn":
        return ProbabilisticRecurrentRegressor(
            units=12, radius=0, epochs=2, warm_up=12, length=12, batch_size=64, min_steps=900, n_noise=1
        ).fit(X, U)
    return GANRegressor(
        hidden=(24, 24), radius=0, n_noise=1, epochs=1, min_steps=2000, batch_size=256, learning_rate=2e-3
    ).fit(X, U)


@pytest.mark.parametrize("name", CLASSES)
def test_draws_have_the_law_of_the_data(name: str) -> None:
    """Mean within 0.2, std within 15 % and lag-1 correlation within 0.1 of what the data were made with."""
    X = red()[0][:1000]
    noise = fitted(name).sample(X, 20, np.random.default_rng(1))[:, 50:] - (-0.5 * X + 1.0)[50:]
    assert abs(noise.mean()) < 0.2
    assert abs(noise.std() / STD - 1) < 0.15
    lag1 = np.mean(noise[:, 1:] * noise[:, :-1]) / np.mean(noise**2)
    assert abs(lag1 - PHI) < 0.1
    members = np.corrcoef(noise.reshape(20, -1))
    assert np.abs(members - np.eye(20)).max() < 0.2  # drawn independently
    slope = np.polyfit(X[50:].ravel(), (noise.mean(axis=0) + (-0.5 * X + 1.0)[50:]).ravel(), 1)[0]
    assert abs(slope + 0.5) < 0.1


@pytest.mark.parametrize("name", CLASSES)
def test_the_prediction_is_about_the_mean(name: str) -> None:
    X = red()[0][:300]
    model = fitted(name)
    assert (model.predict(X) == model.predict(X)).all()
    np.testing.assert_allclose(model.predict(X[:200]), model.predict(X)[:200], atol=1e-4)  # the future plays no part
    assert np.std(model.predict(X)[50:] - (-0.5 * X + 1.0)[50:]) < 0.6 * STD


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("dt", [0.05, 0.01])
def test_the_closure_has_the_same_law_at_every_dt(name: str, dt: float) -> None:
    """With X held at 1, U is Gaussian about 0.5; the correlation counts over 0.05 MTU whatever the step."""
    every = round(0.05 / dt)
    closure = as_closure(fitted(name), dt)
    assert not closure.deterministic
    X = np.ones((100, K))
    checked_start(closure, 100, np.random.default_rng(0), np.ones((40, 100, K)))
    U = np.stack([checked_step(closure, X) for _ in range(20 * every)])
    noise = U - U.mean()
    lag = np.mean(noise[every:] * noise[:-every]) / np.mean(noise**2)
    draws = fitted(name).sample(np.ones((200, K)), 50, np.random.default_rng(0))[:, 50:]
    assert abs(U.mean() - draws.mean()) < 0.15
    assert abs(noise.std() / draws.std() - 1) < 0.1
    apart = draws - draws.mean()
    assert abs(lag - np.mean(apart[:, 1:] * apart[:, :-1]) / np.mean(apart**2)) < 0.06


def test_noise_changes_smoothly_and_is_white_over_an_interval() -> None:
    """What a chain gets every 0.05 MTU is independent and of variance 1; in between it moves by parts of a fifth."""

    class Noise:
        n_state = n_noise = 1

        def advance(self, x: torch.Tensor, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
            return noise

        def output(self, state: torch.Tensor) -> torch.Tensor:
            return state[..., 0]

    closure = SteppedClosure(RecurrentStep(Noise(), np.arange(K)[:, None]))  # type: ignore[arg-type]
    checked_start(closure, 2000, np.random.default_rng(0))
    z = np.stack([checked_step(closure, np.zeros((2000, K))) for _ in range(20)])
    for lag in range(1, 8):
        assert np.mean(z[lag:] * z[:-lag]) == pytest.approx(max(1 - lag / 5, 0), abs=0.02)
    assert z.std(axis=(1, 2)) == pytest.approx(np.ones(20), abs=0.03)


@pytest.mark.slow
def test_the_energy_score_is_that_of_others(scoringrules: Any) -> None:
    rng = np.random.default_rng(0)
    draws, truth = rng.normal(size=(7, 5, 3)), rng.normal(size=(7, 3))
    to = torch.from_numpy
    own = energy_score(to(draws), to(truth[:, None]))
    expected = scoringrules.es_ensemble(truth, draws, estimator="fair")
    np.testing.assert_allclose(own, expected, atol=1e-6)
    crps = energy_score(to(draws[..., :1]), to(truth[:, None, :1]))
    np.testing.assert_allclose(
        crps, scoringrules.crps_ensemble(truth[:, 0], draws[..., 0], estimator="fair"), atol=1e-6
    )


def test_the_generator_is_its_layers_and_its_noise_may_be_red() -> None:
    rng = np.random.default_rng(0)
    shapes = [(6, 1 + 1 + 2), (1, 6)]
    coefs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    intercepts = [rng.normal(size=shape[0]).astype(np.float32) for shape in shapes]
    X, u, z = (rng.normal(size=(9, n)).astype(np.float32) for n in (1, 1, 2))
    generator = GeneratorNetwork(coefs, intercepts, 3.0, 2, 0.0)
    state = generator.advance(torch.from_numpy(X), torch.from_numpy(u - 3.0), torch.from_numpy(z))
    hidden = torch.nn.functional.gelu(torch.from_numpy(np.hstack([X, u, z]) @ coefs[0].T + intercepts[0])).numpy()
    np.testing.assert_allclose(generator.output(state), (hidden @ coefs[1].T + intercepts[1])[:, 0], atol=1e-5)
    red_noise = GeneratorNetwork(coefs, intercepts, 3.0, 2, 0.9)
    states, drawn = torch.zeros(2000, red_noise.n_state), []
    for _ in range(60):
        states = red_noise.advance(torch.zeros(2000, 1), states, torch.from_numpy(rng.standard_normal((2000, 2), "f4")))
        drawn.append(states[:, 1:].numpy())
    late = np.stack(drawn[40:])
    assert late.std() == pytest.approx(1.0, abs=0.05)
    assert np.mean(late[1:] * late[:-1]) == pytest.approx(0.9, abs=0.05)


def test_noise_reaches_the_unit_behind_the_stencil() -> None:
    model = fitted("rnn")
    unit = model._recurrence()
    assert isinstance(unit, GatedUnit)
    assert model.weights_["input"].shape == (3 * 12, 1 + 1)
    a, b = (along(unit, np.arange(K)[:, None], np.ones((5, K)), 2, np.random.default_rng(seed)) for seed in (0, 1))
    assert a.shape == (2, 5, K)
    assert (a != b).all()


@pytest.mark.parametrize("name", CLASSES)
def test_members_seeds_and_torch(name: str) -> None:
    X, U = red()
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    models = [CLASSES[name](**TINY[name], radius=1, random_state=seed).fit(X[:200], U[:200]) for seed in (1, 1, 2)]
    a, b, c = (model.sample(X[:10], 3, np.random.default_rng(0)) for model in models)
    assert (torch.get_rng_state() == before).all()
    assert torch.get_num_threads() == threads
    assert a.shape == (3, 10, K)
    assert (a == b).all()
    assert (a != c).any()
    closure = models[0].closure()
    runs = []
    for _ in range(2):
        checked_start(closure, 6, np.random.default_rng(0))
        runs.append(np.stack([checked_step(closure, X[:6]) for _ in range(12)]))
    assert (runs[0] == runs[1]).all()
    assert count_parameters(models[0]) == models[0].n_parameters > 0
    assert clone(models[0]).fit(X[:50], U[:50, 0]).sample(X[:5], 2, np.random.default_rng(0)).shape == (2, 5)


def test_what_cannot_be() -> None:
    X, U = red()
    with pytest.raises(ValueError, match="n_draws at least 2"):
        ProbabilisticRecurrentRegressor(n_draws=1).fit(X, U)
    with pytest.raises(ValueError, match="noise_correlation at least 0 and below 1"):
        GANRegressor(noise_correlation=1.0).fit(X, U)
    with pytest.raises(ModelError, match="whole multiple"):
        as_closure(fitted("gan"), 0.03)


@pytest.mark.parametrize("name", CLASSES)
def test_its_families_take_it(name: str, memory: SubgridForcingMemory, online: OnlineRollout) -> None:
    model = CLASSES[name](**TINY[name])
    memory.fit(model)
    result = memory.evaluate(model)
    assert {"crps", "spread_skill"} <= set(result.metrics)
    assert result.failures.non_finite == 0
    assert online.evaluate(model).metrics["survival"].value >= 0.0
