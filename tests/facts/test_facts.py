"""The published and measured values of docs/facts.md, executed.

Where a tolerance is not the digits given, the sampling error of the run is stated beside it: three standard deviations
of a statistic over independent runs of the test's own length.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.dynamics.polynomial import PUBLISHED, NoClosure, Polynomial
from l96bench.dynamics.resolved import rollout
from l96bench.dynamics.truth import Trajectory, simulate

pytestmark = pytest.mark.slow

Array = NDArray[np.float64]


def fitted(X: Array, U: Array, degree: int) -> Array:
    """Least-squares coefficients, lowest first, of a polynomial for all points together."""
    return np.polynomial.Polynomial.fit(X.ravel(), U.ravel(), degree).convert().coef


def resolved(X: Array, F: float) -> Array:
    """The tendency of X without coupling."""
    return np.roll(X, 1, -1) * (np.roll(X, -1, -1) - np.roll(X, 2, -1)) - X + F


def wasserstein(a: Array, b: Array) -> float:
    """The 1-Wasserstein distance of two samples, from 20,000 quantiles."""
    levels = (np.arange(20_000) + 0.5) / 20_000
    return float(np.mean(np.abs(np.quantile(a, levels) - np.quantile(b, levels))))


@pytest.fixture(scope="module")
def f18() -> Trajectory:
    return simulate("wilks-f18", 1000.0, store_fast=False)


@pytest.fixture(scope="module")
def f20() -> Trajectory:
    return simulate("wilks-f20", 1000.0, store_fast=False)


@pytest.fixture(scope="module")
def fine() -> Trajectory:
    """wilks-f20, 2,000 MTU, a sample each 0.005 MTU and one more to take differences."""
    return simulate("wilks-f20", 2000.005, interval=0.005, store_fast=False)


@pytest.fixture(scope="module")
def forward(fine: Trajectory) -> Array:
    """What the papers fitted: the forward difference of X over 0.005 MTU, less the resolved tendency, sign reversed."""
    return resolved(fine.X[:-1], 20.0) - np.diff(fine.X, axis=0) / 0.005


@pytest.fixture(scope="module")
def quartic(f20: Trajectory) -> Polynomial:
    return Polynomial(fitted(f20.X, f20.U, 4))


@pytest.mark.parametrize(
    ("statistic", "expected", "tolerance"),
    [
        # The std of a 200 MTU mean is .03, of a 1,000 MTU mean .03 / sqrt(5) = .013; two such runs differ by .019.
        ("mean of X", 3.691, 0.04),
        ("std of X", 4.547, 0.01),
        ("mean of U", -3.897, 0.04),
        ("std of U", 4.378, 0.015),
        ("correlation", -0.89, 0.005),
    ],
)
def test_climate_of_wilks_f18(f18: Trajectory, statistic: str, expected: float, tolerance: float) -> None:
    found = {
        "mean of X": f18.X.mean(),
        "std of X": f18.X.std(),
        "mean of U": f18.U.mean(),
        "std of U": f18.U.std(),
        "correlation": np.corrcoef(f18.X.ravel(), f18.U.ravel())[0, 1],
    }
    assert found[statistic] == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    ("degree", "rmse", "r2"), [(1, 1.983, 0.795), (3, 1.663, 0.855), (4, 1.625, 0.862), (8, 1.615, 0.864)]
)
def test_offline_fits_of_wilks_f18(f18: Trajectory, degree: int, rmse: float, r2: float) -> None:
    """Chronological halves. The RMSE on 500 MTU has a standard deviation of .009, R2 of .002 (12 runs)."""
    half = len(f18.X) // 2
    model = Polynomial(fitted(f18.X[:half], f18.U[:half], degree))
    error = np.mean((f18.U[half:] - model(f18.X[half:])) ** 2)
    assert np.sqrt(error) == pytest.approx(rmse, abs=0.03)
    assert 1 - error / f18.U[half:].var() == pytest.approx(r2, abs=0.007)


def test_functions_of_one_point_saturate_and_neighbours_carry_more(f18: Trajectory) -> None:
    """From degree 4 to 8 R2 gains .002; the quadratic form of five neighbours gains far more."""
    errors = [np.mean((f18.U - Polynomial(fitted(f18.X, f18.U, degree))(f18.X)) ** 2) for degree in (4, 8)]
    assert 0 < (errors[0] - errors[1]) / f18.U.var() < 0.004
    stencil = np.stack([np.roll(f18.X, shift, axis=-1).ravel() for shift in (2, 1, 0, -1, -2)])
    products = [stencil[i] * stencil[j] for i in range(5) for j in range(i, 5)]
    columns = np.stack([np.ones(f18.X.size), *stencil, *products, stencil[2] ** 3, stencil[2] ** 4], axis=1)
    solution = np.linalg.solve(columns.T @ columns, columns.T @ f18.U.ravel())
    assert (errors[1] - np.mean((f18.U.ravel() - columns @ solution) ** 2)) / f18.U.var() > 0.02


@pytest.mark.parametrize(("regime", "r2"), [("wilks-f20", 0.847), ("arnold-c4", 0.722)])
def test_quartic_r2(regime: str, r2: float) -> None:
    run = simulate(regime, 1000.0, seed=4, store_fast=False)
    model = Polynomial(fitted(run.X, run.U, 4))
    assert 1 - np.mean((run.U - model(run.X)) ** 2) / run.U.var() == pytest.approx(r2, abs=0.008)


# Sampling error of the four coefficients over 2,000 MTU, from the spread between quarters: .003, .002, .0004, .00004.
COEFFICIENT_TOLERANCE = (0.012, 0.008, 0.0015, 0.00015)


def assert_coefficients(found: Array, expected: tuple[float, ...]) -> None:
    for value, wanted, tolerance in zip(found, expected, COEFFICIENT_TOLERANCE, strict=True):
        assert value == pytest.approx(wanted, abs=tolerance)


def test_cubic_of_the_exact_coupling(fine: Trajectory) -> None:
    assert_coefficients(fitted(fine.X, -fine.U, 3), (0.704, 1.111, 0.0009, -0.00294))


def test_cubic_of_the_forward_difference(fine: Trajectory, forward: Array) -> None:
    assert_coefficients(fitted(fine.X[:-1], forward, 3), (0.341, 1.305, -0.0124, -0.00246))


def test_arnold_2013_is_the_forward_difference(fine: Trajectory, forward: Array) -> None:
    published = PUBLISHED["arnold2013_c10"].polynomial.coefficients
    np.testing.assert_array_equal(published, [-0.341, -1.30, 0.0136, 0.00235])
    assert_coefficients(-fitted(fine.X[:-1], forward, 3), tuple(published))


def test_why_the_targets_differ(fine: Trajectory, forward: Array) -> None:
    """(X(t + dt) - X(t)) / dt = X' + (dt / 2) X'' + ..., and X'' is anticorrelated with X."""
    second = (fine.X[2:] - 2 * fine.X[1:-1] + fine.X[:-2]) / 0.005**2
    X, U = fine.X[1:-1], fine.U[1:-1]
    assert np.corrcoef(X.ravel(), second.ravel())[0, 1] < -0.5
    explained = fitted(X, -U - 0.0025 * second, 3)
    assert_coefficients(fitted(X, forward[1:], 3), tuple(explained))
    gap, rest = np.std(forward[1:] + U), np.std(forward[1:] + U + 0.0025 * second)
    assert rest < 0.1 * gap


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("wilks2005_f18", (0.275, 1.59, -0.0190, -0.0130, 0.000707)),
        ("wilks2005_f20", (0.262, 1.45, -0.0121, -0.00713, 0.000296)),
    ],
)
def test_wilks_2005_is_subtracted_from_the_tendency(name: str, printed: tuple[float, ...]) -> None:
    np.testing.assert_array_equal(PUBLISHED[name].polynomial.coefficients, [-value for value in printed])


