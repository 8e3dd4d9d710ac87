"""The conservation error of the two families that report it: where the coupling is a flux, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from l96bench.dynamics.ar1 import AR1Closure
from l96bench.dynamics.polynomial import Polynomial
from l96bench.results.record import Result
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing

KEYS = {"conservation_error", "conservation_error_shift", "momentum_drift", "momentum_drift_shift"}


@pytest.fixture(scope="module")
def offline_flux(offline: SubgridForcing) -> SubgridForcing:
    return type(offline)("conservative-f12").miniature()


@pytest.fixture(scope="module")
def online_flux(online: OnlineRollout) -> OnlineRollout:
    return type(online)("conservative-f12").miniature()


@pytest.mark.slow
def test_offline_it_is_the_momentum_that_predictions_make(offline_flux: SubgridForcing) -> None:
    U, std = np.array(offline_flux.test.U), offline_flux.std_U
    exact = offline_flux.evaluate_predictions(U).metrics["conservation_error"]
    assert exact.value < 1e-14
    balanced = U + 3.0 * np.sin(np.pi / 4 * np.arange(8))  # wrong, but in balance
    assert offline_flux.evaluate_predictions(balanced).metrics["conservation_error"].value < 1e-14
    biased = offline_flux.evaluate_predictions(U + 0.3, U_shift=np.array(offline_flux.shift.U) - 0.6).metrics
    assert biased["conservation_error"].value == pytest.approx(0.3 / std)
    assert biased["conservation_error_shift"].value == pytest.approx(0.6 / std)
    assert biased["conservation_error"].low == pytest.approx(0.3 / std)  # the same in every block


@pytest.mark.slow
def test_offline_members_count_and_not_their_mean(offline_flux: SubgridForcing) -> None:
    noisy = AR1Closure(Polynomial([0.0]), 0.5, 2.0, 0.05)
    error = offline_flux.evaluate(noisy).metrics["conservation_error"].value
    assert error == pytest.approx(2.0 / np.sqrt(8) / offline_flux.std_U, rel=0.02)


@pytest.mark.slow
def test_online_it_is_what_the_run_met(online_flux: OnlineRollout) -> None:
    std = float(np.std(online_flux.train.U))
    inside_the_kernel = online_flux.evaluate(Polynomial([-0.2]))
    step_by_step = online_flux.evaluate(lambda X: np.full_like(X, -0.2))
    assert inside_the_kernel.predictions_digest == step_by_step.predictions_digest
    for result in (inside_the_kernel, step_by_step):
        for suffix in ("", "_shift"):
            if result.metrics[f"survival{suffix}"].value > 0:
                assert result.metrics[f"conservation_error{suffix}"].value == pytest.approx(0.2 / std)
                assert result.metrics[f"momentum_drift{suffix}"].value == pytest.approx(-0.2 / std)


@pytest.mark.slow
def test_online_steps_and_samples_agree(online_flux: OnlineRollout) -> None:
    damping = Polynomial([0.5, -0.8])
    kernel = online_flux.evaluate(damping).metrics
    steps = online_flux.evaluate(damping.__call__).metrics
    # One run has its last sample as well, at which no closure is called.
    assert steps["conservation_error"].value == pytest.approx(kernel["conservation_error"].value, rel=0.02)
    assert steps["momentum_drift"].value == pytest.approx(kernel["momentum_drift"].value, rel=0.02)
    assert kernel["conservation_error"].low < kernel["conservation_error"].value < kernel["conservation_error"].high


@pytest.mark.slow
@pytest.mark.parametrize("kick", [1e6, np.nan, np.inf, -1e300])
def test_members_that_leave_are_finite_all_the_same(
    online_flux: OnlineRollout, everything_finite: Callable[[Result], bool], kick: float
) -> None:
    def closure(X: np.ndarray) -> np.ndarray:
        U = -0.5 * X
        U[X[:, 0] > 7.0] = kick  # most of them, sooner or later
        return U

    result = online_flux.evaluate(closure)
    assert result.failures.diverged > 0
    assert everything_finite(result)


@pytest.mark.slow
def test_other_couplings_have_no_such_metric(
    offline: SubgridForcing, online: OnlineRollout, quartic: Polynomial
) -> None:
    assert not KEYS & set(offline.evaluate(quartic).metrics)
    assert not KEYS & set(online.evaluate(quartic).metrics)
