"""Generation of the data: truth trajectories, and forecasts of the perfect model."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import whole_multiple
from l96bench.data.splits import CASES, Cases, Split, split_regime, split_seed
from l96bench.dynamics import kernels
from l96bench.dynamics.truth import TRUTH_DT, Trajectory, advance, in_threads, random_state, simulate
from l96bench.errors import DataError
from l96bench.progress import progress as show_progress
from l96bench.regimes import Regime

__all__ = ["SeedOf", "generate"]

SeedOf = Callable[[Regime, str], tuple[int, ...]]
"""Function from a regime and the name of a stream to its seed words."""


def generate(
    regime: Regime,
    split: Split,
    progress: bool | None = None,
    threads: int | None = None,
    *,
    cases: Cases = CASES,
    seed_of: SeedOf = split_seed,
) -> dict[str, NDArray]:
    """Generate the arrays of a split, with the benchmark's seed words or, by `seed_of`, the secret ones of a season."""
    if split.name == "perfect":
        return {"X": perfect_forecast(regime, cases, progress, threads, seed_of)}
    run = simulate(
        split_regime(regime, split),
        split.duration,
        interval=split.interval,
        seed=seed_of(regime, split.stream),
        n_trajectories=split.n_trajectories,
        store_fast=False,
        progress=progress,
        threads=threads,
    )
    arrays = {name: getattr(run, name) for name in split.arrays}
    return {name: array[None] if split.n_trajectories == 1 else array for name, array in arrays.items()}


def perfect_forecast(
    regime: Regime,
    cases: Cases = CASES,
    progress: bool | None = None,
    threads: int | None = None,
    seed_of: SeedOf = split_seed,
) -> NDArray[np.float64]:
    """Return ensemble forecasts (lead, case, member, K) of the two-scale model from the exact X and estimated Y.

    Each member's fast variables start at random `cases.memory` MTU before the case and are driven by the true X up to
    its start (X at every Runge-Kutta stage is recorded from the truth and prescribed); then the member runs free.

    Parameters
    ----------
    regime : Regime
        A system of two scales.
    cases : Cases
        The initial conditions, the leads and the number of members.
    progress : bool, optional
        Show a progress bar; by default when standard error is a terminal.
    threads : int, optional
        Threads over cases; all processors if not given. The bits do not depend on it.
    seed_of : callable
        From the regime and the name of a stream to seed words; see `split_seed`.

    Returns
    -------
    (lead, case, member, K) array
        X of every member; the first lead is `cases.interval`.

    Examples
    --------
    >>> import l96bench
    >>> cases = l96bench.Cases(per_trajectory=1, n_trajectories=1, first=0.1, lead=0.1, memory=0.1, members=2)
    >>> l96bench.perfect_forecast(l96bench.get_regime("wilks-f20"), cases).shape
    (2, 1, 2, 8)
    """
    states = _states_before(regime, cases, seed_of)
    n_driven = whole_multiple(cases.memory, TRUTH_DT)
    every = whole_multiple(cases.interval, TRUTH_DT)
    out = np.empty((len(cases.leads), len(cases), cases.members, regime.K))
    n_free = every * len(cases.leads)
    with show_progress(
        f"perfect model of {regime.id}", len(cases) * cases.members * (n_driven + n_free), progress
    ) as report:

        def work(case: int) -> None:
            truth = states[case]
            stages = np.empty((n_driven, 4, regime.K))
            advance(regime, truth, n_driven, stages=stages, mode=kernels.RECORD)
            for member in range(cases.members):
                _, *fast = random_state(regime, [*seed_of(regime, "perfect"), case, member])
                state = (truth[0].copy(), *fast)
                advance(regime, state, n_driven, report=report, stages=stages, mode=kernels.DRIVEN)
                state[0][:] = truth[0]
                for lead in range(len(cases.leads)):
                    advance(regime, state, every)
                    out[lead, case, member] = state[0]
                report(n_free)

        in_threads(work, len(cases), threads)
    return out


def _states_before(regime: Regime, cases: Cases, seed_of: SeedOf) -> list[tuple[NDArray, ...]]:
    """Return the truth's full state `cases.memory` MTU before every case, from the climate's trajectories."""
    if cases.first < cases.memory:
        raise DataError(f"expected the first case after {cases.memory} MTU, the length of its memory: {cases.first}")
    first, every = (round(each / cases.interval) for each in (cases.first - cases.memory, cases.spacing))
    between = math.gcd(first, every)
    kept = (first + every * np.arange(cases.per_trajectory)) // between
    run: Trajectory = simulate(
        regime,
        cases.interval * between * (kept[-1] + 1),
        interval=cases.interval * between,
        seed=seed_of(regime, "climate"),
        n_trajectories=cases.n_trajectories,
        progress=False,
    )
    parts = [part for part in (run.X, run.Y, run.Z) if part is not None]
    flat = [
        part.reshape(cases.n_trajectories, -1, *shape)[:, kept].reshape(len(cases), *shape)
        for part, shape in zip(parts, regime.state_shapes, strict=True)
    ]
    return [tuple(part[case].copy() for part in flat) for case in range(len(cases))]
