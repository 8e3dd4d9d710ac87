"""Ensembles of two-scale models in one call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics import kernels
from l96bench.jit import kernel


@kernel
def advance_two_scale(
    states: NDArray,
    K: int,
    J: int,
    F: float,
    hcb: float,
    cb: float,
    c: float,
    flux: bool,
    dt: float,
    n_steps: int,
) -> None:
    """Advance every row of `states` (member, K + K J), X and then Y, as the undriven `kernels.advance_two_scale`."""
    no_stages = np.empty((0, 4, K))
    for i in range(states.shape[0]):
        x, y = states[i, :K], states[i, K:].reshape(K, J)
        kernels.advance_two_scale(x, y, F, hcb, cb, c, flux, dt, n_steps, kernels.FREE, no_stages)
