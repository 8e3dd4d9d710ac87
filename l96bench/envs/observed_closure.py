"""`l96bench/ObservedClosure-v2`: the resolved model runs under the agent's U, and is compared with observations."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from l96bench.assimilation.cycling import cycle
from l96bench.assimilation.ensemble_filters import ETKF
from l96bench.assimilation.models import ResolvedModel
from l96bench.assimilation.observations import Observations
from l96bench.assimilation.observed import ObservedSeries, ObservedTrack
from l96bench.dynamics.resolved import MODEL_DT
from l96bench.envs.checks import checked_scale, chosen
from l96bench.envs.closure_env import scale_without_closure
from l96bench.envs.core import Actions, Floats, Mask
from l96bench.envs.render import EpisodePicture, Panel
from l96bench.envs.sampled_rollout import SampledRolloutEnv
from l96bench.envs.scalar import ScalarEnv
from l96bench.envs.scaling import Scaling
from l96bench.errors import L96BenchError
from l96bench.tasks.registry import make_task

__all__ = ["ObservedClosureEnv", "ObservedClosureVectorEnv"]

_SPLITS = ("train", "valid")
_CYCLES, _SPIN_UP, _MEMBERS = 4000, 50, 40
"""The most windows whose analyses episodes may begin from, those before the first one, and the ensemble's members."""
_INFLATIONS = (1.05, 1.2, 1.4, 1.7)
"""Factors on the analysis anomalies, of which the one with the smallest innovations is taken."""


