"""`l96bench/DAIncrement-v2`: correct a biased forecast model inside the cycle of an ensemble filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from l96bench.assimilation.archive import PARTS, SPIN_UP, get_track, load_archive
from l96bench.assimilation.inflation import Inflation
from l96bench.assimilation.models import ResolvedModel
from l96bench.assimilation.observations import Observed
from l96bench.dynamics.closures import Stateless
from l96bench.envs.checks import checked_scale, chosen, systems_of
from l96bench.envs.closure_env import PointEnv, return_scale
from l96bench.envs.core import Actions, Floats, Mask
from l96bench.envs.render import EpisodePicture, Panel
from l96bench.envs.scalar import ScalarEnv
from l96bench.envs.scaling import Scaling, point_spaces
from l96bench.errors import L96BenchError

__all__ = ["INFLATIONS", "DAIncrementEnv", "DAIncrementVectorEnv"]

INFLATIONS = {"dense": 1.3, "sparse": 1.2}
"""Inflation of every track: what `da-increment` chooses for the network of increments."""


class DAIncrementVectorEnv(PointEnv):
    """A batch of filter cycles whose forecast model the agent corrects.

    Every system cycles the resolved model without closure over noisy observations of a true trajectory, in the filter
    of its track: ``dense`` (`wilks-f20`, all points each 0.05 MTU, ETKF) or ``sparse`` (`da-k40`, 20 random points of
    40 each 0.1 MTU, LETKF), 20 members, with a fixed inflation of the analysis (`INFLATIONS`). A step is one window:

    1. the agent sees the background mean X, and acts the increment ``mean + 4.5 std a`` of every point; mean and std
       are those of the increments of the training archive, over all points;
    2. the filter analyses the observations made now, and its analysis is inflated;
    3. all members are carried to the next window, the increment divided by the window length being added to their
       tendency all along. In the task the same quotient is evaluated at every member and model step: held through
       the window it assimilates as well (see `CorrectedClosure`).

    **Observation**: the background mean, less its mean and over its std in the training archive, cut off at 10; with
    ``local`` the points k - 2 .. k + 2. **Reward**: ``-e² / e_archive² / scale``, e the error of the new background
    mean, e_archive the RMSE of the training archive's backgrounds; the mean over the points, with ``local`` the point's
    own. So returns have the order of scores, which are of the RMSE of backgrounds, and increments that are perfect get
    about 0. (The fall from the error that the same analysis would have without correction pays for bad analyses: what
    is left in place is there to be undone, again and again.) No error counts for more than the climatological std.
    **End**: ``terminated`` when the RMSE of the background mean exceeds the climatological std (the filter has
    diverged) or is not finite; the reward then counts all windows that are left as if e were the climatological std, so
    that it never pays to end an episode. ``truncated`` after `episode_steps`.

    An episode starts at a random cycle of the split's archive, from the archive's background mean there. Members lie
    around it as the archive's background errors at random cycles do (less their mean), scaled at every point to the
    archive's spread, so that their covariance is that of a cycle in full run: with the archive's inflation, errors rise
    by 3 % (``sparse``: 7 %) in the first windows and come back. Observations of the whole episode are drawn then, too.

    ``info`` holds `background_rmse`. Raises `UnknownIdError`
    for an unknown track, split or mode; `L96BenchError` for numbers that make no sense, or an episode longer than the
    split.

    Parameters
    ----------
    track : {"dense", "sparse"}
        The setting of the cycle.
    num_envs : int, optional
        As for `OnlineRolloutVectorEnv`.
    local : bool
        As for `OnlineRolloutVectorEnv`.
    **options
        As for `OnlineRolloutVectorEnv`.
    episode_steps : int
        Windows of an episode.
    split : {"train", "valid", "test"}
        The part of the archive whose truth is observed.
    scale : float, optional
        What rewards are divided by; by default the standard deviation of the sums of e² / e_archive² over all pieces
        of the training archive, which is a cycle without correction, of `episode_steps` windows.

    Examples
    --------
    >>> import gymnasium
    >>> env = gymnasium.make_vec("l96bench/DAIncrement-v2", num_envs=2)  # doctest: +SKIP
    >>> gymnasium.spec("l96bench/DAIncrement-v2").vector_entry_point
    'l96bench.envs.da_increment:DAIncrementVectorEnv'
    """

    def __init__(
        self,
        track: str = "dense",
        *,
        num_envs: int | None = None,
        local: bool = False,
        episode_steps: int = 100,
        split: str = "train",
        scale: float | None = None,
        **options: Any,
    ) -> None:
        self.track, self.local, self.split = get_track(track), bool(local), chosen(split, list(PARTS), "split")
        self.regime, train = self.track.regime, load_archive(self.track, "train")
        self.K, agents = self.regime.K, self.regime.K if local else 1
        observation_space, action_space = point_spaces(self.K, self.local)
        super().__init__(
            systems_of(num_envs, agents),
            agents=agents,
            observation_space=observation_space,
            action_space=action_space,
            episode_steps=episode_steps,
            **options,
        )
        self._archive = train if split == "train" else load_archive(self.track, split)
        self._n_starts = PARTS[split].n_cycles - self.episode_steps
        if self._n_starts < 1:
            raise L96BenchError(
                f"expected episode_steps below the {PARTS[split].n_cycles} cycles of {split!r}, "
                f"got {self.episode_steps}"
            )
        self.scaling = Scaling.of_samples(train["background"], train["increment"])
        self._errors = (train["truth"][:, 1 + SPIN_UP :] - train["background"]).reshape(-1, self.K)
        self._variance, self._unit = float(train["truth"].var()), float(np.square(self._errors).mean())
        if scale is None:
            squares = np.square(self._errors).mean(axis=1).reshape(len(train["background"]), -1) / self._unit
            scale = return_scale(sliding_window_view(squares, self.episode_steps, axis=1).sum(axis=2))
        self.scale, self.interval = checked_scale(scale), self.track.window
        self._model = ResolvedModel(self.regime)
        self._inflation = Inflation(posterior=INFLATIONS[self.track.id])
        n, m, T, network = self.n_systems, self.track.n_members, self.episode_steps, self.track.network
        p = network.n_random or len(network.points or range(self.K))
        self._ensembles, self._background = np.zeros((n, m, self.K)), np.zeros((n, self.K))
        self._truth = np.zeros((n, T + 1, self.K))
        self._observed = Observed(np.zeros((n, T, p)), np.zeros((n, T, p), np.int64), np.ones((n, T, p)))
        self._rmse, self._rows = np.zeros(n), np.arange(n)

    def _places(self) -> tuple[int, int]:
        return len(self._archive["truth"]), self._n_starts

    def _begin(self, systems: NDArray[np.intp]) -> None:
        archive, m, T = self._archive, self.track.n_members, self.episode_steps
        n_segments = len(archive["truth"])
        truths, words = np.empty((len(systems), T + 2, self.K)), []
        for row, i in enumerate(systems):
            rng = self.generators[i]
            segment, start = int(rng.integers(n_segments)), int(rng.integers(self._n_starts))
            if self._given is not None:
                segment, start = self._given[row].tolist()
            truths[row] = archive["truth"][segment, SPIN_UP + start : SPIN_UP + start + T + 2]
            mean, spread = archive["background"][segment, start], archive["spread"][segment, start]
            anomalies = self._errors[rng.integers(len(self._errors), size=m)]
            anomalies -= anomalies.mean(axis=0)
            self._ensembles[i] = mean + anomalies * (spread / anomalies.std(axis=0, ddof=1))
            words.append(rng.integers(2**32, size=4).tolist())
        self._truth[systems] = truths[:, 1:]
        observations = self.track.network.draw(truths[:, :-1], words)
        self._observed.values[systems], self._observed.points[systems] = observations.values, observations.points
        self._observed.std[systems] = observations.std
        self._background[systems] = self._ensembles[systems].mean(axis=1)
        self._rmse[systems] = np.sqrt(np.square(self._background[systems] - self._truth[systems, 0]).mean(axis=1))

    def _advance(self, actions: Actions, active: Mask, rewards: Floats, terminated: Mask) -> None:
        U = self.scaling.forcing(actions) / self.track.window

        def work(first: int, last: int) -> None:
            systems = first + np.flatnonzero(active[first:last])
            if systems.size:
                self._window(systems, U[systems], rewards, terminated)

        self.over_systems(work)

    def _window(self, systems: NDArray[np.intp], U: Floats, rewards: Floats, terminated: Mask) -> None:
        """Analyse and forecast some systems under the tendencies U (system, K), and fill their rewards and ends."""
        now, whole = self.steps[systems], self._observed
        observed = Observed(whole.values[systems, now], whole.points[systems, now], whole.std[systems, now])
        background = self._ensembles[systems]
        analysis = self.track.filter.analyse(background, observed, (), self._model.layout)
        analysis = self._inflation.after(analysis, background)
        with np.errstate(over="ignore", invalid="ignore"):
            self._ensembles[systems] = self._forecast(analysis, U)
            self._background[systems] = self._ensembles[systems].mean(axis=1)
            squares = np.square(self._background[systems] - self._truth[systems, now + 1])
            self._rmse[systems] = np.sqrt(squares.mean(axis=1))
            ended = ~(self._rmse[systems] <= np.sqrt(self._variance))
            worst = self._variance
            # A minimum that takes the number when the other is NaN.
            penalties = np.fmin(squares, worst)
            penalties[ended] = worst * (self.episode_steps - now[ended])[:, None]
        terminated[systems] = ended
        penalties /= self._unit * self.scale
        rewards[systems] = -(penalties if self.local else penalties.mean(axis=1, keepdims=True))

    def _forecast(self, analysis: Floats, U: Floats) -> Floats:
        """Return the members (system, member, K) one window after the analysis, under the tendencies U (system, K)."""
        held = _Held(np.repeat(U, analysis.shape[1], axis=0))
        model = ResolvedModel(self.regime, held)
        return model.advance(analysis.reshape(-1, self.K), self.track.window).reshape(analysis.shape)

    def _observe(self, out: Actions) -> None:
        self.scaling.observe(np.nan_to_num(self._background), self._rows, self.local, 0, self.n_systems, out)

    def _infos(self) -> dict[str, NDArray[Any]]:
        return {"background_rmse": self._rmse}

    def _picture(self) -> EpisodePicture:
        mean, std = float(self._archive["truth"].mean()), float(np.sqrt(self._variance))
        states = Panel("truth X", mean, 2.5 * std)
        error = Panel("background \N{MINUS SIGN} truth", 0.0, 2.5 * np.sqrt(self._unit), error=True)
        panels = (states, replace(states, title="background mean"), error)
        title = f"DAIncrement, {self.track.id} ({self.track.regime_id})"
        return EpisodePicture(title, panels, self.K, self.episode_steps + 1, self.interval)

    def _compared(self) -> tuple[Floats, Floats]:
        return self._truth[self._rows, self.steps], self._background

    def _caption(self, system: int) -> tuple[str, Sequence[str]]:
        reward, _ = super()._caption(system)
        return f"RMSE {self._rmse[system]:.2f}   {reward}", ()


class DAIncrementEnv(ScalarEnv):
    """One filter cycle whose forecast model the agent corrects: `DAIncrementVectorEnv` with one system.

    Parameters
    ----------
    **options
        Those of `DAIncrementVectorEnv`, but for `num_envs`, `autoreset_mode` and `threads`.

    Examples
    --------
    >>> import gymnasium
    >>> env = gymnasium.make("l96bench/DAIncrement-v2", track="dense")  # doctest: +SKIP
    >>> gymnasium.spec("l96bench/DAIncrement-v2").entry_point
    'l96bench.envs.da_increment:DAIncrementEnv'
    """

    core_class: ClassVar[type[Any]] = DAIncrementVectorEnv


class _Held(Stateless):
    """The closure that gives every row a U of its own, whatever the states."""

    def __init__(self, U: Floats) -> None:
        self.U = U

    def predict(self, X: NDArray) -> NDArray:
        return self.U
