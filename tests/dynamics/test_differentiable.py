"""The resolved model in PyTorch, JAX and NumPy: agreement with the Numba model and with each other, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from l96bench import differentiable_rollout, differentiable_step, rollout
from l96bench.dynamics.truth import State
from l96bench.errors import L96BenchError
from l96bench.regimes import REGIMES, Regime, get_regime

Array = NDArray[np.float64]

MODEL = get_regime("wilks-f20")


def attractor(n: int, K: int = 8) -> Array:
    """States of the resolved model under a linear closure, 10 MTU after a random start."""
    X0 = np.random.default_rng(0).normal(3.0, 4.0, (n, K))
    run = rollout(linear, X0, 11.0, regime=MODEL, interval=1.0, progress=False)
    return run.X[-1]


def linear(X: Any) -> Any:
    return -0.7 - 1.1 * X


def net(seed: int = 0) -> torch.nn.Module:
    """A small smooth network as a function of each point and its right-hand neighbour."""
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.nn.Linear(2, 3, dtype=torch.float64), torch.nn.Linear(3, 1, dtype=torch.float64)
    for weight in (*first.parameters(), *second.parameters()):
        weight.data = 0.4 * torch.randn(weight.shape, generator=generator, dtype=torch.float64)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(first, torch.nn.Tanh(), second)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            return self.layers(torch.stack([X, X.roll(-1, dims=-1)], dim=-1) / 5.0)[..., 0]

    return Net()


def made_by_jax(values: Any) -> Any:
    return pytest.importorskip("jax.numpy", reason="needs JAX").asarray(values)


LIBRARIES: dict[str, Callable[[Any], Any]] = {"numpy": np.array, "torch": torch.tensor, "jax": made_by_jax}
every_library = pytest.mark.parametrize("library", ["numpy", "torch", pytest.param("jax", marks=pytest.mark.slow)])
"""JAX compiles what it runs, for a second."""


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """JAX makes arrays of float32, unless it is told otherwise."""
    try:
        import jax
    except ImportError:
        yield
        return
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@every_library
@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.id)
def test_it_is_the_numba_model(regime: Regime, library: str, settled: dict[str, State]) -> None:
    X0 = np.stack([np.roll(settled[regime.id][0], shift) + 0.1 * shift for shift in range(3)])
    expected = rollout(linear, X0, 1.01, regime=regime, interval=0.01, progress=False).X
    made = LIBRARIES[library](X0)
    came = differentiable_rollout(linear, made, 100, F=regime.F)
    assert type(came) is type(made)
    came = np.asarray(came)
    assert came.dtype == np.float64
    np.testing.assert_allclose(came[0], expected[1], rtol=0, atol=4 * np.spacing(abs(X0).max()))
    np.testing.assert_allclose(came, expected[1:], rtol=0, atol=1e-10)


@every_library
def test_one_step_is_the_reference(library: str, reference: SimpleNamespace) -> None:
    X, U = attractor(4), np.random.default_rng(1).normal(size=(4, 8))
    F = np.array([[18.0], [20.0], [24.0], [10.0]])
    came = np.asarray(differentiable_step(*map(LIBRARIES[library], (X, U, F)), 0.02))
    np.testing.assert_allclose(came, reference.resolved_step(X, U, F, 0.02), rtol=0, atol=4 * np.spacing(abs(X).max()))


@every_library
@pytest.mark.parametrize("F", [20.0, 20, np.float64(20.0)], ids=lambda F: type(F).__name__)
def test_single_precision_is_kept(library: str, F: float) -> None:
    X = LIBRARIES[library](attractor(2).astype(np.float32))
    assert differentiable_step(X, 0.1 * X, F).dtype == X.dtype
    assert differentiable_rollout(linear, X, 4, F=F, every=2, limits=(-40.0, 50.0)).dtype == X.dtype


def test_kept_states_and_single_precision() -> None:
    X0 = torch.tensor(attractor(2))
    module = net()
    every_step = differentiable_rollout(module, X0, 20, F=20.0)
    fifth = differentiable_rollout(module, X0, 20, F=20.0, every=5)
    assert torch.equal(fifth, every_step[4::5])
    single = differentiable_rollout(module.float(), X0.float(), 20, F=20.0, every=5)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.detach().numpy(), fifth.detach().numpy(), atol=2e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu() -> None:
    X0 = torch.tensor(attractor(2))
    on_cpu = differentiable_rollout(net(), X0, 20, F=20.0)
    on_gpu = differentiable_rollout(net().cuda(), X0.cuda(), 20, F=20.0)
    np.testing.assert_allclose(on_gpu.detach().cpu().numpy(), on_cpu.detach().numpy(), atol=1e-9)


def test_gradients_of_a_step() -> None:
    X, U = (torch.tensor(array, requires_grad=True) for array in (attractor(2), 0.1 * attractor(2)))
    F = torch.tensor([[20.0], [18.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda X, U, F: differentiable_step(X, U, F, 0.05), (X, U, F))


@pytest.mark.slow
def test_gradients_through_steps_against_finite_differences() -> None:
    """Central differences of a loss after 20 steps, by every weight and by the initial states."""
    module, truth = net(), torch.tensor(attractor(3))[:2]
    X0 = (truth + 0.3).requires_grad_()
    inputs = [X0, *module.parameters()]

    def loss() -> torch.Tensor:
        return (differentiable_rollout(module, X0, 20, F=20.0, every=4) - truth).square().mean()

    gradients = torch.autograd.grad(loss(), inputs)
    for tensor, gradient in zip(inputs, gradients, strict=True):
        values, found = tensor.detach().view(-1), gradient.reshape(-1)
        for i in range(len(values)):
            before, width = float(values[i]), 1e-5
            values[i] = before + width
            up = float(loss().detach())
            values[i] = before - width
            down = float(loss().detach())
            values[i] = before
            assert (up - down) / (2 * width) == pytest.approx(float(found[i]), rel=1e-5, abs=1e-7)


@pytest.mark.slow
def test_gradcheck_through_several_steps() -> None:
    module = net()
    X0 = torch.tensor(attractor(2), requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda X, *_: differentiable_rollout(module, X, 5, F=20.0), (X0, *module.parameters())
    )


def energy(library: str, X0: Any, a: Any, b: Any) -> Any:
    """A loss after ten steps under a closure with two parameters, the array functions being those of a library."""
    tanh = {"numpy": np.tanh, "torch": torch.tanh}.get(library) or pytest.importorskip("jax.numpy").tanh
    came = differentiable_rollout(lambda X: b + a * tanh(X / 5.0), X0, 10, F=20.0, every=5, limits=(-40.0, 50.0))
    return (came**2).mean()


@pytest.mark.slow
def test_jax_and_torch_have_the_same_gradients() -> None:
    """Those of finite differences of NumPy's, by the initial states and by the parameters of a closure."""
    jax = pytest.importorskip("jax", reason="needs JAX")
    at = (attractor(2), np.array(-4.0), np.linspace(-1.0, 1.0, 8))
    by_jax = jax.jit(jax.grad(lambda *given: energy("jax", *given), argnums=(0, 1, 2)))(*map(made_by_jax, at))
    leaves = [torch.tensor(each, requires_grad=True) for each in at]
    by_torch = torch.autograd.grad(energy("torch", *leaves), leaves)
    for i, (one, other) in enumerate(zip(by_jax, by_torch, strict=True)):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-12, atol=1e-13)
        up, down = ([*at[:i], at[i] + sign * 1e-5 * other.numpy(), *at[i + 1 :]] for sign in (1, -1))
        slope = (energy("numpy", *up) - energy("numpy", *down)) / 2e-5
        assert slope == pytest.approx((other.numpy() ** 2).sum(), rel=1e-7)


