"""Proximal policy optimization on batched environments: one buffer, large minibatches, and nothing in between.

The algorithm is that of Schulman et al. (2017), arXiv:1707.06347, with the advantages of Schulman et al. (2016),
arXiv:1506.02438, and its options have the names of stable-baselines3. There are two additions. The policy is the mean
of the weights of the last part of the training (Izmailov et al. 2018, arXiv:1803.05407), because a climate depends on
small errors of the mean action. And all rows begin anew at a few fixed times, from which training can be resumed.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from torch import nn

from l96bench.envs.adam import Adam
from l96bench.envs.core import BatchedEnv
from l96bench.envs.perceptron import ACTIVATIONS, Perceptron, joined
from l96bench.envs.policy_gradients import clipped_slope, generalized_advantages
from l96bench.errors import L96BenchError
from l96bench.files import write_atomic
from l96bench.parallel import one_thread
from l96bench.progress import progress

__all__ = ["BatchPPO", "PPOOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOOptions:
    """The options of `BatchPPO`, by the names of stable-baselines3.

    Parameters
    ----------
    gamma, gae_lambda : float
        Discount, and the decay of the generalized advantages.
    n_steps, batch_size, n_epochs : int
        Steps of all rows between updates, rows of a minibatch, and times that all of them are used.
    learning_rate : float
        Of Adam at first; it falls linearly to zero.
    clip_range, ent_coef, vf_coef, max_grad_norm : float
        Of the ratio of probabilities; weights of the entropy and of the loss of the values (0 for no value network, and
        values of 0); largest norm of a gradient.
    net_arch : tuple of int
        Hidden units of the policy, and of the value network beside it.
    activation : {"tanh", "relu", "gelu"}
    log_std_init : float
        Logarithm of the actions' standard deviation at first.
    log_std_final : float, optional
        Its logarithm from where weights are averaged, to which it falls linearly before; by default the standard
        deviation is learned.
    average : float
        The last part of the updates whose weights are averaged; 0 for none.

    Examples
    --------
    >>> from l96bench.envs import PPOOptions
    >>> options = PPOOptions(gamma=0.95, n_steps=10)
    >>> options.gamma, options.n_steps
    (0.95, 10)
    """

    gamma: float
    gae_lambda: float = 0.95
    n_steps: int = 20
    batch_size: int = 2048
    n_epochs: int = 3
    learning_rate: float = 2e-2
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    net_arch: tuple[int, ...] = (32, 32)
    activation: str = "tanh"
    log_std_init: float = -1.5
    log_std_final: float | None = None
    average: float = 0.5

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise L96BenchError(f"activation: expected one of {sorted(ACTIVATIONS)}, got {self.activation!r}")
        for name in ("gamma", "gae_lambda", "average"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise L96BenchError(f"{name}: expected a number from 0 to 1, got {getattr(self, name)}")
        if min(self.n_steps, self.batch_size, self.n_epochs) < 1 or not self.learning_rate > 0.0:
            raise L96BenchError(f"expected positive n_steps, batch_size, n_epochs and learning_rate, got {self}")


class BatchPPO:
    """PPO with a normal policy whose mean is a network, trained on all rows of a batched environment.

    The same seed gives the same bits. Everything is random by `seed` alone, the starts of episodes included.

    Parameters
    ----------
    env : VectorEnv
        One of ours, or with ``autoreset_mode="Disabled"``; with box observations (width,) and box actions from -1 to 1.
    options : PPOOptions
        How it is trained.
    seed : int
        Of everything that is random.
    device : str
        Where networks and buffer are, such as ``"cuda"``; the smallest networks are fastest on one core.

    Attributes
    ----------
    policy : torch.nn.Sequential
        From observations (row, width) to mean actions (row, n_actions) before they are cut off at the box.
    log_std : (n_actions,) tensor
        Logarithm of the actions' standard deviation.
    rewards : list of float
        The mean reward of a step and row, by update.
    seconds : float
        Processor seconds of the training, without evaluations.
    learning_curve : dict of lists
        What `learn` was told to evaluate, with ``steps``, ``seconds`` and, from the second on, ``reward``.

    Raises
    ------
    L96BenchError
        For an environment of another form.

    Examples
    --------
    >>> import gymnasium, torch
    >>> from l96bench import tasks
    >>> from l96bench.envs import BatchPPO, PolicyClosure, PPOOptions
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make_vec("l96bench/SubgridForcing-v2", num_envs=64, local=True, autoreset_mode="Disabled")
    ...
    >>> agent = BatchPPO(env, PPOOptions(gamma=0.0, n_steps=4, batch_size=128), seed=0).learn(512)
    >>> agent.closure(PolicyClosure)
    PolicyClosure(5-32-32-1, K=8)
    """

    def __init__(self, env: VectorEnv, options: PPOOptions, seed: int = 0, device: str = "cpu") -> None:
        width, n_actions = _sizes(env)
        self.env, self.options, self.seed, self.device = env, options, seed, torch.device(device)
        self._generator = torch.Generator(self.device).manual_seed(seed)
        sizes, activation = options.net_arch, options.activation
        self._policy = Perceptron((width, *sizes, n_actions), activation, 0.01, self._generator)
        self._value = Perceptron((width, *sizes, 1), activation, 1.0, self._generator)
        log_std = torch.full((n_actions,), options.log_std_init, device=self.device)
        n_policy = len(self._policy.weights)
        self._all, self._weights = joined([*self._policy.weights, log_std, *self._value.weights])
        self._policy.weights, self._log_std = self._weights[:n_policy], self._weights[n_policy]
        self._value.weights, self._trained = self._weights[n_policy + 1 :], self._weights[: n_policy + 1]
        self._adam = Adam(self._all)
        self._mean, self._average = joined(self._trained)
        self._mean.zero_()
        self._n_averaged = self._n_updates = 0
        self.rewards: list[float] = []
        self.seconds = 0.0
        self.learning_curve: dict[str, list[float]] = {}
        rows, n = env.num_envs, options.n_steps
        self._seen = torch.zeros(n, rows, width, device=self.device)
        self._acted, self._noise = torch.zeros(2, n, rows, n_actions, device=self.device)
        self._rewards, self._next, self._ended = torch.zeros(3, n, rows, device=self.device)

    # What was learned.

    @property
    def policy(self) -> nn.Sequential:
        """The mean action, with averaged weights where there are any."""
        return self._policy.module(self._found()[:-1])

    @property
    def log_std(self) -> torch.Tensor:
        """The logarithm of the actions' standard deviation, averaged like the weights."""
        return self._found()[-1].clone()

    def _found(self) -> list[torch.Tensor]:
        return self._average if self._n_averaged else self._trained

    def closure(self, kind: Any) -> Any:
        """Return the policy as a closure of a kind, such as `PolicyClosure`, by its ``from_torch``."""
        made = kind.from_torch(self.policy, self.env, std=self.log_std.exp().cpu().numpy())
        made.learning_curve = self.learning_curve
        return made

    # Training.

    def learn(
        self,
        steps: int,
        *,
        looks: int = 1,
        evaluate: Callable[[Self], dict[str, float]] | None = None,
        checkpoint: str | Path | None = None,
        show: bool | None = None,
    ) -> Self:
        """Train until all rows together have made at least so many steps.

        Parameters
        ----------
        steps : int
        looks : int
            Times, the end among them, when all rows begin anew, `evaluate` is called, and the checkpoint is written.
        evaluate : callable, optional
            Gives numbers of the agent, on validation data, for the learning curve; it is also called at the beginning.
        checkpoint : path, optional
            A file that is written at each look. If it exists, training goes on from there, with the same bits as if it
            had never been stopped.
        show : bool, optional
            Whether progress is shown; by default on a terminal.

        Raises
        ------
        L96BenchError
            For a checkpoint of another training, or one that cannot be read.
        """
        n_updates = max(1, -(-steps // (self.options.n_steps * self.env.num_envs)))
        ends = [n_updates * (i + 1) // looks for i in range(looks)]
        told = {"options": asdict(self.options), "seed": self.seed, "ends": ends, "env": str(self.env.spec)}
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and path.exists():
            self._resume(path, told)
        elif evaluate is not None:
            self._look(evaluate)
        with one_thread(), progress("PPO", n_updates, show) as advance:
            advance(self._n_updates)
            for look, end in enumerate(ends):
                if end <= self._n_updates:
                    continue
                began = time.process_time()
                state = np.random.SeedSequence((self.seed, look)).generate_state(1)
                current, _ = self.env.reset(seed=int(state[0] >> 1))
                while self._n_updates < end:
                    current = self._collect(current)
                    self._improve(n_updates)
                    advance(1)
                self.seconds += time.process_time() - began
                if evaluate is not None:
                    self._look(evaluate)
                if path is not None:
                    self._save(path, told)
        return self

    def _collect(self, current: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fill the buffer from the present observations, and return those after it."""
        std = self._log_std.exp()
        for t in range(self.options.n_steps):
            self._seen[t] = torch.from_numpy(current)
            self._noise[t].normal_(generator=self._generator)
            torch.addcmul(self._policy(self._seen[t]), self._noise[t], std, out=self._acted[t])
            actions = self._acted[t].clamp(-1.0, 1.0).cpu().numpy()
            current, rewards, terminated, truncated, _ = self.env.step(actions)
            ended = terminated | truncated
            self._rewards[t], self._ended[t] = torch.from_numpy(rewards), torch.from_numpy(ended)
            self._next[t] = 0.0
            if truncated.any():  # an episode that is cut off would have gone on
                last = torch.from_numpy(current[truncated]).to(self.device)
                self._next[t, torch.from_numpy(truncated)] = self._valued(last)
            if ended.any():
                current, _ = self.env.reset(options={"reset_mask": ended})
        self._after = self._valued(torch.from_numpy(current).to(self.device))
        self.rewards.append(float(self._rewards.mean()))
        return current

    def _valued(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the values (row,) of observations (row, width)."""
        return self._value(seen)[:, 0] if self.options.vf_coef else seen.new_zeros(len(seen))

    def _improve(self, n_updates: int) -> None:
        """Make the epochs of one update out of `n_updates`."""
        o, n = self.options, self._rewards.numel()
        values = self._valued(self._seen.view(n, -1)).view_as(self._rewards)
        going = torch.cat([values[1:], self._after[None]])
        following = torch.where(self._ended > 0.0, self._next, going)
        gains = generalized_advantages(self._rewards, values, following, self._ended, o.gamma, o.gae_lambda)
        logp = (-0.5 * self._noise.square() - self._log_std).sum(dim=-1)
        data = [self._seen.view(n, -1), self._acted.view(n, -1)]
        data += [each.reshape(n) for each in (logp, gains, gains + values)]
        rate = o.learning_rate * (1.0 - self._n_updates / n_updates)
        for _ in range(o.n_epochs):
            order = torch.randperm(n, generator=self._generator, device=self.device)
            mixed = [each[order] for each in data]
            for first in range(0, n, o.batch_size):
                self._descend(*(each[first : first + o.batch_size] for each in mixed))
                self._adam.step(rate, o.max_grad_norm)
                if self._n_updates >= n_updates * (1.0 - o.average):
                    self._n_averaged += 1
                    self._mean.lerp_(self._all[: len(self._mean)], 1.0 / self._n_averaged)
        self._n_updates += 1
        if o.log_std_final is not None:
            done = min(1.0, self._n_updates / max(1.0, n_updates * (1.0 - o.average)))
            self._log_std.fill_(o.log_std_init + (o.log_std_final - o.log_std_init) * done)

    def _descend(
        self, seen: torch.Tensor, acted: torch.Tensor, old: torch.Tensor, gains: torch.Tensor, returns: torch.Tensor
    ) -> None:
        """Set the gradient of the loss of a minibatch."""
        o = self.options
        gains = (gains - gains.mean()) / (gains.std() + 1e-8)
        layers = self._policy.layers(seen)
        precise = (-self._log_std).exp()
        z = (acted - layers[-1]) * precise
        change = (-0.5 * z.square() - self._log_std).sum(dim=-1) - old
        slope = clipped_slope(change, gains, o.clip_range)[:, None] / len(gains)
        assert self._log_std.grad is not None
        self._policy.backward(layers, slope * z * precise)
        if o.log_std_final is None:
            self._log_std.grad.copy_((slope * (z.square() - 1.0)).sum(dim=0) - o.ent_coef)
        if o.vf_coef:
            valued = self._value.layers(seen)
            self._value.backward(valued, (2.0 * o.vf_coef / len(gains)) * (valued[-1] - returns[:, None]))

    def _look(self, evaluate: Callable[[Self], dict[str, float]]) -> None:
        """Add a point to the learning curve."""
        steps = float(self._n_updates * self._rewards.numel())
        found = {"steps": steps, "seconds": self.seconds, **evaluate(self)}
        if self.rewards:
            since = self.learning_curve["steps"][-1] / self._rewards.numel() if self.learning_curve else 0.0
            found["reward"] = float(np.mean(self.rewards[int(since) :]))
        for name, value in found.items():
            self.learning_curve.setdefault(name, []).append(value)

    # Checkpoints.

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Return everything that training goes on from, by name, but the plain numbers."""
        moments = {"first": self._adam.first, "second": self._adam.second}
        return {"generator": self._generator.get_state(), "weights": self._all, "average": self._mean, **moments}

    def _save(self, path: Path, told: dict[str, Any]) -> None:
        numbers = {"n_updates": self._n_updates, "n_averaged": self._n_averaged, "seconds": self.seconds}
        numbers["n_steps"] = self._adam.n_steps
        text = json.dumps({**told, **numbers, "rewards": self.rewards, "curve": self.learning_curve})
        file = io.BytesIO()
        arrays: dict[str, Any] = {name: each.cpu().numpy() for name, each in self._tensors().items()}
        np.savez(file, text=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)
        write_atomic(path, file.getvalue())

    def _resume(self, path: Path, told: dict[str, Any]) -> None:
        damaged = f"{path}: expected a checkpoint of BatchPPO; remove it to train anew"
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            found = json.loads(arrays.pop("text").tobytes())
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise L96BenchError(damaged) from error
        for name, value in json.loads(json.dumps(told)).items():
            if found.get(name) != value:
                raise L96BenchError(
                    f"{path}: a checkpoint of another training: {name} {found.get(name)!r:.100}, here {value!r:.100}; "
                    "remove it to train anew, or choose another path"
                )
        own = self._tensors()
        if own.keys() != arrays.keys():
            raise L96BenchError(damaged)
        self._generator.set_state(torch.from_numpy(arrays.pop("generator")))
        for name, array in arrays.items():
            own[name].copy_(torch.from_numpy(array))
        self._n_updates, self._n_averaged, self.seconds = (found[k] for k in ("n_updates", "n_averaged", "seconds"))
        self._adam.n_steps, self.rewards, self.learning_curve = (found[k] for k in ("n_steps", "rewards", "curve"))


def _sizes(env: VectorEnv) -> tuple[int, int]:
    """Return the numbers of observations and actions of a row, if the environment has the right form."""
    seen, acted = env.single_observation_space, env.single_action_space
    boxes = all(
        isinstance(each, spaces.Box) and each.shape is not None and len(each.shape) == 1 for each in (seen, acted)
    )
    if not boxes or not (np.all(acted.low == -1.0) and np.all(acted.high == 1.0)):  # type: ignore[attr-defined]
        raise L96BenchError(f"expected box observations (width,) and actions from -1 to 1, got {seen} and {acted}")
    mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
    masked = mode is AutoresetMode.DISABLED or (
        mode is AutoresetMode.NEXT_STEP and isinstance(env.unwrapped, BatchedEnv)
    )
    if not masked:
        raise L96BenchError(f"expected an environment with autoreset_mode='Disabled', got {mode.value!r} of {env}")
    return int(seen.shape[0]), int(acted.shape[0])  # type: ignore[index]
