"""Closures: models that give U at the start of each step of the resolved model, which holds it through the step."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from l96bench.errors import ModelError, user_error

if TYPE_CHECKING:
    from l96bench.dynamics.graph_builder import GraphBuilder

HISTORY_INTERVAL = 0.05
"""Time in MTU between the past states that `Closure.remember` is given."""
MODEL_DT = 0.01
"""Time step of the resolved model, in MTU."""

_EXPECTED = "an object with predict(X), one with start(n_members, rng) and step(X), or a function X -> U"


@runtime_checkable
class Closure(Protocol):
    """The interface of a closure, a model of U: `start` it once, then `step` it every dt.

    A closure with memory may also offer ``remember(history)``: it is called after `start` with the states before the
    start, shape (past, member, K), `HISTORY_INTERVAL` MTU apart, the newest last, the start state itself left out.

    A closure may also offer ``graph(builder, x, K)``: with a `GraphBuilder` it writes the ONNX operators from `x`, the
    name of X (n, K) in float64, to U (n, K) in float64, and returns the name of U. State and random numbers, which it
    asks the builder for, make the graph a step as in `l96bench.dynamics.steps`. It can then be exported, and tasks run
    that graph in its place, unless ``graph_is_exact`` says that both give the same bits. What cannot be written raises
    `ModelError`; with `NoGraphError`, tasks run the closure as it is.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> class Damping:
    ...     deterministic = True
    ...     def start(self, n_members, rng):
    ...         pass
    ...     def step(self, X):
    ...         return -0.5 * X
    ...
    >>> isinstance(Damping(), l96bench.Closure)
    True
    """

    deterministic: bool
    """Whether equal states give equal U, so that one member is enough for a forecast."""

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget everything; `n_members` rows are coming, and all randomness comes from `rng`."""

    def step(self, X: NDArray) -> NDArray:
        """Return the added tendency U (member, K) for the states X (member, K), once per step of dt."""


class Stateless:
    """The base of closures without memory or randomness: `step` is `predict`."""

    deterministic = True
    graph_is_exact = False
    """Whether the closure and its graph give the same bits."""

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Do nothing: there is no state."""

    def step(self, X: NDArray) -> NDArray:
        """Return the added tendency U (member, K) for the states X (member, K)."""
        return self.predict(X)

    def predict(self, X: NDArray) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        raise NotImplementedError


class _Adapter(Stateless):
    """A user's model as a deterministic closure without memory."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __repr__(self) -> str:
        return f"{type(self).__name__}({name_of(self.model)})"


class FunctionClosure(_Adapter):
    """A plain function X (n, K) -> U (n, K) as a deterministic closure without memory."""

    def predict(self, X: NDArray) -> Any:
        """Return the function's value for X (n, K)."""
        return self.model(X)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the function's own graph, if it is an object with one; see `Closure`."""
        return builder.closure(x, self.model, K)


class PredictorClosure(_Adapter):
    """An object with ``predict`` (X (n, K) -> U (n, K)) as a deterministic closure without memory."""

    def predict(self, X: NDArray) -> Any:
        """Return the value of ``estimator.predict`` for X (n, K)."""
        with unchecked_sklearn():
            return self.model.predict(X)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the estimator's graph; see `Closure`."""
        return builder.reshape(builder.regressor(x, self.model, K), -1, K)


class ModuleClosure(_Adapter):
    """A ``torch.nn.Module`` of X (n, K) -> U (n, K), in inference mode, as a deterministic closure without memory."""

    def predict(self, X: NDArray) -> Any:
        """Return the module's outputs for X (n, K), given in the precision of its weights."""
        import torch

        dtype = next((each.dtype for each in self.model.parameters()), torch.float32)
        training = self.model.training
        try:
            with torch.inference_mode():
                return self.model.eval()(torch.from_numpy(X).to(dtype))
        finally:
            self.model.train(training)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the module's graph; see `Closure`."""
        return builder.module(x, self.model, K)


class _Undeclared:
    """A closure that does not say whether it is deterministic is taken to be stochastic."""

    deterministic = False

    def __init__(self, model: Any) -> None:
        self.model = model
        self.start = model.start
        self.step = model.step
        if callable(getattr(model, "remember", None)):
            self.remember = model.remember


