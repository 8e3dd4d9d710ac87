from __future__ import annotations

import numpy as np
import pytest

from l96bench.data.splits import split_seed
from l96bench.diagnostics.closure.attribution import Changes, ExactForcing, attribute, forecast, true_forcing
from l96bench.dynamics.polynomial import NoClosure
from l96bench.dynamics.resolved import MODEL_DT, rollout
from l96bench.dynamics.truth import simulate
from l96bench.errors import DataError
from l96bench.tasks.online_rollout import OnlineRollout


@pytest.fixture(scope="module")
def exact(online: OnlineRollout) -> ExactForcing:
    return ExactForcing(true_forcing(online))


@pytest.mark.slow
def test_exact_forcing_is_that_of_the_climates_trajectories(online: OnlineRollout, exact: ExactForcing) -> None:
    every = round(online.cases.interval / MODEL_DT)
    seed = split_seed(online.regime, "climate")
    run = simulate(online.regime, 20.0, seed=seed, n_trajectories=online.cases.n_trajectories, progress=False)
    U = online.cases.truth(run.U)
    assert len(exact.U) == round(online.cases.lead / MODEL_DT)
    np.testing.assert_array_equal(exact.U[every::every], U[:-1])


@pytest.mark.slow
def test_other_data_than_those_of_the_seeds_are_refused(online: OnlineRollout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l96bench.diagnostics.closure.attribution.split_seed", lambda regime, stream: (1, 2, 3))
    with pytest.raises(DataError, match="from their seeds"):
        true_forcing(online)


@pytest.mark.slow
def test_a_perfect_model_has_no_errors_to_attribute(online: OnlineRollout, exact: ExactForcing) -> None:
    X0 = online.starts().X
    perfect = forecast(online, exact, X0, online.regime.F, MODEL_DT, 1, None, 0)
    found = attribute(
        exact, X0, online, np.random.default_rng(0), changes=Changes(0.0, 1, 0.0), others={"closure": perfect}
    )
    assert set(found.sources) == {"closure", "forcing + 0", "time step x 1", "initial error 0 std"}
    for effect in found.sources.values():
        assert not effect.any()


@pytest.mark.slow
def test_exact_forcing_follows_the_truth_closely(online: OnlineRollout, exact: ExactForcing) -> None:
    X0 = online.starts().X
    found = forecast(online, exact, X0, online.regime.F, MODEL_DT, 1, None, 0)
    # U held for 0.01 MTU is late by half of that: an error of order dt / 2 times the change of U.
    assert np.abs(found - online.forecast_truth)[:4].max() < 0.2


def test_each_change_acts_as_the_equations_say_at_first(online: OnlineRollout, exact: ExactForcing) -> None:
    X0, std = online.starts().X, online.climatology[1]
    changes = Changes(forcing=1.0, time_step=5, initial=0.01)
    none = rollout(NoClosure(), X0, 0.1, regime=online.regime, progress=False).X[1:]
    found = attribute(exact, X0, online, np.random.default_rng(0), changes=changes, others={"no": none})
    # dX/dt has F as a term of its own, so an F larger by 1 has moved X by about t at a time t that is short.
    np.testing.assert_allclose(found.sources["forcing + 1"][0].mean(), 0.05, rtol=0.1)
    errors = found.sources["initial error 0.01 std"][0]
    np.testing.assert_allclose(errors.std(), 0.01 * std, rtol=0.3)
    np.testing.assert_allclose(found.sources["no"][0].mean(), -0.05 * exact.U[0].mean(), rtol=0.2)


def test_effects_get_curves_with_intervals(online: OnlineRollout, exact: ExactForcing) -> None:
    X0 = online.starts().X
    found = attribute(exact, X0, online, np.random.default_rng(0))
    curve = found.curves(online.weights(len(online.cases), "cases"))["forcing + 1"]
    np.testing.assert_allclose(curve.value, np.sqrt(np.square(found.sources["forcing + 1"]).mean(axis=(1, 2))))
    assert (curve.low <= curve.value).all()
    assert (curve.value <= curve.high).all()
