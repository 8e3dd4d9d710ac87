"""The kernels of every regime against plain NumPy, a C twin, and the identities of the equations."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.dynamics import kernels
from l96bench.dynamics.truth import advance, random_state
from l96bench.regimes import REGIMES, Regime, get_regime

if TYPE_CHECKING:
    from benchmarks.twin import Twin

State = tuple[NDArray[np.float64], ...]

ODD = (
    Regime("small", 4, 1, 8.0),
    Regime("odd", 5, 7, 10.0, c=4.0),
    Regime("odd-flux", 7, 6, 9.0, coupling="flux"),
    Regime("odd-three", 5, 3, 15.0, I=5, d=8.0, e=7.0, g=3.0),
    Regime("odd-three-flux", 6, 3, 10.0, I=4, h=0.5, coupling="flux"),
    Regime("single-4", 4, 0, 10.0),
)
"""Sizes that leave a rest after sums in fours, and mixtures that no registered regime has."""

every_regime = pytest.mark.parametrize("regime", [*REGIMES, *ODD], ids=lambda regime: regime.id)


def after(regime: Regime, state: State, n_steps: int, dt: float = 0.001) -> State:
    """The kernel's state after n_steps, from a copy."""
    moved = tuple(part.copy() for part in state)
    advance(regime, moved, n_steps, dt)
    return moved


def state_of(regime: Regime, n_steps: int = 3000) -> State:
    return after(regime, random_state(regime, [5]), n_steps)


def kernel_tendency(regime: Regime, state: State) -> State:
    """The right-hand side that the kernel integrates: (x(dt) - x(-dt)) / 2 dt, whose error is of order dt^2."""
    dt = 1e-6
    ahead, behind = after(regime, state, 1, dt), after(regime, state, 1, -dt)
    return tuple((a - b) / (2 * dt) for a, b in zip(ahead, behind, strict=True))


@every_regime
def test_one_step_is_the_reference(regime: Regime, reference: SimpleNamespace) -> None:
    state = state_of(regime)
    for mine, theirs in zip(after(regime, state, 1), reference.advance(regime, state, 1, 0.001), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-13 * max(1.0, np.abs(theirs).max()))


@pytest.mark.slow
@every_regime
def test_half_a_time_unit_is_the_reference(regime: Regime, reference: SimpleNamespace) -> None:
    # Rounding errors grow by about 19 per MTU at c = 10: exp(9.5) * 1e-15 is 1e-11.
    state = state_of(regime)
    for mine, theirs in zip(after(regime, state, 500), reference.advance(regime, state, 500, 0.001), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-8)
        assert np.abs(mine).max() > 1e-3


@every_regime
def test_energy_budget(regime: Regime) -> None:
    """Advection conserves the sum of squares of each scale; only damping, forcing and coupling change it."""
    state = state_of(regime)
    rates = kernel_tendency(regime, state)
    X = state[0]
    hcb, hed = regime.h * regime.c / regime.b, regime.h * regime.e / regime.d
    change = [np.sum(part * rate) for part, rate in zip(state, rates, strict=True)]
    expected = [regime.F * X.sum() - np.sum(X**2)]
    if regime.scales > 1:
        S = -hcb * state[1].sum(axis=1)
        U = np.roll(S, 1) - np.roll(S, -1) if regime.coupling == "flux" else S
        expected[0] += X @ U
        expected.append(hcb * X @ state[1].sum(axis=1) - regime.c * np.sum(state[1] ** 2))
    if regime.scales > 2:
        exchange = hed * np.sum(state[1] * state[2].sum(axis=2))
        expected[1] -= exchange
        expected.append(exchange - regime.g * regime.e * np.sum(state[2] ** 2))
    scales = [np.sum(np.abs(part * rate)) for part, rate in zip(state, rates, strict=True)]
    for came, wanted, scale in zip(change, expected, scales, strict=True):
        assert came == pytest.approx(wanted, abs=1e-7 * scale + 1e-9)


