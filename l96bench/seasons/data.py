"""Derive a season's test data from a secret: unknown before it is revealed, reproducible by anybody afterwards.

A season is a secret of 32 random bytes, of which only the SHA-256 (the commitment) is published. Seeds and parameters
are HMAC-SHA-256 (RFC 2104) of their purpose, keyed by the secret: unpredictable, distinct and reproducible.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.archive import ArchivePart, Track, make_archive
from l96bench.assimilation.observed import ObservedTrack, observe
from l96bench.data.generate import SeedOf, generate
from l96bench.data.splits import CASES, Cases, Split
from l96bench.data.store import fetch_unrecorded
from l96bench.errors import DataError
from l96bench.regimes import Regime, get_regime

__all__ = ["RANGES", "SEASON_VERSION", "SECRET_BYTES", "Season"]

Arrays = dict[str, NDArray[np.float64]]
SEASON_VERSION = 3
"""Version of the derivation of data from a secret; any change of a bit needs a new one.

Version 1 has no warmer climates, no archives of assimilation and no instances of equation recovery. Version 2 has the
same instances for all levels of noise and all budgets, so that their observations cannot be handed out.
"""
SECRET_BYTES = 32
RANGES = {"F": 0.10, "h": 0.05, "c": 0.10}
"""The largest relative deviations of drawn parameters from those of the named regime."""


@dataclass(frozen=True, slots=True)
class Season:
    """A season whose secret, 32 bytes that are never shown, is known here; DataError for another length."""

    name: str
    secret: bytes = field(repr=False)
    version: int = SEASON_VERSION

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise DataError(f"season {self.name!r}: expected a secret of {SECRET_BYTES} bytes, got {len(self.secret)}")

    @property
    def commitment(self) -> str:
        """SHA-256 of the secret, in hex, which is published when the season is opened."""
        return hashlib.sha256(self.secret).hexdigest()

    def words(self, *purpose: str) -> tuple[int, ...]:
        """Return eight 32-bit words: the HMAC-SHA-256 of the season's name and a purpose, keyed by the secret."""
        text = json.dumps(["l96bench season", self.version, self.name, *purpose], separators=(",", ":"))
        return struct.unpack(">8I", hmac.digest(self.secret, text.encode(), "sha256"))

    def regime(self, regime: str | Regime, drawn: bool) -> Regime:
        """Return the named regime, or one with F, h and c drawn uniformly within `RANGES`, rounded to four digits."""
        regime = get_regime(regime)
        if not drawn:
            return regime
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.words(regime.id, "parameters"))))
        # One uniform number each, in the order of RANGES; four digits are exact as text.
        factors = {name: 1.0 + reach * (2.0 * rng.random() - 1.0) for name, reach in RANGES.items()}
        F, h, c = (float(f"{getattr(regime, name) * factors[name]:.4g}") for name in "Fhc")
        return replace(regime, F=F, h=h, c=c)

    def seed_of(self, drawn: bool) -> SeedOf:
        """Return the function for seed words of the season's streams, at the named or at the drawn parameters."""
        return lambda regime, stream: self.words(regime.id, "drawn" if drawn else "named", stream)

    def arrays(
        self, regime_id: str, split: Split, drawn: bool, cases: Cases = CASES, progress: bool | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Return the arrays of a split from the cache, making them first if it lacks them intact.

        `drawn` selects the drawn parameters; `cases` are those of the forecasts of ``perfect``.
        """
        regime = self.regime(regime_id, drawn)

        def make() -> Arrays:
            return generate(regime, split, progress, cases=cases, seed_of=self.seed_of(drawn))

        return self._kept(regime, drawn, split, cases, make=make)

    def part(self, track: Track, part: ArchivePart) -> ArchivePart:
        """Return a part of an assimilation archive with the season's seeds."""
        return replace(part, words=self.words(track.id, "archive", part.name))

    def archive(self, track: Track, part: ArchivePart, progress: bool | None = None) -> Arrays:
        """Return the arrays of a part with the season's seeds, from the cache, as `arrays` does."""
        return self._kept(track, part, make=lambda: make_archive(track, part, progress))

    def observations(
        self, track: ObservedTrack, part: str, duration: float, progress: bool | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Return the arrays of observations with the season's seeds, from the cache, as `arrays` does."""
        seed = self.words(track.id, "observations", part)
        return self._kept(track, part, duration, make=lambda: observe(track, part, duration, None, progress, seed=seed))

    def _kept(self, *what: object, make: Callable[[], Arrays]) -> Arrays:
        # What the arrays depend on names their place: no two seasons meet there, and the secret is not to be read off.
        text = repr([self.version, self.name, *what])
        place = hmac.digest(self.secret, text.encode(), "sha256").hex()[:24]
        return fetch_unrecorded(f"seasons/{self.commitment[:12]}/{place}", make)
