"""A gated recurrent unit shared by all points of the ring, trained on pieces of a trajectory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from l96bench.estimators.inferred_past import SEEN, WithPastForcing, past_forcing
from l96bench.estimators.recurrences import GatedUnit, PathRegressor, Recurrence, along
from l96bench.estimators.ring import stencil_index
from l96bench.estimators.training_loop import torch_generator
from l96bench.parallel import one_thread

__all__ = ["RecurrentRegressor", "pooled_moments"]


class RecurrentRegressor(PathRegressor):
    """A gated recurrent unit shared around the ring: U_k from the stencil of point k now and, by its state, before.

    It is trained by Adam on the squared error of random pieces of one trajectory, each started from a zero state; the
    first steps of a piece only warm the state up. Equal data, parameters and `random_state` give equal units on one
    kind of CPU; torch's global generator and thread count are left as they were.

    Parameters
    ----------
    units, radius : int
        Size of the hidden state of a point, and neighbours seen on either side; 2 radius + 1 <= K.
    epochs, min_steps : int
        Times that each row is, on average, in the loss; more when they come to fewer than `min_steps` optimizer steps.
    warm_up, length : int
        Rows of a piece before its loss, and in its loss. They are 0.05 MTU apart.
    batch_size : int
        Pieces in a step of the optimizer, each of one point.
    learning_rate : float
        The peak of the one-cycle schedule (Smith and Topin 2019, arXiv:1708.07120).
    random_state : int or None
        Seed of the initial weights and the choice of pieces; None draws a new one.
    infer_past : bool
        Give the unit also the mean U of the last 0.05 MTU, as inferred from X (see the module `inferred_past`); needs a
        radius of at least 2.

    Attributes
    ----------
    weights_ : dict of str to ndarray of float32
        For X and U in their own units, as `GatedUnit` takes them.
    loss_curve_ : list of float
        The training loss, averaged over 50 steps each, in units of the variance of U.

    References
    ----------
    Cho et al. (2014), arXiv:1406.1078; as a closure with memory, Parthipan et al. (2023), Geosci. Model Dev.
    16, 4501-4519.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import RecurrentRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = RecurrentRegressor(units=4, epochs=1, min_steps=2).fit(run.X, run.U)
    >>> model.predict(run.X).shape
    (400, 8)
    """

    def __init__(
        self,
        units: int = 32,
        radius: int = 2,
        epochs: int = 10,
        warm_up: int = 16,
        length: int = 24,
        batch_size: int = 128,
        learning_rate: float = 0.02,
        min_steps: int = 300,
        random_state: int | None = 0,
        infer_past: bool = False,
    ) -> None:
        self.units, self.radius, self.epochs, self.warm_up, self.length = units, radius, epochs, warm_up, length
        self.batch_size, self.learning_rate, self.min_steps = batch_size, learning_rate, min_steps
        self.random_state, self.infer_past = random_state, infer_past

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) in time order, 0.05 MTU apart, and their y, U (n, K) or that of point 0 alone."""
        X, U = self._checked_training(X, y)
        self._check_parameters()
        self._index = stencil_index(X.shape[1], self.radius)
        x_mean, x_std, u_mean, u_std = *pooled_moments(X), *pooled_moments(U)
        scaled = np.take((X - x_mean) / x_std, self._index[self._points()], axis=1)
        targets = (U - u_mean) / u_std
        if self.infer_past:
            before = past_forcing(X)[:, self._points()]
            past_mean, past_std = pooled_moments(before)
            scaled = np.concatenate((scaled[1:], ((before - past_mean) / past_std)[..., None]), axis=2)
            targets = targets[1:]
        with one_thread():
            learned, self.loss_curve_ = self._trained(
                torch.from_numpy(scaled.astype(np.float32)), torch.from_numpy(targets.astype(np.float32))
            )
        arrays = {name: tensor.detach().numpy().astype(np.float64) for name, tensor in learned.items()}
        width = self._index.shape[1]
        if self.infer_past:
            arrays["input"][:, width] /= past_std
            arrays["input_bias"] -= past_mean * arrays["input"][:, width]
        arrays["input"][:, :width] /= x_std
        arrays["input_bias"] -= x_mean * arrays["input"][:, :width].sum(axis=1)
        arrays["output"] *= u_std
        arrays["output_bias"] = u_std * arrays["output_bias"] + u_mean
        self.weights_ = {name: array.astype(np.float32) for name, array in arrays.items()}
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return U (n, K) along a trajectory X (n, K) from a zero state, or that of point 0 if fitted to it alone."""
        X = self._checked_states(X)
        return self._like_y(along(self._recurrence(), self._index[self._points()], X)[0])

    @property
    def n_parameters(self) -> int:
        """The number of trained weights."""
        check_is_fitted(self)
        return sum(array.size for array in self.weights_.values())

    def _recurrence(self) -> Recurrence:
        unit = GatedUnit(self.weights_, self._noise_and_draws()[0])
        return WithPastForcing(unit, self.radius) if self.infer_past else unit

    def _check_parameters(self) -> None:
        counts = {name: getattr(self, name) for name in ("units", "epochs", "length", "batch_size")}
        if min(counts.values()) < 1 or self.warm_up < 0 or not self.learning_rate > 0:
            raise ValueError(
                f"{', '.join(counts)} must be at least 1, warm_up at least 0 and learning_rate positive; "
                f"got {[*counts.values(), self.warm_up, self.learning_rate]}."
            )
        if self.infer_past and self.radius < SEEN:
            raise ValueError(f"infer_past needs a radius of at least {SEEN}; got {self.radius}. Try radius={SEEN}.")

    def _noise_and_draws(self) -> tuple[int, int]:
        """Return the number of noise columns behind the stencil, and of paths drawn of every piece in training."""
        return 0, 1

    def _loss(self, U: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the loss of predictions U (length, draw, piece) against the truth (length, piece)."""
        return functional.mse_loss(U[:, 0], truth)

    def _width(self, stencils: torch.Tensor) -> int:
        """Return the number of inputs of a point but for noise."""
        return stencils.shape[2]

    def _seen(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the inputs (time, piece, width) that pieces x have in training."""
        return x

    def _trained(self, stencils: torch.Tensor, targets: torch.Tensor) -> tuple[dict[str, torch.Tensor], list[float]]:
        """Return weights trained on stencils (n, points, width) and targets (n, points), and the loss curve."""
        n, points = targets.shape
        width = self._width(stencils)
        n_noise, n_draws = self._noise_and_draws()
        generator = torch_generator(self.random_state)
        # Made on no device first, so that torch's global generator is not asked for weights.
        unit = torch.nn.GRU(width + n_noise, self.units, device="meta").to_empty(device="cpu")
        output = torch.nn.Linear(self.units, 1, device="meta").to_empty(device="cpu")
        weights = [*unit.parameters(), *output.parameters()]
        for weight in weights:
            torch.nn.init.uniform_(weight, -(self.units**-0.5), self.units**-0.5, generator=generator)
        n_rows = min(self.warm_up + self.length, n)
        warm_up = min(self.warm_up, n_rows - 1)
        per_epoch = max(n * points // (self.batch_size * (n_rows - warm_up)), 1)
        steps = max(self.epochs * per_epoch, self.min_steps)
        optimizer = torch.optim.Adam(weights, lr=self.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=steps)
        losses = []
        for x, truth in _pieces(stencils, targets, n_rows, self.batch_size, steps, generator):
            inputs = self._seen(x, generator).repeat(1, n_draws, 1)
            if n_noise:
                noise = torch.randn((*inputs.shape[:2], n_noise), generator=generator)
                inputs = torch.cat((inputs, noise), dim=2)
            states = unit(inputs)[0][warm_up:]
            U = output(states)[..., 0].reshape(len(states), n_draws, -1)
            loss = self._loss(U, truth[warm_up:])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)  # the gradient of a recurrence can explode
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        names = ("input", "state", "input_bias", "state_bias", "output", "output_bias")
        curve = [float(np.mean(losses[i : i + 50])) for i in range(0, steps, 50)]
        return dict(zip(names, weights, strict=True)), curve


def _pieces(
    stencils: torch.Tensor, targets: torch.Tensor, n_rows: int, n_pieces: int, steps: int, generator: torch.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield random pieces of one point for each step: stencils (n_rows, piece, width), targets (n_rows, piece)."""
    n, points = targets.shape
    rows = torch.arange(n_rows)[:, None]
    for _ in range(steps):
        times = rows + torch.randint(n - n_rows + 1, (n_pieces,), generator=generator)
        point = torch.randint(points, (n_pieces,), generator=generator)
        yield stencils[times, point], targets[times, point]


def pooled_moments(values: NDArray) -> tuple[float, float]:
    """Return the mean and std over times and points; the std of a constant is taken to be 1."""
    std = float(values.std())
    return float(values.mean()), std if std > 0 else 1.0