@pytest.mark.slow
def test_jax_transforms() -> None:
    """The compiled run, that of each member, and that of a loop over steps are the eager one."""
    jax = pytest.importorskip("jax", reason="needs JAX")
    X0 = made_by_jax(attractor(3))
    F = made_by_jax(np.array([[18.0], [20.0], [24.0]]))

    def run(X0: Any, F: Any) -> Any:
        return differentiable_rollout(linear, X0, 20, F=F, every=4, limits=(-40.0, 50.0))

    def step(X: Any, _: None) -> tuple[Any, Any]:
        X = differentiable_step(X, linear(X), F)
        return X, X

    eager = np.asarray(run(X0, F))
    assert eager.shape == (5, 3, 8)
    scanned = jax.lax.scan(step, X0, length=20)[1][3::4]
    for came in (jax.jit(run)(X0, F), jax.vmap(run, out_axes=1)(X0, F), scanned):
        np.testing.assert_allclose(came, eager, rtol=0, atol=1e-12)


@every_library
def test_members_that_leave_are_set_back(library: str) -> None:
    """One of three grows; it is at its start whenever it has left, and the others are not touched."""
    start = attractor(3)
    X0, growth = (LIBRARIES[library](each) for each in (start, np.array([[0.0], [200.0], [0.0]])))
    free = np.asarray(differentiable_rollout(lambda X: -X, X0, 50, F=20.0))
    kept = np.asarray(differentiable_rollout(lambda X: growth * X - X, X0, 50, F=20.0, limits=(-40.0, 50.0)))
    assert ((kept > -40.0) & (kept < 50.0)).all()
    assert (kept[:, 1] == start[1]).all(axis=-1).any()
    assert (kept[:, ::2] == free[:, ::2]).all()


