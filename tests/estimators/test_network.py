"""The torch network as a scikit-learn regressor and as a closure."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from scipy.special import erf
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from l96bench.dynamics.closures import as_closure, checked_step
from l96bench.errors import ModelError
from l96bench.estimators.network import ACTIVATIONS, TorchRegressor, _whitening
from l96bench.estimators.regressors import LocalRegressor
from l96bench.estimators.training_loop import Layers, range_test

X = np.random.default_rng(0).normal(3.0, 5.0, (2000, 5))
Y = np.sin(X[:, 0] / 3) * X[:, 1] - 0.5 * X[:, 2] - 4.0
SMALL: dict[str, Any] = {"hidden": (16,), "epochs": 3, "min_steps": 0}


def by_numpy(model: TorchRegressor, X: NDArray, activation: Any, masks: Any = None) -> NDArray:
    """The network in float64 NumPy."""
    for i, (coef, intercept) in enumerate(zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True)):
        z = activation(X @ coef.astype(float).T + intercept) * (1.0 if masks is None else masks[i])
        X = X + z if model.residual and i > 0 and X.shape == z.shape else z
    return X @ model.coefs_[-1].astype(float).T + model.intercepts_[-1]


@pytest.mark.slow
@parametrize_with_checks(
    [TorchRegressor(hidden=(16,), epochs=2, min_steps=100)],
    expected_failed_checks=lambda _: {
        "check_methods_subset_invariance": "float32 rounding depends on the batch; the check allows 1e-7"
    },
    xfail_strict=False,  # on some processors the rounding happens to agree
)
def test_scikit_learn_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("gelu", lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2)))),
        ("relu", lambda x: np.maximum(x, 0)),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("tanh", np.tanh),
    ],
)
def test_predict_is_the_network_of_its_weights(name: str, activation: Any) -> None:
    model = TorchRegressor(hidden=(16, 8), activation=name, epochs=2, min_steps=0).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), by_numpy(model, X, activation)[:, 0], atol=1e-4)
    assert set(ACTIVATIONS) == {"gelu", "relu", "silu", "tanh"}


@pytest.mark.slow
def test_it_learns_a_nonlinear_function() -> None:
    model = TorchRegressor(min_steps=800).fit(X, Y)
    fresh = np.random.default_rng(1).normal(3.0, 5.0, (500, 5))
    truth = np.sin(fresh[:, 0] / 3) * fresh[:, 1] - 0.5 * fresh[:, 2] - 4.0
    assert model.score(fresh, truth) > 0.95
    assert LinearRegression().fit(X, Y).score(fresh, truth) < 0.5
    assert model.loss_curve_[-1] < 0.05 < model.loss_curve_[0]


@pytest.mark.training
def test_no_hidden_layer_is_linear_regression() -> None:
    exact = X @ [1.0, -2.0, 0.5, 0.0, 3.0] + 7.0
    model = TorchRegressor(hidden=(), min_steps=1500, learning_rate=0.05).fit(X, exact)
    np.testing.assert_allclose(model.coefs_[0][0], [1.0, -2.0, 0.5, 0.0, 3.0], atol=1e-3)
    assert model.intercepts_[0][0] == pytest.approx(7.0, abs=1e-2)


@pytest.mark.slow
def test_standardizing_makes_units_irrelevant() -> None:
    model = TorchRegressor(**SMALL).fit(X, Y)
    scaled = TorchRegressor(**SMALL).fit(1e3 * X + 5e3, 1e-3 * Y)
    np.testing.assert_allclose(1e3 * scaled.predict(1e3 * X + 5e3), model.predict(X), atol=2e-2)
    raw = TorchRegressor(**SMALL, standardize=False).fit(1e3 * X + 5e3, 1e-3 * Y)
    assert raw.score(1e3 * X + 5e3, 1e-3 * Y) < model.score(X, Y) - 0.1


def test_residual_layers_add_their_inputs() -> None:
    """The layers 16-16 and 8-8 do; the one that changes the width cannot."""
    parameters: dict[str, Any] = {"hidden": (16, 16, 8, 8), "activation": "tanh", "epochs": 2, "min_steps": 0}
    model = TorchRegressor(**parameters, residual=True).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), by_numpy(model, X, np.tanh)[:, 0], atol=1e-4)
    plain = TorchRegressor(**parameters).load_state_dict(model.state_dict())
    assert np.abs(plain.predict(X) - model.predict(X)).max() > 0.1


def test_five_inputs_as_wide_as_the_first_layer_are_not_added() -> None:
    model = TorchRegressor(hidden=(5, 5), activation="tanh", epochs=2, min_steps=0, residual=True).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), by_numpy(model, X, np.tanh)[:, 0], atol=1e-4)


def test_batch_norm_is_folded_as_torch_evaluates_it() -> None:
    generator = torch.Generator().manual_seed(0)
    layers = Layers([5, 16, 8, 2], generator, "tanh", batch_norm=True)
    modules = [torch.nn.Linear(5, 16), torch.nn.BatchNorm1d(16), torch.nn.Tanh(), torch.nn.Linear(16, 8)]
    modules += [torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Linear(8, 2)]
    reference = torch.nn.Sequential(*modules)
    order = [
        "0.weight",
        "0.bias",
        "3.weight",
        "3.bias",
        "6.weight",
        "6.bias",
        "1.weight",
        "4.weight",
        "1.bias",
        "4.bias",
    ]
    x = torch.randn((64, 5), generator=generator) * 3 + 1
    with torch.no_grad():
        for tensor in layers.weights:
            tensor += 0.3 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in zip(order, layers.weights, strict=True):
            reference.get_parameter(name).copy_(tensor)
        for _ in range(3):
            torch.testing.assert_close(layers(x), reference(x))  # in training mode, which moves the running moments
        reference.eval()
        expected = reference(x).numpy()
    model = TorchRegressor(hidden=(16, 8), activation="tanh")
    state = {"one_output": np.array(False)}
    for i, (coef, intercept) in enumerate(zip(*layers.folded(), strict=True)):
        state |= {f"{i}.weight": coef, f"{i}.bias": intercept}
    # torch's running variance is unbiased, its mean and both's momentum 0.1: the same within single precision.
    np.testing.assert_allclose(model.load_state_dict(state).predict(x.numpy()), expected, atol=1e-5)


@pytest.mark.slow
def test_batch_norm_trains() -> None:
    model = TorchRegressor(hidden=(32, 32), min_steps=400, batch_norm=True).fit(X, Y)
    assert model.score(X, Y) > 0.9
    np.testing.assert_allclose(
        model.predict(X[:9]), by_numpy(model, X[:9], lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))))[:, 0], atol=1e-4
    )


def test_dropout_keeps_the_expected_activation() -> None:
    model = TorchRegressor(hidden=(40, 30), dropout=0.25, activation="tanh", epochs=3, min_steps=0).fit(X, Y)
    masks = model.draw_masks(20_000, np.random.default_rng(0))
    for mask, units in zip(masks, (40, 30), strict=True):
        assert mask.shape == (20_000, units)
        assert set(np.unique(mask)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
        np.testing.assert_allclose(mask.mean(axis=0), 1.0, atol=0.02)  # 5 standard errors
    few = [mask[:50] for mask in masks]
    expected = by_numpy(model, X[:50], np.tanh, few)[:, 0]
    np.testing.assert_allclose(model.predict_masked(X[:50], few), expected, atol=1e-4)
    one = [mask[:1] for mask in masks]
    expected = by_numpy(model, X[:50], np.tanh, one)[:, 0]
    np.testing.assert_allclose(model.predict_masked(X[:50], one), expected, atol=1e-4)


@pytest.mark.slow
def test_samples_of_dropout_scatter_about_the_network() -> None:
    """One hidden layer: the output is linear in the masks, so that the mean of samples is the prediction exactly."""
    model = TorchRegressor(hidden=(40,), dropout=0.25, epochs=3, min_steps=0).fit(X, Y)
    samples = model.sample_dropout(X[:20], 2000, np.random.default_rng(0))
    assert samples.shape == (2000, 20)
    error = samples.std(axis=0) / np.sqrt(2000)
    assert (error > 0).all()
    assert (np.abs(samples.mean(axis=0) - model.predict(X[:20])) < 5 * error).all()
    np.testing.assert_array_equal(model.sample_dropout(X[:20], 2000, np.random.default_rng(0)), samples)
    both = TorchRegressor(**SMALL).fit(X, np.column_stack([Y, Y]))
    same = both.sample_dropout(X[:20], 3, np.random.default_rng(0))
    np.testing.assert_array_equal(same, np.broadcast_to(both.predict(X[:20]), (3, 20, 2)))


@pytest.mark.slow
def test_dropout_trains_with_noise() -> None:
    plain, dropped = (TorchRegressor(min_steps=400, dropout=p).fit(X, Y) for p in (0.0, 0.2))
    assert dropped.loss_curve_[-1] > 2 * plain.loss_curve_[-1]  # of networks with units missing
    assert dropped.score(X, Y) > 0.7


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("curvature", [1.0, 10.0, 100.0])
def test_the_range_test_stays_below_the_stable_limit_of_a_quadratic(curvature: float, noise: float) -> None:
    """Gradient descent on curvature / 2 w^2 multiplies w by 1 - rate curvature: it is stable below 2 / curvature."""
    generator = torch.Generator().manual_seed(0)
    w = torch.full((3,), 5.0, requires_grad=True)

    def loss() -> torch.Tensor:
        return 0.5 * curvature * ((w - noise * torch.randn(3, generator=generator)) ** 2).sum()

    rate = range_test(torch.optim.SGD([w], lr=1.0), loss)
    limit = 2 / curvature
    # Without noise the loss has fallen so low that it takes a while to come back, far beyond the limit.
    assert limit / 50 < rate < (limit / 5 if noise else limit)


@pytest.mark.slow
def test_a_found_rate_is_kept_and_trains_well() -> None:
    model = TorchRegressor(hidden=(32, 32), min_steps=400, learning_rate="find").fit(X, Y)
    assert 1e-3 < model.learning_rate_ < 0.1
    assert model.score(X, Y) > 0.9
    given = TorchRegressor(hidden=(32, 32), min_steps=400, learning_rate=model.learning_rate_).fit(X, Y)
    np.testing.assert_array_equal(given.predict(X), model.predict(X))  # the test leaves no trace
    assert TorchRegressor(**SMALL).fit(X, Y).learning_rate_ == 0.01


def test_a_constant_rate_is_plain_adam() -> None:
    """Against torch's own Adam on full batches from the same start: no schedule, no decay."""
    model = TorchRegressor(hidden=(), epochs=20, batch_size=2000, learning_rate=0.05, schedule="constant", min_steps=0)
    model.fit(X, Y)
    seed = int(np.random.SeedSequence(0).generate_state(1)[0])
    linear = torch.nn.Linear(5, 1)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (linear.weight, linear.bias):
            tensor.copy_((2 * torch.rand(tensor.shape, generator=generator) - 1) * 5**-0.5)
    inputs = torch.from_numpy((X - X.mean(axis=0)) / X.std(axis=0)).float()
    targets = torch.from_numpy((Y - Y.mean()) / Y.std()).float()[:, None]
    optimizer = torch.optim.Adam(linear.parameters(), lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(linear(inputs), targets).backward()
        optimizer.step()
    slopes = linear.weight.detach().numpy()[0] * Y.std() / X.std(axis=0)
    np.testing.assert_allclose(model.coefs_[0][0], slopes, rtol=1e-3, atol=1e-5)


@pytest.mark.training
def test_whitening_helps_with_inputs_that_are_nearly_equal_and_is_folded() -> None:
    """The target is the small difference of two columns, as a rate of change is of lags."""
    near = np.column_stack([X[:, 0], X[:, 0] + 0.01 * X[:, 1]])
    target = np.tanh(100 * (near[:, 1] - near[:, 0]) / 5)
    parameters: dict[str, Any] = {"hidden": (16,), "activation": "tanh", "min_steps": 300}
    plain, whitened = (TorchRegressor(**parameters, whiten=whiten).fit(near, target) for whiten in (False, True))
    assert whitened.score(near, target) > 0.98 > 0.9 > plain.score(near, target)
    np.testing.assert_allclose(whitened.predict(near), by_numpy(whitened, near, np.tanh)[:, 0], atol=1e-3)
    units = TorchRegressor(**parameters, whiten=True).fit(1e3 * near + [5.0, 7.0], target)
    np.testing.assert_allclose(units.predict(1e3 * near + [5.0, 7.0]), whitened.predict(near), atol=0.02)
    constant = np.column_stack([near, np.ones(len(near))])
    assert np.isfinite(TorchRegressor(**parameters, whiten=True).fit(constant, target).predict(constant)).all()


def test_whitened_training_inputs_are_uncorrelated() -> None:
    scaled = (X - X.mean(axis=0)) / X.std(axis=0) @ np.random.default_rng(3).normal(size=(5, 5))
    scaled /= scaled.std(axis=0)
    matrix = _whitening(scaled)
    np.testing.assert_allclose(np.cov((scaled @ matrix).T, bias=True), np.eye(5), atol=1e-8)
    np.testing.assert_allclose(matrix, np.real(sqrtm(np.linalg.inv(np.corrcoef(scaled.T)))), rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_several_outputs() -> None:
    both = np.column_stack([Y, 10 * X[:, 3]])
    model = TorchRegressor(min_steps=800).fit(X, both)
    assert model.predict(X).shape == both.shape
    assert model.score(X, both) > 0.95
    assert TorchRegressor(**SMALL).fit(X, Y[:, None]).predict(X).shape == (2000, 1)


def test_seeds_reproduce_and_global_state_is_untouched() -> None:
    torch.manual_seed(123)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = TorchRegressor(**SMALL).fit(X, Y).predict(X)
    torch.manual_seed(5)
    torch.rand(3)
    np.testing.assert_array_equal(TorchRegressor(**SMALL).fit(X, Y).predict(X), first)
    torch.random.set_rng_state(before)
    other = TorchRegressor(**SMALL, random_state=1).fit(X, Y).predict(X)
    fresh = [TorchRegressor(**SMALL, random_state=None).fit(X, Y).predict(X) for _ in range(2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert not np.array_equal(other, first)
    assert not np.array_equal(*fresh)


def test_the_thread_count_does_not_matter() -> None:
    threads = torch.get_num_threads()
    results = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            results.append(TorchRegressor(**SMALL).fit(X, Y).predict(X))
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(*results)


def test_state_without_pickle(tmp_path: Any) -> None:
    model = TorchRegressor(hidden=(16, 8), epochs=1, min_steps=0).fit(X, Y)
    np.savez(tmp_path / "network.npz", **model.state_dict())
    with np.load(tmp_path / "network.npz", allow_pickle=False) as state:
        restored = clone(model).load_state_dict(state)
    np.testing.assert_array_equal(restored.predict(X), model.predict(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert model.n_parameters == restored.n_parameters == 5 * 16 + 16 + 16 * 8 + 8 + 8 + 1
    with pytest.raises(ValueError, match=r"Expected arrays .*Check `hidden`"):
        TorchRegressor(hidden=(16,)).load_state_dict(model.state_dict())
    with pytest.raises(ValueError, match=r"Expected layer 0 of shape \(4, 5\); got \(16, 5\)\. Check `hidden`"):
        TorchRegressor(hidden=(4, 8)).load_state_dict(model.state_dict())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "swish"}, r"one of \['gelu', 'relu', 'silu', 'tanh'\]; got 'swish'"),
        ({"hidden": (64, 0)}, r"hidden must be the units of each layer.*got \(64, 0\)"),
        ({"epochs": 0}, "epochs and batch_size must be at least 1 and learning_rate positive or 'find'; got 0, 256"),
        ({"batch_size": 0}, "got 10, 0"),
        ({"learning_rate": float("nan")}, "and nan"),
        ({"learning_rate": "guess"}, "and 'guess'"),
        ({"schedule": "cosine"}, r"one of \['one-cycle', 'constant'\]; got 'cosine'"),
        ({"whiten": True, "standardize": False}, "Try standardize=True"),
        ({"dropout": 1.0}, r"at least 0 and below 1; got 1\.0"),
    ],
)
def test_unusable_parameters_say_why(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TorchRegressor(**parameters).fit(X, Y)


def test_a_stencil_network_is_a_fast_closure_that_rolls_with_the_ring() -> None:
    states = np.random.default_rng(2).normal(3.0, 5.0, (100, 8))
    forcing = -0.4 * states + 0.1 * np.roll(states, 1, axis=1)
    model = LocalRegressor(TorchRegressor(**SMALL)).fit(states, forcing)
    closure = as_closure(model)
    U = checked_step(closure, states)
    np.testing.assert_array_equal(U, model.predict(states))
    np.testing.assert_allclose(checked_step(closure, np.roll(states, 3, axis=1)), np.roll(U, 3, axis=1), atol=1e-5)


def test_a_network_of_all_points_is_a_closure() -> None:
    states = np.random.default_rng(2).normal(3.0, 5.0, (100, 8))
    model = TorchRegressor(**SMALL).fit(states, -0.4 * states)
    closure = as_closure(model)
    np.testing.assert_array_equal(checked_step(closure, states), model.predict(states))
    states[7, 0] = np.inf
    assert not np.isfinite(checked_step(closure, states)[7]).all()
    with pytest.raises(ModelError, match=r"fitted on 8 points; X has shape \(100, 5\)"):
        checked_step(closure, states[:, :5])


@pytest.mark.slow
def test_a_network_with_lags_sees_the_past() -> None:
    """U is a function of the state one row before: found with that lag, hidden without."""
    states = np.random.default_rng(2).normal(3.0, 5.0, (400, 8))
    forcing = np.roll(states, 1, axis=0) * 0.5
    parameters: dict[str, Any] = {"hidden": (16,), "min_steps": 300}
    lagged = LocalRegressor(TorchRegressor(**parameters), radius=0, lags=(0.05,)).fit(states, forcing)
    assert lagged.score(states[1:], forcing[1:]) > 0.99
    assert LocalRegressor(TorchRegressor(**parameters), radius=0).fit(states, forcing).score(states, forcing) < 0.1
    closure = lagged.closure(dt=0.05)
    closure.start(400, np.random.default_rng(0))
    closure.step(np.roll(states, 1, axis=0))
    np.testing.assert_allclose(closure.step(states)[1:], lagged.predict(states)[1:], atol=1e-5)


def test_non_finite_states_pass_through_the_closure() -> None:
    states = np.random.default_rng(2).normal(3.0, 5.0, (100, 8))
    closure = as_closure(LocalRegressor(TorchRegressor(**SMALL), radius=1).fit(states, -states))
    states[7, 0] = np.inf
    U = checked_step(closure, states)
    assert not np.isfinite(U[7, [7, 0, 1]]).any()
    assert np.isfinite(np.delete(U, 7, axis=0)).all()


@pytest.mark.training
def test_a_warm_start_goes_on_from_the_last_fit() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(3.0, 2.0, (4000, 3))
    y = np.tanh(X[:, 0]) * X[:, 1] + 0.1 * rng.standard_normal(4000)
    network = TorchRegressor((16,), "tanh", epochs=8, warm_start=True).fit(X, y)
    before = network.predict(X)
    network.set_params(epochs=1, min_steps=1, learning_rate=1e-9).fit(5.0 + 2.0 * X[:100], y[:100])
    np.testing.assert_allclose(network.predict(X), before, atol=1e-4)
    network.set_params(epochs=4, learning_rate=1e-3).fit(X, y)
    assert (
        network.loss_curve_[0]
        < 0.5 * TorchRegressor((16,), "tanh", epochs=4, learning_rate=1e-3).fit(X, y).loss_curve_[0]
    )
    for options in ({"whiten": True}, {"batch_norm": True}):
        with pytest.raises(ValueError, match="warm_start"):
            TorchRegressor(warm_start=True, **options).fit(X, y)
    with pytest.raises(ValueError, match="shapes"):
        network.set_params(hidden=(4,)).fit(X, y)
