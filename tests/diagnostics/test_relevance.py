from __future__ import annotations

import numpy as np
import pytest

from l96bench.diagnostics import ClosureSubject, LeftOutError, offsets_of
from l96bench.diagnostics.closure.relevance import RelevanceNetwork, find_network, layerwise_relevance, ring_relevance
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor


def _network(activation: str = "relu", biases: bool = False, units: tuple[int, ...] = (4, 7, 5, 2)) -> RelevanceNetwork:
    rng = np.random.default_rng(0)
    shapes = list(zip(units[1:], units[:-1], strict=True))
    weights = tuple(rng.standard_normal(shape) for shape in shapes)
    added = tuple(biases * rng.standard_normal(shape[0]) for shape in shapes)
    return RelevanceNetwork(weights, added, activation, None)


def _layers(network: RelevanceNetwork, rows: np.ndarray) -> list[np.ndarray]:
    """The outputs of each layer of a ReLU network before its activation."""
    sums = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        inputs = np.maximum(sums[-1], 0.0) if sums else rows
        sums.append(inputs @ weight.T + bias)
    return sums


def _by_hand(network: RelevanceNetwork, rows: np.ndarray, output: int) -> np.ndarray:
    """The rule with a vanishing epsilon, written out from Bach et al. (2015), eq. 56."""
    sums = _layers(network, rows)
    relevance = np.zeros_like(sums[-1])
    relevance[:, output] = sums[-1][:, output]
    for i in reversed(range(len(sums))):
        inputs = np.maximum(sums[i - 1], 0.0) if i else rows
        shares = relevance / (sums[i] + 1e-12 * np.sign(sums[i]))
        relevance = inputs * (shares @ network.weights[i])
    return relevance


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((30, 4))


@pytest.mark.parametrize("output", [0, 1])
def test_relevance_of_a_network_without_biases_adds_up_to_the_output(rows: np.ndarray, output: int) -> None:
    network = _network()
    found = layerwise_relevance(network, rows, output, epsilon=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), _layers(network, rows)[-1][:, output], atol=1e-6)


@pytest.mark.parametrize("biases", [False, True])
def test_relevance_is_that_of_the_rule_written_out(rows: np.ndarray, biases: bool) -> None:
    network = _network(biases=biases)
    found = layerwise_relevance(network, rows, 1, epsilon=1e-12)
    np.testing.assert_allclose(found, _by_hand(network, rows, 1), rtol=1e-5, atol=1e-8)


def test_relevance_of_a_linear_network_is_its_terms(rows: np.ndarray) -> None:
    network = _network(units=(4, 1), biases=True)
    np.testing.assert_allclose(layerwise_relevance(network, rows), rows * network.weights[0][0], rtol=1e-4)


@pytest.mark.parametrize("activation", ["gelu", "silu", "tanh"])
def test_every_activation_is_passed_unchanged(rows: np.ndarray, activation: str) -> None:
    found = layerwise_relevance(_network(activation), rows)
    assert np.isfinite(found).all()
    assert found.any()


def test_anomalies_do_not_change_the_function(rows: np.ndarray) -> None:
    network = _network(biases=True)
    own = network.anomalous(1.5)
    np.testing.assert_allclose(_layers(own, rows - 1.5)[-1], _layers(network, rows)[-1])


@pytest.mark.slow
def test_the_network_is_found_inside_its_wrappers(network_subject: ClosureSubject) -> None:
    model = network_subject.model
    network = find_network(model)
    assert network.radius == 1
    assert [weight.shape for weight in network.weights] == [(8, 3), (1, 8)]
    X = np.random.default_rng(0).normal(2.0, 3.0, (20, 8))
    assert find_network(AR1Regressor(model).fit(X, X)).radius == 1


def test_a_stencil_has_no_relevance_outside_of_itself(network_subject: ClosureSubject) -> None:
    X = np.array(network_subject.offline.test.X[0][:20])
    found = ring_relevance(find_network(network_subject.model), X, 2.0)
    offsets = offsets_of(8)
    assert found.shape == (20, 8, 8)
    assert not found[..., np.abs(offsets) > 1].any()
    assert found[..., np.abs(offsets) <= 1].any(axis=(0, 1)).all()


def test_a_global_network_and_a_stencil_of_the_whole_ring_agree() -> None:
    rng = np.random.default_rng(2)
    X, K = rng.standard_normal((10, 5)), 5
    stencil = RelevanceNetwork((rng.standard_normal((1, K)),), (np.zeros(1),), "relu", 2)
    offsets = np.arange(-2, 3)
    matrix = np.zeros((K, K))
    for k in range(K):
        matrix[k, (k + offsets) % K] = stencil.weights[0][0]
    whole = RelevanceNetwork((matrix,), (np.zeros(K),), "relu", None)
    np.testing.assert_allclose(ring_relevance(whole, X, 0.5), ring_relevance(stencil, X, 0.5), rtol=1e-4, atol=1e-5)


def test_what_is_no_plain_chain_is_left_out() -> None:
    X = np.random.default_rng(0).normal(2.0, 3.0, (200, 8))
    with pytest.raises(LeftOutError, match="no chain"):
        find_network(PolynomialRegressor().fit(X, X))
    with pytest.raises(LeftOutError, match="past"):
        find_network(LocalRegressor(TorchRegressor(hidden=(2,), min_steps=1, epochs=1), lags=(0.05,)).fit(X, X))
