"""The affine maps between an agent's numbers and the model's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from l96bench.data.splits import data_regimes
from l96bench.envs import kernels
from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.metrics.bounds import BOUND
from l96bench.tasks.closure_task import Samples
from l96bench.tasks.registry import make_task

__all__ = ["RADIUS", "REACH", "Scaling", "point_spaces"]

REACH = 4.5
"""Standard deviations of U that an action of 1 stands for; the true U of the regimes reaches -4.1 and +3.3."""
RADIUS = 2
"""Points on each side that an agent of ``local=True`` sees."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Means and standard deviations over the times and points of training data.

    X is what an agent sees, U what its actions stand for: the states and subgrid forcings of a regime, or the
    backgrounds and analysis increments of an archive.

    Parameters
    ----------
    mean_X, std_X : float
        Of X, which an agent sees.
    mean_U, std_U : float
        Of U, which its actions stand for.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench.envs import Scaling
    >>> scaling = Scaling(mean_X=1.0, std_X=2.0, mean_U=0.0, std_U=1.0)
    >>> scaling.observation(np.array([[1.0, 3.0]]))
    array([[0., 1.]], dtype=float32)
    """

    mean_X: float
    std_X: float
    mean_U: float
    std_U: float

    @classmethod
    def of(cls, regime: str) -> Scaling:
        """Return the climatology of a regime; UnknownIdError if there are no data of it."""
        if regime not in data_regimes():
            raise UnknownIdError(f"no regime {regime!r} with data." + nearest(str(regime), data_regimes()))
        train: Samples = make_task(f"subgrid-forcing/{regime}-v1").train
        return cls.of_samples(train.X, train.U)

    @classmethod
    def of_samples(cls, X: NDArray[np.float64], U: NDArray[np.float64], wider: float = 1.0) -> Scaling:
        """Return the climatology of samples of X and U, over all axes; actions reach `wider` times as far."""
        return cls(float(np.mean(X)), float(np.std(X)), float(np.mean(U)), wider * float(np.std(U)))

    def observation(self, X: ArrayLike, local: bool = False) -> NDArray[np.float32]:
        """Return the observations of states X (n, K): ``(X - mean_X) / std_X``, cut off at +-BOUND, float32 (n, K).

        If `local`, every point is an agent: (n K, 2 RADIUS + 1), of the points k - RADIUS .. k + RADIUS.
        """
        states = np.ascontiguousarray(X, dtype=np.float64)
        if states.ndim != 2:
            raise L96BenchError(f"expected states (n, K), got {states.shape}")
        n, K = states.shape
        width = 2 * RADIUS + 1 if local else 1
        out = np.empty((n, K * width), dtype=np.float32)
        self.observe(states, np.arange(n), local, 0, n, out)
        return out.reshape(n * K, width) if local else out

    def observe(
        self,
        X: NDArray[np.float64],
        rows: NDArray[np.int64],
        local: bool,
        first: int,
        last: int,
        out: NDArray[np.float32],
    ) -> None:
        """Fill out[first:last] with what agents see of the states X[rows[first:last]], for each state in one row."""
        kernels.observe(X, rows, self.mean_X, self.std_X, BOUND, RADIUS if local else -1, first, last, out)

    def forcing(self, actions: ArrayLike) -> NDArray[np.float64]:
        """Return the U that actions stand for, of their shape: ``mean_U + (REACH std_U) action``, in float64."""
        values = np.asarray(actions, dtype=np.float32).astype(np.float64)
        return np.asarray(self.mean_U + (REACH * self.std_U) * values, dtype=np.float64)

    def action(self, U: ArrayLike) -> NDArray[np.float32]:
        """Return the float32 actions closest to U, of its shape; cut off at the box."""
        values = (np.asarray(U, dtype=np.float64) - self.mean_U) / (REACH * self.std_U)
        return np.clip(values, -1.0, 1.0).astype(np.float32)


def point_spaces(K: int, local: bool, beside: int = 0) -> tuple[spaces.Box, spaces.Box]:
    """Return a row's observation and action spaces: all K points and a number for each; if local, a stencil and one.

    Behind the points an agent may observe `beside` other values.
    """
    width, n_actions = (2 * RADIUS + 1, 1) if local else (K, K)
    return spaces.Box(-BOUND, BOUND, (width + beside,), np.float32), spaces.Box(-1.0, 1.0, (n_actions,), np.float32)