@pytest.mark.parametrize(
    "regime", [r for r in (*REGIMES, *ODD) if r.scales > 1 and r.coupling == "local"], ids=lambda r: r.id
)
def test_local_coupling_conserves_energy(regime: Regime) -> None:
    """Whatever X loses to Y (and Y to Z) the other gains: of the total, only damping and forcing remain."""
    state = state_of(regime)
    rates = kernel_tendency(regime, state)
    total = sum(np.sum(part * rate) for part, rate in zip(state, rates, strict=True))
    damping = (1.0, regime.c, regime.g * regime.e)
    lost = sum(damp * np.sum(part**2) for damp, part in zip(damping, state, strict=False))
    assert total == pytest.approx(regime.F * state[0].sum() - lost, rel=1e-6)


def test_advection_alone_conserves_energy() -> None:
    """Without damping, forcing and coupling RK4 loses energy at order dt^5 only."""
    regime = Regime("free", 8, 6, 0.0, h=0.0, c=1e-12, b=1e13)  # c b = 10 while c, and so the damping of Y, vanishes
    rng = np.random.default_rng(0)
    state = (rng.standard_normal(8), rng.standard_normal((8, 6)))
    moved = after(regime, state, 1000)
    assert np.sum(moved[1] ** 2) == pytest.approx(np.sum(state[1] ** 2), rel=1e-8)
    assert np.abs(moved[1] - state[1]).max() > 0.1


@pytest.mark.parametrize("name", ["conservative-f12", "odd-flux", "odd-three-flux"])
def test_flux_coupling_conserves_momentum(name: str, reference: SimpleNamespace) -> None:
    regime = next(regime for regime in (*REGIMES, *ODD) if regime.id == name)
    X, Y = state_of(regime)[:2]
    U = np.empty(regime.K)
    kernels.coupling(Y, regime.h * regime.c / regime.b, U)
    assert abs(U.sum()) > 1e-3
    kernels.to_flux(U)
    np.testing.assert_allclose(U, reference.coupling(regime, Y), atol=1e-14)
    assert U.sum() == pytest.approx(0, abs=1e-13)
    advected = np.sum(np.roll(X, 1) * (np.roll(X, -1) - np.roll(X, 2)))
    momentum = kernel_tendency(regime, state_of(regime))[0].sum()
    assert momentum == pytest.approx(advected - X.sum() + regime.K * regime.F, abs=1e-6)


@every_regime
def test_trace_of_the_jacobian(regime: Regime) -> None:
    """Phase space shrinks at the constant rate K + c K J + g e K J I: -K for a single scale."""
    state = tuple(np.round(part, 3) for part in state_of(regime))
    trace = 0.0
    for part in range(regime.scales):
        for place in np.ndindex(state[part].shape):
            # The right-hand side is quadratic, so a central difference over any width is exact.
            up, down = (tuple(piece.copy() for piece in state) for _ in range(2))
            up[part][place] += 0.5
            down[part][place] -= 0.5
            trace += kernel_tendency(regime, up)[part][place] - kernel_tendency(regime, down)[part][place]
    sizes = [np.prod(shape) for shape in regime.state_shapes]
    damping = (1.0, regime.c, regime.g * regime.e)
    assert trace == pytest.approx(-sum(d * n for d, n in zip(damping, sizes, strict=False)), rel=1e-6)


@every_regime
def test_fourth_order(regime: Regime) -> None:
    """Halving dt divides the error by 2^4."""
    state = state_of(regime)
    dt = 0.01 if regime.scales == 1 else 0.001
    runs = [after(regime, state, 40 * halving, dt / halving) for halving in (1, 2, 4)]
    for part in range(regime.scales):
        coarse, fine = (np.linalg.norm(runs[i][part] - runs[i + 1][part]) for i in range(2))
        assert 13 < coarse / fine < 19


@every_regime
def test_translation_by_a_sector(regime: Regime) -> None:
    """The ring has no first point: a rolled state gives the rolled result, bit for bit."""
    state = state_of(regime)
    for shift in (1, 3):
        rolled = after(regime, tuple(np.roll(part, shift, axis=0) for part in state), 200)
        for mine, whole in zip(rolled, after(regime, state, 200), strict=True):
            np.testing.assert_array_equal(mine, np.roll(whole, shift, axis=0))