class ObservedClosureVectorEnv(SampledRolloutEnv):
    """The resolved model under the agent's U, held through every step of 0.01 MTU, and judged by observations alone.

    An episode begins at an analysis: the mean of an ensemble Kalman filter's members, which has seen nothing but the
    observations and whose forecast model has no closure. The agent observes the model's X. The reward of a step that
    ends at an observation time is

        ``-mean_k (x_k - y_k)^2 / var X / scale``

    over the points that were observed then, y being the observations; it is 0 for other steps. ``var X`` is the
    variance of the observations less that of their errors. Even perfect physics gets about ``-(std / std X)^2 / scale``
    at each observation time. With `local` the reward of a row is that of its own point, 0 if it was not observed.
    Neither the true X nor U is known to the environment.

    Actions are scaled as in `OnlineRolloutVectorEnv`, but with the standard deviation of X for that of U, and 0 for its
    mean, since U was not observed. An episode is terminated when a point leaves `BOUND` standard deviations around the
    mean, or is not finite; the reward then counts all observation times that are left as the worst that there are
    (-400 / scale each).

    Parameters
    ----------
    track : str
        A track of `observed-closure`.
    num_envs : int, optional
        Rows; by default those of one system. With `local` a multiple of K.
    local : bool
        Make every point an agent that sees its stencil of 5 points and acts its own U.
    split : {"train", "valid"}
        The observations.
    episode_steps : int
        Steps of an episode.
    observations : ObservedSeries, optional
        Those to use in place of the split's, as in a model's ``fit``.
    scale : float, optional
        What rewards are divided by, as for `OnlineRolloutVectorEnv`.
    **options
        `max_episode_steps`, `autoreset_mode`, `threads` and `render_mode`, see `BatchedEnv`. Raises `L96BenchError` if
        an argument cannot be used.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make_vec("l96bench/ObservedClosure-v2", num_envs=2, episode_steps=10, scale=1.0)
    ...
    >>> seen, info = env.reset(seed=0)
    >>> seen.shape
    (2, 8)
    """

    def __init__(
        self,
        track: str = "wilks-f20-dense",
        *,
        num_envs: int | None = None,
        local: bool = False,
        split: str = "train",
        episode_steps: int = 100,
        observations: ObservedSeries | None = None,
        scale: float | None = None,
        **options: Any,
    ) -> None:
        own = ObservedTrack.get(track)
        split, task = chosen(split, _SPLITS, "split"), make_task(f"observed-closure/{track}-v1")
        scaled_by = task.train if observations is None else observations
        if observations is None:
            observations = getattr(task, split)
        elif observations.network != own.network:
            raise L96BenchError(f"expected observations of the network of {track}")
        self.track = own
        analyses = _analyses(observations, own.regime_id)
        self._values = observations.values[_SPIN_UP : _SPIN_UP + len(analyses)]
        seen = observations.values[observations.observed]
        std_X = float(np.sqrt(max(seen.var() - observations.std**2, observations.std**2)))
        scaling = Scaling(float(seen.mean()), std_X, mean_U=0.0, std_U=std_X)
        F, window = np.array([observations.F]), round(own.network.window / MODEL_DT)
        options["episode_steps"] = episode_steps
        super().__init__(own.regime_id, scaling, num_envs, local, analyses[None], window, F, **options)
        if scale is None:
            known = {"track": track, "observations": scaled_by, "episode_steps": self.episode_steps}
            scale = scale_without_closure(ObservedClosureVectorEnv, scaled_by, 1, **known)
        self.scale = checked_scale(scale)

    @property
    def observations(self) -> Floats:
        """The observations of the present time, (n_systems, K); NaN where there is none."""
        return np.where(self._is_sampled[:, None], self._latest, np.nan)

    @property
    def _latest(self) -> Floats:
        return self._values[np.minimum(self._at // self.window_steps, len(self._values) - 1)]

    def _advance(self, actions: Actions, active: Mask, rewards: Floats, terminated: Mask) -> None:
        self._roll(actions, active, rewards, terminated)
        self._judge(self.observations, self.scaling.std_X**2, active, rewards, terminated)

    def _picture(self) -> EpisodePicture:
        mean, std = self.scaling.mean_X, self.scaling.std_X
        return EpisodePicture(
            title=f"ObservedClosure, {self.track.id}",
            panels=(
                Panel("model X", mean, 3.0 * std),
                Panel("latest observations", mean, 3.0 * std),
            ),
            K=self.regime.K,
            n_times=min(self.episode_steps + 1, 501),
            interval=self.interval,
        )

    def _records(self) -> tuple[Floats, ...]:
        return self._X, np.where(np.isnan(self._latest), self.scaling.mean_X, self._latest)


class ObservedClosureEnv(ScalarEnv):
    """One system of `ObservedClosureVectorEnv`, with the same behaviour and arguments.

    Parameters
    ----------
    **options
        Those of `ObservedClosureVectorEnv`, but for `num_envs`, `autoreset_mode` and `threads`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/ObservedClosure-v2", episode_steps=10, scale=1.0)
    ...
    >>> env.observation_space.shape, env.action_space.shape
    ((8,), (8,))
    """

    core_class: ClassVar[type[Any]] = ObservedClosureVectorEnv


@lru_cache(maxsize=8)
def _analyses(series: ObservedSeries, regime_id: str) -> Floats:
    """Return the analyses (time, K) of the resolved model without closure, after a spin-up.

    They begin at observation `_SPIN_UP`. The inflation is that of the smallest mean square innovation.
    """
    values = series.values[: _SPIN_UP + _CYCLES]
    n = len(values)
    seen = series.values[series.observed]
    mean, wide = float(seen.mean()), float(seen.std())
    order = np.argsort(np.isnan(values), axis=1, kind="stable")[:, : int((~np.isnan(values)).sum(axis=1).max())]
    seen_values, std = np.take_along_axis(values, order, axis=1), np.array(series.std)
    copies = [len(_INFLATIONS), 1, 1]
    given = Observations(np.tile(seen_values, copies), np.tile(order, copies), std, series.K, series.window)
    first = np.where(np.isnan(values[0]), mean, values[0])
    rng = np.random.default_rng(0)
    members = first + np.where(np.isnan(values[0]), wide, series.std) * rng.standard_normal((_MEMBERS, series.K))
    run = cycle(
        np.full((len(_INFLATIONS), n + 1, series.K), mean),  # only the limit and diagnostics would need a truth
        ResolvedModel(regime_id, F=series.F),
        ETKF(),
        given,
        n_members=_MEMBERS,
        seed=[[0]] * len(_INFLATIONS),
        inflation=np.array(_INFLATIONS),
        initial=members,
        limit=np.inf,
        progress=False,
    )
    squares = np.nanmean(np.square(run.innovations), axis=(1, 2))
    best = int(np.nanargmin(np.where(np.isfinite(run.analysis_mean).all(axis=(1, 2)), squares, np.nan)))
    return np.ascontiguousarray(run.analysis_mean[best, _SPIN_UP:])
