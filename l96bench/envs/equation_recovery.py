"""`l96bench/EquationRecovery-v2`: choose coefficients so that few terms explain a trajectory."""

from __future__ import annotations

import textwrap
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from l96bench.data.instances import RecoveryTrack, draw_instance, get_track
from l96bench.data.recovery import load_instance, observe
from l96bench.envs import kernels
from l96bench.envs.checks import checked_scale, chosen, systems_of
from l96bench.envs.core import Actions, BatchedEnv, Floats, Mask
from l96bench.envs.equation_data import (
    ACTION_SCALE,
    BLOCK,
    CUT_OFF,
    STRIDE,
    acted,
    block_of,
    candidates_of,
    normalized,
    seen,
    stacked,
    sums,
    sums_of_block,
    texts_of,
    windows,
)
from l96bench.envs.render import EpisodePicture, Panel, shortened
from l96bench.envs.scalar import ScalarEnv
from l96bench.equations.equation_set import EquationSet
from l96bench.equations.library import Candidates
from l96bench.parallel import one_thread

__all__ = ["EquationRecoveryEnv", "EquationRecoveryVectorEnv"]

Array = NDArray[np.float64]

_EVERY = 10
"""Samples of 0.01 MTU from one of the states that the operator residual is over to the next."""
_LINES, _LINE_WIDTH = 6, 92
"""Lines of equations in a picture, and letters in each."""
_SPLITS = {"train": 1, "valid": 2, "test": None}
"""The seeds of each split's instances; None for the registered ones, which the task scores."""


