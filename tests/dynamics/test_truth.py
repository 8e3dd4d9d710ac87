"""`simulate`: its samples, seeds, threads, initial states and errors."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.checks import whole_multiple
from l96bench.dynamics.truth import SPIN_UP, Trajectory, advance, random_state, simulate
from l96bench.errors import BlowUpError, L96BenchError, UnknownIdError
from l96bench.regimes import REGIMES, Regime, get_regime

State = tuple[NDArray[np.float64], ...]
MINE = Regime("mine", 5, 3, 9.0, c=6.0)

every_regime = pytest.mark.parametrize("regime", [*REGIMES, MINE], ids=lambda regime: regime.id)
every_named = pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.id)


def short(regime: str | Regime = "wilks-f20", duration: float = 0.5, **options: object) -> Trajectory:
    return simulate(regime, duration, **({"spin_up": 0.2} | options))  # type: ignore[arg-type]


def assert_same(a: Trajectory, b: Trajectory) -> None:
    for name in ("time", "X", "U", "Y", "Z"):
        left, right = getattr(a, name), getattr(b, name)
        assert (left is None) == (right is None)
        if left is not None:
            np.testing.assert_array_equal(left, right)


@every_regime
def test_shapes_and_times(regime: Regime) -> None:
    run = short(regime)
    assert run.regime == regime
    np.testing.assert_allclose(run.time, np.arange(10) * 0.05, atol=1e-12)
    assert run.X.shape == run.U.shape == (10, regime.K)
    assert run.X.dtype == run.U.dtype == np.float64
    assert (None if run.Y is None else run.Y.shape) == ((10, regime.K, regime.J) if regime.J else None)
    assert (None if run.Z is None else run.Z.shape) == ((10, regime.K, regime.J, regime.I) if regime.I else None)


@every_regime
def test_coupling_is_that_of_the_samples_own_time(regime: Regime, reference: SimpleNamespace) -> None:
    run = short(regime)
    if run.Y is None:
        np.testing.assert_array_equal(run.U, 0.0)
        return
    np.testing.assert_allclose(run.U, reference.coupling(regime, run.Y), rtol=1e-12, atol=1e-12)
    assert run.U.std() > 0


@every_named
def test_samples_are_the_reference(regime: Regime, reference: SimpleNamespace, settled: dict[str, State]) -> None:
    start = settled[regime.id]
    run = simulate(regime, 0.06, interval=0.02, initial=start)
    state = start
    for i in range(3):
        for stored, expected in zip((run.X, run.Y, run.Z), state, strict=False):
            assert stored is not None
            np.testing.assert_allclose(stored[i], expected, rtol=0, atol=1e-11)
        state = reference.advance(regime, state, 20, 0.001)


@pytest.mark.parametrize("interval", [0.001, 0.003, 0.05, 0.3])
def test_every_interval_samples_the_same_trajectory(interval: float) -> None:
    fine, coarse = short(duration=0.9, interval=0.001), short(duration=0.9, interval=interval)
    every = round(interval / 0.001)
    np.testing.assert_array_equal(coarse.X, fine.X[::every])
    np.testing.assert_array_equal(coarse.U, fine.U[::every])
    np.testing.assert_array_equal(coarse.Y, fine.Y[::every])  # type: ignore[arg-type, index]


def test_long_runs_are_the_same_as_short_ones_joined() -> None:
    """Work is done in pieces of 20,000 steps; they must not show."""
    run = short(duration=45.0, interval=0.5)
    state = random_state(get_regime("wilks-f20"), [0, 0])
    advance(get_regime("wilks-f20"), state, 200)
    for i in range(90):
        np.testing.assert_array_equal(run.X[i], state[0])
        advance(get_regime("wilks-f20"), state, 500)


def test_spin_up_comes_before_the_first_sample() -> None:
    np.testing.assert_array_equal(short(spin_up=0.4).X, short(duration=0.9, spin_up=0.0).X[8:])
    np.testing.assert_array_equal(short(spin_up=0.0).X[0], random_state(get_regime("wilks-f20"), [0, 0])[0])


def test_default_spin_up_is_100_mtu() -> None:
    run = simulate("lorenz96-k40", 1.0)
    assert SPIN_UP == 100.0
    np.testing.assert_array_equal(run.X, simulate("lorenz96-k40", 101.0, spin_up=0.0).X[2000:])


@pytest.mark.parametrize(
    ("duration", "interval", "n"), [(0.3, 0.1, 3), (0.7, 0.1, 7), (1.1, 0.05, 22), (2.3, 0.1, 23), (0.29, 0.01, 29)]
)
def test_counts_are_rounded_not_floored(duration: float, interval: float, n: int) -> None:
    assert int(duration / interval) in (n - 1, n)
    assert whole_multiple(duration, interval) == n
    assert len(short("lorenz96-k40", duration, interval=interval).X) == n


@pytest.mark.parametrize(
    "options",
    [
        *({"interval": value} for value in (0.07, 1.0, 0.0, -0.05, float("nan"), 0.0005)),
        *({"duration": value} for value in (0.0, -1.0, float("inf"))),
        *({"dt": value} for value in (0.003, 0.0)),
        {"spin_up": 0.0005},
    ],
)
def test_counts_that_are_not_whole_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(L96BenchError, match="whole multiple"):
        short(**options)  # type: ignore[arg-type]


def test_counts_allow_a_relative_error_of_1e_9() -> None:
    assert whole_multiple(2000.0 * (1 + 5e-10), 0.05) == 40_000
    with pytest.raises(L96BenchError):
        whole_multiple(2000.0 * (1 + 5e-9), 0.05)


@every_named
def test_rows_do_not_depend_on_how_many_there_are(regime: Regime) -> None:
    one, three = short(regime, seed=[7, 8]), short(regime, seed=[7, 8], n_trajectories=3)
    assert three.X.shape == (3, 10, regime.K)
    assert_same(
        one,
        Trajectory(regime, three.time, *(None if a is None else a[0] for a in (three.X, three.Y, three.U, three.Z))),
    )
    assert not np.array_equal(three.X[0], three.X[1])


@every_named
def test_threads_do_not_change_bits(regime: Regime) -> None:
    assert_same(short(regime, n_trajectories=4, threads=1), short(regime, n_trajectories=4, threads=2))
    assert_same(short(regime, n_trajectories=4), short(regime, n_trajectories=4, threads=9))


def test_seeds() -> None:
    assert_same(short(seed=3), short(seed=3))
    assert_same(short(seed=3), short(seed=np.int64(3)))
    assert_same(short(seed=3), short(seed=[3]))
    assert_same(short(seed=(2**32 - 1, 2)), short(seed=(2**32 - 1, 2)))
    runs = [short(seed=seed).X for seed in (0, 1, 3, (3, 1), (1, 3))]
    assert len({run.tobytes() for run in runs}) == len(runs)


def test_global_random_state_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[union-attr, index]  # noqa: NPY002
    short()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


@every_named
def test_random_states_come_from_uniform_bits(regime: Regime) -> None:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([4, 5])))
    X, *fast = random_state(regime, [4, 5])
    np.testing.assert_array_equal(X, rng.random(regime.K) * regime.F)
    for part, amplitude in zip(fast, (1 / regime.b, 1 / (regime.b * regime.d)), strict=False):
        np.testing.assert_array_equal(part, (rng.random(part.shape) - 0.5) * amplitude)


@every_regime
def test_own_initial_state(regime: Regime) -> None:
    start = random_state(regime, [9])
    kept = [part.copy() for part in start]
    run = simulate(regime, 0.2, initial=start)
    for stored, given, before in zip((run.X, run.Y, run.Z), start, kept, strict=False):
        assert stored is not None
        np.testing.assert_array_equal(stored[0], given)
        np.testing.assert_array_equal(given, before)  # the caller's arrays are not written to


def test_own_initial_states_in_a_batch(settled: dict[str, State]) -> None:
    regime = get_regime("arnold-c4")
    other = random_state(regime, [2])
    batch = tuple(np.stack(parts) for parts in zip(settled[regime.id], other, strict=True))
    both = simulate(regime, 0.2, initial=batch)
    assert both.X.shape == (2, 4, 8)
    for i, start in enumerate((settled[regime.id], other)):
        alone = simulate(regime, 0.2, initial=start)
        np.testing.assert_array_equal(both.X[i], alone.X)
        np.testing.assert_array_equal(both.Y[i], alone.Y)  # type: ignore[index]
    assert simulate(regime, 0.2, initial=tuple(part[:1] for part in batch)).X.shape == (1, 4, 8)
    assert simulate(regime, 0.2, initial=batch, n_trajectories=2).X.shape == (2, 4, 8)


def test_initial_states_of_a_single_scale() -> None:
    x = np.linspace(0, 8, 40)
    np.testing.assert_array_equal(
        simulate("lorenz96-k40", 0.1, initial=x).X, simulate("lorenz96-k40", 0.1, initial=(x,)).X
    )
    assert simulate("lorenz96-k40", 0.1, initial=x.tolist()).X.shape == (2, 40)
    assert simulate("lorenz96-k40", 0.1, initial=np.stack([x, x + 1, x])).X.shape == (3, 2, 40)


def test_own_initial_state_may_be_spun_up(settled: dict[str, State]) -> None:
    start = settled["wilks-f20"]
    np.testing.assert_array_equal(
        simulate("wilks-f20", 0.2, initial=start, spin_up=0.1).X, simulate("wilks-f20", 0.3, initial=start).X[2:]
    )


x, y = np.ones(8), np.ones((8, 32))

WRONG_STATES = {
    "X alone": x,
    "one part": (x,),
    "no part": (),
    "three parts": (x, y, y),
    "transposed": (x, y.T),
    "flat": (x, y.ravel()),
    "K": (x[:7], y),
    "axes": (x[None], y),
    "two axes": (x[None, None], y[None, None]),
    "members": (np.ones((2, 8)), np.ones((3, 8, 32))),
    "number": 5.0,
    "list": [x, y],
    "text": "wilks-f20",
}


@pytest.mark.parametrize("initial", WRONG_STATES.values(), ids=WRONG_STATES.keys())
def test_initial_states_of_wrong_shapes_are_refused(initial: object) -> None:
    with pytest.raises(L96BenchError, match=r"\(8,\), \(8, 32\)"):
        simulate("wilks-f20", 0.1, initial=initial)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_initial_states_must_be_finite(bad: float) -> None:
    wrong = y.copy()
    wrong[3, 3] = bad
    with pytest.raises(L96BenchError, match="finite"):
        simulate("wilks-f20", 0.1, initial=(x, wrong))


@pytest.mark.parametrize("n", [0, -1])
def test_at_least_one_trajectory(n: int) -> None:
    with pytest.raises(L96BenchError, match="n_trajectories"):
        short(n_trajectories=n)


def test_as_many_trajectories_as_initial_states() -> None:
    with pytest.raises(L96BenchError, match="n_trajectories = 1"):
        simulate("wilks-f20", 0.1, initial=(x, y), n_trajectories=3)


def test_unknown_regime() -> None:
    with pytest.raises(UnknownIdError, match="wilks-f20"):
        simulate("wilks-f02", 1.0)


@pytest.mark.parametrize("name", ["wilks-f20", "three-scale"])
def test_blow_up_is_an_error(name: str) -> None:
    with pytest.raises(BlowUpError, match=r"dt = 0\.05"):
        simulate(name, 5.0, dt=0.05)


def test_a_shifted_regime_is_another_climate(settled: dict[str, State]) -> None:
    regime = get_regime("wilks-f20")
    start = settled[regime.id]
    run, shifted = (simulate(r, 0.05, interval=0.001, initial=start) for r in (regime, regime.shifted()))
    # A first step under F + 4 adds 4 dt to every X, less a damping of order dt^2.
    np.testing.assert_allclose(shifted.X[1] - run.X[1], 0.004, rtol=0.05)


@every_named
def test_fast_variables_need_not_be_stored(regime: Regime) -> None:
    run, lean = short(regime), short(regime, store_fast=False)
    assert lean.Y is None
    assert lean.Z is None
    np.testing.assert_array_equal(lean.X, run.X)
    np.testing.assert_array_equal(lean.U, run.U)


@every_named
def test_to_xarray(regime: Regime) -> None:
    data = short(regime).to_xarray()
    dims = {"X": ("time", "k"), "U": ("time", "k"), "Y": ("time", "k", "j"), "Z": ("time", "k", "j", "i")}
    stored = ["X", "U", "Y", "Z"][: 1 + regime.scales]
    assert {name: data[name].dims for name in data.data_vars} == {name: dims[name] for name in stored}
    assert data.time.attrs["units"] == "MTU"
    assert {name: data.attrs[name] for name in (*"KJIFhbcdeg", "id")} == {
        name: getattr(regime, name) for name in (*"KJIFhbcdeg", "id")
    }
    many = short(regime, n_trajectories=2, store_fast=False).to_xarray()
    assert many.X.dims == ("trajectory", "time", "k")
    assert set(many.data_vars) == {"X", "U"}


def test_to_xarray_keeps_the_values() -> None:
    run = short()
    data = run.to_xarray()
    np.testing.assert_array_equal(data.Y.sel(time=0.1, j=3), run.Y[2, :, 3])  # type: ignore[index]
    np.testing.assert_array_equal(data.U, run.U)


def test_silent_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    short()
    short(progress=False)
    assert capfd.readouterr() == ("", "")


def test_progress_on_request_goes_to_standard_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then draws its bar as on a terminal
    run = short(duration=30.0, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "simulating wilks-f20" in err
    np.testing.assert_array_equal(run.X, short(duration=30.0, progress=False).X)


def test_progress_on_a_terminal(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    short()
    assert "simulating" in capfd.readouterr().err
    short(progress=False)
    assert capfd.readouterr().err == ""
