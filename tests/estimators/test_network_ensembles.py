"""Deep ensembles and Monte Carlo dropout."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.errors import ModelError
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.network_ensembles import DeepEnsembleRegressor, DropoutRegressor
from l96bench.estimators.recurrent import RecurrentRegressor
from l96bench.estimators.regressors import AR1Regressor, LocalRegressor
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing

K = 6
X = np.random.default_rng(0).normal(2.0, 3.0, (400, K))
U = -X + np.sin(np.roll(X, 1, axis=1)) + 0.3 * np.random.default_rng(1).normal(size=X.shape)
SMALL: dict[str, Any] = {"hidden": (8, 8), "epochs": 2, "min_steps": 60}


def local(**changes: Any) -> LocalRegressor:
    return LocalRegressor(TorchRegressor(**(SMALL | changes)), radius=1)


@functools.cache
def ensemble() -> DeepEnsembleRegressor:
    return DeepEnsembleRegressor(local(), n_networks=3).fit(X, U)


@functools.cache
def dropout(masks: str = "run") -> DropoutRegressor:
    network = TorchRegressor(hidden=(32, 32), dropout=0.1, epochs=20, min_steps=600)
    return DropoutRegressor(network, radius=1, masks=masks).fit(X, U)


def test_the_networks_differ_and_their_mean_is_predicted() -> None:
    each = np.stack([network.predict(X) for network in ensemble().estimators_])
    assert each.std(axis=0).min() > 0
    np.testing.assert_allclose(ensemble().predict(X), each.mean(axis=0), atol=1e-12)
    draws = ensemble().sample(X, 12, np.random.default_rng(0))
    np.testing.assert_allclose(draws.mean(axis=0), each.mean(axis=0), atol=1e-12)  # equal shares
    np.testing.assert_allclose(draws.var(axis=0), each.var(axis=0), atol=1e-12)
    assert count_parameters(ensemble()) == 3 * ensemble().estimators_[0].estimator_.n_parameters


def test_a_network_of_an_ensemble_is_one_trained_alone() -> None:
    seeds = np.random.SeedSequence(0).generate_state(3)
    alone = local(random_state=int(seeds[1])).fit(X, U)
    assert (ensemble().estimators_[1].predict(X) == alone.predict(X)).all()
    assert (DeepEnsembleRegressor(local(), 3, random_state=4).fit(X, U).predict(X) != ensemble().predict(X)).any()


def test_a_member_keeps_its_network() -> None:
    closure = as_closure(ensemble())
    assert not closure.deterministic
    checked_start(closure, 7, np.random.default_rng(0))
    each = [network.predict(X[:7]) for network in ensemble().estimators_]
    runs = [checked_step(closure, X[:7]) for _ in range(3)]
    own = [int(np.argmin([np.abs(runs[0][i] - network[i]).max() for network in each])) for i in range(7)]
    for U_step in runs:
        np.testing.assert_allclose(U_step, [each[own[i]][i] for i in range(7)], atol=1e-5)
    assert sorted(np.bincount(own)) == [2, 2, 3]
    firsts = set()
    for seed in range(30):
        checked_start(closure, 1, np.random.default_rng(seed))
        firsts.add(float(checked_step(closure, X[:1])[0, 0]))
    assert len(firsts) == 3  # which network comes first is drawn


def test_networks_with_noise_or_memory_make_ensembles_too() -> None:
    noisy = DeepEnsembleRegressor(AR1Regressor(local()), n_networks=2).fit(X, U)
    draws = noisy.sample(X, 400, np.random.default_rng(0))
    each = np.stack([network.predict(X) for network in noisy.estimators_])
    variance = each.var(axis=0) + np.mean([network.sigma_**2 for network in noisy.estimators_])
    assert draws.var(axis=0).mean() == pytest.approx(variance.mean(), rel=0.05)
    closure = noisy.closure()
    checked_start(closure, 4, np.random.default_rng(0))
    assert (checked_step(closure, X[:4]) != checked_step(closure, X[:4])).all()
    recurrent = DeepEnsembleRegressor(RecurrentRegressor(units=4, radius=1, epochs=1, min_steps=5), n_networks=2).fit(
        X, U
    )
    remembering = recurrent.closure()
    checked_start(remembering, 2, np.random.default_rng(0), np.stack([X[:9], X[:9]], axis=1))
    both = checked_step(remembering, X[[9, 9]])
    expected = {tuple(np.round(network.predict(X[:10])[9], 4)) for network in recurrent.estimators_}
    assert {tuple(np.round(row, 4)) for row in both} == expected


@pytest.mark.training
def test_dropout_averages_to_about_the_whole_network() -> None:
    model = dropout()
    mean = model.predict(X)
    assert (mean == LocalRegressor(model.estimator_.estimator, 1).fit(X, U).predict(X)).all()
    draws = model.sample(X, 200, np.random.default_rng(0))
    assert np.sqrt(np.mean((draws.mean(axis=0) - mean) ** 2)) < 0.3 * draws.std(axis=0).mean() + 0.05
    assert draws.std(axis=0).min() > 0
    assert count_parameters(model) == model.estimator_.estimator_.n_parameters


@pytest.mark.slow
def test_a_thinned_network_is_the_network_without_some_units() -> None:
    """Computed from the weights in NumPy with the masks that the same generator gives."""
    model = dropout()
    network = model.estimator_.estimator_
    masks = network.draw_masks(5, np.random.default_rng(7))
    closure = model.closure()
    checked_start(closure, 5, np.random.default_rng(7))
    first, second = checked_step(closure, X[:5]), checked_step(closure, X[:5])
    assert (first == second).all()
    x = X[:5][:, (np.arange(K)[:, None] + np.arange(-1, 2)) % K].astype(np.float32)
    for i in range(2):
        z = torch.from_numpy(x @ network.coefs_[i].T + network.intercepts_[i])
        x = torch.nn.functional.gelu(z).numpy() * masks[i][:, None]
    np.testing.assert_allclose(first, (x @ network.coefs_[2].T + network.intercepts_[2])[..., 0], atol=1e-4)
    assert set(np.unique(masks[0])) == {np.float32(0), np.float32(1) / np.float32(0.9)}


@pytest.mark.slow
def test_masks_of_every_step_change() -> None:
    closure = dropout("step").closure()
    checked_start(closure, 5, np.random.default_rng(7))
    steps = np.stack([checked_step(closure, X[:5]) for _ in range(400)])
    assert (steps[0] != steps[1]).any()
    spread = steps.std(axis=0).mean()
    assert np.abs(steps.mean(axis=0) - dropout("step").predict(X[:5])).max() < spread  # noise about the mean
    draws = dropout("step").sample(X, 5, np.random.default_rng(0))
    assert draws.shape == (5, *X.shape)


@pytest.mark.slow
@pytest.mark.parametrize("model", [ensemble, dropout])
def test_members_are_independent_and_those_of_one_network_have_no_order(model: Any) -> None:
    """Members 1 and 3 of an ensemble of 3 draw the same network from this seed; of thinned ones each has its own."""
    closure = model().closure()

    def run(X: NDArray) -> NDArray:
        checked_start(closure, len(X), np.random.default_rng(0))
        return checked_step(closure, X)

    U, swapped = run(X[:6]), run(X[[0, 3, 2, 1, 4, 5]])
    np.testing.assert_allclose(swapped[[0, 2, 4, 5]], U[[0, 2, 4, 5]], atol=1e-5)
    assert np.allclose(swapped[[3, 1]], U[[1, 3]], atol=1e-5) == (model is ensemble)
    alone = X[:6].copy()
    alone[1:] = 1e300
    np.testing.assert_allclose(run(alone)[0], U[0], atol=1e-5)


@pytest.mark.slow
def test_seeds_reproduce_and_leave_torch_alone() -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    again = DeepEnsembleRegressor(local(), n_networks=3).fit(X, U)
    assert (again.predict(X) == ensemble().predict(X)).all()
    a, b = (dropout().sample(X, 3, np.random.default_rng(seed)) for seed in (0, 0))
    assert (a == b).all()
    assert (torch.get_rng_state() == before).all()
    assert torch.get_num_threads() == threads


def test_point_0_alone() -> None:
    model = DeepEnsembleRegressor(local(), n_networks=2).fit(X, U[:, 0])
    assert model.predict(X).shape == (len(X),)
    assert model.sample(X, 3, np.random.default_rng(0)).shape == (3, len(X))
    thinned = DropoutRegressor(TorchRegressor(**SMALL, dropout=0.1), radius=1).fit(X, U[:, 0])
    assert thinned.sample(X, 3, np.random.default_rng(0)).shape == (3, len(X))


@pytest.mark.slow
def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="must have a random_state"):
        DeepEnsembleRegressor(LocalRegressor(LinearRegression())).fit(X, U)
    with pytest.raises(ValueError, match="n_networks must be at least 1"):
        DeepEnsembleRegressor(n_networks=0).fit(X, U)
    with pytest.raises(ValueError, match="dropout above 0"):
        DropoutRegressor(TorchRegressor()).fit(X, U)
    with pytest.raises(ValueError, match="'run' or 'step'; got 'once'"):
        DropoutRegressor(masks="once").fit(X, U)
    for model in (ensemble(), dropout()):
        closure = model.closure()
        checked_start(closure, 3, np.random.default_rng(0))
        with pytest.raises(ModelError, match="started for"):
            checked_step(closure, X[:2])


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [DeepEnsembleRegressor(local(), 2), DropoutRegressor(TorchRegressor(**SMALL, dropout=0.1))]
)
def test_their_families_take_them(model: Any, offline: SubgridForcing, online: OnlineRollout) -> None:
    offline.fit(model)
    result = offline.evaluate(model)
    assert result.metrics["spread_skill"].value > 0
    assert result.score.value > 70
    assert online.evaluate(model).metrics["survival"].value == 1.0