class _PipelineClosure:
    """A scikit-learn pipeline whose last step makes its own closure: transform X, then step that."""

    def __init__(self, steps: Any, last: Any) -> None:
        self.steps, self.last = steps, last
        self.deterministic = last.deterministic
        if hasattr(last, "remember"):
            self.remember = self._remember

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.last.start(n_members, rng)

    def _remember(self, history: NDArray) -> None:
        past, n_members, K = history.shape
        with unchecked_sklearn():
            rows = self.steps.transform(history.reshape(-1, K))
        self.last.remember(np.asarray(rows).reshape(past, n_members, -1))

    def step(self, X: NDArray) -> NDArray:
        with unchecked_sklearn():
            transformed = self.steps.transform(X)
        return self.last.step(transformed)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the graphs of all steps, one after the other; see `Closure`."""
        return builder.closure(builder.transformed(x, self.steps, K)[0], self.last, K)


def unchecked_sklearn() -> AbstractContextManager[None]:
    """Switch off scikit-learn's test for NaN and infinity, if it is loaded, within the context."""
    if "sklearn" not in sys.modules:
        return nullcontext()
    import sklearn

    return sklearn.config_context(assume_finite=True)


def as_closure(model: Any, dt: float = 0.01) -> Closure:
    """Return the closure of a model, for a resolved model that steps by `dt` MTU.

    Parameters
    ----------
    model : object
        A `Closure` (returned as it is; one without ``deterministic`` is taken to be stochastic), a model that makes its
        own with ``closure(dt)``, a fitted search or pipeline around one, a ``torch.nn.Module``, an object with
        ``predict``, or a function X (n, K) -> U (n, K).
    dt : float
        Step of the resolved model in MTU.

    Returns
    -------
    Closure
        With ``start(n_members, rng)`` and ``step(X)``.

    Raises
    ------
    ModelError
        When the model is none of these, is a class, or is a scikit-learn estimator that is not fitted.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> closure = l96bench.as_closure(lambda X: 1.0 - 0.5 * X)
    >>> closure.start(1, np.random.default_rng(0))
    >>> closure.step(np.ones((1, 4)))
    array([[0.5, 0.5, 0.5, 0.5]])
    """
    if isinstance(model, type):
        raise ModelError(f"Expected a model, got the class {model.__name__}. Try an instance: {model.__name__}(...).")
    _require_fitted(model)
    if isinstance(model, Closure):
        return model
    if _offers(model, "start") and _offers(model, "step"):
        return _Undeclared(model)
    if "torch" in sys.modules and isinstance(model, sys.modules["torch"].nn.Module):
        return ModuleClosure(model)
    if _offers(model, "closure"):
        try:
            return as_closure(model.closure(dt), dt)
        except ModelError:
            raise
        except Exception as error:
            raise user_error(f"{name_of(model)}.closure({dt})", error, _hint(error)) from error
    if hasattr(model, "best_estimator_"):
        return as_closure(model.best_estimator_, dt)
    if _offers(model, "predict"):
        return _from_predictor(model, dt)
    if callable(model):
        return FunctionClosure(model)
    raise ModelError(f"Expected {_EXPECTED}; got {_a(model)}.")


def checked_start(closure: Closure, n_members: int, rng: np.random.Generator, history: NDArray | None = None) -> None:
    """Start a closure for `n_members` rows and pass it the past (past, member, K); its errors become `ModelError`."""
    try:
        closure.start(n_members, rng)
        if history is not None and _offers(closure, "remember"):
            closure.remember(history.copy())  # type: ignore[attr-defined]
    except ModelError:
        raise
    except Exception as error:
        raise user_error(name_of(closure), error, f"{_hint(error)} at its start.") from error


def checked_step(closure: Closure, X: NDArray) -> NDArray:
    """Return the closure's U (n, K), float64, for states X (n, K), or raise `ModelError` if it is not of this form."""
    try:
        U = closure.step(X.copy())
    except ModelError:
        raise
    except Exception as error:
        hint = points_hint(closure.predict, X) if isinstance(closure, _Adapter) else ""
        raise user_error(name_of(closure), error, f"{_hint(error)} for X of shape {X.shape}.{hint}") from error
    if type(U) is np.ndarray and U.dtype == np.float64 and U.shape == X.shape:
        return U
    return checked_forcing(U, X.shape, name_of(closure))


