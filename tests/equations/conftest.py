"""Trajectories of rings with coefficients of their own, from SciPy's integrator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from l96bench.equations import EquationSet


@dataclass(frozen=True)
class Ring:
    """A system, and what was observed of it."""

    texts: tuple[str, ...]
    K: int
    J: int
    X: NDArray[np.float64]
    t: NDArray[np.float64]

    @property
    def true(self) -> EquationSet:
        return EquationSet.parse(list(self.texts), self.K, self.J)

    def parse(self, texts: list[str]) -> EquationSet:
        return EquationSet.parse(texts, self.K, self.J)

    def noisy(self, noise: float) -> NDArray[np.float64]:
        rng = np.random.default_rng(1)
        return self.X + noise * self.X.std(axis=0) * rng.standard_normal(self.X.shape)

    def error(self, texts: list[str]) -> float:
        """The largest error of a coefficient; infinite if the terms are others."""
        found = self.parse(texts)
        if found.support != self.true.support:
            return np.inf
        pairs = ((found.monomials(i), self.true.monomials(i)) for i in range(self.true.n_targets))
        return max(abs(own[key] - value) for own, true in pairs for key, value in true.items())


def integrated(texts: tuple[str, ...], K: int, J: int, duration: float, start: NDArray[np.float64]) -> Ring:
    system = EquationSet.parse(list(texts), K, J)
    t = np.arange(round((duration + 5.0) / 0.01)) * 0.01
    run = solve_ivp(
        lambda _, x: system.tendency(x[None])[0], (0.0, t[-1]), start, t_eval=t, method="DOP853", rtol=1e-9, atol=1e-9
    )
    return Ring(texts, K, J, run.y.T[500:], t[500:])


@pytest.fixture(scope="session")
def ring() -> Ring:
    """20 MTU of six points."""
    text = "dX[k]/dt = 1.2*X[k-1]*X[k+1] - 1.1*X[k-1]*X[k-2] - 0.9*X[k] + 9.5"
    return integrated((text,), 6, 0, 20.0, np.random.default_rng(0).random(6))


@pytest.fixture(scope="session")
def two_rings() -> Ring:
    """10 MTU of four points with three fast variables each, which are not very fast."""
    texts = (
        "dX[k]/dt = 1.1*X[k-1]*X[k+1] - 1.2*X[k-1]*X[k-2] - 0.8*X[k] + 12 - 0.9*sum(Y[k])",
        "dY[k,j]/dt = -20*Y[k,j+1]*Y[k,j+2] + 21*Y[k,j+1]*Y[k,j-1] - 3*Y[k,j] + 1.3*X[k]",
    )
    return integrated(texts, 4, 3, 10.0, np.random.default_rng(0).random(16))
