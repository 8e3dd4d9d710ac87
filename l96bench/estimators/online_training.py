"""Networks trained through the resolved model, on the error of forecasts of X instead of the error of U.

A network shared by all points starts from its least-squares fit to U; the error of forecasts of random windows of the
training trajectory is then differentiated through `l96bench.differentiable_rollout`. A short window, or *horizon*,
gives nearly the least-squares fit; along a long one errors and gradients grow chaotically.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from l96bench.checks import checked_random_state, whole_multiple
from l96bench.dynamics.ar1 import ar1_noise
from l96bench.dynamics.differentiable import differentiable_rollout
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.regressors import StencilRegressor
from l96bench.estimators.ring import stencil_index, stencil_rows
from l96bench.estimators.rollout_training import (
    RedNoise,
    SharedNetwork,
    StochasticNetworkClosure,
    Windows,
    descend,
    fair_crps,
    sigma_of,
)
from l96bench.estimators.training_loop import torch_generator
from l96bench.metrics.bounds import bounds
from l96bench.parallel import one_thread

__all__ = ["OnlineNetworkRegressor", "OnlineStochasticRegressor", "StochasticNetworkClosure", "started"]


class _OnlineRegressor(StencilRegressor):
    """The base class of closures trained through the model: parameters, start, and loop over windows."""

    def __init__(
        self,
        F: float,
        network: TorchRegressor | None = None,
        radius: int = 2,
        horizon: float = 0.2,
        start: str | Mapping[str, ArrayLike] = "least squares",
        steps: int = 1000,
        batch_size: int = 128,
        learning_rate: float = 0.002,
        offline_weight: float = 0.0,
        interval: float = 0.05,
        dt: float = 0.01,
        random_state: int | None = 0,
        device: str = "cpu",
    ) -> None:
        self.F, self.network, self.radius, self.horizon, self.start = F, network, radius, horizon, start
        self.steps, self.batch_size, self.learning_rate = steps, batch_size, learning_rate
        self.offline_weight, self.interval, self.dt, self.random_state = offline_weight, interval, dt, random_state
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on one trajectory: states X (n, K) in time order, `interval` apart, and their U, y (n, K) or (n,)."""
        X, U = self._checked_training(X, y)
        self._every = whole_multiple(self.interval, self.dt, "interval", "the model step dt")
        leads = whole_multiple(self.horizon, self.interval, "horizon", "interval")
        if len(X) <= leads:
            raise ValueError(f"a horizon of {leads} rows needs more than {leads} rows of X; got n_samples={len(X)}.")
        if self.batch_size < 1 or self.steps < 0 or not self.learning_rate > 0:
            raise ValueError(
                "batch_size must be at least 1, steps at least 0 and learning_rate positive; "
                f"got {self.batch_size}, {self.steps} and {self.learning_rate}."
            )
        self._index = stencil_index(X.shape[1], self.radius)
        tensors = [torch.from_numpy(array.astype(np.float32)).to(self.device) for array in (X, U)]
        words = np.random.SeedSequence(checked_random_state(self.random_state)).generate_state(1)
        windows = Windows(tensors[0], tensors[1], leads, np.random.default_rng(int(words[0])))
        generator = torch_generator(self.random_state, 1, self.device)
        self._scales = (float(X.mean()), _spread(X), float(U.mean()), _spread(U))
        with one_thread():
            rows = stencil_rows([X], self._index[self._points()])
            network = started(self.network, self.start, self.random_state, rows, U)
            weights, loss_of, finish = self._prepared(X, U, network, windows, generator)
            self.loss_curve_, self.n_skipped_ = descend(weights, loss_of, self.steps, self.learning_rate)
            finish()
        return self

    def _prepared(
        self, X: NDArray, U: NDArray, network: TorchRegressor, windows: Windows, generator: torch.Generator
    ) -> tuple[list[torch.Tensor], Callable[[], torch.Tensor], Callable[[], None]]:
        """Return the weights, their loss on a new batch, and the function that stores them in the end."""
        raise NotImplementedError

    def _forecast(self, closure: Callable[[torch.Tensor], torch.Tensor], X0: torch.Tensor, leads: int) -> torch.Tensor:
        """Forecast X (lead, member, K) every `interval`; a member that blows up is reset to its start."""
        limits = bounds(*self._scales[:2])
        return differentiable_rollout(
            closure, X0, leads * self._every, F=self.F, dt=self.dt, every=self._every, limits=limits
        )

    def _offline(self, shared: SharedNetwork, X: torch.Tensor, U: torch.Tensor) -> torch.Tensor | float:
        """Return the weighted mean squared error of U over its variance, at the starts of the windows."""
        if not self.offline_weight:
            return 0.0
        points = torch.from_numpy(self._points()).to(X.device)
        return self.offline_weight * ((shared(X)[:, points] - U) / self._scales[3]).square().mean()