def points_hint(predict: Callable[[NDArray], Any], X: NDArray) -> str:
    """Return the end of a message about a model that fails for X (n, K): what to try if it answers points instead.

    Such a model is fitted to ``X.reshape(-1, 1)``, or to the stencils of up to three neighbours on either side.
    """
    n, K = min(3, len(X)), X.shape[1]
    for radius in range(min(4, K // 2)):
        near = (np.arange(K)[:, None] + np.arange(-radius, radius + 1)) % K
        try:
            size = math.prod(np.shape(predict(X[:n, near].reshape(n * K, -1))))
        except Exception:  # it is no model of this kind, whatever it raises
            continue
        if size == n * K:
            what = "single points" if not radius else f"stencils of {2 * radius + 1} points"
            typed = f"LocalRegressor(estimator, radius={radius}), fitted to all X and U"
            once = ", or lambda X: model.predict(X.reshape(-1, 1)).reshape(X.shape)" if not radius else ""
            return f" It takes {what}: try {typed}, which calls it at every point{once}."
    return ""


def checked_forcing(U: Any, shape: tuple[int, ...], name: str) -> NDArray:
    """Return the output of model `name` as a float64 array of the given shape; raise `ModelError` if it is not one."""
    expected = f"{name} must return U as real numbers of shape {shape}, one row per state"
    if _offers(U, "detach"):
        U = U.detach().cpu()
    try:
        array = np.asarray(U)
    except Exception as error:
        raise ModelError(f"{expected}; got {_a(U)} that is no array ({error}).") from error
    if array.dtype.kind not in "fiu":
        raise ModelError(f"{expected}; got {_a(U)} of dtype {array.dtype}. Try .astype(float) on real values.")
    if array.shape != shape:
        hint = ""
        if array.shape in ((shape[0],), (shape[0], 1)):
            hint = " For one output per point, try LocalRegressor, which shares one function around the ring."
        elif array.shape == shape[::-1]:
            hint = " Try its transpose."
        elif array.size == math.prod(shape):
            hint = " Try U.reshape(X.shape)."
        raise ModelError(f"{expected}; got shape {array.shape}.{hint}")
    return array.astype(np.float64)


def _from_predictor(model: Any, dt: float) -> Closure:
    """Return the closure of an object with predict, or of a pipeline whose last step makes its own."""
    steps = model.steps if hasattr(model, "named_steps") else None
    if steps and _offers(steps[-1][-1], "closure"):
        last = as_closure(steps[-1][-1], dt)
        return _PipelineClosure(model[:-1], last) if len(steps) > 1 else last
    parts = model.get_params().values() if _offers(model, "get_params") else ()
    for part in parts:
        if getattr(part, "lags", ()):
            # Its predict would take the members of a batch for the times of one trajectory.
            raise ModelError(
                f"{name_of(part)} with lags inside {_a(model)} cannot be coupled. Try it the other way round: "
                f"{name_of(part)}({name_of(model)}(...), lags=...)."
            )
    return PredictorClosure(model)


def _require_fitted(model: Any) -> None:
    """Raise for a scikit-learn estimator on which fit was not called."""
    base = sys.modules.get("sklearn.base")
    if base is None or not isinstance(model, base.BaseEstimator):
        return
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError as error:
        # A home-made estimator may keep what it learned under names without the trailing underscore.
        if hasattr(model, "__sklearn_is_fitted__") or set(vars(model)) <= set(model.get_params(deep=False)):
            raise ModelError(
                f"Expected a fitted model, got {_a(model)} without a fit. Fit it first: "
                "model.fit(task.train.X, task.train.U)."
            ) from error
    except TypeError:
        return


def _offers(model: Any, method: str) -> bool:
    return callable(getattr(model, method, None))


def _hint(error: Exception) -> str:
    return " Fit it first: model.fit(task.train.X, task.train.U)." if type(error).__name__ == "NotFittedError" else ""


def _a(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def name_of(model: Any) -> str:
    """Return the name of a model for messages: that of the user's own object inside the adapters."""
    while isinstance(model, _Adapter | _Undeclared):
        model = model.model
    return getattr(model, "__name__", type(model).__name__)