def test_gradients_stay_finite_when_members_blow_up() -> None:
    growth = torch.tensor(200.0, dtype=torch.float64, requires_grad=True)
    X0 = torch.tensor(attractor(3), requires_grad=True)
    low, high = -40.0, 50.0
    came = differentiable_rollout(lambda X: growth * X, X0, 100, F=20.0, limits=(low, high))
    assert ((low < came) & (came < high)).all()
    came.square().mean().backward()
    for leaf in (growth, X0):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()


@every_library
def test_errors_say_what_was_expected(library: str) -> None:
    X0 = attractor(2)
    for bad in (X0[0, 0], X0[:, :3], X0.astype(int), X0 + 0j):
        for run in (
            lambda X: differentiable_step(X, 0.0, 20.0),
            lambda X: differentiable_rollout(linear, X, 5, F=20.0),
        ):
            with pytest.raises(L96BenchError, match=r"expected states \(..., K\)"):
                run(LIBRARIES[library](bad))
    for n_steps, every in ((5, 2), (0, 1), (5, 0), (4.0, 2), (4, 2.0), (4, "2")):
        with pytest.raises(L96BenchError, match="whole multiple"):
            differentiable_rollout(linear, LIBRARIES[library](X0), n_steps, F=20.0, every=every)
    for limits in ((1.0,), (5.0, -5.0), "ab", 3.0):
        with pytest.raises(L96BenchError, match=r"expected limits \(low, high\)"):
            differentiable_rollout(linear, LIBRARIES[library](X0), 4, F=20.0, limits=limits)


@every_library
def test_closures_and_forcings_of_other_shapes_and_dtypes_are_refused(library: str) -> None:
    """Some would broadcast: a tendency (n, 1) would be that of all points, and (n, K, 1) of other members if n is K."""
    X0, single = (LIBRARIES[library](attractor(8).astype(dtype)) for dtype in ("float64", "float32"))
    for closure in (lambda X: X[:, :1], lambda X: X[:, :7], lambda X: X[..., None], lambda X: X[0]):
        with pytest.raises(L96BenchError, match=r"expected U of the shape of X, \(8, 8\), got .* from the closure"):
            differentiable_rollout(closure, X0, 2, F=20.0)
    with pytest.raises(L96BenchError, match=r"leave X0 as it is, \(8, 8\), .*float32; .* are \(8, 8\), .*float64"):
        differentiable_rollout(lambda X: X0, single, 2, F=20.0)
    with pytest.raises(L96BenchError, match=r"leave X0 as it is, \(8, 8\), .* are \(2, 8, 8\)"):
        differentiable_rollout(linear, X0, 2, F=LIBRARIES[library]([[[20.0]], [[18.0]]]))
    three = LIBRARIES[library]([20.0, 18.0, 16.0])
    for run in (lambda: differentiable_step(X0, three, 20.0), lambda: differentiable_rollout(linear, X0, 2, F=three)):
        with pytest.raises(L96BenchError, match=r"that broadcasts against X, \(8, 8\), got \(3,\); try \(8, 1\)"):
            run()
    with pytest.raises(L96BenchError, match=r"of one library.*NoneType"):
        differentiable_rollout(lambda X: None, X0, 2, F=20.0)


@every_library
def test_numbers_of_numpy_are_numbers(library: str) -> None:
    X = LIBRARIES[library](attractor(2).astype("float32"))
    expected = np.asarray(differentiable_step(X, 0.5, 20.0, 0.01))
    for kind in (np.float64, np.float32):
        came = differentiable_step(X, kind(0.5), kind(20.0), np.float64(0.01))
        assert came.dtype == X.dtype
        assert (np.asarray(came) == expected).all()
        run = differentiable_rollout(lambda X, kind=kind: kind(0.5), X, 1, F=kind(20.0), dt=np.float64(0.01))
        assert run.dtype == X.dtype
        np.testing.assert_allclose(np.asarray(run[0]), expected, rtol=1e-6)


@pytest.mark.parametrize(("library", "other"), list(permutations(LIBRARIES, 2)))
def test_two_libraries_do_not_mix(library: str, other: str) -> None:
    X, U = LIBRARIES[library](attractor(2)), LIBRARIES[other](attractor(2))
    F = LIBRARIES[other]([[20.0], [18.0]])
    for run in (
        lambda: differentiable_step(X, U, 20.0),
        lambda: differentiable_step(X, 0.1 * X, F),
        lambda: differentiable_rollout(linear, X, 4, F=F),
        lambda: differentiable_rollout(lambda _: U, X, 4, F=20.0),
    ):
        with pytest.raises(L96BenchError, match="expected arrays of one library, PyTorch, JAX or NumPy, got"):
            run()


@pytest.mark.parametrize("X", [[[1.0, 2.0, 3.0, 4.0]], 3.0, None])
def test_what_is_no_array_is_refused(X: Any) -> None:
    with pytest.raises(L96BenchError, match="expected arrays of one library"):
        differentiable_step(X, 0.0, 20.0)
