"""The resolved model: agreement with NumPy, one call of the closure a step, members that leave."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.dynamics.ar1 import AR1Closure
from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.dynamics.resolved import Rollout, rollout
from l96bench.dynamics.truth import simulate
from l96bench.errors import L96BenchError, ModelError, UnknownIdError
from l96bench.regimes import REGIMES, Regime

Array = NDArray[np.float64]

# The cubic of docs/facts.md, "Two targets", for wilks-f20, as an added tendency.
CUBIC = Polynomial([-0.704, -1.111, -0.0009, 0.00294])


def states(n: int, K: int = 8, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(3.0, 4.0, (n, K))


def run(closure: object, X0: Array, duration: float = 0.5, **options: object) -> Rollout:
    return rollout(closure, X0, duration, **({"regime": "wilks-f20"} | options))  # type: ignore[arg-type]


def cubic(X: Array) -> Array:
    return -0.704 - 1.111 * X - 0.0009 * X**2 + 0.00294 * X**3


class Spy:
    """A closure that keeps everything it is given."""

    deterministic = True

    def __init__(self) -> None:
        self.started: list[int] = []
        self.rngs: list[np.random.Generator] = []
        self.seen: list[Array] = []

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.started.append(n_members)
        self.rngs.append(rng)

    def step(self, X: Array) -> Array:
        self.seen.append(X)
        return cubic(X)


@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.id)
def test_held_forcing_is_the_reference(regime: Regime, reference: SimpleNamespace) -> None:
    """Without closure, under a constant U and under one that depends on X, for every ring."""
    X0 = states(3, regime.K)
    for closure in (lambda X: 0 * X, lambda X: 0 * X - 2.5, cubic):
        expected, X = [], X0
        for _ in range(20):
            expected.append(X)
            X = reference.resolved_step(X, closure(X), regime.F, 0.01)
        came = run(closure, X0, 0.2, regime=regime, interval=0.01)
        np.testing.assert_allclose(came.X, expected, rtol=0, atol=1e-12)


def test_samples_and_times() -> None:
    came = run(NoClosure(), states(3))
    np.testing.assert_allclose(came.time, np.arange(10) * 0.05, atol=1e-12)
    assert came.X.shape == (10, 3, 8)
    np.testing.assert_array_equal(came.X[0], states(3))
    assert came.survived.all()
    np.testing.assert_array_equal(came.left, np.inf)


def test_one_state_is_a_batch_of_one() -> None:
    came = run(CUBIC, states(1)[0])
    assert came.X.shape == (10, 1, 8)
    np.testing.assert_array_equal(came.X, run(CUBIC, states(1)).X)


def test_the_callers_states_are_not_written_to() -> None:
    X0 = states(2)
    run(CUBIC, X0)
    run(cubic, X0)
    np.testing.assert_array_equal(X0, states(2))


@pytest.mark.parametrize("degree", range(6))
def test_polynomials_in_the_kernel_are_the_same_as_outside(degree: int) -> None:
    coefficients = np.array([-0.7, -1.1, -0.001, 0.003, -0.0002, 1e-6])[: degree + 1]

    def outside(X: Array) -> Array:
        return sum(c * X**i for i, c in enumerate(coefficients)) + 0 * X

    inside = run(Polynomial(coefficients), states(4))
    np.testing.assert_allclose(inside.X, run(outside, states(4)).X, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(inside.X, run(Polynomial(coefficients).predict, states(4)).X)  # both by Horner's rule


def test_no_closure_is_zero_forcing() -> None:
    np.testing.assert_array_equal(run(NoClosure(), states(4)).X, run(lambda X: np.zeros_like(X), states(4)).X)


def test_no_closure_on_a_single_scale_is_the_truth() -> None:
    X0 = states(1, 40)[0]
    truth = simulate("lorenz96-k40", 2.0, dt=0.01, initial=X0)
    np.testing.assert_array_equal(run(NoClosure(), X0, 2.0, regime="lorenz96-k40").X[:, 0], truth.X)


@pytest.mark.parametrize("closure", [CUBIC, cubic])
def test_a_batch_is_its_rows_bit_for_bit(closure: object) -> None:
    together = run(closure, states(5))
    for i in range(5):
        np.testing.assert_array_equal(together.X[:, i], run(closure, states(5)[i]).X[:, 0])


@pytest.mark.parametrize("closure", [CUBIC, cubic])
def test_forcing_per_member(closure: object) -> None:
    F = np.array([8.0, 18.0, 24.0])
    together = run(closure, states(3), F=F)
    for i in range(3):
        np.testing.assert_array_equal(together.X[:, i], run(closure, states(3)[i], F=F[i]).X[:, 0])
    np.testing.assert_array_equal(run(closure, states(3), F=20.0).X, run(closure, states(3)).X)


def test_the_closure_is_called_once_a_step_at_its_start() -> None:
    spy = Spy()
    came = run(spy, states(3), 0.5, interval=0.05)
    assert spy.started == [3]
    assert len(spy.seen) == 9 * 5  # the last sample is at 0.45
    np.testing.assert_array_equal(spy.seen[::5], came.X[:-1])
    every = run(cubic, states(3), 0.5, interval=0.01)
    np.testing.assert_array_equal(spy.seen, every.X[:45])


def test_spin_up_is_run_and_not_sampled() -> None:
    spy = Spy()
    came = run(spy, states(3), 0.2, spin_up=0.3)
    assert len(spy.seen) == 30 + 15
    assert spy.started == [3]
    np.testing.assert_allclose(came.time, [0.3, 0.35, 0.4, 0.45], atol=1e-12)
    for closure in (CUBIC, CUBIC.predict):
        np.testing.assert_array_equal(run(closure, states(3), 0.2, spin_up=0.3).X, run(closure, states(3), 0.5).X[6:])


@pytest.mark.parametrize("dt", [0.05, 0.025, 0.001])
def test_time_step(dt: float, reference: SimpleNamespace) -> None:
    X = states(2)
    came = run(cubic, X, 0.15, dt=dt)
    for i in range(3):
        np.testing.assert_allclose(came.X[i], X, atol=1e-11)
        for _ in range(round(0.05 / dt)):
            X = reference.resolved_step(X, cubic(X), 20.0, dt)


def test_a_closure_may_write_into_what_it_gets() -> None:
    def vandal(X: Array) -> Array:
        U = cubic(X)
        X[:] = 1e6
        return U

    np.testing.assert_array_equal(run(vandal, states(3)).X, run(cubic, states(3)).X)


def test_a_closure_may_return_what_it_gets() -> None:
    np.testing.assert_array_equal(run(lambda X: X, states(3)).X, run(lambda X: 1.0 * X, states(3)).X)


def test_random_closures_get_the_callers_generator() -> None:
    spy, rng = Spy(), np.random.default_rng(3)
    run(spy, states(2), rng=rng)
    assert spy.rngs == [rng]
    noisy = AR1Closure(CUBIC, 0.9, 1.0, 0.05)
    same = [run(noisy, states(2), rng=np.random.default_rng(seed)).X for seed in (1, 1, 2)]
    np.testing.assert_array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])
    np.testing.assert_array_equal(run(noisy, states(2)).X, run(noisy, states(2)).X)


def test_history_is_remembered_after_the_start() -> None:
    order: list[str] = []

    class Memory(Spy):
        def start(self, n_members: int, rng: np.random.Generator) -> None:
            order.append("start")

        def remember(self, history: Array) -> None:
            order.append("remember")
            self.history = history

        def step(self, X: Array) -> Array:
            order.append("step")
            return cubic(X)

    memory, past = Memory(), np.random.default_rng(1).normal(size=(40, 3, 8))
    run(memory, states(3), 0.1, history=past)
    assert order == ["start", "remember"] + ["step"] * 5
    np.testing.assert_array_equal(memory.history, past)
    order.clear()
    run(memory, states(3), 0.1)
    assert order == ["start"] + ["step"] * 5
    np.testing.assert_array_equal(run(Spy(), states(3), history=past).X, run(Spy(), states(3)).X)


def explosive(X: Array) -> Array:
    """Pushes the members whose first point starts above 50 away."""
    return np.where(X[:, :1] > 50.0, 50.0 * X, cubic(X))


def test_members_that_blow_up() -> None:
    X0 = states(4)
    X0[2, 0] = 60.0
    X0[0, 0] = 51.0
    with np.errstate(over="ignore", invalid="ignore"):
        came = run(explosive, X0, 5.0)
    np.testing.assert_array_equal(came.survived, [False, True, False, True])
    quiet = run(explosive, X0[[1, 3]], 5.0)
    np.testing.assert_array_equal(came.X[:, [1, 3]], quiet.X)  # the others feel nothing
    for member in (0, 2):
        assert 0 < came.left[member] < 5.0
        gone = came.time >= came.left[member] - 1e-9
        assert np.isnan(came.X[gone, member]).all()
        assert np.isfinite(came.X[~gone, member]).all()
    assert np.isfinite(came.X[:, [1, 3]]).all()


@pytest.mark.parametrize("closure", [Polynomial([1.0]), lambda X: np.ones_like(X)], ids=["kernel", "function"])
def test_when_a_member_left(closure: object, reference: SimpleNamespace) -> None:
    """The end of the first step that leaves the limits, from a run without them."""
    X0, high = states(3), np.array([9.0, 12.0, np.inf])
    free = run(closure, X0, 4.0, interval=0.01).X
    came = run(closure, X0, 4.0, interval=0.01, limits=(-np.inf, high))
    for member in range(3):
        outside = (free[:, member] > high[member]).any(axis=-1)
        outside[0] = False  # the start itself is not judged
        if not outside.any():
            assert np.isinf(came.left[member])
            np.testing.assert_array_equal(came.X[:, member], free[:, member])
            continue
        first = int(np.argmax(outside))
        assert came.left[member] == pytest.approx(0.01 * first)
        np.testing.assert_array_equal(came.X[:first, member], free[:first, member])
        assert np.isnan(came.X[first:, member]).all()
    assert np.isfinite(came.left).sum() == 2


@pytest.mark.parametrize("closure", [CUBIC, cubic], ids=["kernel", "function"])
def test_limits_below_and_above(closure: object) -> None:
    X0 = states(4)
    for limits in ((-6.0, np.inf), (-np.inf, 12.0), (np.array([-5.0, -99.0, -6.0, -99.0]), 99.0)):
        free, came = run(closure, X0, 5.0, interval=0.01), run(closure, X0, 5.0, interval=0.01, limits=limits)
        low, high = (np.broadcast_to(limit, 4) for limit in limits)
        outside = (free.X[1:] < low[:, None]).any(-1) | (free.X[1:] > high[:, None]).any(-1)
        np.testing.assert_array_equal(came.survived, ~outside.any(axis=0))
        np.testing.assert_array_equal(np.isnan(came.X[1:]).any(-1), np.cumsum(outside, axis=0) > 0)


def test_members_may_leave_during_the_spin_up() -> None:
    X0 = states(2)
    X0[1] = 200.0
    for closure in (CUBIC, cubic):
        came = run(closure, X0, 0.5, spin_up=0.5, limits=(-50.0, 50.0))
        np.testing.assert_array_equal(came.survived, [True, False])
        assert came.left[1] == pytest.approx(0.01)
        assert np.isnan(came.X[:, 1]).all()


@pytest.mark.parametrize("limits", [None, (-np.inf, np.inf), (-100.0, 100.0)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e308])
def test_forcing_that_is_not_finite_counts_as_leaving(bad: float, limits: tuple[float, float] | None) -> None:
    seen: list[Array] = []

    def sick(X: Array) -> Array:
        seen.append(X)
        U = cubic(X)
        if len(seen) == 8:
            U[1, 3] = bad
        return U

    came = run(sick, states(3), 0.5, limits=limits)
    np.testing.assert_array_equal(came.survived, [True, False, True])
    assert came.left[1] == pytest.approx(0.08)
    np.testing.assert_array_equal(came.X[:, [0, 2]], run(cubic, states(3)[[0, 2]]).X)
    assert np.isfinite(seen).all()  # a member that left rests at a finite state
    assert np.isnan(came.X[2:, 1]).all()


def test_a_run_whose_members_all_left_goes_on_to_the_end() -> None:
    came = run(lambda X: X * np.nan, states(3))
    assert not came.survived.any()
    assert came.X.shape == (10, 3, 8)
    assert np.isnan(came.X[1:]).all()
    np.testing.assert_allclose(came.left, 0.01)


def test_left_members_do_not_slow_or_warn(recwarn: pytest.WarningsRecorder) -> None:
    came = run(Polynomial([0.0, 0.0, 0.0, 1.0]), states(20), 5.0)
    assert not came.survived.any()
    assert not recwarn.list


class Broken:
    """A closure whose step fails in a way of the test's choice."""

    deterministic = True

    def __init__(self, value: object) -> None:
        self.value = value

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        if isinstance(self.value, str):
            raise RuntimeError("no such thing")

    def step(self, X: Array) -> object:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((3, 7)), r"\(3, 8\).*\(3, 7\)"),
        (np.zeros(3), r"\(3, 8\).*\(3,\)"),
        (np.zeros((8, 3)), "transpose"),
        (0.0, r"\(3, 8\)"),
        (None, "real numbers"),
        (np.zeros((3, 8), complex), "complex"),
        (np.full((3, 8), "a"), "real numbers"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        ("start", "no such thing"),
    ],
)
def test_models_that_cannot_be_used(value: object, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        run(Broken(value), states(3))


@pytest.mark.parametrize("value", [np.ones((3, 8), np.float32), np.ones((3, 8), int), [[1.0] * 8] * 3])
def test_forcings_that_can_be_converted(value: object) -> None:
    np.testing.assert_array_equal(run(Broken(value), states(3)).X, run(Polynomial([1.0]), states(3)).X)


@pytest.mark.parametrize("model", [42, "cubic", None, Polynomial])
def test_things_that_are_no_model(model: object) -> None:
    with pytest.raises(ModelError, match=r"Expected|expected"):
        run(model, states(3))


@pytest.mark.parametrize("X0", [np.ones((3, 7)), np.ones(9), np.ones((2, 3, 8)), 1.0])
def test_initial_states_of_wrong_shapes(X0: Array) -> None:
    with pytest.raises(L96BenchError, match=r"\(member, 8\)"):
        run(CUBIC, X0)


@pytest.mark.parametrize("options", [{"F": np.ones(2)}, {"limits": (np.zeros(2), 1.0)}, {"F": np.ones((3, 8))}])
def test_parameters_of_members_of_wrong_shapes(options: dict[str, object]) -> None:
    with pytest.raises(L96BenchError, match="3 members"):
        run(CUBIC, states(3), **options)


@pytest.mark.parametrize("options", [{"interval": 0.07}, {"dt": 0.03}, {"spin_up": 0.015}, {"duration": 0.0}])
def test_counts_that_are_not_whole(options: dict[str, float]) -> None:
    with pytest.raises(L96BenchError, match="whole multiple"):
        run(CUBIC, states(3), **options)  # type: ignore[arg-type]


def test_unknown_regime() -> None:
    with pytest.raises(UnknownIdError, match="arnold-c4"):
        run(CUBIC, states(3), regime="arnold")


def test_silent_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    run(CUBIC, states(3), 20.0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "K", "F"), [("wilks-f20", 8, 20.0), ("lorenz96-k40", 40, 8.0)])
def test_energy_balance_without_closure(name: str, K: int, F: float) -> None:
    """Advection keeps the sum of X^2, so that in the long run F mean(X) = mean(X^2)."""
    X = run(NoClosure(), states(100, K), 100.0, regime=name, spin_up=10.0).X
    assert F * X.mean() == pytest.approx(np.mean(X**2), rel=0.003)


def test_mean_of_the_single_scale_system() -> None:
    """K 40, F 8: mean 2.34 and standard deviation 3.64 (Lorenz and Emanuel 1998 print 2.3 and 3.6)."""
    X = run(NoClosure(), states(50, 40), 100.0, regime="lorenz96-k40", dt=0.05, spin_up=10.0).X
    assert X.mean() == pytest.approx(2.34, abs=0.03)
    assert X.std() == pytest.approx(3.64, abs=0.03)
