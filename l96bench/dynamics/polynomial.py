"""Polynomial closures U = sum_i c_i X^i: any coefficients, none (U = 0), and those published in the literature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial as Series
from numpy.typing import ArrayLike, NDArray

from l96bench.dynamics.ar1 import AR1Closure
from l96bench.dynamics.closures import Stateless
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.errors import UnknownIdError, nearest


def ten_digits(value: float) -> float:
    """Round to 10 significant digits, so that a chaotic run does not depend on the BLAS."""
    return float(f"{value:.10g}")


def fitted_coefficients(X: ArrayLike, U: ArrayLike, degree: int) -> NDArray:
    """Return the coefficients (degree + 1,) of the polynomial of X that fits U, of the same shape, in least squares."""
    # Powers of a variable scaled to [-1, 1] are well conditioned; convert() goes back to powers of X.
    found = Series.fit(np.ravel(X), np.ravel(U), degree).convert().coef
    coefficients = np.zeros(degree + 1)
    coefficients[: found.size] = [ten_digits(float(value)) for value in np.asarray(found, dtype=np.float64)]
    return coefficients


class Polynomial(Stateless):
    """The closure U_k = c_0 + c_1 X_k + ... + c_n X_k^n, the same at every point; it does not change once made.

    It is evaluated by Horner's rule from the highest coefficient down, which is what the rollout kernel does too, so
    both give the same bits.

    Parameters
    ----------
    coefficients : array-like of float, shape (degree + 1,)
        Lowest order first, of the tendency that is ADDED (the literature prints them for the one subtracted).

    Examples
    --------
    >>> import l96bench
    >>> closure = l96bench.Polynomial([1.0, -0.5])
    >>> closure.equation
    'U[k] = (1.0) + (-0.5)*X[k]'
    """

    def __init__(self, coefficients: ArrayLike) -> None:
        values = np.array(coefficients, dtype=np.float64)
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise ValueError(
                "coefficients must be a non-empty list of finite numbers, lowest order first; "
                f"got shape {values.shape} and values {values.tolist()}."
            )
        values.flags.writeable = False
        self._coefficients = values

    @property
    def coefficients(self) -> NDArray:
        """The coefficients c_i, shape (degree + 1,), lowest order first; read-only."""
        return self._coefficients

    @property
    def degree(self) -> int:
        """The highest power of X."""
        return self._coefficients.size - 1

    @property
    def equation(self) -> str:
        """The closure as text: ``U[k] = (c_0) + (c_1)*X[k] + (c_2)*X[k]**2 + ...``."""
        powers = ["", "*X[k]", *(f"*X[k]**{i}" for i in range(2, self.degree + 1))]
        terms = (f"({value!r}){power}" for value, power in zip(self.coefficients.tolist(), powers, strict=False))
        return "U[k] = " + " + ".join(terms)

    def predict(self, X: NDArray) -> NDArray:
        """Return the added tendency U for the states X, element by element, in any shape."""
        X = np.asarray(X, dtype=np.float64)
        U = np.full(X.shape, self._coefficients[-1])
        for coefficient in self._coefficients[-2::-1]:
            U *= X
            U += coefficient
        return U

    __call__ = predict

    graph_is_exact = True

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the polynomial by the same Horner's rule; see `Closure`."""
        return builder.polynomial(x, self._coefficients)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and np.array_equal(self._coefficients, other._coefficients)

    def __hash__(self) -> int:
        return hash(self._coefficients.tobytes())

    def __repr__(self) -> str:
        return f"Polynomial({self._coefficients.tolist()})"


class NoClosure(Polynomial):
    """U = 0: the resolved model alone.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> l96bench.NoClosure().predict(np.ones((1, 4)))
    array([[0., 0., 0., 0.]])
    """

    def __init__(self) -> None:
        super().__init__([0.0])

    def __repr__(self) -> str:
        return "NoClosure()"


