"""Wrappers between an agent and its environment: those that change what it sees or does become part of its closure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces, wrappers
from gymnasium.wrappers import vector
from numpy.typing import NDArray
from stable_baselines3.common import monitor, vec_env

from l96bench.envs.core import BatchedEnv
from l96bench.envs.sb3 import SB3VecEnv
from l96bench.envs.scalar import ScalarEnv
from l96bench.envs.shares import MemberShares, TwinShares
from l96bench.errors import ModelError

__all__ = ["Wrapping", "find_environment", "wrapping_of", "wrapping_of_env"]

_TAKEN = {
    *(wrappers.RescaleAction, vector.RescaleAction, vec_env.DummyVecEnv),
    *(MemberShares, TwinShares, SB3VecEnv),
    *(monitor.Monitor, vec_env.VecMonitor, vec_env.VecCheckNan, vec_env.VecVideoRecorder),
    *(wrappers.OrderEnforcing, wrappers.PassiveEnvChecker, wrappers.TimeLimit, wrappers.Autoreset),
    *(wrappers.RecordEpisodeStatistics, wrappers.RecordVideo, wrappers.HumanRendering, wrappers.RenderCollection),
    *(wrappers.NormalizeReward, wrappers.TransformReward, wrappers.ClipReward),
    *(vector.RecordEpisodeStatistics, vector.RecordVideo, vector.HumanRendering, vector.DictInfoToList),
    *(vector.NormalizeReward, vector.TransformReward, vector.VectorizeTransformReward, vector.ClipReward),
}
"""Wrappers that change neither observations nor actions, or the box of actions alone."""
_NORMALIZE = (wrappers.NormalizeObservation, vector.NormalizeObservation)


@dataclass(frozen=True, slots=True)
class Wrapping:
    """An environment and what lies between it and its agent.

    Attributes
    ----------
    env : BatchedEnv
    normalized : tuple of (mean, std, bound)
        What observations are shifted and divided by and then cut off at, the innermost first.
    box : spaces.Box
        The agent's actions, which stand for the environment's -1 .. 1.
    """

    env: BatchedEnv
    normalized: tuple[tuple[Any, Any, float], ...]
    box: spaces.Box

    @property
    def is_plain(self) -> bool:
        """Whether the agent's actions are the environment's."""
        return bool(np.all(self.box.low == -1.0) and np.all(self.box.high == 1.0))

    @property
    def gain(self) -> NDArray[np.float64]:
        """The change of the environment's action for a unit of the agent's."""
        return 2.0 / (np.asarray(self.box.high, dtype=np.float64) - self.box.low)


def wrapping_of(model: Any, env: Any = None) -> Wrapping:
    """Return what lies between a stable-baselines3 model and its environment; `env`, if given, has its wrappers.

    Raises `ModelError` for a wrapper that a closure cannot take along, and for actions of another box than the model's.
    """
    found = wrapping_of_env(model.get_env() if env is None else env)
    own = model.get_vec_normalize_env()
    if own is not None and own.norm_obs and not found.normalized:
        found = Wrapping(found.env, (_of_vec_normalize(own),), found.box)
    given = model.action_space
    ends = [(given.low, found.box.low), (given.high, found.box.high)]
    if given.shape == found.box.shape and not all(np.allclose(*pair) for pair in ends):
        raise ModelError(
            f"expected the environment that the policy was trained in, with its wrappers: the policy acts in {given}, "
            f"and the environment takes {found.box}; try from_sb3(model, env) with the same RescaleAction around env"
        )
    return found


def find_environment(env: Any) -> BatchedEnv:
    """Return the batched environment inside wrappers or behind a scalar one; `ModelError` as `wrapping_of`."""
    return wrapping_of_env(env).env


def wrapping_of_env(env: Any) -> Wrapping:
    """Return a batched environment and what its wrappers do; `ModelError` as `wrapping_of`."""
    layer, normalized, box = env, [], None
    while not isinstance(layer, BatchedEnv):
        kind, inner = type(layer), _inside(layer)
        if inner is None:
            raise ModelError(
                "expected the l96bench environment where the policy was trained, such as OnlineRollout-v2, got "
                f"{type(env).__name__}; try from_sb3(model, env)"
            )
        if kind is vec_env.VecNormalize:
            normalized += [_of_vec_normalize(layer)] if layer.norm_obs else []
        elif kind in _NORMALIZE:
            normalized.append((layer.obs_rms.mean, np.sqrt(layer.obs_rms.var + layer.epsilon), np.inf))
        elif kind not in _TAKEN and not isinstance(layer, ScalarEnv):
            raise ModelError(
                "expected wrappers that a closure takes along (RescaleAction, VecNormalize, NormalizeObservation), or "
                f"that leave observations and actions alone, got {kind.__name__}; train without it, or write "
                "what it does into a closure of your own"
            )
        if box is None and not isinstance(layer, vec_env.VecEnvWrapper):  # a loaded one has the actions that it had
            box = _actions(layer)
        layer = inner
    return Wrapping(layer, tuple(reversed(normalized)), _actions(layer) if box is None else box)


def _inside(layer: Any) -> Any:
    """Return what a wrapper wraps, None if it is none."""
    if isinstance(layer, vec_env.DummyVecEnv):
        if len(layer.envs) > 1 and any(kind in _NORMALIZE for each in layer.envs for kind in _kinds(each)):
            raise ModelError(
                "expected one normalization of observations for all rows, got NormalizeObservation in each of "
                f"{len(layer.envs)} environments; try VecNormalize around them"
            )
        return layer.envs[0]
    name = next((name for name in ("venv", "env", "core") if hasattr(layer, name)), None)
    return None if name is None else getattr(layer, name)


def _kinds(env: Any) -> list[type]:
    found = [type(env)]
    while hasattr(env, "env"):
        env = env.env
        found.append(type(env))
    return found


def _actions(env: Any) -> spaces.Box:
    """Return the actions of one row."""
    box: spaces.Box = getattr(env, "single_action_space", env.action_space)
    return box


def _of_vec_normalize(layer: Any) -> tuple[Any, Any, float]:
    return layer.obs_rms.mean, np.sqrt(layer.obs_rms.var + layer.epsilon), float(layer.clip_obs)
