"""How the data are made, on miniatures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.data.generate import generate, perfect_forecast
from l96bench.data.splits import DATA_REGIMES, Cases, Split, get_split, split_seed
from l96bench.data.store import array_digest, digests
from l96bench.dynamics.truth import Trajectory, simulate
from l96bench.errors import DataError
from l96bench.regimes import Regime, get_regime

Array = NDArray[np.float64]

MINI = Cases(per_trajectory=3, n_trajectories=2, first=1.0, memory=1.0, spacing=1.5, lead=0.5, members=3)
REGIMES = ["wilks-f20", "arnold-c4", "conservative-f12", "three-scale"]


def small(name: str, **changes: object) -> Split:
    """A split of the design, shortened."""
    return replace(get_split("wilks-f20", name), **({"duration": 1.0} | changes))  # type: ignore[arg-type]


@pytest.mark.slow
def test_stored_layout() -> None:
    regime = get_regime("wilks-f20")
    one = generate(regime, small("valid"))
    assert {name: array.shape for name, array in one.items()} == {"X": (1, 20, 8), "U": (1, 20, 8)}
    several = generate(regime, small("climate", n_trajectories=3))
    assert {name: array.shape for name, array in several.items()} == {"X": (3, 20, 8)}


@pytest.mark.slow
def test_splits_are_simulations_from_their_recorded_seeds() -> None:
    regime = get_regime("arnold-c4")
    made = generate(regime, small("test", n_trajectories=2))
    run = simulate(regime, 1.0, seed=split_seed(regime, "test"), n_trajectories=2)
    np.testing.assert_array_equal(made["X"], run.X)
    np.testing.assert_array_equal(made["U"], run.U)
    shifted = generate(regime, small("shift", n_trajectories=2))
    warm = simulate(replace(regime, F=24.0), 1.0, seed=split_seed(regime, "shift"), n_trajectories=2)
    np.testing.assert_array_equal(shifted["X"], warm.X)


def test_fine_training_data_are_the_training_data() -> None:
    regime = get_regime("wilks-f20")
    coarse, fine = generate(regime, small("train", duration=5.0)), generate(regime, small("train-fine", duration=5.0))
    assert len(fine["X"][0]) == 5 * len(coarse["X"][0])
    for name in ("X", "U"):
        np.testing.assert_array_equal(fine[name][:, ::5], coarse[name])


@pytest.mark.slow
def test_no_split_repeats_another() -> None:
    regime = get_regime("wilks-f20")
    names = ("train", "valid", "test", "climate", "climate-twin")
    runs = [generate(regime, small(name, n_trajectories=1, duration=0.05))["X"] for name in names]
    assert len({run.tobytes() for run in runs}) == len(names)


def truth_of(regime: Regime, cases: Cases = MINI) -> Trajectory:
    seed = split_seed(regime, "climate")
    return simulate(regime, 6.0, seed=seed, n_trajectories=cases.n_trajectories)


@pytest.mark.slow
@pytest.mark.parametrize("name", REGIMES)
def test_perfect_forecast(name: str) -> None:
    regime = get_regime(name)
    forecast, truth = perfect_forecast(regime, MINI), truth_of(regime)
    assert forecast.shape == (10, 6, 3, regime.K)
    assert np.isfinite(forecast).all()
    errors = np.sqrt(np.mean((forecast - MINI.truth(truth.X)[:, :, None]) ** 2, axis=(1, 2, 3)))
    # The exact X at the start, and fast variables that fit it: far better at 0.05 MTU than the climate's spread.
    assert 0 < errors[0] < 0.05 * truth.X.std()
    assert errors[-1] > 2 * errors[0]
    members = forecast[-1].std(axis=1)
    assert members.mean() > 0.2 * errors[-1]
    assert len({forecast[0, case, member].tobytes() for case in range(6) for member in range(3)}) == 18


@pytest.mark.slow
@pytest.mark.parametrize("name", REGIMES)
def test_perfect_forecast_does_not_depend_on_threads(name: str) -> None:
    regime = get_regime(name)
    np.testing.assert_array_equal(perfect_forecast(regime, MINI, threads=1), perfect_forecast(regime, MINI, threads=2))


@pytest.mark.slow
@pytest.mark.parametrize("first", [MINI.memory, 1.8])
@pytest.mark.parametrize("name", REGIMES)
def test_perfect_forecast_from_the_truths_own_fast_variables_is_the_truth(
    name: str, first: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members that start from the truth's Y follow it exactly: every X on the way is the truth's."""
    regime, cases = get_regime(name), replace(MINI, first=first)
    seed, per, every = split_seed(regime, "climate"), cases.per_trajectory, cases.interval
    duration = first + cases.spacing * per
    past = simulate(regime, duration, interval=every, seed=seed, n_trajectories=cases.n_trajectories)

    def own_state(_: Regime, words: list[int]) -> tuple[Array, ...]:
        trajectory, case = divmod(words[-2], per)
        at = round((first - cases.memory + cases.spacing * case) / every)
        parts = [part for part in (past.X, past.Y, past.Z) if part is not None]
        return tuple(part[trajectory, at].copy() for part in parts)

    monkeypatch.setattr("l96bench.data.generate.random_state", own_state)
    forecast = perfect_forecast(regime, cases)
    truth = cases.truth(truth_of(regime, cases).X)
    for member in range(MINI.members):
        np.testing.assert_array_equal(forecast[:, :, member], truth)


@pytest.mark.slow
def test_forecasts_of_a_case_do_not_depend_on_the_others() -> None:
    regime = get_regime("wilks-f20")
    whole = perfect_forecast(regime, MINI)
    fewer = perfect_forecast(regime, replace(MINI, n_trajectories=1, members=2))
    np.testing.assert_array_equal(whole[:, :3, :2], fewer)


def test_cases_must_leave_room_for_the_memory() -> None:
    with pytest.raises(DataError, match="memory"):
        perfect_forecast(get_regime("wilks-f20"), replace(MINI, first=0.5))


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA_REGIMES)
def test_this_machine_makes_the_recorded_bits(name: str) -> None:
    """The validation split of every regime, 300 MTU with its spin-up, against the repository's digests."""
    recorded = digests()
    arrays = generate(get_regime(name), get_split(name, "valid"), progress=False)
    made = {array: array_digest(values) for array, values in arrays.items()}
    assert made == {array: recorded[f"{name}/valid/{array}"] for array in ("X", "U")}