@pytest.mark.parametrize(("regime", "name"), [("wilks-f18", "wilks2005_f18"), ("wilks-f20", "wilks2005_f20")])
def test_wilks_2005_stays_near_the_fit_of_its_target(regime: str, name: str) -> None:
    """Over the bulk of X the printed quartic and a fit of the forward difference differ by less than .25 std of U."""
    run = simulate(regime, 500.005, interval=0.005, seed=1, store_fast=False)
    F = run.regime.F
    ours = Polynomial(fitted(run.X[:-1], np.diff(run.X, axis=0) / 0.005 - resolved(run.X[:-1], F), 4))
    bulk = np.quantile(run.X, np.linspace(0.05, 0.95, 19))
    gap = np.abs(PUBLISHED[name].polynomial(bulk) - ours(bulk))
    assert gap.max() < 0.25 * run.U.std()
    assert np.abs(PUBLISHED[name].polynomial(bulk) + ours(bulk)).max() > 2 * run.U.std()  # the sign matters


def test_ar1_residual_of_wilks_f18() -> None:
    """phi .984 per 0.005 MTU, sigma about 1.7 to 2, for either target."""
    run = simulate("wilks-f18", 500.005, interval=0.005, seed=1, store_fast=False)
    X = run.X[:-1]
    for target in (run.U[:-1], np.diff(run.X, axis=0) / 0.005 - resolved(X, 18.0)):
        residual = target - Polynomial(fitted(X, target, 4))(X)
        assert np.mean(residual[1:] * residual[:-1]) / np.mean(residual**2) == pytest.approx(0.984, abs=0.002)
        assert 1.6 < residual.std() < 2.0


