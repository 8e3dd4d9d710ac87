"""A blind closure that finds the system out from noisy observations of the past, with a network trained for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from l96bench.dynamics import resolved_kernels
from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.dynamics.steps import Block, StepForm, SteppedClosure
from l96bench.estimators.recurrences import GatedUnit
from l96bench.estimators.similarity import SimilarityRecurrentRegressor
from l96bench.estimators.training_loop import Layers, forward, torch_generator
from l96bench.parallel import one_thread

__all__ = ["InContextRegressor", "InContextStep"]

Array = NDArray[Any]
PAST = 200
"""Past states, 0.05 MTU apart, after which the system is settled."""
RANGES = {"F": (8.0, 33.0), "h": (0.33, 1.4), "c": (1.0, 13.5)}
"""Ranges of the parameters of the synthetic systems; h and c are uniform in their logarithm."""
_CENTRE, _WIDTH = 3.0, 5.0
"""By which X is scaled for the network that looks at the past."""
_REACH = 2
"""Neighbours on either side that this network sees."""
_SPIN_UP = 8.0
"""MTU of a synthetic run that are not used."""
_LEAST, _MOST = -60.0, 80.0
"""X beyond which a synthetic run is thrown away."""


class InContextRegressor(BaseEstimator):
    """The closure of `SimilarityRecurrentRegressor` for an h and c that are estimated from the observed past.

    A network sees 9 successive noisy observations of a point and its neighbours; the means of its outputs over the
    points and the past go through a second network, which gives log h and log c. Both are trained on synthetic
    systems: runs of the resolved model under the fitted closure, with F, h and c drawn from ranges wider than those of
    the training systems, and with the errors of the observations. So it learns the mean of log h and log c given the
    past, under those ranges; a direction in which U hardly changes is not found, and matters little.

    Parameters
    ----------
    closure_model : SimilarityRecurrentRegressor, optional
        By default with the same random state.
    n_systems : int
        Synthetic systems.
    duration : float
        MTU of each.
    window, hidden, features : int
        Observations seen at once, units of each layer, and outputs of the first network.
    steps, batch_size : int
        Steps of the training, and pasts in each.
    learning_rate : float
        Of the training.
    error : float
        Standard deviation of the errors of the observations.
    random_state : int or None
        Seed of everything; None draws a new one.

    References
    ----------
    Cranmer, Brehmer and Louppe (2020), Proc. Natl. Acad. Sci. 117, 30055-30062, for estimates that are learned
    from simulations; Zaheer et al. (2017), arXiv:1703.06114, for networks of means.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import InContextRegressor, SimilarityRecurrentRegressor
    >>> systems = l96bench.make_task("unseen-physics/interpolate-v1").miniature().train
    >>> closure_model = SimilarityRecurrentRegressor(units=4, epochs=1, min_steps=2)
    >>> model = InContextRegressor(closure_model, n_systems=4, duration=12.0, steps=2).fit(systems)
    >>> model.closure(0.01).deterministic
    False
    """

    def __init__(
        self,
        closure_model: SimilarityRecurrentRegressor | None = None,
        n_systems: int = 2000,
        duration: float = 60.0,
        window: int = 9,
        hidden: int = 64,
        features: int = 32,
        steps: int = 6000,
        batch_size: int = 32,
        learning_rate: float = 4e-3,
        error: float = 1.0,
        random_state: int | None = 0,
    ) -> None:
        self.closure_model, self.n_systems, self.duration, self.window = closure_model, n_systems, duration, window
        self.hidden, self.features, self.steps, self.batch_size = hidden, features, steps, batch_size
        self.learning_rate, self.error, self.random_state = learning_rate, error, random_state

    def fit(self, systems: Sequence[Any], y: None = None) -> Self:
        """Fit to a list of `SystemSamples`."""
        model = SimilarityRecurrentRegressor() if self.closure_model is None else self.closure_model
        self.model_ = clone(model).set_params(random_state=self.random_state).fit(systems)
        generator = torch_generator(self.random_state, 1)
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        with one_thread():
            X, told = self._synthetic(rng, systems[0].X.shape[1])
            self._learn(torch.from_numpy(X.astype(np.float32)), told, generator)
        return self

    def _synthetic(self, rng: np.random.Generator, K: int) -> tuple[Array, Array]:
        """Return runs X (time, system, K) of the resolved model under the fitted closure, and log h and log c."""
        model, n = self.model_, self.n_systems
        F = rng.uniform(*RANGES["F"], n)
        ends = [np.log(RANGES[name]) for name in "hc"]
        told = np.stack([rng.uniform(low, high, n) for low, high in ends], axis=1)
        step = RowStep(model, K)
        X = rng.normal(_CENTRE, _WIDTH, (n, K))
        limits = (np.full(n, _LEAST), np.full(n, _MOST), F / 4.0, np.full(n, -1))
        state = np.zeros((n * K, model.units), dtype=np.float32)
        before, n_kept = round(_SPIN_UP / HISTORY_INTERVAL), round(self.duration / HISTORY_INTERVAL)
        kept = np.empty((n_kept, n, K))
        for time in range(before + n_kept):
            noise = rng.standard_normal((n * K, model.n_noise), dtype=np.float32)
            U, state = step(X, told, state, noise)
            if time >= before:
                kept[time - before] = X
            for _ in range(4):
                resolved_kernels.advance_resolved(X, U, F, HISTORY_INTERVAL / 4, *limits, time)
        usable = limits[-1] < 0
        return kept[:, usable], told[usable]

    def _learn(self, X: torch.Tensor, told: Array, generator: torch.Generator) -> None:
        """Train the two networks on pasts out of runs X (time, system, K) with log h and log c `told` (system, 2)."""
        mean, std = told.mean(axis=0), told.std(axis=0)
        truth = torch.from_numpy(((told - mean) / std).astype(np.float32))
        K = X.shape[2]
        look = Layers([self.window * (2 * _REACH + 1), self.hidden, self.hidden, self.features], generator, "gelu")
        judge = Layers([self.features, 2 * self.features, 2], generator, "gelu")
        weights = [*look.weights, *judge.weights]
        optimizer = torch.optim.Adam(weights, lr=self.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=self.steps)
        near = (torch.arange(K)[:, None] + torch.arange(-_REACH, _REACH + 1)) % K
        times, losses = torch.arange(PAST)[:, None], []
        for step in range(self.steps):
            system = torch.randint(X.shape[1], (self.batch_size,), generator=generator)
            first = torch.randint(len(X) - PAST + 1, (self.batch_size,), generator=generator)
            past = X[times + first, system]
            past = past + self.error * torch.randn(past.shape, generator=generator)
            seen = ((past - _CENTRE) / _WIDTH).unfold(0, self.window, 1)[step % 2 :: 2]
            found = judge(look(seen[:, :, near].flatten(3)).mean(dim=(0, 2)))
            loss = functional.mse_loss(found, truth[system])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        self.networks_ = [[each.detach().numpy().copy() for each in network.weights] for network in (look, judge)]
        self.told_ = mean, std
        self.loss_curve_ = [float(np.mean(losses[i : i + 50])) for i in range(0, self.steps, 50)]

    def closure(self, dt: float = 0.01) -> SteppedClosure:
        """Return the blind stochastic closure for a resolved model that steps by `dt` MTU."""
        check_is_fitted(self)
        return SteppedClosure(InContextStep(self), dt)


class RowStep:
    """The recurrence of `SimilarityRecurrentRegressor` at all points, with an h and c for each row."""

    def __init__(self, model: SimilarityRecurrentRegressor, K: int) -> None:
        self._index, self._scales, self.units, self.n_noise = model._index, model.scales_, model.units, model.n_noise
        self.unit = GatedUnit({name: array.astype(np.float32) for name, array in model.weights_.items()}, model.n_noise)
        self.K = K

    def __call__(self, X: Array, told: Array, state: Array, noise: Array) -> tuple[Array, Array]:
        """Return U (n, K) and the next state for X (n, K), log h and log c (n, 2), states and noise (n K, ..)."""
        (x_mean, x_std), (u_mean, u_std), (c_mean, c_std) = self._scales.values()
        h, c = np.exp(told[:, :1]), np.exp(told[:, 1:])
        scaled = ((X * h - x_mean) / x_std).astype(np.float32)
        stencils = np.take(scaled, self._index, axis=1).reshape(X.size, -1)
        column = np.repeat((told[:, 1] - c_mean) / c_std, self.K).astype(np.float32)[:, None]
        with torch.inference_mode(), np.errstate(over="ignore"):
            inputs = torch.from_numpy(np.concatenate([stencils, column], axis=1))
            ahead = self.unit.advance(inputs, torch.from_numpy(state), torch.from_numpy(noise))
            U = self.unit.output(ahead).numpy().astype(np.float64).reshape(X.shape)
        return (U * u_std + u_mean) * h * c, ahead.numpy()


class InContextStep:
    """A step whose state holds the hidden state, the last observations, the sum of what they say, and their number."""

    dtype = np.float32

    def __init__(self, model: InContextRegressor) -> None:
        self._rows = RowStep(model.model_, len(model.model_._index))
        self.K, self._window = self._rows.K, model.window
        self._look, self._judge = ([torch.from_numpy(each) for each in weights] for weights in model.networks_)
        self._mean, self._std = model.told_
        self._near = (np.arange(self.K)[:, None] + np.arange(-_REACH, _REACH + 1)) % self.K
        self.sizes = self.K * self._rows.units, (self._window - 1) * self.K, model.features, 1
        self.form = StepForm((Block(sum(self.sizes)),), (Block(self.K * self._rows.n_noise),))

    def __call__(self, X: Array, state: Array, noise: Array, uniform: Array) -> tuple[Array, Array, None]:
        """Return U (n, K) and the next state; see `l96bench.dynamics.steps.Step`."""
        hidden, recent, total, count = np.split(state, np.cumsum(self.sizes)[:-1], axis=1)
        with one_thread():
            if (count < PAST).any():
                seen = np.concatenate([recent, X.astype(np.float32)], axis=1)
                whole = (count < PAST) & (count >= self._window - 1)
                total = np.where(whole, total + self._said(seen), total)
                recent, count = seen[:, self.K :], np.minimum(count + 1, PAST)
            told = self._told(total, count)
            kept, drawn = (np.ascontiguousarray(each).reshape(X.size, -1) for each in (hidden, noise))
            U, ahead = self._rows(X, told, kept, drawn)
        return U, np.concatenate([ahead.reshape(hidden.shape), recent, total, count], axis=1), None

    def _said(self, seen: Array) -> Array:
        """Return the mean over points of what the first network says of windows (n, window K)."""
        windows = ((seen - np.float32(_CENTRE)) / np.float32(_WIDTH)).reshape(len(seen), self._window, self.K)
        stencils = windows.swapaxes(1, 2)[:, self._near].reshape(len(seen), self.K, -1)
        with torch.inference_mode():
            return forward(torch.from_numpy(stencils), _pairs(self._look), "gelu").mean(dim=1).numpy()

    def _told(self, total: Array, count: Array) -> Array:
        """Return log h and log c (n, 2); before a whole window, the mean of the synthetic systems."""
        n = np.maximum(count - (self._window - 1), 0)
        with torch.inference_mode():
            found = forward(torch.from_numpy(total / np.maximum(n, 1)), _pairs(self._judge), "gelu").numpy()
        told = np.where(n > 0, self._mean + self._std * found, self._mean)
        return np.clip(told, *np.log([RANGES[name] for name in "hc"]).T)


def _pairs(weights: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(zip(weights[::2], weights[1::2], strict=True))
