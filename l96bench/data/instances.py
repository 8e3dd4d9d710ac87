"""Lorenz-96 systems with drawn coefficients, the instances of `equation-recovery`.

Seeds are words, as in `l96bench.data.splits`: instance i of a base track is ``[track, version, "instance", i]``, of a
fresh set ``[track, version, "fresh", seed, i]``, names becoming words by `l96bench.regimes.seed_word`; a word for the
purpose follows ("coefficients" and the number of the attempt, and for its trial "trial"; "train", "test", "noise").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import checked_seed
from l96bench.data.splits import DATA_VERSION
from l96bench.dynamics.generalized import Coefficients, advance, lyapunov_exponent, random_state, record
from l96bench.errors import BlowUpError, UnknownIdError, nearest
from l96bench.regimes import Regime, get_regime, seed_word

__all__ = [
    "RECOVERY_TRACKS",
    "Instance",
    "InstanceSeed",
    "RecoveryTrack",
    "decorrelates",
    "draw_instance",
    "get_track",
    "instances",
    "textbook_instance",
]

Array = NDArray[np.float64]
InstanceSeed = int | tuple[int, ...] | None
"""The seed or the seed words of a set of instances; None for the registered set."""


@dataclass(frozen=True, slots=True)
class RecoveryTrack:
    """A track of equation recovery: the systems, and what is observed of them.

    K slow and, per sector, J fast variables (0: single-scale) are sampled every `interval` MTU. `noises` are standard
    deviations over that of each variable; `budgets` are lengths in MTU of prefixes of the training trajectory. Tracks
    with the same `base` sample the same trajectories.
    """

    id: str
    base: str
    K: int
    J: int
    interval: float
    noises: tuple[float, ...] = (0.0, 0.01, 0.05, 0.1)
    budgets: tuple[float, ...] = (5.0, 20.0, 100.0)
    n_instances: int = 10

    @property
    def hidden(self) -> bool:
        """Whether the fast variables are not observed."""
        return self.base == "hidden"


_BASES = {"single": 0, "two-scale": 8, "hidden": 32}
RECOVERY_TRACKS: dict[str, RecoveryTrack] = {
    f"{base}{suffix}": RecoveryTrack(f"{base}{suffix}", base, 8, J, interval)
    for suffix, interval in (("", 0.01), ("-coarse", 0.05))
    for base, J in _BASES.items()
}
"""Every track by its id."""


_TEXTBOOK = {
    "single": Regime("single", 8, 0, 10.0, source="Lorenz 1996, with a forcing that is chaotic on 8 points"),
    "two-scale": Regime("two-scale", 8, 8, 20.0, source="Lorenz 1996, with 8 fast variables in each sector"),
}
"""Centres of the drawn coefficients, where they are no registered regime."""
_HIDDEN, _GROUP = ("weak-h01", "wilks-f18"), 5
"""Centres of the hidden instances, and the number of instances of each."""

_NEAREST, _FARTHEST = 0.1, 0.3
"""Smallest and largest relative distance from the textbook's coefficients."""
_NEAREST_RATIO, _FARTHEST_RATIO = 0.05, 0.15
"""Distances of a2 / a1 and p2 / p1 from 1; systems may diverge from 0.3 on, where the sum of squares can grow."""
_SAFE = 10.0
"""A system is bounded if |X| stays below this multiple of F."""
_STILL = 0.1
"""X is not steady if its standard deviation exceeds this multiple of F."""
_FORGOTTEN = 0.2
"""X decorrelates if its absolute autocorrelation stays below this at lags of 10 to 20 MTU."""
_MAX_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True)
class Instance:
    """One system with drawn coefficients, with K slow and, per sector, J fast variables, observed or not.

    The *state* is X, or X and then Y[0, 0], Y[0, 1] .. Y[K - 1, J - 1] on ``two-scale``; `base` is ``"single"``,
    ``"two-scale"`` or ``"hidden"``. `coefficients` were drawn around those of `textbook`. The trajectories of seasons'
    instances are `kept` in the cache, as those of registered ones are.
    """

    base: str
    index: int
    words: tuple[int, ...]
    coefficients: Coefficients
    textbook: Coefficients
    K: int
    J: int
    kept: bool = False

    @property
    def hidden(self) -> bool:
        """Whether there are unobserved fast variables."""
        return self.base == "hidden"

    @property
    def observed_J(self) -> int:
        """Observed fast variables per sector, the J of the equations."""
        return 0 if self.hidden else self.J

    @property
    def n_state(self) -> int:
        """Number of state variables."""
        return self.K * (1 + self.observed_J)

    @property
    def clock(self) -> float:
        """Units of valid prediction time per MTU: the Lyapunov exponent of a single-scale system, else 1."""
        return 1.0 if self.J else _lyapunov(self.coefficients, self.K)

    @property
    def texts(self) -> list[str]:
        """Return the true equations; where Y is hidden, those of X without the closure."""
        return _texts(self.coefficients, self.observed_J)

    @property
    def textbook_texts(self) -> list[str]:
        """Return the same equations with the textbook's coefficients."""
        return _texts(self.textbook, self.observed_J)

    def tendency(self, states: Array, U: Array | None = None) -> Array:
        """Return the true right-hand side (n, n_state) at states (n, n_state), plus U (n, K) of hidden variables."""
        o, X = self.coefficients, states[:, : self.K]
        before = np.roll(X, 1, axis=1)
        tendency = before * (o.a1 * np.roll(X, -1, axis=1) - o.a2 * np.roll(X, 2, axis=1)) - o.d * X + o.F
        if U is not None:
            tendency = tendency + U
        if not self.observed_J:
            return tendency
        Y = states[:, self.K :]
        ahead = np.roll(Y, -1, axis=1)
        fast = ahead * (o.p2 * np.roll(Y, 1, axis=1) - o.p1 * np.roll(Y, -2, axis=1)) - o.c * Y
        fast += o.hy * np.repeat(X, self.J, axis=1)
        return np.hstack([tendency - o.hx * Y.reshape(-1, self.K, self.J).sum(axis=2), fast])


