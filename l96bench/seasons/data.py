"""Seasons: test data that nobody can know before a secret is revealed, and anybody can make afterwards.

A season is a secret of 32 random bytes, of which only the SHA-256 is published: its commitment. Seeds and parameters
come from the secret by HMAC-SHA-256 (RFC 2104) of what they are for, so that they are as unpredictable as the secret,
differ from each other, and are the same for everybody once it is known.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from l96bench.data.generate import SeedOf, generate
from l96bench.data.splits import CASES, Cases, Split
from l96bench.data.store import fetch_unrecorded
from l96bench.errors import DataError
from l96bench.regimes import Regime, get_regime

__all__ = ["RANGES", "SEASON_SPLITS", "SEASON_VERSION", "SECRET_BYTES", "Season"]

Arrays = dict[str, NDArray[np.float64]]
SEASON_VERSION = 1
"""Version of how data come from a secret; a change that moves one bit is a new one."""
SECRET_BYTES = 32
RANGES = {"F": 0.10, "h": 0.05, "c": 0.10}
"""How far drawn parameters are from the named regime's at most, as fractions of those."""
SEASON_SPLITS = ("test", "perfect", "climate", "climate-twin")
"""The splits that a season has of its own; what models are trained on is everybody's."""


@dataclass(frozen=True, slots=True)
class Season:
    """A season whose secret is known here.

    Attributes
    ----------
    name : str
    secret : bytes
        32 of them; never shown.

    Raises
    ------
    DataError
        If the secret has another length.
    """

    name: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise DataError(f"season {self.name!r}: expected a secret of {SECRET_BYTES} bytes, got {len(self.secret)}")

    @property
    def commitment(self) -> str:
        """SHA-256 of the secret, in hex: what is published when the season is opened."""
        return hashlib.sha256(self.secret).hexdigest()

    def words(self, *purpose: str) -> tuple[int, ...]:
        """Eight 32-bit words for a purpose: HMAC-SHA-256 of the season's name and the purpose, keyed by the secret."""
        text = json.dumps(["l96bench season", SEASON_VERSION, self.name, *purpose], separators=(",", ":"))
        return struct.unpack(">8I", hmac.digest(self.secret, text.encode(), "sha256"))

    def regime(self, regime: str | Regime, drawn: bool) -> Regime:
        """The named regime, or one drawn around it: F, h and c uniform within `RANGES`, rounded to four digits."""
        regime = get_regime(regime)
        if not drawn:
            return regime
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.words(regime.id, "parameters"))))
        # One uniform number each, in the order of RANGES; four digits are exact as text.
        factors = {name: 1.0 + reach * (2.0 * rng.random() - 1.0) for name, reach in RANGES.items()}
        F, h, c = (float(f"{getattr(regime, name) * factors[name]:.4g}") for name in "Fhc")
        return replace(regime, F=F, h=h, c=c)

    def seed_of(self, drawn: bool) -> SeedOf:
        """The seed words of the season's streams, at the named or at the drawn parameters."""
        return lambda regime, stream: self.words(regime.id, "drawn" if drawn else "named", stream)

    def arrays(
        self, regime_id: str, split: Split, drawn: bool, cases: Cases = CASES, progress: bool | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """The arrays of a split of the season, from the cache; made first when it does not hold them intact.

        Parameters
        ----------
        regime_id : str
        split : Split
            One of `SEASON_SPLITS`.
        drawn : bool
            At the drawn parameters.
        cases : Cases
            Of the forecasts, for ``perfect``.
        progress : bool, optional
        """
        regime = self.regime(regime_id, drawn)

        def make() -> dict[str, NDArray]:
            return generate(regime, split, progress, cases=cases, seed_of=self.seed_of(drawn))

        # What the arrays depend on names their place: no two seasons meet there, and the secret is not to be read off.
        what = repr([SEASON_VERSION, self.name, regime, drawn, split, cases])
        place = hmac.digest(self.secret, what.encode(), "sha256").hex()[:24]
        key = f"seasons/{self.commitment[:12]}/{place}"
        return fetch_unrecorded(key, make)
