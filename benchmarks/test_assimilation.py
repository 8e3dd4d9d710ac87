"""How fast the cycles are, on one core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

import l96bench
from l96bench.assimilation import ETKF, LETKF, Filter, Network, ResolvedModel, cycle

if TYPE_CHECKING:
    from benchmarks.conftest import Measured

CYCLES = 10_000


@pytest.fixture(scope="module")
def truth() -> NDArray[np.float64]:
    """K 40, F 8, RK4 with dt 0.05: the setup of Sakov and Oke (2008)."""
    return l96bench.simulate("lorenz96-k40", (CYCLES + 1) * 0.05, interval=0.05, dt=0.05, seed=1).X


@pytest.mark.benchmark(group="10,000 cycles, K 40, all points observed")
@pytest.mark.parametrize(
    ("name", "filter", "n_members", "inflation", "target"),
    [
        ("ETKF, 28 members", ETKF(rotate=True), 28, 1.02, 6.0),
        ("LETKF, 20 members, 29 local observations", LETKF(7.3, rotate=True), 20, 1.02, 30.0),
        ("LETKF, 20 members, every observation local", LETKF(21.0, rotate=True), 20, 1.04, 30.0),
    ],
    ids=["etkf", "letkf", "letkf-wide"],
)
def test_single_scale(
    benchmark: Any,
    measured: Measured,
    truth: NDArray[np.float64],
    name: str,
    filter: Filter,
    n_members: int,
    inflation: float,
    target: float,
) -> None:
    """Seconds of the whole cycle, model, filter, statistics and all."""
    model, network = ResolvedModel("lorenz96-k40", dt=0.05), Network(40, 0.05, 1.0)

    def work() -> None:
        run = cycle(truth, model, filter, network, n_members=n_members, inflation=inflation, spin_up_cycles=400)
        assert run.n_diverged == 0

    cycle(truth[:20], model, filter, network, n_members=n_members)
    benchmark.pedantic(work, rounds=1)
    if benchmark.stats:
        benchmark.extra_info |= measured.promise(f"{name}, seconds", benchmark.stats.stats.min, "<=", target)


@pytest.mark.benchmark(group="dense track, 80 experiments of 100 cycles")
def test_dense(benchmark: Any) -> None:
    """Ten segments times eight inflations at once: microseconds per experiment and cycle."""
    segments = l96bench.simulate("wilks-f20", 101 * 0.05, interval=0.05, n_trajectories=10, store_fast=False).X
    truth, inflation = np.repeat(segments, 8, axis=0), np.tile(np.linspace(1.3, 2.0, 8), 10)
    model, network = ResolvedModel("wilks-f20"), Network(8, 0.05, 1.0)
    benchmark.pedantic(lambda: cycle(truth, model, ETKF(), network, inflation=inflation), rounds=5, warmup_rounds=1)
    if benchmark.stats:
        benchmark.extra_info["microseconds"] = benchmark.stats.stats.min / 8000 * 1e6