@dataclass(frozen=True, slots=True)
class PublishedClosure:
    """A closure with the coefficients printed in its paper, their sign changed to that of an added tendency.

    Its target is the FORWARD DIFFERENCE of X over `noise_interval`, (X(t + h) - X(t)) / h less the resolved tendency,
    not the exact coupling term that l96bench scores: the two differ systematically, the difference being damped by the
    curvature of X.

    Parameters
    ----------
    id, source : str
        The id, and the paper and equation.
    polynomial : Polynomial
        The deterministic part, as an added tendency.
    phi, sigma, noise_interval : float
        Autocorrelation over `noise_interval` (MTU between the paper's samples) and stationary standard deviation of the
        additive AR(1) residual.
    regimes : tuple of str
        The regimes whose system it was fitted to.

    Examples
    --------
    >>> import l96bench
    >>> list(l96bench.PUBLISHED)
    ['wilks2005_f18', 'wilks2005_f20', 'arnold2013_c10', 'arnold2013_c4']
    >>> l96bench.PUBLISHED["wilks2005_f20"].polynomial.degree
    4
    """

    id: str
    polynomial: Polynomial
    phi: float
    sigma: float
    noise_interval: float
    regimes: tuple[str, ...]
    source: str

    def stochastic(self, dt: float = 0.01) -> AR1Closure:
        """Return the polynomial plus the published AR(1) residual, rescaled to steps of `dt` MTU."""
        return AR1Closure(self.polynomial, self.phi, self.sigma, self.noise_interval, dt)


class _Registry(Mapping[str, PublishedClosure]):
    """A read-only mapping whose error names the nearest id."""

    def __init__(self, closures: tuple[PublishedClosure, ...]) -> None:
        self._closures = {closure.id: closure for closure in closures}

    def __getitem__(self, id: str) -> PublishedClosure:
        try:
            return self._closures[id]
        except KeyError:
            raise UnknownIdError(f"No published closure {id!r}.{nearest(str(id), self._closures)}") from None

    def __contains__(self, id: object) -> bool:
        return id in self._closures

    def __iter__(self) -> Iterator[str]:
        return iter(self._closures)

    def __len__(self) -> int:
        return len(self._closures)

    def __repr__(self) -> str:
        return f"PUBLISHED({', '.join(self._closures)})"


_WILKS = "Wilks (2005), Q. J. R. Meteorol. Soc. 131, 389-407, doi:10.1256/qj.04.03"
_ARNOLD = "Arnold, Moroz and Palmer (2013), Phil. Trans. R. Soc. A 371, 20110479, doi:10.1098/rsta.2011.0479"
_AR1 = "additive AR(1)"
_PRINTED = (
    ("wilks2005_f18", "wilks-f18", f"{_WILKS}, F = 18", 0.984, 1.74, (0.275, 1.59, -0.0190, -0.0130, 0.000707)),
    ("wilks2005_f20", "wilks-f20", f"{_WILKS}, F = 20", 0.986, 1.99, (0.262, 1.45, -0.0121, -0.00713, 0.000296)),
    ("arnold2013_c10", "wilks-f20", f"{_ARNOLD}, c = 10, {_AR1}", 0.986, 1.99, (0.341, 1.30, -0.0136, -0.00235)),
    ("arnold2013_c4", "arnold-c4", f"{_ARNOLD}, c = 4, {_AR1}", 0.993, 2.12, (-0.198, 0.575, -0.00550, -0.000223)),
)
"""Id, regime, source, phi, sigma, and the coefficients of the tendency that is subtracted."""

PUBLISHED: Mapping[str, PublishedClosure] = _Registry(
    tuple(
        PublishedClosure(id, Polynomial([-value for value in printed]), phi, sigma, 0.005, (regime,), source)
        for id, regime, source, phi, sigma, printed in _PRINTED
    )
)
"""The published closures by id: `PUBLISHED["wilks2005_f20"].polynomial`. See `PublishedClosure` for their target."""
