"""Any Gymnasium vector environment as a stable-baselines3 `VecEnv` (needs the rl extra)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.wrappers.vector import NormalizeObservation
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from l96bench.envs.core import BatchedEnv
from l96bench.errors import L96BenchError

__all__ = ["SB3VecEnv"]


class SB3VecEnv(VecEnv):
    """A Gymnasium `VectorEnv` of any kind, wrapped or not, behind the interface that stable-baselines3 trains through.

    stable-baselines3 wants every row that ends to begin again within the same step, with the last observation of the
    old episode in ``infos[row]["terminal_observation"]`` and ``infos[row]["TimeLimit.truncated"]`` true where the
    episode was cut rather than over. How that is had depends on the environment's autoreset mode:

    - same step: it is what the environment does;
    - disabled: rows that ended are reset right away by ``reset(options={"reset_mask": ended})``;
    - next step: the same, where the environment is known to take a mask (Gymnasium's synchronous and asynchronous ones,
      and ours). Any other ignores the action of the step after an end; each of its episodes is seen to begin with one
      idle step, from the last observation of the old episode to the first of the new, without reward.

    Everything returned is a copy that later steps do not touch. Raises `TypeError` if `venv` is no `VectorEnv`;
    `L96BenchError` if it has a space that stable-baselines3 cannot hold.

    Parameters
    ----------
    venv : gymnasium.vector.VectorEnv
        Also an attribute.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> from l96bench.envs import SB3VecEnv
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = SB3VecEnv(gymnasium.make_vec("l96bench/SubgridForcing-v2", num_envs=8, local=True))
    ...
    >>> env.reset().shape
    (8, 5)
    """

    def __init__(self, venv: VectorEnv) -> None:
        if not isinstance(venv, VectorEnv):
            raise TypeError(
                f"expected a gymnasium.vector.VectorEnv, got {type(venv).__name__}; for single environments try "
                "gymnasium.make_vec(id, num_envs=...) or SyncVectorEnv([make, ...])"
            )
        self.venv = venv
        self._rows = range(venv.num_envs)
        self._mode = AutoresetMode(venv.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self._masked = self._mode is AutoresetMode.DISABLED or (
            self._mode is AutoresetMode.NEXT_STEP and _takes_mask(venv)
        )
        if self._mode is AutoresetMode.NEXT_STEP and not self._masked:
            warnings.warn(
                f"{venv} resets a row in the step after its episode's end, and not by a mask: every episode will be "
                "seen to begin with an idle step. Try autoreset_mode=AutoresetMode.SAME_STEP where it is made.",
                stacklevel=2,
            )
        self._actions: Any = None
        super().__init__(venv.num_envs, _held(venv.single_observation_space), _held(venv.single_action_space))
        self.metadata = dict(venv.metadata)

    # Stepping.

    def reset(self) -> VecEnvObs:
        """Return the first observations of all rows, with the seeds and options that were set for this reset."""
        observations, infos = self.venv.reset(seed=self._one_seed(), options=self._one_option())
        self.reset_infos = _rows_of(infos, self._rows)
        self._reset_seeds()
        self._reset_options()
        return _copied(observations)

    def step_async(self, actions: NDArray) -> None:
        """Keep the actions (row, ...) for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Return observations, rewards float32 (row,), ends bool (row,) and a fresh dictionary a row."""
        if isinstance(self.action_space, spaces.Dict | spaces.Tuple):
            raise L96BenchError(f"stable-baselines3 has no actions like {self.action_space}")
        observations, rewards, terminated, truncated, found = self.venv.step(self._actions)
        observations = _copied(observations)
        ended = np.asarray(terminated, dtype=bool) | np.asarray(truncated, dtype=bool)
        infos = _rows_of(found, self._rows, {"TimeLimit.truncated": False})
        if ended.any():
            done = np.flatnonzero(ended).tolist()
            if self._mode is AutoresetMode.SAME_STEP:
                self._finish(infos, done)
            else:
                for row in done:
                    infos[row]["terminal_observation"] = _row(observations, row)
            if self._masked:
                observations = self._restarted(observations, ended, done)
            for row in done:
                infos[row]["TimeLimit.truncated"] = bool(truncated[row] and not terminated[row])
        return observations, np.array(rewards, dtype=np.float32), ended, infos

    def _finish(self, infos: list[dict[str, Any]], done: Sequence[int]) -> None:
        """Move the last observations of rows that were reset to infos, and drop those of their start."""
        for row in done:
            start = infos[row]
            if "final_obs" not in start:
                raise L96BenchError(
                    f"{self.venv} says that it resets in the same step, but gave no 'final_obs' for row {row}"
                )
            end = dict(start.pop("final_info", {}))
            end["terminal_observation"] = _copied(start.pop("final_obs"))
            if "episode" in start:  # Gymnasium's wrappers know nothing of final_info and write beside it
                end["episode"] = start.pop("episode")
            del start["TimeLimit.truncated"]
            infos[row], self.reset_infos[row] = end, start

    def _restarted(self, observations: Any, ended: NDArray[np.bool_], done: Sequence[int]) -> Any:
        """Return the observations with those of rows that ended replaced by the first of their next episode."""
        first, infos = self.venv.reset(options=_Options(reset_mask=ended.copy()))
        for row, info in zip(done, _rows_of(infos, done), strict=True):
            self.reset_infos[row] = info
        return _where(ended, first, observations)

    # Seeds, attributes, pictures.

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next reset: row i gets `seed` + i. Without a seed, one is drawn from the system's entropy."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        return super().seed(seed)

    def _one_seed(self) -> Any:
        """Return the seeds of all rows as Gymnasium takes them: one number when they count up, else a list, or None."""
        first = self._seeds[0]
        if all(seed is None for seed in self._seeds):
            return None
        if first is not None and list(self._seeds) == [first + row for row in self._rows]:
            return first
        return list(self._seeds)

    def _one_option(self) -> dict[str, Any] | None:
        """Return the options of the next reset, which are one for all rows in Gymnasium."""
        first = self._options[0]
        if any(option != first for option in self._options):
            raise L96BenchError("expected the same options for every row: a Gymnasium vector environment has one reset")
        return dict(first) if first else None

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of each row's environment, or that of the whole batch where there are none."""
        rows = self._chosen(indices)
        inner = self._per_row()
        if inner is not None and attr_name not in ("spec", "render_mode"):
            try:
                values = inner.get_attr(attr_name)
            except AttributeError:
                pass
            else:
                return [values[row] for row in rows]
        return [_attribute(self.venv, attr_name)] * len(rows)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the rows, or of the whole batch where it has no environments of its own."""
        rows, inner = self._chosen(indices), self._per_row()
        if inner is None:
            self._require_all(rows, f"the attribute {attr_name!r}")
            setattr(self.venv.unwrapped, attr_name, value)
        elif len(rows) == self.num_envs:
            inner.set_attr(attr_name, [value] * self.num_envs)
        else:
            values = list(inner.get_attr(attr_name))
            for row in rows:
                values[row] = value
            inner.set_attr(attr_name, values)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Return the results of a method of each row's environment, or of the whole batch where there are none."""
        rows, inner = self._chosen(indices), self._per_row()
        if isinstance(inner, SyncVectorEnv):
            return [inner.envs[row].get_wrapper_attr(method_name)(*method_args, **method_kwargs) for row in rows]
        self._require_all(rows, f"the method {method_name!r}")
        if inner is not None:
            return list(inner.call(method_name, *method_args, **method_kwargs))
        return [_attribute(self.venv, method_name)(*method_args, **method_kwargs)] * len(rows)

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """Return whether each row, or the whole batch, is wrapped by this class."""
        from stable_baselines3.common.env_util import is_wrapped

        rows, inner = self._chosen(indices), self._per_row()
        whole = any(isinstance(layer, wrapper_class) for layer in _layers(self.venv))
        if isinstance(inner, SyncVectorEnv):
            return [whole or is_wrapped(inner.envs[row], wrapper_class) for row in rows]
        return [whole] * len(rows)

    def get_images(self) -> Sequence[NDArray | None]:
        """Return a picture of each row, where the environment draws any."""
        images: Any = self.venv.render() if self.render_mode == "rgb_array" else None
        return [None] * self.num_envs if images is None else list(images)

    def close(self) -> None:
        """Close the environment."""
        self.venv.close()

    def _per_row(self) -> Any:
        """Return the vector environment that is made of one environment a row, if it is one."""
        inner = self.venv.unwrapped
        return inner if isinstance(inner, SyncVectorEnv | AsyncVectorEnv) else None

    def _chosen(self, indices: VecEnvIndices) -> list[int]:
        return list(self._get_indices(indices))

    def _require_all(self, rows: Sequence[int], what: str) -> None:
        if sorted(rows) != list(self._rows):
            raise L96BenchError(f"{what} belongs to the whole of {self.venv}; it cannot be had for rows {list(rows)}")


