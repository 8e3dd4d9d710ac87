"""Make and load the `da-increment` data: cycles of a model without closure, and their analysis increments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.cycling import cycle
from l96bench.assimilation.ensemble_filters import ETKF, LETKF
from l96bench.assimilation.filters import Filter
from l96bench.assimilation.models import ForecastModel, ResolvedModel
from l96bench.assimilation.observations import Network
from l96bench.assimilation.record import Cycled
from l96bench.data.splits import DATA_VERSION
from l96bench.data.store import fetch
from l96bench.dynamics.truth import simulate
from l96bench.errors import UnknownIdError, nearest
from l96bench.regimes import Regime, get_regime, seed_word

__all__ = [
    "ARRAYS",
    "PARTS",
    "TRACKS",
    "ArchivePart",
    "Track",
    "get_track",
    "load_archive",
    "make_archive",
    "run_cycle",
]

ARRAYS = ("truth", "background", "spread", "increment")
"""The arrays of an archive: truth (segment, 1 + cycle, K) from the start of the spin-up; the others without it."""
SPIN_UP = 100
"""Spin-up cycles of every segment, which are not kept."""


@dataclass(frozen=True, slots=True)
class ArchivePart:
    """One part of an archive.

    Parameters
    ----------
    name : str
        Such as ``"train"``.
    n_segments : int
        Segments, each with its own seed.
    n_cycles : int
        Cycles that are kept of each.
    words : tuple of int, optional
        Seed words in place of the registered ones, for archives that are drawn anew.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> da.ArchivePart("train", n_segments=1, n_cycles=10).words
    """

    name: str
    n_segments: int
    n_cycles: int
    words: tuple[int, ...] | None = None


PARTS = {
    part.name: part
    for part in (ArchivePart("train", 1, 6000), ArchivePart("valid", 1, 2000), ArchivePart("test", 10, 400))
}
"""The parts of every archive."""


@dataclass(frozen=True, slots=True)
class Track:
    """One setting in which increments are learned and corrected models assimilate.

    Parameters
    ----------
    id, regime_id : str
        The track's name, and that of the two-scale truth.
    network : Network
        How the truth is observed.
    filter : Filter
        The filter of the cycle.
    archive_inflation : float
        The inflation of the archive's cycles: the best of `inflations` for the model without closure.
    n_members : int
        Ensemble size.
    inflations : tuple of float
        The grid from which every entry's inflation is chosen, on the validation segment.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> track = da.get_track("dense")
    >>> track.regime_id, track.window, type(track.filter).__name__
    ('wilks-f20', 0.05, 'ETKF')
    """

    id: str
    regime_id: str
    network: Network
    filter: Filter
    archive_inflation: float
    n_members: int = 20
    inflations: tuple[float, ...] = (1.0, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.2)

    @property
    def regime(self) -> Regime:
        """The system."""
        return get_regime(self.regime_id)

    @property
    def window(self) -> float:
        """MTU between analyses."""
        return self.network.window


TRACKS = {
    track.id: track
    for track in (
        Track("dense", "wilks-f20", Network(8, 0.05, 1.0), ETKF(), 1.6),
        Track("sparse", "da-k40", Network(40, 0.1, 0.5, n_random=20), LETKF(radius=5.0), 1.5),
    )
}
"""The tracks of `da-increment`."""


def get_track(id: str) -> Track:
    """Return the track of that id.

    Parameters
    ----------
    id : str
        ``"dense"`` or ``"sparse"``.

    Returns
    -------
    Track
        Network, filter and sizes.

    Raises
    ------
    UnknownIdError
        If there is none; the message names the closest ones.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> da.get_track("sparse").network.n_random
    20
    """
    if id not in TRACKS:
        raise UnknownIdError(f"no track {id!r}." + nearest(id, TRACKS))
    return TRACKS[id]


def seeds(track: Track, part: ArchivePart) -> list[list[int]]:
    """Return the seed words of each segment: of its truth, its observations and its cycle."""
    words = [track.regime.word, DATA_VERSION, seed_word(f"{track.id} {part.name}")]
    words = words if part.words is None else list(part.words)
    return [[*words, i] for i in range(part.n_segments)]


def run_cycle(
    track: Track,
    part: ArchivePart,
    truth: NDArray[np.float64],
    model: ForecastModel,
    filter: Filter | None = None,
    inflations: tuple[float, ...] | None = None,
    progress: bool | None = False,
) -> Cycled:
    """Cycle a model over the segments of a part.

    Parameters
    ----------
    track : Track
        Network, filter and sizes.
    part : ArchivePart
        Whose seeds are used.
    truth : (segment, time, K) array
        The true X of the part's segments, or of the first ones, or their beginning.
    model : ForecastModel
        Such as `ResolvedModel`.
    filter : Filter, optional
        Replaces the track's.
    inflations : tuple of float, optional
        Run each segment once with each of them, as experiments (inflation, segment); by default with the inflation of
        the archive.
    progress : bool, optional
        Show a progress bar; None for when standard error is a terminal.

    Returns
    -------
    Cycled
        After 100 cycles of spin-up.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> track, part = da.get_track("dense"), da.ArchivePart("train", 1, 10)
    >>> truth = da.make_archive(track, part)["truth"]
    >>> da.run_cycle(track, part, truth, da.ResolvedModel("wilks-f20"), inflations=(1.2, 1.6)).background_mean.shape
    (2, 10, 8)
    """
    chosen = (track.archive_inflation,) if inflations is None else inflations
    words = seeds(track, part)[: len(truth)]
    return cycle(
        np.concatenate([truth] * len(chosen)),
        model,
        track.filter if filter is None else filter,
        track.network,
        n_members=track.n_members,
        seed=words * len(chosen),
        spin_up_cycles=SPIN_UP,
        inflation=np.repeat(chosen, len(truth)),
        progress=progress,
    )


def make_archive(track: Track, part: ArchivePart, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
    """Cycle the resolved model without closure in the track's filter, and return the arrays of a part.

    Parameters
    ----------
    track : Track
        Network, filter and sizes.
    part : ArchivePart
        Its size and seeds.
    progress : bool, optional
        Show a progress bar; by default when standard error is a terminal.

    Returns
    -------
    dict of str to array
        ``truth`` (segment, 1 + 100 + cycle, K); ``background``, ``spread`` and ``increment`` (segment, cycle, K).

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> arrays = da.make_archive(da.get_track("dense"), da.ArchivePart("train", 1, 10), progress=False)
    >>> {name: array.shape for name, array in arrays.items()}
    {'truth': (1, 111, 8), 'background': (1, 10, 8), 'spread': (1, 10, 8), 'increment': (1, 10, 8)}
    """
    n_samples = 1 + SPIN_UP + part.n_cycles
    about: dict[str, Any] = {"interval": track.window, "seed": seeds(track, part)[0][:-1], "progress": progress}
    n, duration = part.n_segments, n_samples * track.window
    X = simulate(track.regime, duration, n_trajectories=n, store_fast=False, **about).X
    truth = X.reshape(n, n_samples, track.regime.K)
    run = run_cycle(track, part, truth, ResolvedModel(track.regime), progress=progress)
    return {
        "truth": truth,
        "background": run.background_mean,
        "spread": run.background_spread,
        "increment": run.increments,
    }


def load_archive(track: Track, part: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of a part, with checked digests; they are made when first needed.

    Parameters
    ----------
    track : Track
        Network, filter and sizes.
    part : {"train", "valid", "test"}
        The part.
    progress : bool, optional
        Show a progress bar; by default when standard error is a terminal.

    Returns
    -------
    dict of str to array
        As `make_archive` returns them; read-only and memory-mapped.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> arrays = da.load_archive(da.get_track("dense"), "train")  # doctest: +SKIP
    >>> arrays["increment"].shape[1] == da.PARTS["train"].n_cycles  # doctest: +SKIP
    """
    return fetch(f"{track.id}/{part}", ARRAYS, lambda: make_archive(track, PARTS[part], progress))
