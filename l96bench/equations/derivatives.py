"""Time derivatives of noisy trajectories, for the linear regression dX/dt = theta(X) c for coefficients c."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from l96bench.errors import ModelError

__all__ = ["Derivative", "SavitzkyGolay", "Scheme", "WeakForm", "best_window"]

Array = NDArray[np.float64]
_WINDOWS = (5, 7, 9, 11, 13, 15, 17, 19, 21, 25, 29, 33, 39, 45, 53, 61, 71, 85, 101)


@dataclass(frozen=True, slots=True)
class Scheme:
    """Regression of one kind of variable: `tendency` (row, variable), `project` from candidates (time, n) to rows."""

    tendency: Array
    project: Callable[[Array], Array]


class Derivative(Protocol):
    """The interface of methods that turn a trajectory into a regression."""

    def schemes(
        self, groups: Sequence[Array], interval: float, strides: Sequence[int]
    ) -> tuple[list[Array], list[Scheme]]:
        """Return the states for the candidates, and the scheme of each kind of variable (`groups`, (time, variable)).

        Samples are `interval` MTU apart, rows `strides` samples.
        """


@dataclass(frozen=True, slots=True)
class SavitzkyGolay:
    """Derivatives and smoothed states from local polynomials (Savitzky and Golay 1964, Anal. Chem. 36, 1627-1639).

    A polynomial is fitted to the samples of each window.

    Parameters
    ----------
    degree : int
        Of the polynomials.
    window : int, optional
        Samples in a window, an odd number; ``degree + 1`` gives central differences of that order. By default,
        generalized cross-validation chooses it for each kind of variable.

    Examples
    --------
    >>> import l96bench
    >>> from sklearn.linear_model import LinearRegression
    >>> run = l96bench.simulate("lorenz96-k40", 1.0, interval=0.01, spin_up=5.0)
    >>> local = l96bench.SavitzkyGolay(degree=3, window=7)
    >>> model = l96bench.SparseRegression(LinearRegression(), derivative=local, library=l96bench.RingLibrary(radius=2))
    >>> len(model.fit(run.X, run.time).equations())
    40
    """

    degree: int = 5
    window: int | None = None

    def schemes(
        self, groups: Sequence[Array], interval: float, strides: Sequence[int]
    ) -> tuple[list[Array], list[Scheme]]:
        """Return smoothed states, and their derivatives where windows are complete; see `Derivative`."""
        from scipy.signal import savgol_filter

        windows = [self.window or best_window(states, self.degree) for states in groups]
        margin, n = max(windows) // 2, len(groups[0])
        if n <= 2 * margin:
            raise ModelError(f"a window of {max(windows)} samples needs more than the {n} that there are")
        smooth, schemes = [], []
        for states, window, stride in zip(groups, windows, strides, strict=True):
            smooth.append(savgol_filter(states, window, self.degree, axis=0))
            slope = savgol_filter(states, window, self.degree, deriv=1, delta=interval, axis=0)
            rows = slice(margin, n - margin, stride)
            schemes.append(Scheme(slope[rows], itemgetter(rows)))
        return smooth, schemes


@dataclass(frozen=True, slots=True)
class WeakForm:
    """Weak form: both sides averaged over windows with weight phi = (1 - u²)^power, u from -1 to 1 within a window.

    By parts, the average of dX/dt is minus the integral of phi' X: noise is averaged, never differentiated (Messenger
    and Bortz 2021, Multiscale Model. Simul. 19, 1474-1497, doi:10.1137/20M1343166).

    Parameters
    ----------
    half_width : int, optional
        Samples from a window's centre to its end; by default, the window is that which generalized cross-validation
        chooses for local polynomials of degree 5, for each kind of variable.
    power : int
        Of the weight.

    Examples
    --------
    >>> import l96bench
    >>> from sklearn.linear_model import LinearRegression
    >>> run = l96bench.simulate("lorenz96-k40", 1.0, interval=0.01, spin_up=5.0)
    >>> weak = l96bench.WeakForm(half_width=10)
    >>> model = l96bench.SparseRegression(LinearRegression(), derivative=weak, library=l96bench.RingLibrary(radius=2))
    >>> len(model.fit(run.X, run.time).equations())
    40
    """

    half_width: int | None = None
    power: int = 4

    def schemes(
        self, groups: Sequence[Array], interval: float, strides: Sequence[int]
    ) -> tuple[list[Array], list[Scheme]]:
        """Return the states as they are, and averages over windows; see `Derivative`."""
        from scipy.signal import upfirdn

        schemes = []
        for states, stride in zip(groups, strides, strict=True):
            n = len(states)
            half = self.half_width or min(best_window(states, 5), (n - 1) // 4)
            if half < 2 or n < 2 * half + 1:
                raise ModelError(f"a window of {2 * half + 1} samples does not fit into the {n} that there are")
            weight, slope = self._weights(half, interval)
            # The filtered value at a sample belongs to the window that ends there.
            whole = slice(-(-2 * half // stride), (n - 1) // stride + 1)

            def filtered(weights: Array, values: Array, stride: int = stride, whole: slice = whole) -> Array:
                return upfirdn(weights, values, down=stride, axis=0)[whole]

            schemes.append(Scheme(filtered(slope, states), partial(filtered, weight)))
        return list(groups), schemes

    def _weights(self, half: int, interval: float) -> tuple[Array, Array]:
        """Return the weights of a window, and those of minus its slope, in the order of a convolution."""
        u = np.arange(-half, half + 1) / half
        weight = (1.0 - u * u) ** self.power
        # A convolution turns the weights around: phi is even, and phi' odd, which takes the minus sign.
        slope = -u * (1.0 - u * u) ** (self.power - 1)
        # Their size makes the slope of what is linear in time exact: that of phi' itself does not, in sums.
        return weight / weight.sum(), slope / (-half * interval * np.sum(u * slope))


def best_window(states: Array, degree: int) -> int:
    """Return the window of local polynomials that generalized cross-validation chooses for states (time, variable).

    The smoother is linear with h_0 on its diagonal, so the criterion is RSS / (1 - h_0)² (Craven and Wahba 1979, Numer.
    Math. 31, 377-403), pooled over all variables; the noise need not be known.
    """
    from scipy.signal import savgol_coeffs

    n = len(states)
    windows = [window for window in _WINDOWS if degree + 1 < window <= max(n // 4, degree + 3 - degree % 2)]
    if not windows or n < windows[0]:
        raise ModelError(f"expected at least {degree + 3} samples of a trajectory, got {n}")
    margin = windows[-1] // 2
    centres = np.arange(margin, n - margin, max(1, (n - 2 * margin) // 400))
    if not len(centres):
        return windows[0]
    scores = []
    for window in windows:
        weights = savgol_coeffs(window, degree)
        half = window // 2
        # A weight matrix for the chosen centres only.
        rows = states[centres[:, None] + np.arange(-half, half + 1)]
        residual = rows[:, half] - np.einsum("cwv,w->cv", rows, weights[::-1])
        scores.append(np.mean(residual**2) / (1.0 - weights[half]) ** 2)
    return windows[int(np.argmin(scores))]
