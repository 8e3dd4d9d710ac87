"""Generative closures: a network turns noise into draws of U with the distribution and memory of the data."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn import functional

from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.estimators.recurrences import DrawnPaths
from l96bench.estimators.recurrent import RecurrentRegressor, pooled_moments
from l96bench.estimators.ring import stencil_index
from l96bench.estimators.training_loop import Layers, TrainedLayers, forward, layers_graph, torch_generator
from l96bench.parallel import one_thread

__all__ = ["GANRegressor", "GeneratorNetwork", "ProbabilisticRecurrentRegressor", "energy_score"]


class ProbabilisticRecurrentRegressor(DrawnPaths, RecurrentRegressor):
    """A gated recurrent unit with noise among its inputs, which draws paths of U given the path of X.

    It is trained to minimize the energy score of whole paths of `length` rows, a strictly proper score whose minimum is
    the distribution of the path, correlations in time included. Its inputs hold no U, in training as in a rollout.

    Parameters
    ----------
    units, radius, epochs : int
        As for `RecurrentRegressor`.
    warm_up, length, batch_size, min_steps : int
        As for `RecurrentRegressor`.
    learning_rate : float
        As for `RecurrentRegressor`.
    random_state : int or None
        As for `RecurrentRegressor`.
    infer_past : bool
        As for `RecurrentRegressor`.
    n_noise, n_draws : int
        Random numbers for a point every 0.05 MTU, and paths drawn for every piece in training, at least 2.

    References
    ----------
    Parthipan et al. (2023), Geosci. Model Dev. 16, 4501-4519, doi:10.5194/gmd-16-4501-2023, for recurrent
    networks as stochastic closures (there trained by likelihood); Gneiting and Raftery (2007), J. Am. Stat. Assoc. 102,
    359-378, for the energy score.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import ProbabilisticRecurrentRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = ProbabilisticRecurrentRegressor(units=4, epochs=1, min_steps=2).fit(run.X, run.U)
    >>> model.closure(0.01).deterministic
    False
    """

    def __init__(
        self,
        units: int = 16,
        radius: int = 2,
        epochs: int = 10,
        warm_up: int = 16,
        length: int = 24,
        batch_size: int = 128,
        learning_rate: float = 0.02,
        min_steps: int = 300,
        n_noise: int = 2,
        n_draws: int = 2,
        random_state: int | None = 0,
        infer_past: bool = False,
    ) -> None:
        super().__init__(
            *(units, radius, epochs, warm_up, length, batch_size, learning_rate, min_steps),
            random_state=random_state,
            infer_past=infer_past,
        )
        self.n_noise, self.n_draws = n_noise, n_draws

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.n_noise < 1 or self.n_draws < 2:
            raise ValueError(f"n_noise must be at least 1 and n_draws at least 2; got {self.n_noise}, {self.n_draws}.")

    def _noise_and_draws(self) -> tuple[int, int]:
        return self.n_noise, self.n_draws

    def _loss(self, U: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the energy score of paths U (length, draw, piece), truth (length, piece), divided by sqrt(length)."""
        return energy_score(U.permute(2, 1, 0), truth.T[:, None]).mean() / len(U) ** 0.5