class EquationRecoveryVectorEnv(BatchedEnv):
    """A batch of trajectories whose equations the agent writes, coefficient by coefficient.

    Every system is one data set of a track of `equation-recovery`: an instance, an observation noise and a budget drawn
    at reset from the track's, and a random window of that length in the instance's noisy training trajectory. The
    library holds the 21 monomials up to degree 2 of ``X[k-2] .. X[k+2]``; on the tracks with fast variables also
    ``sum(Y[k])``, and for Y the 21 monomials of ``Y[k,j-2] .. Y[k,j+2]`` and ``X[k]``. A term has one coefficient all
    around the ring; with ``local`` every point is an agent with coefficients of its own.

    **Action**: coefficient i is ``3 a_i s_i``, with ``s_i = |y| / |theta_i|`` the one with which term i alone would
    be as large as the tendency; ``|a_i| < 0.003`` leaves it out. Every action writes the equations anew.
    **Data**: y and theta are tendency and terms in the weak form (`WeakForm`), averaged over windows of the observed,
    noisy states. Norms and products are over all windows and points; with ``local`` over those of the point.
    **Observation**: the correlations ``<theta_i, y> / |theta_i| |y|``, those of each term with what is left,
    ``<theta_i, y - f> / |theta_i| |y|``, the present a (0 for terms left out), and the relative residual
    ``|y - f| / |y|`` of each kind of variable; cut off at 10. **Reward**: the rise of ``F1 + 1 - R``, over `scale`, the
    mean of X's and Y's: the score of the task in units of 50 points, but for the floor of its second part, which could
    not be climbed. F1 is that of the terms, R the operator residual, over states of the instance's training trajectory
    without noise, U included where Y is hidden. So the true equations have most, whatever the noise did to the data;
    these are known to the reward and not to the agent. It is 0 for the empty equation, and an episode's rewards add up
    to that of its last equations. **End**: ``truncated`` after `episode_steps`; never ``terminated``.

    ``info`` holds `residual` (of the data), `operator_residual`, `f1` and `n_terms` of the system, the `instance`,
    `noise` and `budget` (MTU) drawn, and after the last step `equations` in the grammar of the task: a tuple of texts,
    empty before. Raises `UnknownIdError` for an unknown track, split or mode; `L96BenchError` for numbers that make no
    sense.

    Parameters
    ----------
    track : str
        ``single``, ``two-scale``, ``hidden``, or one of them with ``-coarse``.
    num_envs : int, optional
        As for `OnlineRolloutVectorEnv`.
    local : bool
        As for `OnlineRolloutVectorEnv`.
    **options
        As for `OnlineRolloutVectorEnv`.
    episode_steps : int
        Times that the agent writes the equations.
    split : {"train", "valid", "test"}
        The instances: ten that the task does not score, ten others, or the registered ones that it scores.
    scale : float
        What rewards are divided by. Doing nothing pays nothing here; under random actions of std 0.2 the returns have a
        std of about 0.5, and the true equations have a return of 2 or little less.

    Examples
    --------
    >>> import gymnasium
    >>> env = gymnasium.make_vec("l96bench/EquationRecovery-v2", num_envs=2, track="single")
    >>> env.action_space.shape  # a coefficient for each of the 21 terms
    (2, 21)
    """

    def __init__(
        self,
        track: str = "single",
        *,
        num_envs: int | None = None,
        local: bool = False,
        episode_steps: int = 20,
        split: str = "train",
        scale: float = 1.0,
        **options: Any,
    ) -> None:
        self.track = get_track(track)
        self.local, self.split = bool(local), chosen(split, list(_SPLITS), "split")
        self._candidates = candidates_of(self.track)
        self.K, self._n_terms = self.track.K, len(self._candidates[0].terms)
        n_actions = len(self._candidates) * self._n_terms
        agents = self.K if local else 1
        super().__init__(
            systems_of(num_envs, agents),
            agents=agents,
            observation_space=spaces.Box(-CUT_OFF, CUT_OFF, (3 * n_actions + len(self._candidates),), np.float32),
            action_space=spaces.Box(-1.0, 1.0, (n_actions,), np.float32),
            episode_steps=episode_steps,
            **options,
        )
        shape = (self.n_systems, agents, len(self._candidates), self._n_terms)
        self._gram, self._moment, self._scale = np.zeros((*shape, self._n_terms)), np.zeros(shape), np.ones(shape)
        self._actions, self._left, self._residual = np.zeros(shape), np.zeros(shape), np.ones(shape[:3])
        # Of the truth: products and moments as above, how much larger its terms' units are, and which terms it has.
        self._true_gram, self._true_moment, self._units = np.zeros_like(self._gram), np.zeros(shape), np.ones(shape)
        self._is_true = np.zeros((self.n_systems, *shape[2:]), dtype=bool)
        self._f1, self._operator_residual = np.zeros(shape[:3]), np.ones(shape[:3])
        self._worth, self.scale = np.zeros(shape[:2]), checked_scale(scale)
        self._drawn = np.zeros((self.n_systems, 4), dtype=np.int64)
        self._texts = np.full(self.n_systems, None, dtype=object)

    @property
    def shown(self) -> Array:
        """Mean and standard deviation by which each value that a row sees is scaled, (2, width): as they are."""
        width = 3 * len(self._candidates) * self._n_terms + len(self._candidates)
        return np.repeat([[0.0], [1.0]], width, axis=1)

    def _begin(self, systems: NDArray[np.intp]) -> None:
        track = self.track
        for i in systems:
            rng = self.generators[i]
            instance, noise = int(rng.integers(track.n_instances)), int(rng.integers(len(track.noises)))
            n_blocks = round(track.budgets[int(rng.integers(len(track.budgets)))] / BLOCK)
            first = int(rng.integers(round(max(track.budgets) / BLOCK) - n_blocks + 1))
            self._drawn[i] = instance, noise, first, n_blocks
            gram, moment, square = (
                part[first : first + n_blocks].sum(axis=0)
                for part in _moments(track.id, self.split, instance, track.noises[noise])
            )
            own, self._is_true[i] = _of_truth(track.id, self.split, instance)
            self._gram[i], self._moment[i], self._scale[i] = normalized(gram, moment, square, self.local)
            self._true_gram[i], self._true_moment[i], unit = normalized(*own, self.local)
            self._units[i] = self._scale[i] / unit
            self._texts[i] = ()
        self._actions[systems] = 0.0
        self._write(systems, 0, len(systems))

    def _write(self, systems: NDArray[np.intp], first: int, last: int) -> None:
        """Evaluate the present equations of systems[first:last]: what they leave, and what they are worth."""
        kernels.judge_equations(
            *(self._actions, ACTION_SCALE, self._gram, self._moment, self._left, self._residual),
            *(self._units, self._true_gram, self._true_moment, self._is_true, _weights(self.track)),
            *(self._operator_residual, self._f1, self._worth, systems, first, last),
        )

    def _advance(self, actions: Actions, active: Mask, rewards: Floats, terminated: Mask) -> None:
        systems, before = np.flatnonzero(active), self._worth.copy()
        self._actions[systems] = acted(actions)[systems].reshape(-1, *self._actions.shape[1:])
        n = len(systems)
        self.over_systems(lambda i, j: self._write(systems, n * i // self.n_systems, n * j // self.n_systems))
        rewards[:] = (self._worth - before) / self.scale
        for i in np.flatnonzero(active & (self.steps + 1 >= self.episode_steps)):
            self._texts[i] = tuple(self._equations(int(i)))

    def _equations(self, system: int) -> list[str]:
        """Return the equations that a system's present coefficients make."""
        return texts_of(self._candidates, self._actions[system], self._scale[system], self.local)

    def _observe(self, out: Actions) -> None:
        out[:] = seen(self._moment, self._left, self._actions, self._residual).reshape(out.shape)

    def _infos(self) -> dict[str, NDArray[Any]]:
        instance, noise, _, n_blocks = self._drawn.T
        return {
            "residual": self._residual.mean(axis=(1, 2)),
            "operator_residual": self._operator_residual.mean(axis=(1, 2)),
            "f1": self._f1.mean(axis=(1, 2)),
            "n_terms": np.count_nonzero(self._actions, axis=(1, 2, 3)),
            "instance": instance,
            "noise": np.array(self.track.noises)[noise],
            "budget": BLOCK * n_blocks,
            "equations": self._texts,
        }

    def _remember(self, systems: NDArray[np.intp]) -> None:
        """Do nothing: a picture shows the present equations on all of the data."""

    def frame(self, system: int) -> NDArray[np.uint8]:
        """The tendencies of X in the first 5 MTU of the data, as observed and by the equations, and the equations."""
        self._require(self._started, "expected reset() before render()")
        instance, noise, first, _ = self._drawn[system].tolist()
        level = self.track.noises[noise]
        states = _states(self.track.id, self.split, instance, level, first)
        features, tendency = windows(self._candidates[0], states, self.track)
        coefficients = (ACTION_SCALE * self._actions * self._scale)[system, :, 0]
        model = (features * coefficients).sum(axis=-1)
        reach = 2.5 * float(tendency.std())
        panels = (
            Panel("dX/dt, data", 0.0, reach),
            Panel("dX/dt, equations", 0.0, reach),
            Panel("equations \N{MINUS SIGN} data", 0.0, reach, error=True),
        )
        title = f"EquationRecovery, {self.track.id}, instance {instance}, noise {100 * level:g} %"
        interval = STRIDE * self.track.interval
        picture = EpisodePicture(title, panels, self.K, len(tendency), interval, n_lines=_LINES)
        status = (
            f"residual {self._residual[system].mean():.3f}   {np.count_nonzero(self._actions[system])} terms   "
            f"reward {self._last_rewards[system]:.3g}"
        )
        corner = f"step {self.steps[system]}"
        return picture.frame((tendency, model, model - tendency), status, self._lines(system), corner=corner)

    def _lines(self, system: int) -> list[str]:
        """Return the present equations, of the first point if they differ, with three digits, as lines of text."""
        coefficients = ACTION_SCALE * self._actions[system, 0] * self._scale[system, 0]
        rounded = np.array([float(f"{value:.3g}") for value in coefficients.ravel()]).reshape(coefficients.shape)
        lines: list[str] = []
        for candidates, row in zip(self._candidates, rounded, strict=True):
            text = candidates.shared_text(row) + (" at k = 0" if self.local else "")
            most = _LINES // len(self._candidates)
            lines += shortened(textwrap.wrap(text, _LINE_WIDTH, subsequent_indent="    "), most)
        return lines


class EquationRecoveryEnv(ScalarEnv):
    """One trajectory whose equations the agent writes: `EquationRecoveryVectorEnv` with one system.

    Parameters
    ----------
    **options
        Those of `EquationRecoveryVectorEnv`, but for `num_envs`, `autoreset_mode` and `threads`.

    Examples
    --------
    >>> import gymnasium
    >>> env = gymnasium.make("l96bench/EquationRecovery-v2", track="single")
    >>> env.action_space.shape
    (21,)
    """

    core_class: ClassVar[type[Any]] = EquationRecoveryVectorEnv


@cache
def _moments(track: str, split: str, instance: int, noise: float) -> tuple[Array, Array, Array]:
    """Return products terms x terms, terms x tendency, tendency x tendency (block, K, kind, ..), summed over time."""
    about = get_track(track)
    blocks = range(round(max(about.budgets) / BLOCK))
    with one_thread():
        found = [sums_of_block(_states(track, split, instance, noise, block), about) for block in blocks]
    return stacked(found)


@cache
def _of_truth(track: str, split: str, instance: int) -> tuple[tuple[Array, Array, Array], NDArray[np.bool_]]:
    """Return the sums of `_moments` (K, kind, ..) for the true tendency at states without noise, and the true terms."""
    about = get_track(track)
    system = draw_instance(about.base, instance, _SPLITS[split])
    data, truth = load_instance(system), EquationSet.parse(system.texts, about.K, system.observed_J)
    states = np.asarray(data.train[::_EVERY])
    tendency = system.tendency(states, None if data.train_U is None else data.train_U[::_EVERY])
    parts, is_true = [], []
    with one_thread():
        for each in candidates_of(about):
            own = slice(0, about.K) if each.kind == "X" else slice(about.K, None)
            features = each.features(states[:, : about.K], states[:, about.K :])
            parts.append(sums(features, tendency[:, own], about.K))
            known = truth.monomials(0 if each.kind == "X" else about.K).keys()
            is_true.append([keys <= known for keys in _monomials(each)])
    return stacked(parts, axis=1), np.array(is_true)


@cache
def _weights(track: RecoveryTrack) -> Array:
    """Return how many monomials each candidate (kind, term) is, all of them together being its sum."""
    return np.array([[float(len(keys)) for keys in _monomials(each)] for each in candidates_of(track)])


@cache
def _monomials(candidates: Candidates) -> tuple[frozenset[Any], ...]:
    """Return the monomials of each candidate in the equation of the first variable of its kind."""
    K, J = candidates.K, candidates.J
    first = 0 if candidates.kind == "X" else K
    sets = (EquationSet.parse([f"d{candidates.left}/dt = {text}"], K, J) for text in candidates.symbols())
    return tuple(frozenset(each.monomials(first)) for each in sets)


def _states(track: str, split: str, instance: int, noise: float, block: int) -> Array:
    """Return the observed states (time, n) of a block, and those after it that its last windows reach."""
    return block_of(_observed(track, split, instance, noise), get_track(track), block)


@lru_cache(maxsize=4)
def _observed(track: str, split: str, instance: int, noise: float) -> Array:
    about = get_track(track)
    return observe(draw_instance(about.base, instance, _SPLITS[split]), about, noise)[0]