class OnlineNetworkRegressor(_OnlineRegressor):
    """A stencil network trained on the squared error of X along forecasts of the resolved model.

    The loss is the mean over points and leads of (X - truth)^2 over the climatological variance. Equal data, parameters
    and `random_state` give equal networks on one kind of CPU; torch's global generator and thread count are left alone.

    Parameters
    ----------
    F, horizon : float
        Forcing of the resolved model, and length in MTU of the forecasts, a whole multiple of `interval`.
    network : TorchRegressor, default TorchRegressor()
        Architecture, and how it is fitted to U at first; its `random_state` is replaced.
    radius : int
        Neighbours seen on either side; 2 radius + 1 <= K.
    start : {"least squares", "random"} or mapping
        Initial weights: the fit to U, random ones, or the `TorchRegressor.state_dict` of a network.
    steps, batch_size : int
        Steps of the optimizer, and forecasts in each.
    learning_rate, offline_weight : float
        Peak of the learning rate, which falls to zero along a cosine; and weight of the squared error of U over its
        variance, added to the loss.
    interval, dt : float
        Time between the rows of X, and its divisor, the step of the resolved model, in MTU.
    random_state : int or None
        Seed of the network and of the windows; None draws a new one.
    device : str
        The torch device to train on, "cuda" for a GPU.

    Attributes
    ----------
    estimator_ : TorchRegressor
        The network from the stencil of a point to its U.
    loss_curve_, n_skipped_ : list of float, int
        Loss at each step, and the steps skipped because their gradient was not finite.

    References
    ----------
    Frezat et al. (2022), J. Adv. Model. Earth Syst. 14, e2022MS003124 ("a posteriori learning"); Brenowitz and
    Bretherton (2018), Geophys. Res. Lett. 45, 6289-6298 (a loss over several steps).

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import OnlineNetworkRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> network = l96bench.TorchRegressor(hidden=(8,), epochs=1, min_steps=1)
    >>> model = OnlineNetworkRegressor(20.0, network, steps=2, batch_size=4).fit(run.X, run.U)
    >>> len(model.loss_curve_), model.n_skipped_
    (2, 0)
    """

    def _prepared(
        self, X: NDArray, U: NDArray, network: TorchRegressor, windows: Windows, generator: torch.Generator
    ) -> tuple[list[torch.Tensor], Callable[[], torch.Tensor], Callable[[], None]]:
        shared = SharedNetwork(network, self._index, self._scales, self.device)

        def loss_of() -> torch.Tensor:
            X0, U0, truth = windows.draw(self.batch_size)
            X = self._forecast(shared, X0, windows.leads)
            return ((X - truth) / self._scales[1]).square().mean() + self._offline(shared, X0, U0)

        def finish() -> None:
            self.estimator_ = shared.trained()

        return shared.weights, loss_of, finish