def get_track(track: str | RecoveryTrack) -> RecoveryTrack:
    """Return the track of that id, or `UnknownIdError`; a `RecoveryTrack` is returned as it is."""
    if isinstance(track, RecoveryTrack):
        return track
    if track not in RECOVERY_TRACKS:
        raise UnknownIdError(f"no track {track!r}." + nearest(str(track), RECOVERY_TRACKS))
    return RECOVERY_TRACKS[track]


def instances(track: str | RecoveryTrack, seed: InstanceSeed = None) -> tuple[Instance, ...]:
    """Return the instances of a track: the registered ones, or a new set for every seed (at least 0, or words).

    a1, d, F, hx, p1, c and hy are 10 to 30 % larger or smaller than the textbook's, a2 / a1 and p2 / p1 are 5 to 15 %
    larger or smaller than 1: all independent, uniform on either side, and rounded to four digits. A draw is repeated if
    |X| does not stay below 10 F, or the autocorrelation of X below 0.2 at lags of 10 to 20 MTU, for 120 MTU: with
    strong coupling, that is every other draw, whose X is a nearly periodic wave.

    Tracks of one base have the same instances. The first five of ``hidden`` are drawn around ``weak-h01``, the others
    around ``wilks-f18``.
    """
    track = get_track(track)
    seed = seed if seed is None or isinstance(seed, tuple) else checked_seed(seed)
    return tuple(draw_instance(track.base, i, seed) for i in range(track.n_instances))


def textbook_instance(regime: str | Regime) -> Instance:
    """Return a regime as an instance, with its fast variables, if any, hidden.

    Parameters
    ----------
    regime : str or Regime
        Or ``"single"`` or ``"two-scale"``, for the systems around which the instances of these tracks are drawn.

    Returns
    -------
    Instance
        With its coefficients and its true equations.

    Raises
    ------
    UnknownIdError
        For an unknown regime.
    L96BenchError
        For one with three scales or a coupling by fluxes.

    Examples
    --------
    >>> import l96bench
    >>> instance = l96bench.textbook_instance("lorenz96-k40")
    >>> instance.K, instance.coefficients.F
    (40, 8.0)
    """
    found = _TEXTBOOK[regime] if isinstance(regime, str) and regime in _TEXTBOOK else get_regime(regime)
    coefficients = Coefficients.of(found)
    base = "two-scale" if found == _TEXTBOOK["two-scale"] else "hidden" if found.J else "single"
    words = (seed_word(base), DATA_VERSION, seed_word("textbook"), found.word)
    return Instance(base, 0, words, coefficients, coefficients, found.K, found.J)


