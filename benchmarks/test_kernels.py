"""How fast the ground floor is: the kernels against C and `np.roll`, threads, batches, and the start of a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

import l96bench

if TYPE_CHECKING:
    from benchmarks.conftest import Measured
    from benchmarks.twin import Twin

Array = NDArray[np.float64]

STEPS = 2000
"""Steps of the truth kernel in one round."""

SYSTEMS = pytest.mark.parametrize(
    "regime", [l96bench.get_regime("wilks-f20"), l96bench.get_regime("wide-k36")], ids=lambda regime: regime.id
)


def start(regime: l96bench.Regime) -> tuple[Array, ...]:
    """A state on the attractor."""
    state = l96bench.random_state(regime, [0])
    l96bench.advance(regime, state, 5000)
    return state


def timed(benchmark: Any, measured: Measured, name: str, work: Callable[[], object], rounds: int, per: int = 1) -> None:
    """Benchmark `work`; its best round, divided by `per`, is kept under `name`, and shown in microseconds."""
    benchmark.pedantic(work, rounds=rounds, warmup_rounds=1)
    if benchmark.stats:
        measured.seconds[name] = benchmark.stats.stats.min / per
        benchmark.extra_info["microseconds per step"] = measured.seconds[name] * 1e6


@SYSTEMS
@pytest.mark.parametrize("name", ["C", "C in lanes"])
def test_c(benchmark: Any, measured: Measured, name: str, regime: l96bench.Regime, twin: Twin) -> None:
    """The truth in C: gcc -O3 -march=native -ffp-contract=off, along the ring and with the layout of the kernel."""
    benchmark.group = f"truth, K {regime.K}, J {regime.J}"
    x, y = start(regime)
    advance = twin.advance if name == "C" else twin.advance_in_lanes
    timed(
        benchmark, measured, f"{name} {regime.id}", lambda: advance(regime, x, y, 0.001, STEPS), rounds=100, per=STEPS
    )


@SYSTEMS
def test_numba(benchmark: Any, measured: Measured, regime: l96bench.Regime) -> None:
    """The truth kernel of l96bench."""
    benchmark.group = f"truth, K {regime.K}, J {regime.J}"
    state = start(regime)
    timed(
        benchmark, measured, f"numba {regime.id}", lambda: l96bench.advance(regime, state, STEPS), rounds=100, per=STEPS
    )
    for name, target in (("C", 0.8), ("C in lanes", 1.3)):
        label = f"truth kernel over {name}, {regime.id}"
        benchmark.extra_info |= measured.compare(label, f"numba {regime.id}", f"{name} {regime.id}", "<=", target)


@njit(cache=False)
def rolled_tendency(X, Y, J, F, h, b, c):
    """The two-scale equations as tutorials write them."""
    sums = Y.reshape(-1, J).sum(axis=1)
    dX = np.roll(X, 1) * (np.roll(X, -1) - np.roll(X, 2)) - X + F - h * c / b * sums
    dY = -c * b * np.roll(Y, -1) * (np.roll(Y, -2) - np.roll(Y, 1)) - c * Y + h * c / b * np.repeat(X, J)
    return dX, dY


@njit(cache=False)
def rolled_advance(X, Y, J, F, h, b, c, dt, n_steps):
    """Classical RK4 of `rolled_tendency`."""
    for _ in range(n_steps):
        k1, l1 = rolled_tendency(X, Y, J, F, h, b, c)
        k2, l2 = rolled_tendency(X + dt / 2 * k1, Y + dt / 2 * l1, J, F, h, b, c)
        k3, l3 = rolled_tendency(X + dt / 2 * k2, Y + dt / 2 * l2, J, F, h, b, c)
        k4, l4 = rolled_tendency(X + dt * k3, Y + dt * l3, J, F, h, b, c)
        X = X + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        Y = Y + dt / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
    return X, Y


@SYSTEMS
def test_np_roll(benchmark: Any, measured: Measured, regime: l96bench.Regime) -> None:
    """The usual `np.roll` kernel under Numba, checked against ours before it is timed."""
    benchmark.group = f"truth, K {regime.K}, J {regime.J}"
    x, y = start(regime)
    numbers = (regime.J, regime.F, regime.h, regime.b, regime.c, 0.001)
    X, _ = rolled_advance(x, y.ravel(), *numbers, 100)
    mine = (x.copy(), y.copy())
    l96bench.advance(regime, mine, 100)
    np.testing.assert_allclose(X, mine[0], atol=1e-10)
    work = partial(rolled_advance, x, y.ravel(), *numbers, STEPS)
    timed(benchmark, measured, f"roll {regime.id}", work, rounds=10, per=STEPS)
    label = f"np.roll kernel over truth kernel, {regime.id}"
    benchmark.extra_info |= measured.compare(label, f"roll {regime.id}", f"numba {regime.id}", ">=", 25)


@pytest.mark.benchmark(group="ensemble of 8, K 8, J 32")
@pytest.mark.parametrize("threads", [1, 2])
def test_ensemble(benchmark: Any, measured: Measured, threads: int) -> None:
    """Eight trajectories of 20 MTU in one and two threads."""
    if len(os.sched_getaffinity(0)) < threads:
        pytest.skip(f"{threads} threads need as many processors")
    batch = tuple(np.stack([part] * 8) for part in start(l96bench.get_regime("wilks-f20")))
    work = partial(l96bench.simulate, "wilks-f20", 20.0, initial=batch, threads=threads)
    timed(benchmark, measured, f"{threads} threads", work, rounds=15, per=8 * 20_000)
    benchmark.extra_info |= measured.compare("speed-up of 2 threads", "1 threads", "2 threads", ">=", 1.8)


def cubic(X: Array) -> Array:
    """A cubic closure as a function."""
    return -0.704 + X * (-1.111 + X * (-0.0009 + X * 0.00294))


@pytest.mark.benchmark(group="resolved model, 1,024 members, K 8")
@pytest.mark.parametrize(
    "closure", [l96bench.Polynomial([-0.704, -1.111, -0.0009, 0.00294]), cubic], ids=["polynomial", "function"]
)
def test_resolved(benchmark: Any, measured: Measured, closure: Any) -> None:
    """The resolved model in a batch: the polynomial inside the kernel, and the same as a function."""
    X0 = np.random.default_rng(0).normal(3.0, 4.0, (1024, 8))
    name = f"resolved {'function' if closure is cubic else 'polynomial'}"
    work = partial(
        l96bench.rollout, closure, X0, 2.0, regime="wilks-f20", interval=1.0
    )  # 100 steps lead to the last sample
    timed(benchmark, measured, name, work, rounds=20, per=1024 * 100)
    if name in measured.seconds:
        benchmark.extra_info["million steps a second"] = 1e-6 / measured.seconds[name]


def seconds_in_a_new_process(code: str, **environment: str) -> float:
    """The seconds that the second part of `code` takes after the first, the parts separated by a line of dashes."""
    before, timed_part = code.split("---")
    program = f"import time\n{before}\nt = time.perf_counter()\n{timed_part}\nprint(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def timed_inside(benchmark: Any, measured: Measured, name: str, code: str, rounds: int, **environment: str) -> None:
    """As `timed`, for the part of a new process that matters; the table itself shows whole processes."""
    seconds: list[float] = []
    benchmark.pedantic(lambda: seconds.append(seconds_in_a_new_process(code, **environment)), rounds=rounds)
    measured.seconds[name] = min(seconds)
    benchmark.extra_info["seconds inside"] = min(seconds)


@pytest.mark.benchmark(group="import in a new process")
@pytest.mark.parametrize("module", ["gymnasium", "l96bench"])
def test_import(benchmark: Any, measured: Measured, module: str) -> None:
    """Imports in new processes."""
    timed_inside(benchmark, measured, f"import {module}", f"---\nimport {module}", rounds=10)
    label = "import l96bench over import gymnasium"
    benchmark.extra_info |= measured.compare(label, "import l96bench", "import gymnasium", "<=", 1.3)


FIRST = """
---
l96bench.simulate("wilks-f20", 10.0)
"""

EVERYTHING = """
---
import numpy as np
import l96bench
for name in ("wilks-f20", "three-scale", "lorenz96-k40"):
    l96bench.simulate(name, 0.1, spin_up=0.1)
for closure in (l96bench.NoClosure(), lambda X: 0 * X):
    l96bench.rollout(closure, np.ones((2, 8)), 0.1, regime="wilks-f20")
"""


@pytest.mark.benchmark(group="first simulation in a new process")
def test_first_simulation(benchmark: Any, measured: Measured) -> None:
    """10 MTU of wilks-f20 after 100 MTU of spin-up, kernels cached, after `import l96bench`."""
    seconds_in_a_new_process(FIRST)
    timed_inside(benchmark, measured, "first simulation", FIRST, rounds=5)
    label = "seconds of a first simulation, kernels cached"
    benchmark.extra_info |= measured.promise(label, measured.seconds["first simulation"], "<=", 0.5)


@pytest.mark.benchmark(group="compiling every kernel")
def test_compilation(benchmark: Any, measured: Measured, tmp_path: Path) -> None:
    """Every kernel from an empty cache."""
    timed_inside(benchmark, measured, "compilation", EVERYTHING, rounds=1, NUMBA_CACHE_DIR=str(tmp_path))
    label = "seconds to compile every kernel"
    benchmark.extra_info |= measured.promise(label, measured.seconds["compilation"], "<=", 20)
