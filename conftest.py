"""What tests and benchmarks share: the C twin of the truth kernel."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.regimes import Regime

Twin = Callable[[Regime, NDArray[np.float64], NDArray[np.float64], float, int], None]
_FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC")


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """twin(regime, x, y, dt, n_steps): advance a two-scale state in place, in C; skips where there is no gcc."""
    if shutil.which("gcc") is None:
        pytest.skip("the C twin of the truth kernel needs gcc, which is not installed")
    source = Path(__file__).parent / "benchmarks" / "twin.c"
    library = tmp_path_factory.mktemp("twin") / "twin.so"
    subprocess.run(["gcc", *_FLAGS, str(source), "-o", str(library)], check=True)
    advance = ctypes.CDLL(str(library)).advance
    array, real, whole = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS"), ctypes.c_double, ctypes.c_long
    advance.argtypes = [array, array, whole, whole, real, real, real, real, real, whole]
    advance.restype = None

    def run(regime: Regime, x: NDArray[np.float64], y: NDArray[np.float64], dt: float, n_steps: int) -> None:
        hcb, cb = regime.h * regime.c / regime.b, regime.c * regime.b
        advance(x, y, regime.K, regime.J, regime.F, hcb, cb, regime.c, dt, n_steps)

    return run