class OnlineStochasticRegressor(_OnlineRegressor):
    """A stencil network for the mean and the spread of U, trained on the CRPS of ensembles of the resolved model.

    The closure is::

        U_k = mean(x_k) + sigma(x_k) e_k,        e' = r e + sqrt(1 - r^2) z,        r = exp(-dt / memory_),

    x_k being the stencil of point k and z standard normal, independent at every point and step. Members start from one
    state; their fair CRPS along the forecast, over the standard deviation of X, is differentiated with respect to the
    weights and the memory at fixed z (the reparameterization of Kingma and Welling 2014, arXiv:1312.6114). Training
    starts from the least-squares fit and the size and memory of its residual.

    Parameters
    ----------
    F, horizon : float
        As for `OnlineNetworkRegressor`.
    network : TorchRegressor, default TorchRegressor()
        As for `OnlineNetworkRegressor`.
    radius, steps, batch_size : int
        As for `OnlineNetworkRegressor`.
    start : {"least squares", "random"} or mapping
        As for `OnlineNetworkRegressor`.
    learning_rate, interval, dt : float
        As for `OnlineNetworkRegressor`.
    random_state : int or None
        As for `OnlineNetworkRegressor`.
    device : str
        As for `OnlineNetworkRegressor`.
    offline_weight : float
        Weight of the squared error of the mean of U over its variance, added to the loss.
    members : int
        Members of each ensemble, at least 2.

    Attributes
    ----------
    estimator_ : TorchRegressor
        The network from the stencil of a point to the mean of its U and log(sigma / std of U).
    memory_ : float
        e-folding time of e in MTU.
    loss_curve_, n_skipped_, n_features_in_
        As for `OnlineNetworkRegressor`.

    References
    ----------
    Ferro (2014), Q. J. R. Meteorol. Soc. 140, 1917-1923 (fair CRPS); Arnold, Moroz and Palmer (2013), Phil.
    Trans. R. Soc. A 371, 20110479 (state-dependent red noise).

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import OnlineStochasticRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> network = l96bench.TorchRegressor(hidden=(8,), epochs=1, min_steps=1)
    >>> model = OnlineStochasticRegressor(20.0, network, horizon=0.1, steps=2, batch_size=4).fit(run.X, run.U)
    >>> model.memory_ > 0.0, model.closure(0.01).deterministic
    (True, False)
    """

    def __init__(
        self,
        F: float,
        network: TorchRegressor | None = None,
        radius: int = 2,
        horizon: float = 0.5,
        start: str | Mapping[str, ArrayLike] = "least squares",
        steps: int = 400,
        batch_size: int = 64,
        learning_rate: float = 0.002,
        offline_weight: float = 0.0,
        interval: float = 0.05,
        dt: float = 0.01,
        random_state: int | None = 0,
        device: str = "cpu",
        members: int = 2,
    ) -> None:
        super().__init__(
            *(F, network, radius, horizon, start, steps, batch_size, learning_rate, offline_weight, interval, dt),
            random_state=random_state,
            device=device,
        )
        self.members = members

    def closure(self, dt: float = 0.01) -> StochasticNetworkClosure:
        """Return the stochastic closure for a resolved model with the step `dt` (MTU)."""
        check_is_fitted(self)
        return StochasticNetworkClosure(self.estimator_, self._index, self.memory_, self._scales[3], dt)

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Draw U (member, n, K) along a trajectory X (n, K), or that of point 0 if fitted to it alone."""
        X = self._checked_states(X)
        outputs = self._outputs(X).reshape(len(X), -1, 2)
        phi = math.exp(-self.interval / self.memory_)
        noise = np.moveaxis(ar1_noise((len(X), n_members, outputs.shape[1]), phi, 1.0, rng), 1, 0)
        U = outputs[..., 0] + sigma_of(outputs[..., 1], self._scales[3]) * noise
        return U.reshape(n_members, len(X), *self._y_shape)

    @property
    def n_parameters(self) -> int:
        """The number of trained parameters: the weights and the memory."""
        check_is_fitted(self)
        return self.estimator_.n_parameters + 1

    def _prepared(
        self, X: NDArray, U: NDArray, network: TorchRegressor, windows: Windows, generator: torch.Generator
    ) -> tuple[list[torch.Tensor], Callable[[], torch.Tensor], Callable[[], None]]:
        if self.members < 2:
            raise ValueError(f"members must be at least 2, so that they have a spread; got {self.members}.")
        rows = stencil_rows([X], self._index[self._points()])
        residual = U - network.predict_unchecked(rows).reshape(U.shape)
        both = _with_sigma(network, _spread(residual) / self._scales[3])
        shared = SharedNetwork(both, self._index, self._scales, self.device)
        power = float(np.sum(residual[:-1] ** 2))
        phi = float(np.clip(np.sum(residual[:-1] * residual[1:]) / power, 1e-3, 0.999)) if power > 0 else 0.5
        log_memory = torch.tensor(math.log(-self.interval / math.log(phi)), device=self.device, requires_grad=True)

        def loss_of() -> torch.Tensor:
            X0, U0, truth = windows.draw(self.batch_size)
            closure = RedNoise(shared, log_memory, self.dt, self._scales[3], generator)
            X = self._forecast(closure, X0.repeat(self.members, 1), windows.leads)
            X = X.reshape(windows.leads, self.members, *X0.shape).transpose(0, 1)
            return fair_crps(X, truth).mean() / self._scales[1] + self._offline(shared, X0, U0)

        def finish() -> None:
            self.estimator_ = shared.trained()
            self.memory_ = float(f"{math.exp(float(log_memory.detach())):.7g}")

        return [*shared.weights, log_memory], loss_of, finish


def _spread(values: NDArray) -> float:
    """Return the standard deviation, or 1 for a constant."""
    return float(values.std()) or 1.0


def _with_sigma(network: TorchRegressor, sigma: float) -> TorchRegressor:
    """Add a second output to a network, the logarithm of a constant."""
    state: dict[str, Any] = network.state_dict()
    last = len(network.hidden)
    weight, bias = state[f"{last}.weight"], state[f"{last}.bias"]
    state[f"{last}.weight"] = np.concatenate([weight, np.zeros_like(weight)])
    state[f"{last}.bias"] = np.append(bias, math.log(max(sigma, 1e-6)))
    return clone(network).load_state_dict(state | {"one_output": np.array(False)})


def started(
    network: TorchRegressor | None,
    start: str | Mapping[str, ArrayLike],
    random_state: int | None,
    rows: NDArray,
    U: NDArray,
) -> TorchRegressor:
    """Return the network that training starts from: fitted to U at the stencils `rows`, random, or a state_dict."""
    network = clone(TorchRegressor() if network is None else network).set_params(random_state=random_state)
    if isinstance(start, Mapping):
        return network.load_state_dict(start)
    if start == "least squares":
        return network.fit(rows, U.ravel())
    if start != "random":
        raise ValueError(f"start must be 'least squares', 'random' or a state_dict; got {start!r}.")
    # One step of fitting at a rate that changes nothing leaves the initial weights.
    unchanging = {"epochs": 1, "min_steps": 1, "learning_rate": 1e-12, "batch_size": len(rows)}
    return clone(network).set_params(**unchanging).fit(rows, U.ravel())
