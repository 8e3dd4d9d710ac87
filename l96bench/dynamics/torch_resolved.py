"""The resolved model in torch, differentiable, for training; scores come from `l96bench.dynamics.resolved`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from numpy.typing import ArrayLike

from l96bench.dynamics.resolved import MODEL_DT
from l96bench.errors import L96BenchError

__all__ = ["rollout", "step", "tendency"]


def tendency(X: torch.Tensor, forcing: torch.Tensor) -> torch.Tensor:
    """Return dX_k/dt = X_{k-1} (X_{k+1} - X_{k-2}) - X_k + forcing_k (F + U) for X (..., K) (Lorenz 1996)."""
    ring = torch.cat([X[..., -2:], X, X[..., :1]], dim=-1)
    return torch.addcmul(forcing - X, ring[..., 1:-2], ring[..., 3:] - ring[..., :-3])


def step(X: torch.Tensor, U: torch.Tensor, F: float | torch.Tensor, dt: float = MODEL_DT) -> torch.Tensor:
    """Return the states X (..., K) one classical RK4 step later, with U (..., K) held and F broadcast to X."""
    forcing = U + F
    k1 = tendency(X, forcing)
    k2 = tendency(torch.add(X, k1, alpha=dt / 2), forcing)
    k3 = tendency(torch.add(X, k2, alpha=dt / 2), forcing)
    k4 = tendency(torch.add(X, k3, alpha=dt), forcing)
    return torch.add(X, k1 + 2 * (k2 + k3) + k4, alpha=dt / 6)


def rollout(
    closure: Callable[[torch.Tensor], torch.Tensor],
    X0: torch.Tensor | ArrayLike,
    n_steps: int,
    *,
    F: float | torch.Tensor,
    dt: float = MODEL_DT,
    every: int = 1,
    limits: tuple[float, float] | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Return every `every`-th state (n_steps // every, member, K) of a run in torch, with gradients.

    Parameters
    ----------
    closure : callable, X (member, K) -> U (member, K)
        A function or a torch module, called once a step.
    X0 : (member, K) tensor or array
        Initial states.
    n_steps, every : int
        Steps, and those between the states that are kept, which divide them.
    F : float or tensor that broadcasts against X
    dt : float
        Time step in MTU.
    limits : (low, high), optional
        A member with any X outside, or not a number, is set back to its initial state, from where it runs on. No
        gradient flows through that, so that all gradients stay finite when members blow up.
    device, dtype : optional
        Where to run ("cuda" for a GPU), and float32 or float64; those of X0 if not given, arrays on the CPU.

    States of the wrong shape or kind, or steps that are no multiple of `every`, are an `L96BenchError`.
    """
    X0 = torch.as_tensor(X0, dtype=dtype, device=device)
    if X0.ndim != 2 or X0.shape[1] < 4 or not X0.dtype.is_floating_point:
        raise L96BenchError(
            f"expected initial states (member, K) of at least 4 real numbers, got {tuple(X0.shape)}, {X0.dtype}"
        )
    if every < 1 or n_steps < every or n_steps % every:
        raise L96BenchError(f"expected n_steps as a whole multiple of every, got {n_steps} steps, every {every}")
    X, kept = X0, []
    for i in range(1, n_steps + 1):
        X = step(X, closure(X), F, dt)
        if limits is not None:
            inside = ((limits[0] < X) & (limits[1] > X)).all(dim=-1, keepdim=True)
            X = torch.where(inside, X, X0.detach())
        if i % every == 0:
            kept.append(X)
    return torch.stack(kept)
