"""The truth kernel beside C and beside what the processor can do at all, a section of docs/measurements.md."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import l96bench
from benchmarks.twin import Twin

REGIMES = (
    l96bench.get_regime("wilks-f20"),
    l96bench.get_regime("wide-k36"),
    l96bench.Regime("K 8, J 128", 8, 128, 20.0),
    l96bench.Regime("K 8, J 1024", 8, 1024, 20.0),
)
OPERATIONS = 3 * (6 + 2) + (6 + 7) + 4
"""Those of a cell of Y in a step: a slope and a new state in three stages, a slope and the sum, and the coupling."""
ROUNDS, CELLS = 60, 400_000


def best(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of many calls."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def kernel_speed() -> str:
    """Microseconds a step of the truth by the kernel, by C in both layouts, and by a processor that never waits."""
    with tempfile.TemporaryDirectory() as folder:
        twin = Twin(Path(folder))
        rate = twin.peak() / best(twin.peak)
        rows = []
        for regime in REGIMES:
            x, y = l96bench.random_state(regime, [0])
            l96bench.advance(regime, (x, y), 3000)
            n = CELLS // y.size
            kernel, row, lanes = (
                best(work) / n
                for work in (
                    partial(l96bench.advance, regime, (x, y), n),
                    partial(twin.advance, regime, x, y, 0.001, n),
                    partial(twin.advance_in_lanes, regime, x, y, 0.001, n),
                )
            )
            limit = OPERATIONS * y.size / rate
            times = [f"{each * 1e6:.2f}" for each in (kernel, row, lanes, limit)]
            ratios = [f"{kernel / each:.2f}" for each in (row, lanes, limit)]
            rows.append((regime.id, *times, *ratios))
    caption = (
        "One trajectory on one processor, the best of "
        f"{ROUNDS} runs, in microseconds a step. C is compiled by `gcc -O3 -march=native -ffp-contract=off` and has "
        "the same bits: once along the ring as it lies in memory, once with the kernel's layout, the ring cut into "
        "four pieces side by side (`l96bench/dynamics/kernels.py`). "
        f"The limit: a cell of Y takes {OPERATIONS} additions and multiplications a step, which cannot be fused "
        "(fused ones have other bits), and this processor makes "
        f"{rate / 1e9:.0f} of them in a nanosecond if they need neither memory nor each other. The kernel stays above "
        "the limit since every stage waits for the one before, with sums in a fixed order and the few operations on X "
        "between them, and reads two or more numbers of memory for each that it stores."
    )
    header = ("regime", "kernel", "C", "C in lanes", "limit", "over C", "over C in lanes", "over the limit")
    return f"{caption}\n\n" + l96bench.markdown_table(header, rows)
