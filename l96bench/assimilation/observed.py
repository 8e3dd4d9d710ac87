"""Noisy observations of X alone, from which `observed-closure` learns: its tracks, and how their data are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.observations import Network
from l96bench.data.splits import DATA_VERSION
from l96bench.display import brief
from l96bench.dynamics.truth import simulate
from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.regimes import Regime, get_regime, seed_word

__all__ = [
    "OBSERVED_PARTS",
    "OBSERVED_TRACKS",
    "ObservedSeries",
    "ObservedTrack",
    "observe",
    "series_of",
]

Array = NDArray[np.float64]
OBSERVED_PARTS = {"observations": 1000.0, "observations-valid": 200.0}
"""The data sets of every track, and the MTU of each."""
_STD = 1.0
"""Standard deviation of the errors."""


@dataclass(frozen=True, slots=True)
class ObservedTrack:
    """A system, and the network that observes it.

    Parameters
    ----------
    id, regime_id : str
        The track's name, and that of the two-scale truth.
    network : Network
        How the truth is observed.
    system : Regime, optional
        The truth of a season, which has other parameters than that of the name.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> da.OBSERVED_TRACKS["wilks-f20-fixed"].network.points
    (0, 4)
    """

    id: str
    regime_id: str
    network: Network
    system: Regime | None = None

    @property
    def regime(self) -> Regime:
        """The system."""
        return get_regime(self.regime_id) if self.system is None else self.system

    @property
    def arrays(self) -> tuple[str, ...]:
        """The arrays of a data set: values (time, p) and, where they are drawn, points (time, p) as float64."""
        return ("values",) if self.network.n_random is None else ("values", "points")

    @classmethod
    def get(cls, id: str) -> ObservedTrack:
        """Return the track of that id; `UnknownIdError`, which names the closest ones, if there is none."""
        if id not in OBSERVED_TRACKS:
            raise UnknownIdError(f"no track {id!r}." + nearest(id, OBSERVED_TRACKS))
        return OBSERVED_TRACKS[id]


_NETWORKS = {
    "dense": Network(8, 0.05, _STD),
    "sparse": Network(8, 0.2, _STD, n_random=4),
    "fixed": Network(8, 0.2, _STD, points=(0, 4)),
}
OBSERVED_TRACKS = {
    f"{regime_id}-{name}": ObservedTrack(f"{regime_id}-{name}", regime_id, network)
    for regime_id in ("wilks-f20", "arnold-c4")
    for name, network in _NETWORKS.items()
}
"""Every track by its id."""


@dataclass(frozen=True, slots=True, eq=False)
class ObservedSeries:
    """The noisy observations of one trajectory: all that a model of `observed-closure` learns from.

    Parameters
    ----------
    values : (time, K) array
        NaN where nothing was observed; read-only.
    network : Network
        Which points are observed, when, and with which error.
    F : float
        The forcing, which the resolved model knows.

    Raises
    ------
    L96BenchError
        If the shape does not fit the network, or a value is infinite; and for `X` and `U`, which nobody has observed.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> series = da.ObservedSeries(np.ones((5, 8)), da.Network(K=8, window=0.05, std=1.0), F=20.0)
    >>> series.values.shape, series.F
    ((5, 8), 20.0)
    """

    values: Array
    network: Network
    F: float

    __repr__ = brief

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != self.network.K or not len(values):
            raise L96BenchError(f"expected values (time, {self.network.K}), got {np.shape(self.values)}")
        if np.isinf(values).any():
            raise L96BenchError("expected finite values, or NaN where nothing was observed, got infinite ones")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @property
    def K(self) -> int:
        """Number of points of the ring."""
        return self.network.K

    @property
    def window(self) -> float:
        """MTU between observation times."""
        return self.network.window

    @property
    def std(self) -> float:
        """Standard deviation of the observation errors; `L96BenchError` if points differ."""
        if isinstance(self.network.std, tuple):
            raise L96BenchError("expected one error for all points; see network.std")
        return self.network.std

    @property
    def time(self) -> Array:
        """Time of each row since the start of the trajectory, in MTU, (time,)."""
        return np.asarray(self.window * np.arange(1, 1 + len(self.values)), dtype=np.float64)

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Whether each point was observed, (time, K)."""
        return ~np.isnan(self.values)

    def prefix(self, duration: float) -> ObservedSeries:
        """Return the first `duration` MTU, as a smaller training set."""
        n = round(duration / self.window)
        if not 1 <= n <= len(self.values):
            longest = len(self.values) * self.window
            raise L96BenchError(f"expected a budget between {self.window} and {longest:g} MTU, got {duration}")
        return ObservedSeries(self.values[:n], self.network, self.F)

    def cut(self, duration: float) -> Array:
        """Return series of `duration` MTU (row, series, K), side by side, without the rest; one if they are too few."""
        rows = min(round(duration / self.window), len(self.values))
        n_series = len(self.values) // rows
        return self.values[: rows * n_series].reshape(n_series, rows, self.K).swapaxes(0, 1)

    @property
    def X(self) -> Array:
        """Nothing: raises `L96BenchError`."""
        raise L96BenchError("the true X is not known here: a model is fitted to the noisy `values` of it")

    @property
    def U(self) -> Array:
        """Nothing: raises `L96BenchError`."""
        raise L96BenchError("U is not known here: a model is fitted to the noisy `values` of X")


def observe(
    track: ObservedTrack,
    part: str,
    duration: float,
    draw: int | None = None,
    progress: bool | None = None,
    *,
    seed: Sequence[int] | None = None,
) -> dict[str, Array]:
    """Simulate the truth and observe it; the truth is not kept.

    The seed words are ``[regime, version, "TRACK PART"]``, names becoming words by `l96bench.regimes.seed_word`, of the
    truth as of the errors; a number `draw` follows for observations that are drawn anew.

    Parameters
    ----------
    track : ObservedTrack
        The system, and the network.
    part : str
        The name of the data set.
    duration : float
        MTU.
    draw : int, optional
        Seed of observations that are drawn anew; the registered ones if not given.
    progress : bool, optional
        Show progress; by default when standard error is a terminal.
    seed : sequence of int, optional
        Seed words in the place of those.

    Returns
    -------
    dict of str to array
        ``values`` (time, p) and, where they change, ``points`` (time, p).

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> arrays = da.observe(da.OBSERVED_TRACKS["wilks-f20-dense"], "trial", duration=1.0)
    >>> {name: array.shape for name, array in arrays.items()}
    {'values': (20, 8)}
    """
    own = [track.regime.word, DATA_VERSION, seed_word(f"{track.id} {part}"), *([] if draw is None else [draw])]
    words = own if seed is None else list(seed)
    window = track.network.window
    truth = simulate(
        track.regime, duration + window, interval=window, seed=words, store_fast=False, progress=progress
    ).X
    seen = track.network.draw(truth, [[*words, seed_word("observations")]])
    arrays = {"values": np.array(seen.values[0]), "points": np.array(seen.points[0], dtype=np.float64)}
    return {name: arrays[name] for name in track.arrays}


def series_of(track: ObservedTrack, arrays: dict[str, Array]) -> ObservedSeries:
    """Return the observations in the arrays of a data set."""
    network, seen = track.network, arrays["values"]
    fixed = range(network.K) if network.points is None else network.points
    points = arrays["points"].astype(np.int64) if "points" in arrays else np.tile(np.array(fixed), (len(seen), 1))
    values = np.full((len(seen), network.K), np.nan)
    np.put_along_axis(values, points, seen, axis=1)
    return ObservedSeries(values, network, track.regime.F)
