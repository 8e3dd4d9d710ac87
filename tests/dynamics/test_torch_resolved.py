"""The torch twin of the resolved model: agreement with the Numba model, and its gradients."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from l96bench.dynamics import resolved, torch_resolved
from l96bench.dynamics.truth import State
from l96bench.errors import L96BenchError
from l96bench.regimes import REGIMES, Regime, get_regime

Array = NDArray[np.float64]

MODEL = get_regime("wilks-f20")


def attractor(n: int, K: int = 8) -> Array:
    """States of the resolved model under a linear closure, 10 MTU after a random start."""
    X0 = np.random.default_rng(0).normal(3.0, 4.0, (n, K))
    run = resolved.rollout(linear, X0, 11.0, regime=MODEL, interval=1.0, progress=False)
    return run.X[-1]


def linear(X: Array) -> Array:
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


@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.id)
def test_it_is_the_numba_model(regime: Regime, settled: dict[str, State]) -> None:
    X0 = np.stack([np.roll(settled[regime.id][0], shift) + 0.1 * shift for shift in range(3)])
    expected = resolved.rollout(linear, X0, 1.01, regime=regime, interval=0.01, progress=False).X
    came = torch_resolved.rollout(lambda X: -0.7 - 1.1 * X, X0, 100, F=regime.F)
    assert came.dtype == torch.float64
    np.testing.assert_allclose(came.numpy(), expected[1:], rtol=0, atol=1e-10)


def test_one_step_is_the_reference(reference: SimpleNamespace) -> None:
    X, U = attractor(4), np.random.default_rng(1).normal(size=(4, 8))
    F = np.array([[18.0], [20.0], [24.0], [10.0]])
    came = torch_resolved.step(torch.tensor(X), torch.tensor(U), torch.tensor(F), 0.02)
    np.testing.assert_allclose(came.numpy(), reference.resolved_step(X, U, F, 0.02), rtol=0, atol=1e-12)


def test_kept_states_and_single_precision() -> None:
    X0 = attractor(2)
    module = net()
    every_step = torch_resolved.rollout(module, X0, 20, F=20.0)
    fifth = torch_resolved.rollout(module, X0, 20, F=20.0, every=5)
    assert torch.equal(fifth, every_step[4::5])
    single = torch_resolved.rollout(module.float(), X0, 20, F=20.0, every=5, dtype=torch.float32)
    assert single.dtype == torch.float32
    assert single.device.type == "cpu"
    np.testing.assert_allclose(single.detach().numpy(), fifth.detach().numpy(), atol=2e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu() -> None:
    X0 = attractor(2)
    on_cpu = torch_resolved.rollout(net(), X0, 20, F=20.0)
    on_gpu = torch_resolved.rollout(net().cuda(), X0, 20, F=20.0, device="cuda")
    np.testing.assert_allclose(on_gpu.detach().cpu().numpy(), on_cpu.detach().numpy(), atol=1e-9)


def test_gradients_of_a_step() -> None:
    X, U = (torch.tensor(array, requires_grad=True) for array in (attractor(2), 0.1 * attractor(2)))
    F = torch.tensor([[20.0], [18.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda X, U, F: torch_resolved.step(X, U, F, 0.05), (X, U, F))


@pytest.mark.slow
def test_gradients_through_steps_against_finite_differences() -> None:
    """Central differences of a loss after 20 steps, by every weight and by the initial states."""
    module, truth = net(), torch.tensor(attractor(3))[:2]
    X0 = (truth + 0.3).requires_grad_()
    inputs = [X0, *module.parameters()]

    def loss() -> torch.Tensor:
        return (torch_resolved.rollout(module, X0, 20, F=20.0, every=4) - truth).square().mean()

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
        lambda X, *_: torch_resolved.rollout(module, X, 5, F=20.0), (X0, *module.parameters())
    )


def test_gradients_stay_finite_when_members_blow_up() -> None:
    growth = torch.tensor(200.0, dtype=torch.float64, requires_grad=True)
    X0 = attractor(3)
    low, high = -40.0, 50.0
    came = torch_resolved.rollout(lambda X: growth * X, X0, 100, F=20.0, limits=(low, high))
    assert ((low < came) & (came < high)).all()
    came.square().mean().backward()
    assert growth.grad is not None
    assert torch.isfinite(growth.grad)
    # Members that stay inside are not touched.
    free = torch_resolved.rollout(lambda X: -0.7 - 1.1 * X, X0, 50, F=20.0)
    kept = torch_resolved.rollout(lambda X: -0.7 - 1.1 * X, X0, 50, F=20.0, limits=(low, high))
    assert torch.equal(free, kept)


def test_errors_say_what_was_expected() -> None:
    X0 = attractor(2)
    for bad in (X0[0], X0[:, :3], X0.astype(int)):
        with pytest.raises(L96BenchError, match=r"initial states \(member, K\)"):
            torch_resolved.rollout(net(), bad, 5, F=20.0)
    for n_steps, every in ((5, 2), (0, 1), (5, 0)):
        with pytest.raises(L96BenchError, match="whole multiple"):
            torch_resolved.rollout(net(), X0, n_steps, F=20.0, every=every)
