"""The conditional Markov chain: against a synthetic chain whose transition probabilities are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from l96bench.dynamics.ar1 import ar1_noise
from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.steps import SteppedClosure
from l96bench.errors import ModelError
from l96bench.estimators.markov import MarkovChainRegressor

K = 8
STAY = 0.8


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chain_data(n: int = 6000, seed: int = 0) -> tuple[NDArray, NDArray, NDArray]:
    """U = X + s with s = -1 or 1, which stays with probability 0.8 from row to row, whatever X does."""
    X = 3.0 + ar1_noise((n, K), 0.9, 3.0, rng(seed))
    flips = np.cumsum(rng(seed + 1).random((n, K)) > STAY, axis=0)
    states = (flips + rng(seed + 2).integers(2, size=K)) % 2
    return X, X + 2.0 * states - 1.0, states


TIME = "the rows are times in order, so their order matters"


@parametrize_with_checks(
    [MarkovChainRegressor(n_bins=4, n_states=2)],
    expected_failed_checks=lambda _: {
        "check_regressor_multioutput": "y must be U at all points of X or at one; the check has 5 of 10",
        "check_methods_sample_order_invariance": TIME,
        "check_methods_subset_invariance": TIME,
    },
    xfail_strict=True,
)
def test_scikit_learn_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


def test_rows_are_probabilities_and_states_are_equally_likely() -> None:
    X, U, _ = chain_data()
    model = MarkovChainRegressor(n_bins=6, n_states=3).fit(X, U)
    assert model.transitions_.shape == (6, 6, 3, 3)
    np.testing.assert_allclose(model.transitions_.sum(axis=-1), 1.0, rtol=1e-12)
    assert (model.transitions_ > 0).all()
    # Quantile states are evenly populated, so that the even distribution is stationary for the pooled chain.
    assert (np.diff(model.centres_) > 0).all()
    assert (np.diff(model.values_, axis=1) >= 0).all()
    one_bin = MarkovChainRegressor(n_bins=1, n_states=3).fit(X, U).transitions_[0, 0]
    values, vectors = np.linalg.eig(one_bin.T)
    stationary = vectors[:, np.argmax(values.real)].real
    np.testing.assert_allclose(stationary / stationary.sum(), 1 / 3, atol=0.01)


def test_the_transition_probabilities_of_a_synthetic_chain_are_recovered() -> None:
    X, U, _ = chain_data(20000)
    model = MarkovChainRegressor(n_bins=1, n_states=2).fit(X[:, :], U - X)
    np.testing.assert_allclose(model.transitions_[0, 0], [[STAY, 1 - STAY], [1 - STAY, STAY]], atol=0.01)
    np.testing.assert_allclose(model.values_, [[-1.0, 1.0]], atol=0.02)


def test_counts_agree_with_brute_force() -> None:
    X, U, states = chain_data(400)
    model = MarkovChainRegressor(n_bins=3, n_states=2, prior=1e-9).fit(X, U - X)
    bins = np.searchsorted(model.edges_, X, side="right")
    # The quantile states are s wherever the two values of s are evenly spread over a bin; count those of the data.
    halves = np.empty_like(states)
    for i in range(3):
        inside = np.flatnonzero(bins == i)
        order = inside[np.argsort((U - X).ravel()[inside], kind="stable")]
        halves.ravel()[order] = np.arange(len(order)) * 2 // len(order)
    for before in range(3):
        for after in range(3):
            for state in range(2):
                jumps = [
                    halves[row + 1, k]
                    for row in range(399)
                    for k in range(K)
                    if (bins[row, k], bins[row + 1, k], halves[row, k]) == (before, after, state)
                ]
                if jumps:
                    expected = [1 - np.mean(jumps), np.mean(jumps)]
                    np.testing.assert_allclose(model.transitions_[before, after, state], expected, atol=1e-8)
                else:  # the prior alone: the jumps of all bins together
                    assert (model.transitions_[before, after, state] > 0).all()


def test_samples_have_the_autocorrelation_of_the_chain() -> None:
    """The residual of a two-state chain has the lag-one autocorrelation 2 * 0.8 - 1 = 0.6."""
    X, U, _ = chain_data()
    model = MarkovChainRegressor(n_bins=20, n_states=2).fit(X, U)
    draws = model.sample(X, 5, rng(3))
    assert draws.shape == (5, *X.shape)
    e = draws - X
    for lag, expected in ((1, 0.6), (2, 0.36), (3, 0.216)):
        correlation = np.mean(e[:, lag:] * e[:, :-lag]) / np.mean(e**2)
        assert correlation == pytest.approx(expected, abs=0.05)
    np.testing.assert_array_equal(model.sample(X[:20], 3, rng(1)), model.sample(X[:20], 3, rng(1)))


def test_the_mean_uses_the_past_of_X() -> None:
    """U is 1 while X rises and -1 while it falls: the bins before and now tell, X alone does not."""
    x = 3.0 * ar1_noise((8000, K), 0.9, 1.0, rng(4))
    U = np.where(np.diff(x, axis=0, prepend=x[:1]) > 0, 1.0, -1.0)
    model = MarkovChainRegressor(n_bins=8, n_states=2).fit(x[:6000], U[:6000])
    explained = 1 - np.mean((model.predict(x[6000:]) - U[6000:]) ** 2) / U[6000:].var()
    alone = MarkovChainRegressor(n_bins=8, n_states=1).fit(x[:6000], U[:6000])
    assert explained > 0.15 + (1 - np.mean((alone.predict(x[6000:]) - U[6000:]) ** 2) / U[6000:].var())
    np.testing.assert_array_equal(model.predict(x[:50]), model.predict(x[:80])[:50])


@pytest.mark.parametrize("dt", [0.01, 0.025, 0.05])
def test_the_closure_jumps_once_an_interval_at_every_dt(dt: float) -> None:
    X, U, _ = chain_data()
    model = MarkovChainRegressor(n_bins=20, n_states=2).fit(X, U)
    closure, every = as_closure(model, dt), round(0.05 / dt)
    assert isinstance(closure, SteppedClosure)
    checked_start(closure, 500, rng(5))
    fixed = np.full((500, K), 3.0)
    steps = np.array([checked_step(closure, fixed) for _ in range(8 * every)])
    for first in range(0, len(steps), every):
        assert (steps[first : first + every] == steps[first]).all()
    e = steps[::every] - steps.mean()
    inside = model.transitions_[np.searchsorted(model.edges_, 3.0), np.searchsorted(model.edges_, 3.0)]
    flips = 0.5 * (inside[0, 1] + inside[1, 0])
    assert np.mean(e[1:] * e[:-1]) / np.mean(e**2) == pytest.approx(1 - 2 * flips, abs=0.04)


def test_the_closure_starts_from_what_the_past_explains() -> None:
    X, U, _ = chain_data()
    model = MarkovChainRegressor(n_bins=6, n_states=4).fit(X, U)
    closure = as_closure(model)
    past = np.broadcast_to(X[:20, None], (20, 4000, K))
    checked_start(closure, 4000, rng(6), past)
    drawn = checked_step(closure, np.broadcast_to(X[20], (4000, K)).copy())
    np.testing.assert_allclose(drawn.mean(axis=0), model.predict(X[:21])[20], atol=0.08)
    with pytest.raises(ModelError, match=r"started for states of shape \(4000, 8\); X has \(8, 8\)"):
        checked_step(closure, X[:8])


def test_few_data_and_unusable_arguments() -> None:
    X, U, _ = chain_data(12)
    model = MarkovChainRegressor().fit(X, U)  # 96 values for 128 states
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.sample(X, 2, rng())).all()
    assert model.n_parameters > 0
    with pytest.raises(ValueError, match="n_states must be a whole number of at least 1; got 0"):
        MarkovChainRegressor(n_states=0).fit(X, U)
    with pytest.raises(ValueError, match="prior must be a positive number"):
        MarkovChainRegressor(prior=0.0).fit(X, U)
    with pytest.raises(ValueError, match="at least 2 rows in time order; got n_samples=1"):
        MarkovChainRegressor().fit(X[:1], U[:1])
    with pytest.raises(ValueError, match=r"whole multiple of the model step 0\.03"):
        model.closure(0.03)
