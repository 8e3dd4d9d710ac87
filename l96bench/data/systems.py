"""Systems of the two-timescale model with other F, h and c: those that `unseen-physics` trains on and tests on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from l96bench.data.instances import InstanceSeed, decorrelates
from l96bench.data.splits import DATA_VERSION
from l96bench.dynamics.truth import simulate
from l96bench.errors import BlowUpError, UnknownIdError, nearest
from l96bench.regimes import Regime, seed_word

__all__ = ["BOX", "N_TEST", "N_TRAINING", "SYSTEM_TRACKS", "TRAINING", "draw_systems", "system_words"]

BOX = {"F": (14.0, 26.0), "h": (0.6, 1.1), "c": (4.0, 10.0)}
"""Ranges of the parameters of the training systems, and of those that interpolate; b is 10, K 8 and J 32."""
BEYOND = (0.2, 0.5)
"""The distance from the box of a parameter outside of it, in widths of the box: the least and the largest."""
SYSTEM_TRACKS = ("interpolate", "extrapolate")
"""The tracks: test systems inside the box, and outside of it."""
TRAINING = "training"
"""The name of the training systems, in the place of a track."""
N_TRAINING, N_TEST = 16, 6
"""Systems to train on, and those of each test."""
_TRIAL, _MAX_ATTEMPTS = 100.0, 1000
"""MTU over which a drawn system is tried, and draws after which there is none."""


def draw_systems(kind: str, n: int, seed: InstanceSeed = None) -> tuple[Regime, ...]:
    """Return `n` systems: the registered ones, or new ones for every seed.

    A draw is repeated unless the autocorrelation of X stays below 0.2 at lags of 10 to 20 MTU, for 100 MTU: with strong
    coupling and little forcing X is a nearly periodic wave.

    Parameters
    ----------
    kind : {"training", "interpolate", "extrapolate"}
        The first two are uniform in `BOX`. Of the last, one parameter or two are beyond an edge of it, by a fifth to a
        half of its width, the others inside.
    n : int
        Number of systems.
    seed : int or tuple of int, optional
        None for the registered systems; a number of at least 0, or seed words, for new ones.

    Returns
    -------
    tuple of Regime
        They differ in F, h and c.

    Raises
    ------
    UnknownIdError
        For another kind.

    Examples
    --------
    >>> import l96bench
    >>> (system,) = l96bench.draw_systems("training", 1)
    >>> system.K, system.J
    (8, 32)
    """
    if kind not in (TRAINING, *SYSTEM_TRACKS):
        raise UnknownIdError(f"no track {kind!r}." + nearest(kind, SYSTEM_TRACKS))
    return tuple(_drawn(kind, i, seed) for i in range(n))


def system_words(kind: str, seed: InstanceSeed = None) -> tuple[int, ...]:
    """Return the seed words of a set of systems."""
    if seed is None:
        return seed_word(kind), DATA_VERSION, seed_word("system")
    return seed_word(kind), DATA_VERSION, seed_word("fresh"), *(seed if isinstance(seed, tuple) else (seed,))


@lru_cache(maxsize=512)
def _drawn(kind: str, index: int, seed: InstanceSeed) -> Regime:
    """Return system `index` of a set: the first draw that decorrelates."""
    words = [*system_words(kind, seed), index]
    for attempt in range(_MAX_ATTEMPTS):
        values = _parameters(kind == SYSTEM_TRACKS[1], [*words, attempt])
        system = Regime(f"{kind}-{index}", 8, 32, values["F"], h=values["h"], c=values["c"])
        trial = [*words, attempt, seed_word("trial")]
        run = simulate(system, _TRIAL, interval=0.1, seed=trial, spin_up=20.0, store_fast=False, progress=False)
        if decorrelates(run.X):
            return system
    raise BlowUpError(f"no turbulent system of {kind!r} in {_MAX_ATTEMPTS} draws")


def _parameters(outside: bool, words: Sequence[int]) -> dict[str, float]:
    """Draw F, h and c, rounded to four digits."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(words))))
    place = rng.random(len(BOX))
    if outside:
        for i in rng.permutation(len(BOX))[: rng.integers(1, 3)]:
            beyond = rng.uniform(*BEYOND)
            place[i] = 1.0 + beyond if rng.random() < 0.5 else -beyond
    return {
        name: float(f"{low + u * (high - low):.4g}") for u, (name, (low, high)) in zip(place, BOX.items(), strict=True)
    }
