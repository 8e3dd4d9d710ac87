"""Run by test_bits.py in processes of their own: digests of short runs, and what the compiler made of the kernels."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from l96bench.data.generate import perfect_forecast
from l96bench.data.splits import DATA_REGIMES, Cases
from l96bench.dynamics import kernels
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.resolved import rollout
from l96bench.dynamics.truth import simulate
from l96bench.regimes import get_regime

CASES = Cases(per_trajectory=1, n_trajectories=2, first=0.5, memory=0.5, spacing=1.5, lead=0.5, members=2)
CUBIC = Polynomial([-0.704, -1.111, -0.0009, 0.00294])


def runs(threads: int) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Every kind of number that ends up in a data set: 2 MTU after a spin-up of 1 MTU, and small forecasts."""
    for name in (*DATA_REGIMES, "lorenz96-k40"):
        run = simulate(name, 2.0, seed=1, n_trajectories=2, spin_up=1.0, threads=threads, store_fast=False)
        yield name, np.concatenate([run.X, run.U])
    for name in ("wilks-f20", "three-scale"):
        yield f"{name} perfect", perfect_forecast(get_regime(name), CASES, threads=threads)
    states = np.random.Generator(np.random.PCG64(1)).random((5, 8)) * 10.0
    yield "resolved model", rollout(CUBIC, states, 5.0, regime="wilks-f20").X


def assembly() -> str:
    functions = [getattr(kernels, name) for name in dir(kernels) if hasattr(getattr(kernels, name), "inspect_asm")]
    return "\n".join(text for function in functions for text in function.inspect_asm().values())


def main() -> None:
    found = {
        str(threads): {name: hashlib.sha256(array.tobytes()).hexdigest()[:16] for name, array in runs(threads)}
        for threads in (1, 2)
    }
    text = assembly()
    registers = [name for name in ("xmm", "ymm", "zmm") if name in text]
    fused = sorted(set(re.findall(r"\b(v?fn?m(?:add|sub)\w*|fml[as])\b", text)))
    print(json.dumps({"digests": found, "registers": registers, "fused": fused}))


if __name__ == "__main__":
    main()
