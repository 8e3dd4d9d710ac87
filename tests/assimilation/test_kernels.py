"""The square-root kernels against dense linear algebra, and the random rotations against the orthogonal group."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.assimilation import kernels
from l96bench.assimilation.cycling import cycle
from l96bench.assimilation.ensemble_filters import ETKF, LETKF
from l96bench.assimilation.inflation import Inflation
from l96bench.assimilation.models import ResolvedModel
from l96bench.assimilation.observations import Network
from l96bench.dynamics.truth import simulate

Array = NDArray[np.float64]


def run(ensembles: Array, points: Array, values: Array, roots: Array, local: bool) -> Array:
    """The kernel's analyses, all components in one global group or every one in its own."""
    n = ensembles.shape[2]
    starts = np.append(np.arange(n + 1), n) if local else np.append(np.zeros(n + 1, np.int64), n)
    out = ensembles.copy()
    kernels.analyse(out, points, values, roots, np.ones(n), np.arange(n), starts)
    return out


def dense(ensemble: Array, points: Array, values: Array, roots: Array) -> Array:
    """Hunt et al. (2007), equations 21 to 24, by an eigendecomposition."""
    m, mean = len(ensemble), ensemble.mean(axis=0)
    A = ensemble - mean
    Y = A[:, points] * roots
    eigenvalues, V = np.linalg.eigh((m - 1) * np.eye(m) + Y @ Y.T)
    weights = V @ np.diag(1 / eigenvalues) @ V.T @ Y @ (roots * np.nan_to_num(values - mean[points]))
    transform = V @ np.diag(np.sqrt((m - 1) / eigenvalues)) @ V.T
    return mean + (weights + transform) @ A


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(("m", "n", "p"), [(28, 40, 40), (20, 8, 8), (20, 40, 19), (5, 8, 3), (2, 8, 8), (3, 4, 1)])
def test_equals_dense_algebra(m: int, n: int, p: int, local: bool) -> None:
    rng = np.random.default_rng(0)
    ensembles = 2 * rng.standard_normal((3, m, n))
    points = np.array([rng.permutation(n)[:p] for _ in range(3)])
    values, roots = rng.standard_normal((3, p)), rng.uniform(0.5, 3, (3, p))
    roots[0, 0], values[0, 0] = 0.0, np.nan  # missing
    found = run(ensembles, points, values, roots, local)
    for e in range(3):
        np.testing.assert_allclose(found[e], dense(ensembles[e], points[e], values[e], roots[e]), atol=1e-12)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e2, 1e4])
def test_precise_and_worthless_observations(scale: float) -> None:
    """Far from 1 on both sides, in absolute terms to the rounding of the ensemble."""
    rng = np.random.default_rng(1)
    ensembles, points = rng.standard_normal((1, 6, 8)), np.arange(8)[None]
    values, roots = rng.standard_normal((1, 8)), np.full((1, 8), scale)
    expected = dense(ensembles[0], points[0], values[0], roots[0])
    np.testing.assert_allclose(run(ensembles, points, values, roots, False)[0], expected, atol=1e-7)


def test_degenerate_ensembles() -> None:
    """Equal members stay; two components that are the same, and an observation made twice, change nothing special."""
    rng = np.random.default_rng(2)
    equal = np.ones((1, 5, 8))
    points, values, roots = np.arange(8)[None], rng.standard_normal((1, 8)), np.ones((1, 8))
    np.testing.assert_array_equal(run(equal, points, values, roots, False), equal)
    twin = rng.standard_normal((1, 5, 8))
    twin[:, :, 1:4] = twin[:, :, :1]
    found = run(twin, points, values, roots, False)
    np.testing.assert_allclose(found[0], dense(twin[0], points[0], values[0], roots[0]), atol=1e-13)
    twice = run(twin, np.zeros((1, 2), np.int64), np.full((1, 2), 0.7), np.ones((1, 2)), False)
    once = run(twin, np.zeros((1, 1), np.int64), np.full((1, 1), 0.7), np.full((1, 1), np.sqrt(2.0)), False)
    np.testing.assert_allclose(twice, once, atol=1e-13)


def test_not_finite_is_not_forever() -> None:
    """An ensemble that cannot be factorized becomes NaN; the others of its batch do not notice."""
    rng = np.random.default_rng(3)
    ensembles = rng.standard_normal((2, 6, 8))
    ensembles[0, 0, 0] = np.inf
    points, values, roots = np.tile(np.arange(8), (2, 1)), rng.standard_normal((2, 8)), np.ones((2, 8))
    found = run(ensembles, points, values, roots, False)
    assert not np.isfinite(found[0]).all()
    np.testing.assert_array_equal(found[1], run(ensembles[1:], points[1:], values[1:], roots[1:], False)[0])


def rotations(m: int, n: int) -> Array:
    """n random matrices (n, m, m), by rotating the unit vectors, plus the mean that a rotation leaves out."""
    ensembles = np.tile(np.eye(m), (n, 1, 1))
    kernels.rotate(ensembles, np.random.default_rng(4).standard_normal((n, m * (m - 1) // 2)))
    return ensembles


@pytest.mark.parametrize("m", [2, 3, 20])
def test_rotations_are_orthogonal_and_keep_the_mean(m: int) -> None:
    found = rotations(m, 50)
    np.testing.assert_allclose(found @ found.swapaxes(1, 2), np.tile(np.eye(m), (50, 1, 1)), atol=1e-13)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-13)
    np.testing.assert_allclose(found.sum(axis=2), 1.0, atol=1e-13)


def test_rotations_are_uniform() -> None:
    """Traces of O(n), n > 1, under Haar's measure: E tr Q = 0, E (tr Q)^2 = E tr Q^2 = 1 (Diaconis and Evans 2001)."""
    n = 20_000
    Q = rotations(6, n)
    trace = np.trace(Q, axis1=1, axis2=2) - 1  # less the direction of the mean
    square = np.einsum("eij,eji->e", Q, Q) - 1
    assert abs(trace.mean()) < 4 / np.sqrt(n)
    assert np.mean(trace**2) == pytest.approx(1, abs=4 * np.sqrt(2 / n))
    assert square.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / n))
    determinant = np.linalg.det(Q)
    assert abs(determinant.mean()) < 4 / np.sqrt(n)  # half of them reflect


def test_bits_of_both_tracks() -> None:
    """30 cycles of each: the digests hold on every CPU, like those of the data."""
    dense_truth = simulate("wilks-f20", 31 * 0.05, interval=0.05, seed=1, spin_up=5.0, store_fast=False).X
    run = cycle(dense_truth, ResolvedModel("wilks-f20"), ETKF(rotate=True), Network(8, 0.05, 1.0), inflation=1.4)
    digest = hashlib.sha256(run.background_mean.tobytes() + run.increments.tobytes()).hexdigest()[:16]
    sparse_truth = simulate("da-k40", 31 * 0.1, interval=0.1, seed=1, spin_up=5.0, store_fast=False).X
    network, inflation = Network(40, 0.1, 0.5, n_random=20), Inflation(prior=1.1, rtpp=0.2, rtps=0.2)
    local = cycle(sparse_truth, ResolvedModel("da-k40"), LETKF(4.0), network, inflation=inflation)
    other = hashlib.sha256(local.background_mean.tobytes() + local.increments.tobytes()).hexdigest()[:16]
    assert (digest, other) == ("4a50db9ce089c932", "a98a16b9ee3734e4")