@every_regime
def test_steps_can_be_split(regime: Regime) -> None:
    state = state_of(regime)
    for whole, split in zip(after(regime, state, 30), after(regime, after(regime, state, 13), 17), strict=True):
        np.testing.assert_array_equal(whole, split)


@pytest.mark.slow
@pytest.mark.parametrize(
    "regime",
    [*(get_regime(name) for name in ("wilks-f20", "arnold-c4", "wide-k36", "weak-h01")), *ODD[:2]],
    ids=lambda regime: regime.id,
)
def test_bits_of_the_c_twin(regime: Regime, twin: Twin) -> None:
    x, y = random_state(regime, [1])
    mine = after(regime, (x, y), 5000)
    for advance_in_c in (twin.advance, twin.advance_in_lanes) if regime.K % 4 == 0 else (twin.advance,):
        theirs = (x.copy(), y.copy())
        advance_in_c(regime, *theirs, 0.001, 5000)
        np.testing.assert_array_equal(mine[0], theirs[0])
        np.testing.assert_array_equal(mine[1], theirs[1])


def record(regime: Regime, n_steps: int = 500) -> tuple[State, State, NDArray[np.float64]]:
    """A start, the truth's state n_steps later, and the X of every stage between."""
    start = state_of(regime)
    end, stages = tuple(part.copy() for part in start), np.empty((n_steps, 4, regime.K))
    advance(regime, end, n_steps, stages=stages, mode=kernels.RECORD)
    return start, end, stages


coupled = pytest.mark.parametrize("regime", [r for r in (*REGIMES, *ODD) if r.scales > 1], ids=lambda r: r.id)


@coupled
def test_recording_changes_nothing(regime: Regime) -> None:
    start, end, stages = record(regime)
    for recorded, plain in zip(end, after(regime, start, 500), strict=True):
        np.testing.assert_array_equal(recorded, plain)
    np.testing.assert_array_equal(stages[0, 0], start[0])
    np.testing.assert_array_equal(stages[7, 0], after(regime, start, 7)[0])


@coupled
def test_recorded_stages_are_those_of_rk4(regime: Regime, reference: SimpleNamespace) -> None:
    start, _, stages = record(regime, 1)
    k1 = reference.tendency(regime, start)
    second = tuple(part + 0.0005 * rate for part, rate in zip(start, k1, strict=True))
    k2 = reference.tendency(regime, second)
    third = tuple(part + 0.0005 * rate for part, rate in zip(start, k2, strict=True))
    fourth = start[0] + 0.001 * reference.tendency(regime, third)[0]
    np.testing.assert_allclose(stages[0], [start[0], second[0], third[0], fourth], atol=1e-13)


@coupled
def test_driving_the_truths_own_fast_variables_gives_the_truth(regime: Regime) -> None:
    start, end, stages = record(regime)
    driven = (np.full(regime.K, 99.0), *(part.copy() for part in start[1:]))
    advance(regime, driven, 500, stages=stages, mode=kernels.DRIVEN)
    np.testing.assert_array_equal(driven[0], 99.0)
    for mine, truth in zip(driven[1:], end[1:], strict=True):
        np.testing.assert_array_equal(mine, truth)


@coupled
def test_driving_other_fast_variables(regime: Regime) -> None:
    _, end, stages = record(regime)
    kept = stages.copy()
    driven = tuple(part.copy() for part in random_state(regime, [77]))
    advance(regime, driven, 500, stages=stages, mode=kernels.DRIVEN)
    np.testing.assert_array_equal(stages, kept)
    for mine, truth in zip(driven[1:], end[1:], strict=True):
        assert np.isfinite(mine).all()
        assert np.abs(mine).max() < 5 * np.abs(truth).max()


def test_driven_fast_variables_feel_the_prescribed_slow_ones() -> None:
    """Held at X = 0, damped fast variables die; the same ones held at X = 10 do not."""
    regime = replace(get_regime("wilks-f20"), id="driven")
    ends = []
    for X in (0.0, 10.0):
        driven = random_state(regime, [3])
        advance(regime, driven, 3000, stages=np.full((3000, 4, regime.K), X), mode=kernels.DRIVEN)
        ends.append(np.abs(driven[1]).max())
    assert ends[0] < 1e-10
    assert ends[1] > 0.1
