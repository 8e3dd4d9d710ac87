"""The resolved model for gradients, one source for PyTorch, JAX and NumPy; scores come from `l96bench.rollout`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_jax_namespace, is_torch_namespace

from l96bench.dynamics.resolved import MODEL_DT
from l96bench.errors import L96BenchError

__all__ = ["differentiable_rollout", "differentiable_step"]

Array = Any
"""An array of PyTorch, JAX or NumPy."""


def differentiable_step(X: Array, U: Array, F: float | Array, dt: float = MODEL_DT) -> Array:
    """Make one step of the resolved model with arrays of PyTorch, JAX or NumPy, through which gradients flow.

    The step is one of the classical Runge-Kutta method of fourth order for
    dX_k/dt = X_{k-1} (X_{k+1} - X_{k-2}) - X_k + F + U_k on a ring of K points, with U held. It has no branches and
    changes no array, so that it works under `torch.func`, and under `jax.jit`, `jax.grad`, `jax.vmap` and
    `jax.lax.scan`.

    Parameters
    ----------
    X : (..., K) array
        States, without unit, of K >= 4 points, float32 or float64.
    U : (..., K) array or float
        The subgrid tendency of each point, in 1/MTU, which is added.
    F : float or array that broadcasts against X
        Forcing, in 1/MTU.
    dt : float
        Time step, in MTU.

    Returns
    -------
    (..., K) array
        The states dt later: those of `rollout`, the Numba model, to rounding.

    Raises
    ------
    L96BenchError
        For arrays of several libraries, or of none of the three, for states of the wrong shape or dtype, and for U or F
        that do not broadcast against X.

    References
    ----------
    Lorenz (1996), Predictability: a problem partly solved, ECMWF Seminar; Wilks (2005), Q. J. R. Meteorol. Soc. 131,
    389-407, doi:10.1256/qj.04.03.

    Examples
    --------
    >>> import torch
    >>> import l96bench
    >>> X = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    >>> ahead = l96bench.differentiable_step(X, -0.5 * X, 8.0)
    >>> ahead.detach().numpy().round(3)
    array([[1.024, 2.04 , 3.095, 3.989]])

    The derivatives of the first point by all points:

    >>> ahead[0, 0].backward()
    >>> X.grad.numpy().round(3)
    array([[ 0.985,  0.039, -0.039, -0.011]])
    """
    U, F, dt = _plain(U), _plain(F), _plain(dt)
    xp = _namespace(X, U, F)
    _check_states(X, xp)
    for name, each in (("U", U), ("F", F)):
        _check_broadcast(name, each, X)
    return _step(X, U, F, dt, xp)


def differentiable_rollout(
    closure: Callable[[Array], Array],
    X0: Array,
    n_steps: int,
    *,
    F: float | Array,
    dt: float = MODEL_DT,
    every: int = 1,
    limits: tuple[float, float] | None = None,
) -> Array:
    """Run the resolved model under a closure with arrays of PyTorch, JAX or NumPy, through which gradients flow.

    Closures are trained online by it: the error of its states is differentiated by the closure's weights. Each step is
    a `differentiable_step`. JAX compiles one step and loops over it (`jax.lax.scan`), under `jax.jit` or without.

    Parameters
    ----------
    closure : callable, X (..., K) -> U (..., K)
        A function or module of the library of X0, called once a step. U is in 1/MTU and is added; one number is that of
        all points.
    X0 : (..., K) array
        Initial states of all members, without unit, of K >= 4 points, float32 or float64.
    n_steps, every : int
        Steps, and those between the states that are returned, which divide them.
    F : float or array that broadcasts against X0
        Forcing, in 1/MTU.
    dt : float
        Time step, in MTU.
    limits : (low, high), optional
        A member with any X outside, or not a number, is set back to its initial state, from where it runs on, so that
        states and gradients stay finite when members blow up.

    Returns
    -------
    (n_steps // every, ..., K) array
        Every `every`-th state, the first after `every` steps, of the library and dtype of X0.

    Raises
    ------
    L96BenchError
        For arrays of several libraries, or of none of the three, for states of the wrong shape or dtype, for a closure
        or F that would change these, for steps that are no multiple of `every`, and for limits that are no two numbers.

    See Also
    --------
    rollout : The same model for scores: faster, of the same bits on every machine, and without gradients.

    Examples
    --------
    The derivative of the error of a forecast by the slope of a linear closure, in PyTorch:

    >>> import torch
    >>> import l96bench
    >>> truth = torch.from_numpy(l96bench.simulate("wilks-f20", 1.0, spin_up=5.0).X)
    >>> slope = torch.tensor(-0.5, requires_grad=True)
    >>> came = l96bench.differentiable_rollout(lambda X: slope * X, truth[:1], 20, F=20.0, every=5)
    >>> came.shape
    torch.Size([4, 1, 8])
    >>> (came[:, 0] - truth[1:5]).square().mean().backward()
    >>> bool(slope.grad > 0)
    True
    """
    F, dt = _plain(F), _plain(dt)
    xp = _namespace(X0, F)
    _check_states(X0, xp)
    _check_broadcast("F", F, X0)
    n = _samples_of(n_steps, every)
    ends = None if limits is None else _ends(limits)
    kinds: set[type] = set()

    def advance(X: Array) -> Array:
        U = _plain(closure(X))
        if type(U) not in kinds:
            _namespace(X, U)
            kinds.add(type(U))
        if getattr(U, "shape", ()) not in ((), X.shape):
            raise L96BenchError(
                f"expected U of the shape of X, {tuple(X.shape)}, got {tuple(U.shape)} from the closure"
            )
        X = _step(X, U, F, dt, xp)
        if X.shape != X0.shape or X.dtype != X0.dtype:
            raise L96BenchError(
                f"expected U and F that leave X0 as it is, {tuple(X0.shape)}, {X0.dtype}; the states after a step are "
                f"{tuple(X.shape)}, {X.dtype}; try arrays of its dtype"
            )
        if ends is None:
            return X
        inside = xp.all((ends[0] < X) & (ends[1] > X), axis=-1, keepdims=True)
        return xp.where(inside, X, X0)

    return _samples(advance, X0, n, every, xp)


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python, which is of any library, and does not change the dtype of arrays."""
    return value.item() if isinstance(value, np.generic) else value


def _namespace(*arrays: Array) -> ModuleType:
    """Return the array API of the library of these arrays; numbers are of any."""
    try:
        if any(each is None for each in arrays):
            raise TypeError
        return array_namespace(*(each for each in arrays if not isinstance(each, int | float)))
    except TypeError:
        given = ", ".join(f"{type(each).__module__.partition('.')[0]}.{type(each).__name__}" for each in arrays)
        raise L96BenchError(f"expected arrays of one library, PyTorch, JAX or NumPy, got {given}") from None


def _check_states(X: Array, xp: ModuleType) -> None:
    """Raise `L96BenchError` unless X are states."""
    if X.ndim < 1 or X.shape[-1] < 4 or not xp.isdtype(X.dtype, "real floating"):
        raise L96BenchError(f"expected states (..., K) of at least 4 real numbers, got {tuple(X.shape)}, {X.dtype}")


def _check_broadcast(name: str, value: float | Array, X: Array) -> None:
    """Raise `L96BenchError` unless a number or an array broadcasts against states."""
    given = tuple(getattr(value, "shape", ()))
    try:
        np.broadcast_shapes(given, tuple(X.shape))
    except ValueError:
        wanted = f"expected {name} that broadcasts against X, {tuple(X.shape)}"
        raise L96BenchError(f"{wanted}, got {given}; try {(*X.shape[:-1], 1)}") from None


def _samples_of(n_steps: int, every: int) -> int:
    """Return how many states there are; `L96BenchError` unless the steps are a whole multiple of those between."""
    try:
        n, between = operator.index(n_steps), operator.index(every)
    except TypeError:
        n, between = 0, 1
    if between < 1 or n < between or n % between:
        raise L96BenchError(f"expected n_steps as a whole multiple of every, got {n_steps} steps, every {every}")
    return n // between


def _ends(limits: tuple[float, float]) -> tuple[float, float]:
    """Return limits as two numbers; `L96BenchError` if they are not."""
    try:
        low, high = (float(each) for each in limits)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not low < high:
        raise L96BenchError(f"expected limits (low, high), two numbers such as (-50.0, 50.0), got {limits!r}")
    return low, high


@cache
def _fused(xp: ModuleType) -> tuple[Callable[[Array, Array, Array], Array], Callable[[Array, Array, float], Array]]:
    """Return functions for a + b c, of arrays, and of arrays a and b and a number c.

    PyTorch has its own, which round once and make one array: networks of the board were trained with their bits.
    """
    if is_torch_namespace(xp):
        import torch

        return torch.addcmul, lambda a, b, c: torch.add(a, b, alpha=c)
    return (lambda a, b, c: a + b * c,) * 2


def _step(X: Array, U: Array, F: float | Array, dt: float, xp: ModuleType) -> Array:
    add_product, add_scaled = _fused(xp)
    forcing = U + F

    def tendency(X: Array) -> Array:
        ring = xp.concat([X[..., -2:], X, X[..., :1]], axis=-1)
        return add_product(forcing - X, ring[..., 1:-2], ring[..., 3:] - ring[..., :-3])

    k1 = tendency(X)
    k2 = tendency(add_scaled(X, k1, dt / 2))
    k3 = tendency(add_scaled(X, k2, dt / 2))
    k4 = tendency(add_scaled(X, k3, dt))
    return add_scaled(X, k1 + 2 * (k2 + k3) + k4, dt / 6)


def _samples(advance: Callable[[Array], Array], X: Array, n: int, every: int, xp: ModuleType) -> Array:
    """Return n states (n, ...), `every` steps apart."""
    if is_jax_namespace(xp):
        from jax import lax

        def sample(X: Array, _: None) -> tuple[Array, Array]:
            X = lax.fori_loop(0, every, lambda _, X: advance(X), X)
            return X, X

        return lax.scan(sample, X, length=n)[1]
    kept = []
    for _ in range(n):
        for _ in range(every):
            X = advance(X)
        kept.append(X)
    return xp.stack(kept)
