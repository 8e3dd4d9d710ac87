"""The `info` of systems in the forms that Gymnasium gives it: of one environment, of a batch, at an episode's end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["final_infos", "scalar_infos", "vector_infos"]


def scalar_infos(infos: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the infos of the first system: numbers as Python's, copies of arrays, and other objects as they are."""
    own = {}
    for name, values in infos.items():
        value = values[0]
        own[name] = value.copy() if isinstance(value, np.ndarray) else value
        if isinstance(value, np.generic):
            own[name] = value.item()
    return own


def vector_infos(infos: dict[str, NDArray[Any]], agents: int) -> dict[str, Any]:
    """Return the infos of all rows, each with the mask of those that have it: here all."""
    batched: dict[str, Any] = {}
    for name, values in infos.items():
        batched[name] = np.repeat(values, agents, axis=0)
        batched[f"_{name}"] = np.ones(len(batched[name]), dtype=bool)
    return batched


def final_infos(
    infos: dict[str, NDArray[Any]], observations: NDArray[np.float32], ended: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return the last observations (num_envs, width) and infos of the rows that just ended, as in `SyncVectorEnv`."""
    final = np.full(len(ended), None, dtype=object)
    for row in np.flatnonzero(ended):
        final[row] = observations[row].copy()
    info: dict[str, Any] = {}
    for name, values in infos.items():
        by_row = np.repeat(values, len(ended) // len(values), axis=0)
        by_row[~ended] = None if by_row.dtype == object else 0
        info |= {name: by_row, f"_{name}": ended.copy()}
    return {"final_obs": final, "_final_obs": ended, "final_info": info, "_final_info": ended.copy()}
