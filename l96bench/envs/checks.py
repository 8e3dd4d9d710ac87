"""Checks of the environments' arguments."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from l96bench.envs import kernels
from l96bench.errors import ActionError, L96BenchError, UnknownIdError, nearest

_TOLERANCE = 1e-6
"""Largest distance of an action from its box, for the rounding of wrappers that rescale."""


def check_options(known: Iterable[str], options: Iterable[str], name: str) -> None:
    """Raise `UnknownIdError` for an option that is not known; the message names the closest ones."""
    for option in options:
        if option not in known:
            raise UnknownIdError(f"{name} has no option {option!r}." + nearest(option, known))


def options_of(kind: type) -> list[str]:
    """Return the arguments of a class, those that it hands on to its bases among them."""
    names: dict[str, None] = {}
    for base in kind.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            names |= {each.name: None for each in parameters if each.kind is not each.VAR_KEYWORD}
            if all(each.kind is not each.VAR_KEYWORD for each in parameters):
                break
    return [name for name in names if name != "self"]


def positive(value: Any, name: str) -> int:
    """Return a whole number from 1 on, or raise L96BenchError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise L96BenchError(f"expected {name} as a whole number from 1 on, got {value!r}")
    return number


def chosen(value: Any, choices: Sequence[str | None], name: str) -> Any:
    """Return a value that is one of the choices, or raise UnknownIdError with the closest ones."""
    if value not in choices:
        raise UnknownIdError(f"no {name} {value!r}." + nearest(str(value), [str(choice) for choice in choices]))
    return value


def checked_scale(value: Any) -> float:
    """Return a positive, finite number, or raise L96BenchError."""
    if isinstance(value, int | float | np.number) and 0.0 < value < float("inf"):
        return float(value)
    raise L96BenchError(f"expected scale as a positive number, or None for that of the environment, got {value!r}")


def systems_of(num_envs: int | None, agents: int) -> int:
    """Return the number of systems with that many rows, one for None, or raise L96BenchError if it is not whole."""
    rows = agents if num_envs is None else positive(num_envs, "num_envs")
    if rows % agents:
        raise L96BenchError(
            f"expected num_envs as a multiple of {agents}, since a system has {agents} rows (each of its points with "
            f"local=True, and each member of an ensemble), got {num_envs}; "
            f"try {max(rows // agents, 1) * agents} or {(rows // agents + 1) * agents}"
        )
    return rows // agents


def autoreset_mode_of(mode: AutoresetMode | str) -> AutoresetMode:
    """Return the autoreset mode of that name or value."""
    if isinstance(mode, AutoresetMode):
        return mode
    by_name = {each.value: each for each in AutoresetMode} | {each.name: each for each in AutoresetMode}
    return by_name[chosen(mode, list(by_name), "autoreset_mode")]


def checked_seeds(seed: Any, n_systems: int) -> list[int | None]:
    """Return a seed or None for every system, ``seed + i`` for a number, or raise L96BenchError."""
    expected = f"expected seed as a whole number from 0 on, None, or a sequence of {n_systems} of these"
    try:
        if seed is None:
            return [None] * n_systems
        if isinstance(seed, (list, tuple, np.ndarray)):
            seeds = [None if word is None else operator.index(word) for word in seed]
        else:
            seeds = [operator.index(seed) + i for i in range(n_systems)]
    except TypeError as error:
        raise L96BenchError(f"{expected}, got {seed!r}") from error
    if len(seeds) != n_systems or any(word is not None and word < 0 for word in seeds):
        raise L96BenchError(f"{expected}, got {seed!r}")
    return seeds


def checked_mask(options: dict[str, Any] | None, n_systems: int, agents: int) -> NDArray[np.intp]:
    """Return the systems that the mask of a reset asks for, all without one; L96BenchError for other masks."""
    mask = None if options is None else options.get("reset_mask")
    if mask is None:
        return np.arange(n_systems)
    array = np.asarray(mask)
    if array.dtype != bool or array.shape != (n_systems * agents,):
        raise L96BenchError(
            f"expected reset_mask as a boolean array of shape ({n_systems * agents},), got dtype {array.dtype} and "
            f"shape {array.shape}"
        )
    by_system = array.reshape(n_systems, agents)
    if (by_system.any(axis=1) != by_system.all(axis=1)).any() or not array.any():
        raise L96BenchError(f"expected reset_mask true somewhere, and alike in the {agents} rows of each system")
    return np.flatnonzero(by_system[:, 0])


def checked_start(options: dict[str, Any] | None, n: int, places: tuple[int, int] | None) -> NDArray[np.int64] | None:
    """Return trajectories and samples (n, 2) that the options of a reset ask for, or None; else L96BenchError."""
    start = None if options is None else options.get("start")
    if start is None or places is None:
        return None
    given = np.asarray(start)
    if (
        given.dtype.kind not in "iu"
        or given.shape not in ((2,), (n, 2))
        or (given < 0).any()
        or (given >= places).any()
    ):
        raise L96BenchError(
            f"expected start as whole numbers (2,) or ({n}, 2), a trajectory below {places[0]} and a sample below "
            f"{places[1]}, which leaves room for an episode, got {start!r}"
        )
    return np.broadcast_to(given, (n, 2)).astype(np.int64)


def checked_actions(actions: Any, shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float32]:
    """Return the actions as a new float32 array in the box; raise `ActionError` for a wrong shape, dtype or value."""
    try:
        array = np.asarray(actions)
    except (TypeError, ValueError) as error:
        raise ActionError(f"expected actions of shape {shape}, got {type(actions).__name__}: {error}") from error
    if array.dtype.kind != "f":
        raise ActionError(
            f"expected floating-point actions of shape {shape}, got dtype {array.dtype} and shape {array.shape}; "
            "try actions.astype(numpy.float32)"
        )
    if array.shape != shape:
        raise ActionError(f"expected actions of shape {shape}, got {array.shape}")
    with np.errstate(over="ignore"):
        own = np.array(array, dtype=np.float32, order="C")
    bad = kernels.clip_actions(own, low, high, _TOLERANCE)
    if bad >= 0:
        index = tuple(map(int, np.unravel_index(bad, shape)))
        raise ActionError(
            f"expected actions in [{low:g}, {high:g}], got {array[index]:.6g} at {index}; "
            "try numpy.clip, or a wrapper such as ClipAction"
        )
    return own
