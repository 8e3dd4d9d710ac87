"""Truths that several files assimilate, and a filter written down as in the textbooks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.dynamics.truth import Trajectory, simulate

Array = NDArray[np.float64]


@pytest.fixture(scope="session")
def lorenz() -> Array:
    """Four trajectories of K 40, F 8, 200 cycles of 0.05 MTU; RK4 with the step of Sakov and Oke (2008)."""
    return simulate("lorenz96-k40", 201 * 0.05, interval=0.05, dt=0.05, n_trajectories=4, seed=11).X


@pytest.fixture(scope="session")
def wilks() -> Trajectory:
    """Ten trajectories of wilks-f20, 400 cycles of 0.05 MTU."""
    return simulate("wilks-f20", 401 * 0.05, interval=0.05, n_trajectories=10, seed=12, store_fast=False)


def kalman(mean: Array, P: Array, H: Array, R: Array, y: Array) -> tuple[Array, Array]:
    """The mean and covariance of the Kalman filter's analysis (Kalman 1960)."""
    gain = P @ H.T @ np.linalg.inv(H @ P @ H.T + R)
    return mean + gain @ (y - H @ mean), (np.eye(len(P)) - gain @ H) @ P


@pytest.fixture(scope="session")
def kalman_update():  # type: ignore[no-untyped-def]
    """The function `kalman`."""
    return kalman