def words_of(base: str, index: int, seed: InstanceSeed) -> tuple[int, ...]:
    """Return the seed words of instance `index` of a set."""
    if seed is None:
        return seed_word(base), DATA_VERSION, seed_word("instance"), index
    given = seed if isinstance(seed, tuple) else (seed,)
    return seed_word(base), DATA_VERSION, seed_word("fresh"), *given, index


@lru_cache(maxsize=1024)
def draw_instance(base: str, index: int, seed: InstanceSeed = None) -> Instance:
    """Return instance `index` of a set: the first draw that is bounded and decorrelates."""
    regime = get_regime(_HIDDEN[index // _GROUP]) if base == "hidden" else _TEXTBOOK[base]
    words = words_of(base, index, seed)
    textbook = Coefficients.of(regime)
    for attempt in range(_MAX_ATTEMPTS):
        drawing = [*words, seed_word("coefficients"), attempt]
        coefficients = _draw(textbook, drawing)
        if _usable(coefficients, regime.K, regime.J, [*drawing, seed_word("trial")]):
            return Instance(base, index, words, coefficients, textbook, regime.K, regime.J, isinstance(seed, tuple))
    raise BlowUpError(f"no usable system of {base!r} in {_MAX_ATTEMPTS} draws")


def _draw(textbook: Coefficients, words: Sequence[int]) -> Coefficients:
    """Draw coefficients around the textbook's, as decimals of four digits, which are exact as text."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(words))))
    drawn: dict[str, float] = {}
    for field in fields(Coefficients):
        ratio = field.name in ("a2", "p2")
        least, most = (_NEAREST_RATIO, _FARTHEST_RATIO) if ratio else (_NEAREST, _FARTHEST)
        u = 2.0 * rng.random() - 1.0
        away = least + (most - least) * abs(u)
        around = drawn[f"{field.name[0]}1"] if ratio else getattr(textbook, field.name)
        drawn[field.name] = float(f"{around * (1.0 + away if u >= 0.0 else 1.0 - away):.4g}")
    return Coefficients(**drawn)


def _usable(coefficients: Coefficients, K: int, J: int, words: Sequence[int]) -> bool:
    """Return whether X is bounded, varies and decorrelates over 100 MTU after a spin-up of 20 MTU."""
    X, Y = random_state(coefficients, K, J, words)
    advance(coefficients, X, Y, 20_000)
    xs = record(coefficients, X, Y, 1000, 100, store_fast=False)[0]
    if not np.abs(xs).max() < _SAFE * coefficients.F:
        return False
    return bool(xs.std() > _STILL * coefficients.F and decorrelates(xs))


def decorrelates(X: Array) -> bool:
    """Return whether the autocorrelation of X (time, K), 0.1 MTU apart, stays below 0.2 at lags of 10 to 20 MTU."""
    anomalies = X - X.mean()
    covariances = [np.mean(anomalies[:-lag] * anomalies[lag:]) for lag in range(100, 201)]
    return bool(np.max(np.abs(covariances)) < _FORGOTTEN * np.mean(anomalies**2))


@lru_cache(maxsize=256)
def _lyapunov(coefficients: Coefficients, K: int) -> float:
    return lyapunov_exponent(coefficients, K)


def _texts(o: Coefficients, J: int) -> list[str]:
    """Write equations in the grammar of `l96bench.equations`, with exact numbers."""
    slow = f"dX[k]/dt = {o.a1!r}*X[k-1]*X[k+1] - {o.a2!r}*X[k-1]*X[k-2] - {o.d!r}*X[k] + {o.F!r}"
    if not J:
        return [slow]
    fast = f"dY[k,j]/dt = -{o.p1!r}*Y[k,j+1]*Y[k,j+2] + {o.p2!r}*Y[k,j+1]*Y[k,j-1] - {o.c!r}*Y[k,j] + {o.hy!r}*X[k]"
    return [f"{slow} - {o.hx!r}*sum(Y[k])", fast]
