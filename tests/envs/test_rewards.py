"""What all rewards promise: no return above the truth's, no gain in ending, the order of scores, one size.

The search is a cross-entropy method over policies of nine parameters. `EquationRecovery` is searched in its own tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.envs.online_rollout import REWARDS
from l96bench.envs.registration import ENVIRONMENTS
from l96bench.envs.scaling import Scaling
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.tasks.registry import make_task

Array = NDArray[np.float64]
Agent = Callable[[Any, NDArray[np.float32]], Any]
"""From an environment and what it shows to actions."""

FORCING, ROLLOUT, INCREMENT = (f"l96bench/{name}-v2" for name in ("SubgridForcing", "OnlineRollout", "DAIncrement"))
OBSERVED, RECOVERY = (f"l96bench/{name}-v2" for name in ("ObservedClosure", "EquationRecovery"))
UNSEEN = "l96bench/UnseenPhysics-v1"
CLOSURES: list[tuple[str, dict[str, Any]]] = [
    (FORCING, {}),
    *((ROLLOUT, {"reward": reward, "episode_steps": 200 if reward == "climate" else 60}) for reward in REWARDS),
]
miniature = pytest.mark.usefixtures("miniature_registry")


def play(agent: Agent, id: str, rows: int, seed: int = 0, **options: Any) -> tuple[Array, NDArray[np.bool_]]:
    """The returns of the first episode of every row, and whether it was terminated."""
    envs = gymnasium.make_vec(id, num_envs=rows, **options)
    seen, _ = envs.reset(seed=seed)
    returns, going, died = np.zeros(rows), np.ones(rows, bool), np.zeros(rows, bool)
    while going.any():
        actions = np.clip(agent(envs.unwrapped, seen), -1, 1).astype(np.float32)
        seen, rewards, terminated, truncated, _ = envs.step(actions)
        returns += rewards * going
        died |= terminated & going
        going &= ~(terminated | truncated)
    return returns, died


def acting(U: Callable[[Any], Any]) -> Agent:
    """The agent that acts a U, of (row, K) or alike everywhere."""
    return lambda env, seen: np.broadcast_to(env.scaling.action(U(env)), seen.shape)


def step_of_model(X: Array, U: Array, F: float, dt: float = 0.01) -> Array:
    """The resolved model after one step of RK4, U held."""

    def slope(X: Array) -> Array:
        return np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + F + U

    a = slope(X)
    b = slope(X + dt / 2 * a)
    c = slope(X + dt / 2 * b)
    return X + dt / 6 * (a + 2 * b + 2 * c + slope(X + dt * c))


def true_U(env: Any) -> Array:
    """The U that carries the model to the truth's next state, or that of the present sample."""
    if type(env).__name__ == "SubgridForcingVectorEnv":
        task = make_task(f"subgrid-forcing/{env.regime.id}-v1")
        return np.asarray(task.train.U)[env.at[:, 1]]
    fine = make_task(f"online-rollout/{env.regime.id}-v2").train_fine
    place = np.repeat(env.at[:, 1], env.members)
    U = np.array(fine.U[place], dtype=float)
    for _ in range(4):
        U += (fine.X[place + 1] - step_of_model(env.X, U, env.regime.F)) / 0.01
    return U


