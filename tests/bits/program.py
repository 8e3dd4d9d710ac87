"""Run by test_bits.py in processes of their own: digests of short runs, and what the compiler made of the kernels."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation import kernels as filters
from l96bench.assimilation.archive import PARTS, TRACKS, ArchivePart, make_archive
from l96bench.data.generate import perfect_forecast
from l96bench.data.instances import draw_instance
from l96bench.data.recovery import make_instance, observe
from l96bench.data.splits import DATA_REGIMES, Cases
from l96bench.data.store import array_digest
from l96bench.dynamics import draws, generalized_kernels, kernels
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.resolved import rollout
from l96bench.dynamics.truth import simulate
from l96bench.regimes import get_regime

CASES = Cases(per_trajectory=1, n_trajectories=2, first=0.5, memory=0.5, spacing=1.5, lead=0.5, members=2)
CUBIC = Polynomial([-0.704, -1.111, -0.0009, 0.00294])
ARCHIVES = {"dense": PARTS["valid"], "sparse": ArchivePart("bits", 2, 20)}
"""A whole part of one archive, and a short one of the other, by their tracks."""
BASES = ("single", "two-scale", "hidden")


def runs(threads: int) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Every kind of number that ends up in a data set: 2 MTU after a spin-up of 1 MTU, and small forecasts."""
    for name in (*DATA_REGIMES, "lorenz96-k40"):
        run = simulate(name, 2.0, seed=1, n_trajectories=2, spin_up=1.0, threads=threads, store_fast=False)
        yield name, np.concatenate([run.X, run.U])
    for name in ("wilks-f20", "three-scale"):
        yield f"{name} perfect", perfect_forecast(get_regime(name), CASES, threads=threads)
    states = np.random.Generator(np.random.PCG64(1)).random((5, 8)) * 10.0
    yield "resolved model", rollout(CUBIC, states, 5.0, regime="wilks-f20").X


def archives() -> dict[str, str]:
    """The digests of every array of the archives, by ``track/part/array``."""
    return {
        f"{track}/{part.name}/{name}": array_digest(array)
        for track, part in ARCHIVES.items()
        for name, array in make_archive(TRACKS[track], part, progress=False).items()
    }


def instances() -> dict[str, str]:
    """The digests of an instance of every track, made anew, then of a noisy observation and a Lyapunov exponent."""
    found = {
        f"{base}/instance-0/{name}": array_digest(array)
        for base in BASES
        for name, array in make_instance(draw_instance(base, 0), progress=False).items()
    }
    fresh = draw_instance("single", 0, 1)
    observed, _ = observe(fresh, "single", 0.1, 20.0)
    return found | {"observed": array_digest(observed), "exponent": fresh.clock.hex()}


def assembly() -> str:
    found = [vars(module).values() for module in (kernels, generalized_kernels, filters, draws)]
    functions = [each for values in found for each in values if hasattr(each, "inspect_asm")]
    return "\n".join(text for function in functions for text in function.inspect_asm().values())


def main() -> None:
    found = {
        str(threads): {name: hashlib.sha256(array.tobytes()).hexdigest()[:16] for name, array in runs(threads)}
        for threads in (1, 2)
    }
    archived, drawn = archives(), instances()
    text = assembly()
    registers = [name for name in ("xmm", "ymm", "zmm") if name in text]
    fused = sorted(set(re.findall(r"\b(v?fn?m(?:add|sub)\w*|fml[as])\b", text)))
    print(
        json.dumps({"digests": found, "archives": archived, "instances": drawn, "registers": registers, "fused": fused})
    )


if __name__ == "__main__":
    main()