def test_a_step_late_is_an_error_of_065() -> None:
    """RMS change of U over dt .001: what a coupling stored late is wrong by; ours is not late (test_truth)."""
    U = simulate("wilks-f18", 50.0, interval=0.001, store_fast=False).U
    assert np.sqrt(np.mean(np.diff(U, axis=0) ** 2)) == pytest.approx(0.065, abs=0.004)


def test_euler_blows_up_without_closure(f20: Trajectory) -> None:
    """t = 3.4 for one start; from 100 states of the truth all within 10 MTU, on both sides of 3.4. RK4 lasts."""
    starts = f20.X[::200]
    X, left = starts, np.full(len(starts), np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(1, 1001):
            X = X + 0.01 * resolved(X, 20.0)
            left[np.isinf(left) & ~np.isfinite(X).all(axis=-1)] = step * 0.01
    assert np.isfinite(left).all()
    assert left.min() < 3.4 < left.max()
    assert rollout(NoClosure(), starts, 100.0, regime="wilks-f20", dt=0.01).survived.all()


def test_rk4_with_a_coarse_step_has_the_climate_of_a_fine_one(f20: Trajectory) -> None:
    coarse, fine = (
        rollout(NoClosure(), f20.X[::200], 100.0, regime="wilks-f20", dt=dt, spin_up=10.0).X for dt in (0.05, 0.005)
    )
    assert coarse.mean() == pytest.approx(fine.mean(), abs=0.01 * fine.std())
    assert coarse.std() == pytest.approx(fine.std(), rel=0.01)


def test_short_free_runs_flatter_a_closure(f20: Trajectory, quartic: Polynomial) -> None:
    """Wasserstein distance of X in windows after a start on the truth; 1,000 MTU of truth are .03 from themselves."""
    expected = {(0, 5): 0.04, (10, 20): 0.10, (20, 40): 0.14, (40, 80): 0.21, (160, 320): 0.22}
    run = rollout(quartic, f20.X[::50], 320.0, regime="wilks-f20", interval=0.5).X
    for (start, end), distance in expected.items():
        assert wasserstein(run[2 * start : 2 * end], f20.X) == pytest.approx(distance, abs=0.045)
    twin = simulate("wilks-f20", 1000.0, seed=9, store_fast=False).X
    assert wasserstein(twin, f20.X) < 0.045


def test_mean_and_variance_saturate_at_a_linear_closure_of_wide_k36() -> None:
    """Rasp (2019): Lorenz 96 is too easy, if only these are scored."""
    truth = simulate("wide-k36", 500.0, store_fast=False)
    linear = Polynomial(fitted(truth.X, truth.U, 1))
    run = rollout(linear, truth.X[::200], 200.0, regime="wide-k36", spin_up=50.0).X
    assert run.mean() == pytest.approx(truth.X.mean(), abs=0.02 * truth.X.std())
    assert run.std() == pytest.approx(truth.X.std(), rel=0.01)


@pytest.fixture(scope="module")
def exponents() -> Array:
    """All Lyapunov exponents of K 40, F 8: tangent RK4 and QR (Benettin et al. 1980), 8 runs of 150 MTU."""
    K, dt, every = 40, 0.025, 8
    x = simulate("lorenz96-k40", 1.0, interval=1.0, dt=dt, n_trajectories=8).X[:, 0]
    frames = np.broadcast_to(np.eye(K), (8, K, K))
    k, identity, logs = np.arange(K), np.eye(K), []

    def jacobian(x: Array) -> Array:
        J = np.zeros((len(x), K, K))
        J[:, k, k - 1] = np.roll(x, -1, -1) - np.roll(x, 2, -1)
        J[:, k, (k + 1) % K] = np.roll(x, 1, -1)
        J[:, k, k - 2] = -np.roll(x, 1, -1)
        J[:, k, k] = -1.0
        return J

    for step in range(1, 6401):
        k1 = resolved(x, 8.0)
        x2 = x + dt / 2 * k1
        k2 = resolved(x2, 8.0)
        x3 = x + dt / 2 * k2
        k3 = resolved(x3, 8.0)
        x4 = x + dt * k3
        j1 = jacobian(x)
        j2 = jacobian(x2) @ (identity + dt / 2 * j1)
        j3 = jacobian(x3) @ (identity + dt / 2 * j2)
        j4 = jacobian(x4) @ (identity + dt * j3)
        frames = frames + dt / 6 * ((j1 + 2 * j2 + 2 * j3 + j4) @ frames)
        x = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + resolved(x4, 8.0))
        if step % every == 0:
            frames, triangles = np.linalg.qr(frames)
            logs.append(np.log(np.abs(np.diagonal(triangles, axis1=1, axis2=2))))
    return np.mean(logs[50:], axis=(0, 1)) / (every * dt)  # 10 MTU for the frames to align


