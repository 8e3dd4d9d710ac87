"""Definitions of the data sets: the splits of every regime and the cases of the forecasts.

Seeds are words: trajectory i of a split is drawn from ``SeedSequence([regime, version, split, i])``, names becoming
words by `l96bench.regimes.seed_word`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from l96bench.errors import UnknownIdError, nearest
from l96bench.regimes import Regime, get_regime, other_regimes, seed_word

if TYPE_CHECKING:
    from numpy import float64

__all__ = [
    "CASES",
    "DATA_REGIMES",
    "DATA_VERSION",
    "SPLITS",
    "Cases",
    "Split",
    "data_regimes",
    "get_split",
    "split_regime",
    "splits_of",
]

DATA_VERSION = 1
"""Version of every data set, raised by a change of any bit."""

DATA_REGIMES = ("wilks-f18", "wilks-f20", "arnold-c4", "wide-k36", "conservative-f12", "three-scale")
"""The built-in regimes that have data sets."""


def data_regimes() -> tuple[str, ...]:
    """Return the regimes that have data sets: built-in ones, then registered ones and those of other packages."""
    return (*DATA_REGIMES, *other_regimes())


@dataclass(frozen=True, slots=True)
class Split:
    """One split of a regime's data.

    Each trajectory has its own seed and a spin-up of 100 MTU; `duration` and `interval` are in MTU; `shifted` means
    forcing F + 4. Splits with the same `stream`, the word that names the seeds, sample the same trajectories.
    """

    name: str
    n_trajectories: int
    duration: float
    interval: float
    arrays: tuple[str, ...]
    shifted: bool
    stream: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Cases:
    """The initial conditions of the forecasts, evenly spaced in every trajectory of the climate, alike for all models.

    What a model is told of one case, its past and its state, lies 28 MTU from the leads of every other: chaos has
    forgotten it.

    Parameters
    ----------
    per_trajectory, n_trajectories : int
        Cases in each trajectory of the climate, and trajectories.
    first, spacing : float
        MTU before the first case and between two cases.
    lead, interval : float
        Longest lead time and the step between leads, in MTU.
    memory : float
        MTU of the past that a model or the perfect forecast may use.
    members : int
        Members of the perfect forecast and of every stochastic closure.

    Examples
    --------
    >>> import l96bench
    >>> cases = l96bench.Cases(per_trajectory=3, n_trajectories=2)
    >>> len(cases), cases.leads[:2]
    (6, array([0.05, 0.1 ]))
    """

    per_trajectory: int = 6
    n_trajectories: int = 50
    first: float = 2.0
    spacing: float = 33.0
    lead: float = 3.0
    interval: float = 0.05
    memory: float = 2.0
    members: int = 20

    def __len__(self) -> int:
        return self.per_trajectory * self.n_trajectories

    @property
    def starts(self) -> NDArray[np.int64]:
        """Return the sample index of each case in its trajectory, (per_trajectory,)."""
        return np.rint((self.first + self.spacing * np.arange(self.per_trajectory)) / self.interval).astype(np.int64)

    @property
    def leads(self) -> NDArray[float64]:
        """Return the lead times in MTU, (lead,)."""
        return np.asarray(self.interval * np.arange(1, round(self.lead / self.interval) + 1), dtype=np.float64)

    def initial(self, X: NDArray[float64]) -> NDArray[float64]:
        """Return the initial states (case, K) from the trajectories X (trajectory, time, K)."""
        return X[:, self.starts].reshape(-1, X.shape[-1])

    def truth(self, X: NDArray[float64]) -> NDArray[float64]:
        """Return the true states (lead, case, K) at the lead times."""
        steps = np.arange(1, len(self.leads) + 1)
        windows = X[:, self.starts[:, None] + steps]
        return np.ascontiguousarray(windows.reshape(-1, *windows.shape[2:]).swapaxes(0, 1))

    def history(self, X: NDArray[float64]) -> NDArray[float64]:
        """Return the past of every case, (past, case, K), newest last and without the initial state."""
        steps = np.arange(-round(self.memory / self.interval), 0)
        windows = X[:, self.starts[:, None] + steps]
        return np.ascontiguousarray(windows.reshape(-1, *windows.shape[2:]).swapaxes(0, 1))


CASES = Cases()

_XU = ("X", "U")

SPLITS: tuple[Split, ...] = (
    Split("train", 1, 2000.0, 0.05, _XU, False, "train", "training"),
    Split("train-fine", 1, 2000.0, 0.01, _XU, False, "train", "the training trajectory for training through rollouts"),
    Split("valid", 1, 200.0, 0.05, _XU, False, "valid", "choice of models"),
    Split("test", 10, 200.0, 0.05, _XU, False, "test", "offline scores"),
    Split("shift", 10, 200.0, 0.05, _XU, True, "shift", "offline scores in a warmer climate"),
    Split("climate", 50, 200.0, 0.05, ("X",), False, "climate", "reference climate, forecasts"),
    Split("climate-twin", 50, 200.0, 0.05, ("X",), False, "climate-twin", "second, independent sample of it"),
    Split("climate-shift", 50, 200.0, 0.05, ("X",), True, "climate-shift", "reference climate, warmer"),
    Split("climate-shift-twin", 50, 200.0, 0.05, ("X",), True, "climate-shift-twin", "second sample of it"),
    Split(
        "perfect", len(CASES), CASES.lead, CASES.interval, ("X",), False, "perfect", "forecasts of the perfect model"
    ),
)
"""Every split; `perfect` is (lead, case, member, K), all others (trajectory, time, K)."""


def splits_of(regime: str | Regime) -> tuple[Split, ...]:
    """Return the splits of a regime: all for two-scale regimes; others have no `shift`.

    Parameters
    ----------
    regime : str or Regime
        The system.

    Returns
    -------
    tuple of Split
        With name, number and length of the trajectories.

    Examples
    --------
    >>> import l96bench
    >>> [split.name for split in l96bench.splits_of("wilks-f20")][:4]
    ['train', 'train-fine', 'valid', 'test']
    """
    two_scale = get_regime(regime).scales == 2
    return tuple(split for split in SPLITS if two_scale or split.name != "shift")


def get_split(regime: str | Regime, name: str) -> Split:
    """Return the split of that name, or `UnknownIdError` if there is none."""
    regime = get_regime(regime)
    if regime.id not in data_regimes():
        raise UnknownIdError(f"regime {regime.id!r} has no data sets." + nearest(regime.id, data_regimes()))
    if regime != get_regime(regime.id):
        raise UnknownIdError(f"the data of {regime.id!r} are of the registered regime, got one with other parameters")
    by_name = {split.name: split for split in splits_of(regime)}
    if name not in by_name:
        raise UnknownIdError(f"{regime.id} has no split {name!r}." + nearest(name, by_name))
    return by_name[name]


def split_regime(regime: str | Regime, split: Split) -> Regime:
    """Return the regime that generates a split: the forcing of a shifted one is F + 4."""
    regime = get_regime(regime)
    return regime.shifted() if split.shifted else regime


def split_seed(regime: Regime, stream: str) -> tuple[int, ...]:
    """Return the seed words of a stream, which the trajectory's number follows.

    Parameters
    ----------
    regime : Regime
        The system.
    stream : str
        Such as ``"train"``.

    Returns
    -------
    tuple of int
        Words of the seed of a PCG64 stream.

    Examples
    --------
    >>> import l96bench
    >>> regime = l96bench.get_regime("wilks-f20")
    >>> l96bench.split_seed(regime, "train") == l96bench.split_seed(regime, "test")
    False
    """
    return regime.word, DATA_VERSION, seed_word(stream)