class _Options(dict[str, Any]):
    """Reset options that keep their mask when the inner environment pops it, since its wrappers need it too."""

    def pop(self, key: str, *default: Any) -> Any:
        return self[key] if key in self else super().pop(key, *default)


def _takes_mask(venv: VectorEnv) -> bool:
    """Return whether an environment that resets in the next step is known to reset rows by a mask as well."""
    known = isinstance(venv.unwrapped, SyncVectorEnv | AsyncVectorEnv | BatchedEnv)
    return known and not any(isinstance(layer, NormalizeObservation) for layer in _layers(venv))


def _layers(venv: VectorEnv) -> Iterator[VectorEnv]:
    """Yield the environment and everything that it wraps, the outermost first."""
    yield venv
    while isinstance(venv, VectorWrapper):
        venv = venv.env
        yield venv


def _attribute(venv: VectorEnv, name: str) -> Any:
    """Return an attribute of the outermost layer that has it."""
    for layer in _layers(venv):
        if hasattr(layer, name):
            return getattr(layer, name)
    raise AttributeError(f"{venv} has no attribute {name!r}")


def _held(space: spaces.Space) -> spaces.Space:
    """Return the space, if stable-baselines3 can hold it."""
    if isinstance(space, spaces.Dict | spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        return space
    raise L96BenchError(
        f"stable-baselines3 cannot hold {space}; expected Box, Discrete, MultiDiscrete, MultiBinary or Dict"
    )


def _copied(observations: Any) -> Any:
    """Return a copy of an observation, or of a batch of them."""
    if isinstance(observations, Mapping):
        return {key: _copied(value) for key, value in observations.items()}
    return np.array(observations)


def _row(observations: Any, row: int) -> Any:
    """Return a copy of one row's observation."""
    if isinstance(observations, Mapping):
        return {key: _row(value, row) for key, value in observations.items()}
    return np.array(observations[row])


def _where(mask: NDArray[np.bool_], first: Any, second: Any) -> Any:
    """Return `second` with the rows of the mask replaced by those of `first`."""
    if isinstance(second, Mapping):
        return {key: _where(mask, first[key], value) for key, value in second.items()}
    second[mask] = np.asarray(first)[mask]
    return second


def _rows_of(infos: Any, rows: Sequence[int], common: Mapping[str, Any] = MappingProxyType({})) -> list[dict[str, Any]]:
    """Return a dictionary for each row: `common`, and its values in Gymnasium's arrays (``_key`` masks `key`)."""
    if isinstance(infos, list):  # of the wrapper DictInfoToList
        return [{**common, **infos[row]} for row in rows]
    start = dict(common)
    found: list[dict[str, Any]] = [start.copy() for _ in rows]
    for key, values in infos.items():
        if key.startswith("_") and key[1:] in infos:
            continue
        has = infos.get(f"_{key}")
        chosen = range(len(rows)) if has is None else [i for i, row in enumerate(rows) if has[row]]
        if isinstance(values, Mapping):
            for i, value in zip(chosen, _rows_of(values, [rows[i] for i in chosen]), strict=True):
                found[i][key] = value
        else:
            for i in chosen:
                value = values[rows[i]]
                found[i][key] = value.copy() if isinstance(value, np.ndarray) else value
    return found