class Policies:
    """Policies of nine parameters: linear in five neighbours, a constant, a square, and noise with memory."""

    def __init__(self, parameters: Array, rows: int) -> None:
        self.p = np.repeat(parameters, rows // len(parameters), axis=0)[:, :, None]
        self.rng, self.noise = np.random.default_rng(0), 0.0

    def __call__(self, env: Any, seen: NDArray[np.float32]) -> Array:
        p, memory = self.p, 1 / (1 + np.exp(-self.p[:, 8]))
        self.noise = memory * self.noise + np.sqrt(1 - memory**2) * self.rng.standard_normal(seen.shape)
        mean = p[:, 0] + sum(p[:, 1 + j] * np.roll(seen, 2 - j, 1) for j in range(5)) + p[:, 6] * seen * seen
        return np.asarray(mean + np.exp(np.minimum(p[:, 7], 0.0)) * self.noise)


def search(values: Callable[[Array], Array], centre: Array, rounds: int = 8, n: int = 16) -> Array:
    """The best parameters that a cross-entropy search finds."""
    width, rng = np.array([0.03] * 7 + [0.3, 0.3]), np.random.default_rng(1)
    for _ in range(rounds):
        tried = np.vstack([centre, centre + width * rng.standard_normal((n - 1, 9))])
        leaders = tried[np.argsort(-values(tried))[: n // 4]]
        centre, width = leaders.mean(axis=0), leaders.std(axis=0) + 0.003
    return np.asarray(centre)


def fitted_start(regime: str) -> Array:
    """The parameters that are half of linear least squares for the true U, with little noise."""
    train, scaling = make_task(f"subgrid-forcing/{regime}-v1").train, Scaling.of(regime)
    X = (np.asarray(train.X)[::10] - scaling.mean_X) / scaling.std_X
    columns = [np.ones_like(X), *(np.roll(X, 2 - j, 1) for j in range(5)), X * X]
    A = np.stack(columns, axis=-1).reshape(-1, 7)
    weights = np.linalg.lstsq(A, scaling.action(np.asarray(train.U)[::10]).ravel(), rcond=None)[0]
    return np.append(0.5 * weights, [-4.0, 0.0])


@pytest.mark.slow
@miniature
@pytest.mark.parametrize("regime", ["wilks-f20", "arnold-c4"])
@pytest.mark.parametrize(("id", "options"), CLOSURES, ids=str)
def test_nothing_returns_more_than_the_true_U(id: str, options: dict[str, Any], regime: str) -> None:
    """It returns 0 in every episode. The same scaled, shifted or with noise has less, and what a search finds."""
    rows, options = 512, options | {"regime": regime}
    own, _ = play(acting(true_U), id, 64, **options)
    assert np.abs(own).max() < 1e-6
    rng, std = np.random.default_rng(0), Scaling.of(regime).std_U
    for scale in (0.0, 0.5, 0.9, 1.1, 1.5):
        other, _ = play(acting(lambda env, scale=scale: scale * true_U(env)), id, 64, **options)
        assert other.max() < -1e-6
    for error in (0.05, 0.5):
        noisy, _ = play(acting(lambda env, e=error * std: true_U(env) + rng.normal(0, e, (64, 8))), id, 64, **options)
        shifted, _ = play(acting(lambda env, e=error * std: true_U(env) + e), id, 64, **options)
        assert max(noisy.max(), shifted.max()) < 1e-6

    def values(tried: Array) -> Array:
        return play(Policies(tried, rows), id, rows, **options)[0].reshape(len(tried), -1).mean(axis=1)

    start = fitted_start(regime)
    found = search(values, start)
    before, after = values(np.vstack([start, found]))
    assert before < after < -1e-3, "the search finds something, and it is not the truth"


@pytest.mark.slow
@miniature
def test_nothing_fits_observations_better_than_their_errors() -> None:
    """Where the truth is not known: a misfit below the variance of the errors would be that of errors, not of X."""
    rows, options = 512, {"track": "wilks-f20-dense", "episode_steps": 40}
    env = gymnasium.make_vec(OBSERVED, num_envs=1, **options).unwrapped

    def values(tried: Array) -> Array:
        return play(Policies(tried, rows), OBSERVED, rows, **options)[0].reshape(len(tried), -1).mean(axis=1)

    found = search(values, np.append(np.zeros(7), [-4.0, 0.0]))
    before, after = values(np.vstack([np.append(np.zeros(7), [-4.0, 0.0]), found]))
    assert before < after < -8 / env.scaling.std_X**2 / env.scale


@pytest.mark.real_data
@pytest.mark.parametrize("track", ["dense", "sparse"])
def test_nothing_returns_more_than_perfect_increments(track: str) -> None:
    """They lead the background mean to the next truth. Scaled or with noise they return less; so does a search."""
    rows, options = 16, {"track": track, "episode_steps": 20}
    perfect, _ = play(_Perfect(1.0), INCREMENT, rows, **options)
    for agent in (_Perfect(0.0), _Perfect(0.7), _Perfect(0.95), _Perfect(1.3), _Perfect(1.0, noise=0.05)):
        other, _ = play(agent, INCREMENT, rows, **options)
        assert (other < perfect).all()
    rows = 16 * 16 if track == "dense" else 16 * 2

    def values(tried: Array) -> Array:
        return play(Policies(tried, rows), INCREMENT, rows, **options)[0].reshape(len(tried), -1).mean(axis=1)

    start = np.append(np.zeros(7), [-5.0, 0.0])
    found = search(values, start, rounds=6 if track == "dense" else 3)
    before, after = values(np.vstack([np.tile(start, (8, 1)), np.tile(found, (8, 1))])).reshape(2, -1).mean(axis=1)
    assert before < after < perfect.mean()


class _Perfect:
    """An agent of `DAIncrement` that finds the increments with which the mean of its members comes upon the truth."""

    def __init__(self, scale: float, noise: float = 0.0) -> None:
        self.scale, self.noise, self.rng = scale, noise, np.random.default_rng(0)

    def __call__(self, env: Any, seen: NDArray[np.float32]) -> Array:
        mean, std = env.scaling.mean_U, env.scaling.std_U
        ensembles, background, rmse = env._ensembles.copy(), env._background.copy(), env._rmse.copy()
        n = len(ensembles)
        needed, nothing = np.zeros_like(background), (np.zeros((n, env.agents)), np.zeros(n, bool))
        for _ in range(8):
            env._ensembles[:] = ensembles
            env._window(np.arange(n), needed / env.track.window, *nothing)
            needed += env._truth[np.arange(n), env.steps + 1] - env._background
        env._ensembles[:], env._background[:], env._rmse[:] = ensembles, background, rmse
        action = (self.scale * needed - mean) / (4.5 * std)
        return np.asarray(action + self.noise * self.rng.standard_normal(action.shape))


# No gain in ending.


@pytest.mark.real_data
def test_no_filter_gains_by_diverging() -> None:
    """Agents that end their episodes return less than the worst that complete them, in the mean and each."""
    rows, rng = 32, np.random.default_rng(0)
    agents: list[Agent] = [
        *(lambda env, seen, c=c: np.full(seen.shape, c) for c in (-1.0, -0.6, -0.2, 0.0, 0.1, 0.3, 0.6, 1.0)),
        *(lambda env, seen, r=r: rng.uniform(-r, r, seen.shape) for r in (0.1, 0.3, 0.6, 1.0)),
        lambda env, seen: np.tile([1.0, -1.0], 4) * np.ones(seen.shape),
    ]
    runs = [play(agent, INCREMENT, rows, seed=3) for agent in agents]
    ended = np.concatenate([returns[died] for returns, died in runs])
    whole = np.concatenate([returns[~died] for returns, died in runs])
    assert min(len(ended), len(whole)) > 2 * rows
    early = np.concatenate([returns[died] for returns, died in runs if died.all()])
    assert early.max() < whole.min()
    assert ended.max() < np.median(whole)


# One size.


def nothing(env: Any, seen: NDArray[np.float32]) -> Any:
    return np.full((len(seen), 1 if env.local else env.regime.K), env.scaling.action(0.0))


@pytest.mark.slow
@miniature
@pytest.mark.parametrize("regime", ["wilks-f20", "arnold-c4", "three-scale"])
@pytest.mark.parametrize(
    ("id", "options"), [*CLOSURES, (ROLLOUT, {"episode_steps": 20}), (FORCING, {"episode_steps": 9})], ids=str
)
def test_returns_without_closure_have_a_standard_deviation_of_one(
    id: str, options: dict[str, Any], regime: str
) -> None:
    """On other starts than those that the scale is from; for the points of `local` of the same order."""
    returns, _ = play(nothing, id, 512, seed=10_000, regime=regime, **options)
    assert 0.7 < returns.std() < 1.4
    local, _ = play(nothing, id, 512, seed=10_000, regime=regime, local=True, **options)
    assert 0.5 < local.std() < 10.0


@pytest.mark.slow
@miniature
def test_other_returns_are_of_that_order() -> None:
    for id, options in ((OBSERVED, {}), *((UNSEEN, {"reward": reward}) for reward in ("forecast", "tendency"))):
        returns, _ = play(nothing, id, 256, seed=10_000, **options)
        assert 0.5 < returns.std() < 2.0
    rng = np.random.default_rng(0)
    returns, _ = play(lambda env, seen: 0.2 * rng.standard_normal((len(seen), 21)), RECOVERY, 256)
    assert 0.3 < returns.std() < 3.0


@pytest.mark.real_data
@pytest.mark.parametrize(("track", "rows"), [("dense", 64), ("sparse", 16)])
def test_returns_without_correction_have_a_standard_deviation_of_one(track: str, rows: int) -> None:
    """The scale is from the archive, whose inflation is another one."""

    def nothing(env: Any, seen: NDArray[np.float32]) -> Any:
        return np.full(seen.shape, -env.scaling.mean_U / 4.5 / env.scaling.std_U)

    returns, _ = play(nothing, INCREMENT, rows, track=track)
    assert 0.3 < returns.std() < 3.0


@miniature
def test_the_scale_is_the_documented_one() -> None:
    """From the documented starts, with NumPy alone; and it divides every reward."""
    task, scaling, steps = make_task("online-rollout/wilks-f20-v2"), Scaling.of("wilks-f20"), 30
    fine = np.asarray(task.train_fine.X)
    drawn = [np.random.Generator(np.random.PCG64(seed)).random() for seed in range(256)]
    place = (np.array(drawn) * (len(fine) - steps)).astype(int)
    X, total = fine[place], np.zeros(256)
    nothing = np.full(8, scaling.mean_U + 4.5 * scaling.std_U * scaling.action(0.0).astype(float))
    for step in range(1, steps + 1):
        X = step_of_model(X, nothing, task.regime.F)
        total -= np.square((X - fine[place + step]) / scaling.std_X).mean(axis=1)
    plain, raw = (gymnasium.make(ROLLOUT, episode_steps=steps, scale=scale) for scale in (None, 1.0))
    scale = plain.unwrapped.core.scale
    assert scale == pytest.approx(total.std(), rel=6e-3), "three digits"
    for env in (plain, raw):
        env.reset(seed=3)
    for _ in range(3):
        rewards = [env.step(np.full(8, 0.5, np.float32))[1] for env in (plain, raw)]
        assert rewards[1] == pytest.approx(scale * rewards[0])


# The order of scores.


@pytest.mark.real_data
@pytest.mark.parametrize("regime", ["wilks-f20", "arnold-c4"])
def test_returns_have_the_order_of_scores(regime: str) -> None:
    """From no closure to the fitted quartic: by the scores that the tasks give the same closures."""
    online, offline = make_task(f"online-rollout/{regime}-v2"), make_task(f"subgrid-forcing/{regime}-v1")
    quartic = PolynomialRegressor(degree=4)
    offline.fit(quartic)
    ladder = [_Scaled(quartic, scale) for scale in (0.0, 0.5, 1.0)]
    scores = {FORCING: [offline.score(each) for each in ladder], ROLLOUT: [online.score(each) for each in ladder]}

    def agent(env: Any, seen: NDArray[np.float32], closure: Any) -> Any:
        return env.scaling.action(closure.predict(env.scaling.mean_X + env.scaling.std_X * seen.astype(float)))

    for id, options in CLOSURES:
        steps = {"episode_steps": 1000} if options.get("reward") == "climate" else {}
        returns = []
        for each in ladder:
            played, _ = play(partial(agent, closure=each), id, 256, **options | steps, regime=regime)
            returns.append(played.mean())
        assert scores[id] == sorted(scores[id])
        assert returns == sorted(returns), (id, options, returns, scores[id])
        assert returns[-1] < 0


class _Scaled:
    """A closure times a number."""

    def __init__(self, closure: Any, scale: float) -> None:
        self.closure, self.scale = closure, scale

    def predict(self, X: Array) -> Array:
        return np.asarray(self.scale * self.closure.predict(X))


@pytest.mark.real_data
def test_returns_of_increments_have_the_order_of_scores() -> None:
    """Linear increments times .4 to 1: the more of the error they undo, the more they return."""
    task = make_task("da-increment/dense-v1")
    X, increments = np.asarray(task.train.X), np.asarray(task.train.U)
    slope, intercept = np.polyfit(X.ravel(), increments.ravel(), 1)

    class Increments:
        def __init__(self, scale: float) -> None:
            self.scale = scale

        def predict(self, X: Array) -> Array:
            return self.scale * (intercept + slope * np.asarray(X))

    def agent(env: Any, seen: NDArray[np.float32], model: Any) -> Array:
        own = env.scaling
        wanted = model.predict(own.mean_X + own.std_X * seen.astype(float))
        return np.asarray((wanted - own.mean_U) / (4.5 * own.std_U))

    ladder = [Increments(scale) for scale in (0.0, 0.4, 0.6, 0.8, 1.0)]
    returns = [play(lambda env, seen, m=each: agent(env, seen, m), INCREMENT, 32, seed=3)[0].mean() for each in ladder]
    scores = [task.score(each) for each in ladder]
    assert scores == sorted(scores)
    assert returns == sorted(returns), (returns, scores)


def test_version_1_is_withdrawn() -> None:
    for id in set(ENVIRONMENTS) - {UNSEEN}:
        withdrawn = pytest.raises(gymnasium.error.DeprecatedEnv, match=f"Please use `{id}` instead")
        with withdrawn, pytest.warns(DeprecationWarning, match="out of date"):
            gymnasium.make(id.replace("-v2", "-v1"))
    assert set(ENVIRONMENTS) == {FORCING, ROLLOUT, INCREMENT, OBSERVED, UNSEEN, RECOVERY}