def energy_score(draws: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the unbiased energy score of draws about a truth; for d = 1, the CRPS.

    ``mean_i |x_i - y| - mean_{i<j} |x_i - x_j| / 2`` (Gneiting and Raftery 2007, J. Am. Stat. Assoc. 102, 359-378).

    Parameters
    ----------
    draws : (..., draw, d) tensor
        At least two draws.
    truth : (..., 1, d) tensor
        What came.

    Returns
    -------
    (...) tensor
        In the units of the truth.

    Examples
    --------
    >>> import torch
    >>> from l96bench.estimators import energy_score
    >>> energy_score(torch.tensor([[-1.0], [1.0]]), torch.tensor([[0.0]]))
    tensor(0.)
    """
    n_draws = draws.shape[-2]
    first, second = torch.triu_indices(n_draws, n_draws, offset=1)
    apart = draws[..., first, :] - draws[..., second, :]
    return _norm(draws - truth).mean(dim=-1) - 0.5 * _norm(apart).mean(dim=-1)


def _norm(values: torch.Tensor) -> torch.Tensor:
    """Return the length of the last axis, with a gradient where it is zero."""
    return torch.sqrt(values.square().sum(dim=-1) + 1e-12)


class GANRegressor(TrainedLayers, DrawnPaths):
    """A conditional generative adversarial network: U_k given the stencil and the U_k of 0.05 MTU before.

    The generator makes U of the stencil of X, the previous U and standard normal noise; the discriminator sees the same
    with the true U or the generator's. Both are trained on the true previous U; along a trajectory the generator gets
    its own. Its weights are averaged over the last half of the training, which damps oscillations of the two.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer, of the generator and of the discriminator.
    radius, n_noise : int
        Neighbours seen on either side (0, X_k alone, in the source), and random numbers for each U.
    noise_correlation : float
        Correlation of the noise over 0.05 MTU along a run, at least 0 and below 1: white (0) or red.
    epochs, batch_size, min_steps : int
        Passes over the training data; more when they come to fewer than `min_steps` steps of either network.
    learning_rate : float
        Of Adam with beta_1 = 0.5, falling to 0 over the last half.
    random_state : int or None
        Seed of initial weights, batches and noise; None draws a new one.

    Attributes
    ----------
    coefs_, intercepts_ : lists of ndarray of float32
        The generator's layers, for inputs (stencil, previous U, noise) and U in their own units.

    References
    ----------
    Gagne, Christensen, Subramanian and Monahan (2020), J. Adv. Model. Earth Syst. 12, e2019MS001896;
    Goodfellow et al. (2014), arXiv:1406.2661 (non-saturating loss); Yazici et al. (2019), arXiv:1806.04498 (averaging).

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import GANRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = GANRegressor(hidden=(8,), epochs=1, min_steps=2).fit(run.X, run.U)
    >>> model.closure(0.01).deterministic
    False
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (32, 32),
        radius: int = 2,
        n_noise: int = 2,
        noise_correlation: float = 0.0,
        epochs: int = 5,
        batch_size: int = 512,
        learning_rate: float = 1e-3,
        min_steps: int = 1500,
        random_state: int | None = 0,
    ) -> None:
        self.hidden, self.radius, self.n_noise, self.noise_correlation = hidden, radius, n_noise, noise_correlation
        self.epochs, self.batch_size, self.learning_rate, self.min_steps = epochs, batch_size, learning_rate, min_steps
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) in time order, 0.05 MTU apart, and their y, U (n, K) or that of point 0 alone."""
        X, U = self._checked_training(X, y)
        if len(X) < 2:
            raise ValueError(f"A previous U needs at least 2 rows in time order; got n_samples={len(X)}.")
        if not 0 <= self.noise_correlation < 1 or min(self.n_noise, self.epochs, self.batch_size) < 1:
            raise ValueError(
                "n_noise, epochs and batch_size must be at least 1, noise_correlation at least 0 and below 1; got "
                f"{[self.n_noise, self.epochs, self.batch_size, self.noise_correlation]}."
            )
        self._index = stencil_index(X.shape[1], self.radius)
        x_mean, x_std, u_mean, u_std = *pooled_moments(X), *pooled_moments(U)
        scaled = ((U - u_mean) / u_std)[..., None]
        stencils = np.take((X - x_mean) / x_std, self._index[self._points()], axis=1)
        condition = np.concatenate((stencils[1:], scaled[:-1]), axis=2).reshape(-1, stencils.shape[2] + 1)
        with one_thread():
            arrays = self._trained(
                torch.from_numpy(condition.astype(np.float32)),
                torch.from_numpy(scaled[1:].reshape(-1, 1).astype(np.float32)),
            )
        coefs, intercepts = arrays[::2], arrays[1::2]
        width = condition.shape[1]
        means = np.append(np.full(width - 1, x_mean), u_mean)
        coefs[0][:, :width] /= np.append(np.full(width - 1, x_std), u_std)
        intercepts[0] -= coefs[0][:, :width] @ means
        coefs[-1] *= u_std
        intercepts[-1] = u_std * intercepts[-1] + u_mean
        self._store(coefs, intercepts)
        self._u_mean = u_mean
        return self

    def _recurrence(self) -> GeneratorNetwork:
        return GeneratorNetwork(self.coefs_, self.intercepts_, self._u_mean, self.n_noise, self.noise_correlation)

    def _trained(self, condition: torch.Tensor, truth: torch.Tensor) -> list[NDArray]:
        """Return the generator's matrices and biases after training on conditions (n, width) and truths (n, 1)."""
        random = torch_generator(self.random_state)
        width = condition.shape[1]
        generator = Layers([width + self.n_noise, *self.hidden, 1], random, "gelu")
        discriminator = Layers([width + 1, *self.hidden, 1], random, "gelu")
        pair = [
            torch.optim.Adam(network.weights, lr=self.learning_rate, betas=(0.5, 0.9), fused=True)
            for network in (generator, discriminator)
        ]
        mean = [weight.detach().clone() for weight in generator.weights]
        steps = max(self.epochs * (len(truth) // self.batch_size), self.min_steps, 1)
        half = steps // 2
        for step in range(steps):
            for optimizer in pair:
                optimizer.param_groups[0]["lr"] = self.learning_rate * min(1.0, (steps - step) / (steps - half))
            rows = torch.randint(len(truth), (self.batch_size,), generator=random)
            given, noise = condition[rows], torch.randn((self.batch_size, self.n_noise), generator=random)
            made = generator(torch.cat((given, noise), dim=1))
            true_score = discriminator(torch.cat((given, truth[rows]), dim=1))
            made_score = discriminator(torch.cat((given, made.detach()), dim=1))
            _step(pair[1], functional.softplus(-true_score).mean() + functional.softplus(made_score).mean())
            _step(pair[0], functional.softplus(-discriminator(torch.cat((given, made), dim=1))).mean())
            seen = max(step - half, 0)
            for average, weight in zip(mean, generator.weights, strict=True):
                average.lerp_(weight.detach(), 1.0 / (seen + 1))
        return [average.numpy().astype(np.float64) for average in mean]


class GeneratorNetwork:
    """A trained generator of (stencil, previous U, noise) as a recurrence whose state is its last U and noise."""

    def __init__(
        self, coefs: list[NDArray], intercepts: list[NDArray], u_mean: float, n_noise: int, noise_correlation: float
    ) -> None:
        self._layers = [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in zip(coefs, intercepts, strict=True)]
        self._u_mean, self._phi = u_mean, noise_correlation
        self.n_state, self.n_noise = 1 + (n_noise if noise_correlation else 0), n_noise

    def advance(self, x: torch.Tensor, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return the next state (row, n_state) for stencils x (row, width), states and noise (row, n_noise)."""
        if self._phi:
            noise = self._phi * state[:, 1:] + (1 - self._phi**2) ** 0.5 * noise
        U = forward(torch.cat((x, state[:, :1] + self._u_mean, noise), dim=1), self._layers, "gelu") - self._u_mean
        return torch.cat((U, noise), dim=1) if self._phi else U

    def output(self, state: torch.Tensor) -> torch.Tensor:
        """Return the added tendency U (...) of states (..., n_state)."""
        return state[..., 0] + self._u_mean

    def graph(self, builder: GraphBuilder, x: str, state: str, noise: str) -> tuple[str, str]:
        """Add `advance` and `output`, float32; see `Recurrence`."""
        mean = builder.constant(self._u_mean, np.float32)
        before = builder.gather(state, np.array([0]))
        if self._phi:
            kept = builder.gather(state, np.arange(1, self.n_state))
            factors = [builder.constant(each, np.float32) for each in (self._phi, (1 - self._phi**2) ** 0.5)]
            terms = (builder.node("Mul", *each) for each in zip(factors, (kept, noise), strict=True))
            noise = builder.node("Add", *terms)
        inputs = builder.node("Concat", x, builder.node("Add", before, mean), noise, axis=1)
        coefs, intercepts = zip(*((a.numpy(), b.numpy()) for a, b in self._layers), strict=True)
        U = builder.cast(layers_graph(builder, inputs, coefs, intercepts, "gelu"), np.float32)
        anomaly = builder.node("Sub", U, mean)
        return (builder.node("Concat", anomaly, noise, axis=1) if self._phi else anomaly), U


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Make one optimizer step of one network on its loss, clearing gradients left over from the other first."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