def test_largest_lyapunov_exponent(exponents: Array) -> None:
    """The mean of 8 runs of 150 MTU has a standard deviation of .018."""
    assert exponents[0] == pytest.approx(1.70, abs=0.06)


def test_sum_of_the_lyapunov_exponents(exponents: Array) -> None:
    """The trace of the Jacobian, -K, to the truncation error of the tangent model."""
    assert exponents.sum() == pytest.approx(-40.0, abs=0.005)


def test_positive_lyapunov_exponents(exponents: Array) -> None:
    """13, the next one being the zero of the flow's own direction, known here to about .02."""
    assert np.sum(exponents > 0.02) in (12, 13)
    assert np.abs(exponents).min() < 0.02


def test_kaplan_yorke_dimension(exponents: Array) -> None:
    sums = np.cumsum(exponents)
    whole = int(np.sum(sums >= 0))
    assert whole + sums[whole - 1] / -exponents[whole] == pytest.approx(27.1, abs=0.3)


def test_lyapunov_exponent_of_the_two_scale_system_is_the_fast_scales() -> None:
    """About 19 per MTU at c = 10: 40 twins, their distance set back to 1e-8 each 0.2 MTU, after 1 MTU to align."""
    starts = simulate("wilks-f20", 80.0, interval=2.0)
    assert starts.Y is not None
    state = np.concatenate([starts.X, starts.Y.reshape(40, -1)], axis=1)
    gap = np.random.default_rng(0).standard_normal(state.shape)
    rates = []
    for _ in range(25):
        gap *= 1e-8 / np.linalg.norm(gap, axis=1, keepdims=True)
        both = np.concatenate([state, state + gap])
        run = simulate("wilks-f20", 0.4, interval=0.2, initial=(both[:, :8], both[:, 8:].reshape(80, 8, 32)))
        assert run.Y is not None
        ends = np.concatenate([run.X[:, 1], run.Y[:, 1].reshape(80, -1)], axis=1)
        state, gap = ends[:40], ends[40:] - ends[:40]
        rates.append(np.log(np.linalg.norm(gap, axis=1) / 1e-8) / 0.2)
    assert np.mean(rates[5:]) == pytest.approx(19.0, abs=1.5)
