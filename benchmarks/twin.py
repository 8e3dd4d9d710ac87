"""The two-scale truth in C (twin.c), compiled for this machine in strict IEEE arithmetic."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from l96bench import Regime

Array = NDArray[np.float64]
Advance = Callable[[Regime, Array, Array, float, int], None]
"""advance(regime, x, y, dt, n_steps), in place."""

_FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC")
_OPERATIONS = 2 * 12 * 4
"""Operations in a round of `peak`."""


class Twin:
    """The functions of twin.c, compiled into `folder`; needs gcc."""

    def __init__(self, folder: Path) -> None:
        library = folder / "twin.so"
        subprocess.run(["gcc", *_FLAGS, str(Path(__file__).with_suffix(".c")), "-o", str(library)], check=True)
        self._library = ctypes.CDLL(str(library))
        self.advance, self.advance_in_lanes = self._advance("advance"), self._advance("advance_in_lanes")

    def _advance(self, name: str) -> Advance:
        function = self._library[name]
        array, real, whole = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS"), ctypes.c_double, ctypes.c_long
        function.argtypes = [array, array, whole, whole, real, real, real, real, real, whole]
        function.restype = None

        def run(regime: Regime, x: Array, y: Array, dt: float, n_steps: int) -> None:
            hcb, cb = regime.h * regime.c / regime.b, regime.c * regime.b
            function(x, y, regime.K, regime.J, regime.F, hcb, cb, regime.c, dt, n_steps)

        return run

    def peak(self, rounds: int = 1_000_000) -> int:
        """Make additions and multiplications as fast as the processor can, and return how many."""
        self._library.peak.argtypes, self._library.peak.restype = [ctypes.c_long], ctypes.c_double
        self._library.peak(rounds)
        return _OPERATIONS * rounds
