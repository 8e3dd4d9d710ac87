"""What tests of several environments compare: the rows of a batch with the scalar environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def data_of_id(request: pytest.FixtureRequest) -> None:
    """Miniature data, unless the test is marked to use real ones."""
    if request.node.get_closest_marker("real_data") is None:
        request.getfixturevalue("miniature_registry")


@pytest.fixture
def rows_are_scalars() -> Callable[..., None]:
    """The function `_rows_are_scalars`."""
    return _rows_are_scalars


def _rows_are_scalars(
    id: str, actions: NDArray[np.float32], mode: AutoresetMode, *, agents: int = 1, threads: int = 1, **options: Any
) -> None:
    """Assert that systems of a batch, at least 64, equal the scalar environments of their seeds bit for bit.

    `actions` is (step, system, scalar action), for several episodes of the batch.
    """
    n = actions.shape[1]
    batch = gymnasium.make_vec(id, num_envs=n * agents, autoreset_mode=mode, threads=threads, **options)
    seen, _ = batch.reset(seed=30)
    returned: list[tuple[Any, ...]] = [(seen, np.zeros(n * agents), *np.zeros((2, n * agents), bool), None)]
    for action in actions:
        seen, rewards, terminated, truncated, infos = batch.step(action.reshape(batch.action_space.shape))
        final, ended = infos.get("final_obs"), terminated | truncated
        if mode is AutoresetMode.DISABLED and ended.any():
            final, (seen, _) = seen, batch.reset(options={"reset_mask": ended})
        returned.append((seen, rewards, terminated, truncated, final))
    batch.close()
    scalar = gymnasium.make(id, **options)
    for i in range(0, n, max(n // 64, 1)):
        own = slice(i * agents, (i + 1) * agents)
        for row, expected in zip(returned, _episodes(scalar, 30 + i, actions[:, i], mode), strict=True):
            seen, rewards, terminated, truncated, final = row
            assert np.array_equal(seen[own].reshape(-1), expected[0])
            assert rewards[own].mean() == expected[1]
            assert (bool(terminated[own].any()), bool(truncated[own].any())) == expected[2]
            assert (terminated[own] == terminated[own][0]).all(), "points of a system end together"
            if expected[3] is not None:
                assert np.array_equal(np.concatenate(list(final[own])), expected[3])


def _episodes(
    env: gymnasium.Env[Any, Any], seed: int, actions: NDArray[np.float32], mode: AutoresetMode
) -> list[tuple[Any, ...]]:
    """What a batch in that mode returns for a row: observation, reward, (terminated, truncated), last observation."""
    seen, _ = env.reset(seed=seed)
    out: list[tuple[Any, ...]] = [(seen, 0.0, (False, False), None)]
    ended = False
    for action in actions:
        if ended and mode is AutoresetMode.NEXT_STEP:
            seen, _ = env.reset()
            out.append((seen, 0.0, (False, False), None))
            ended = False
            continue
        seen, reward, terminated, truncated, _ = env.step(action)
        ended, final = terminated or truncated, None
        if ended and mode is not AutoresetMode.NEXT_STEP:
            final, (seen, _) = seen, env.reset()
        out.append((seen, reward, (terminated, truncated), final))
    return out
