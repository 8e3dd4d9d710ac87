"""The trajectories of the instances: their bits, where they come from, and what is observed of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.data import store
from l96bench.data.instances import Instance, instances, textbook_instance
from l96bench.data.recovery import InstanceData, arrays_of, load_instance, make_instance, observe, pairs
from l96bench.dynamics.generalized import advance, random_state
from l96bench.dynamics.truth import simulate
from l96bench.errors import BlowUpError, DataError, L96BenchError
from l96bench.regimes import seed_word

BASES = ("single", "two-scale", "hidden")
every_base = pytest.mark.parametrize("base", BASES)


def fresh(base: str) -> Instance:
    return instances(base, 11)[6]


@pytest.mark.slow
def test_registered_instances_have_the_recorded_bits() -> None:
    for base in BASES:
        for instance in instances(base)[:1]:
            arrays = make_instance(instance, progress=False)
            assert tuple(arrays) == arrays_of(base)
            for name, array in arrays.items():
                key = f"{base}/instance-{instance.index}/{name}"
                assert store.array_digest(array) == store.digests()[key], key


@pytest.mark.slow
@every_base
def test_shapes(base: str) -> None:
    instance = fresh(base)
    data = load_instance(instance)
    n = {"single": 8, "two-scale": 72, "hidden": 8}[base]
    assert (data.train.shape, data.test.shape) == ((10_000, n), (20, 201, n))
    assert (data.interval, data.test_interval) == (0.01, 0.05)
    for states, U in ((data.train, data.train_U), (data.test, data.test_U)):
        assert np.isfinite(states).all()
        assert not states.flags.writeable
        assert (U is None) == (base != "hidden")
        assert U is None or U.shape == states.shape
    assert load_instance(instance) is data


def run_on(instance: Instance, purpose: str, n_steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """X and Y that many steps after the spin-up of a purpose."""
    o = instance.coefficients
    X, Y = random_state(o, instance.K, instance.J, [*instance.words, seed_word(purpose)])
    advance(o, X, Y, 100_000 + n_steps)
    return X, Y


@pytest.mark.slow
@every_base
@pytest.mark.parametrize(
    ("part", "place", "n_steps"),
    [("train", (0,), 0), ("train", (731,), 7310), ("test", (0, 200), 10_000), ("test", (2, 30), 41_500)],
)
def test_samples_are_where_they_should_be(base: str, part: str, place: tuple[int, ...], n_steps: int) -> None:
    """Sample i of train is at 0.01 i MTU, sample i of case c of test at 20 c + 0.05 i MTU of another trajectory."""
    instance = fresh(base)
    data = load_instance(instance)
    X, Y = run_on(instance, part, n_steps)
    state = getattr(data, part)[place]
    np.testing.assert_array_equal(state[:8], X)
    np.testing.assert_array_equal(state[8:], Y.ravel() if base == "two-scale" else [])
    if base == "hidden":
        np.testing.assert_allclose(getattr(data, f"{part}_U")[place], -instance.coefficients.hx * Y.sum(axis=1))


@pytest.mark.slow
@every_base
def test_the_trajectory_obeys_the_equations(base: str) -> None:
    """Central differences of X over four samples, with an error of order interval^4; Y is too fast for them."""
    instance = fresh(base)
    data = load_instance(instance)
    before2, before, here, after, after2 = (data.train[i : 1996 + i] for i in range(5))
    found = (8 * (after - before) - (after2 - before2)) / 0.12
    expected = instance.tendency(here, None if data.train_U is None else data.train_U[2:1998])
    assert np.linalg.norm((found - expected)[:, :8]) < 0.003 * np.linalg.norm(expected[:, :8])


@pytest.mark.slow
@every_base
def test_cases_forget_each_other(base: str) -> None:
    """The last state of a case says nothing about the first of the next, nor train about test."""
    data = load_instance(fresh(base))
    X = data.test[..., :8]
    anomalies = X - X.mean(axis=(0, 1))
    before, behind = anomalies[:-1, -1].ravel(), anomalies[1:, 0].ravel()
    assert abs(np.corrcoef(before, behind)[0, 1]) < 4 / np.sqrt(before.size)
    assert np.abs(data.train[0, :8] - X[0, 0]).max() > 0.1
    assert X.std() == pytest.approx(data.train[:, :8].std(), rel=0.15)


@pytest.mark.slow
def test_the_climate_of_a_textbook_instance_is_that_of_its_regime() -> None:
    data = load_instance(textbook_instance("wilks-f18"))
    truth = simulate("wilks-f18", 200.0, seed=4, store_fast=False, progress=False)
    assert data.train_U is not None
    assert data.train.mean() == pytest.approx(truth.X.mean(), abs=0.15)
    assert data.train.std() == pytest.approx(truth.X.std(), rel=0.05)
    assert np.corrcoef(data.train.ravel(), data.train_U.ravel())[0, 1] == pytest.approx(-0.89, abs=0.02)


# Where they are kept.


@pytest.mark.slow
def test_registered_instances_are_cached_and_fresh_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path))
    load_instance.cache_clear()
    registered, other = instances("single")[4], fresh("single")
    made, data = make_instance(registered), load_instance(registered)
    load_instance(other)
    load_instance(textbook_instance("single"))
    borrowed = load_instance(replace(registered, coefficients=other.coefficients))
    assert [path.name for path in (tmp_path / "v1" / "single").iterdir() if path.is_dir()] == ["instance-4"]
    assert isinstance(data.train, np.memmap)
    assert not data.train.flags.writeable
    np.testing.assert_array_equal(data.train, made["train"])
    assert not np.array_equal(borrowed.train, made["train"])
    load_instance.cache_clear()


@pytest.mark.slow
def test_other_bits_than_recorded_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(store, "digests", lambda: {f"single/instance-2/{name}": "0" * 64 for name in ("train", "test")})
    load_instance.cache_clear()
    with pytest.raises(DataError, match="single/instance-2/train: expected SHA-256 0000"):
        load_instance(instances("single")[2])


def test_a_system_that_runs_away_is_an_error() -> None:
    instance = fresh("single")
    wild = replace(instance.coefficients, a1=1.5, a2=0.5)
    with pytest.raises(BlowUpError, match="instance 6 of 'single' blew up"):
        load_instance(replace(instance, coefficients=wild))


# What is observed.


def observed(base: str, suffix: str = "", noise: float = 0.0, budget: float = 100.0) -> tuple[NDArray, NDArray]:
    return observe(fresh(base), base + suffix, noise, budget)


@pytest.mark.slow
@every_base
def test_observations_without_noise_are_the_truth(base: str) -> None:
    data: InstanceData = load_instance(fresh(base))
    states, t = observed(base, budget=5.0)
    np.testing.assert_array_equal(states, data.train[:500])
    np.testing.assert_allclose(t, np.linspace(0, 4.99, 500), atol=1e-12)
    coarse, times = observed(base, "-coarse", budget=20.0)
    np.testing.assert_array_equal(coarse, data.train[:2000:5])
    np.testing.assert_allclose(times, np.linspace(0, 19.95, 400), atol=1e-12)
    states[:] = 0.0
    assert np.abs(observed(base, budget=5.0)[0]).max() > 1.0


@pytest.mark.slow
@every_base
def test_noise_is_normal_and_of_the_level_of_each_variable(base: str) -> None:
    std = load_instance(fresh(base)).train.std(axis=0)
    noise = (observed(base, noise=0.05)[0] - observed(base)[0]) / (0.05 * std)
    n = len(noise)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=4 / np.sqrt(n))
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=4 / np.sqrt(2 * n))
    assert np.abs(noise).max() < 6
    assert (noise**4).mean() == pytest.approx(3, abs=0.1)
    correlation = np.corrcoef(noise, rowvar=False) - np.eye(noise.shape[1])
    assert np.abs(correlation).max() < 5 / np.sqrt(n)
    assert abs((noise[1:] * noise[:-1]).mean()) < 4 / np.sqrt(noise.size)


@pytest.mark.slow
@every_base
def test_levels_budgets_and_intervals_share_the_noise(base: str) -> None:
    clean, low = observed(base)[0], observed(base, noise=0.01)[0]
    np.testing.assert_allclose(observed(base, noise=0.1)[0] - clean, 10 * (low - clean), atol=1e-12)
    np.testing.assert_array_equal(observed(base, noise=0.01, budget=5.0)[0], low[:500])
    np.testing.assert_array_equal(observed(base, "-coarse", noise=0.01, budget=5.0)[0], low[:500:5])


def test_instances_have_noise_of_their_own() -> None:
    first, second = (observe(i, "single", 0.1)[0] - observe(i, "single")[0] for i in instances("single", 11)[:2])
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02


def test_pairs_are_free_of_noise() -> None:
    instance = fresh("hidden")
    data = load_instance(instance)
    assert data.train_U is not None
    for track, every in (("hidden", 1), ("hidden-coarse", 5)):
        X, U = pairs(instance, track, 20.0)
        np.testing.assert_array_equal(X, data.train[:2000:every])
        np.testing.assert_array_equal(U, data.train_U[:2000:every])
    X, U = pairs(instance, "hidden")
    assert len(X) == len(U) == 10_000


def test_what_cannot_be_observed() -> None:
    single = fresh("single")
    with pytest.raises(
        L96BenchError, match="expected an instance of 'hidden' for track 'hidden-coarse', got one of 's"
    ):
        observe(single, "hidden-coarse")
    with pytest.raises(L96BenchError, match="expected a hidden instance"):
        pairs(single, "single")
    for budget in (0.0, 100.5, float("nan")):
        with pytest.raises(L96BenchError, match="expected a budget of at most 100 MTU"):
            observe(single, "single", 0.0, budget)
    with pytest.raises(L96BenchError, match="whole multiple"):
        observe(single, "single-coarse", 0.0, 5.01)
    for noise in (-0.1, float("nan"), float("inf")):
        with pytest.raises(L96BenchError, match="expected a noise >= 0"):
            observe(single, "single", noise)
