"""Show which inputs a closure uses: permutation importance, Jacobian, gradient times input, and locality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import BLACK, BLUE, PALETTE, Array, figure, integer_ticks
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic
from l96bench.dynamics.closures import as_closure, checked_forcing
from l96bench.metrics import pointwise

Forcing = Callable[[Array], Array]
"""X (n, K) -> U (n, K), of the present state alone."""
N_STATES = 400
"""Number of states at which slopes and relevance are computed."""


def instant_forcing(model: Any) -> Forcing:
    """Return the model's mean U as a function of the present state.

    Parameters
    ----------
    model : model
        Anything that `l96bench.as_closure` takes.

    Returns
    -------
    X (n, K) -> U (n, K)
        In X a MTU.

    Raises
    ------
    LeftOutError
        If U depends on the past, or is random without a mean that can be asked for.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> from l96bench import diagnostics
    >>> forcing = diagnostics.instant_forcing(l96bench.Polynomial([1.0, -0.5]))
    >>> forcing(np.ones((1, 3)))
    array([[0.5, 0.5, 0.5]])
    """
    closure = as_closure(model)
    if _has_memory(closure):
        raise LeftOutError("the closure sees the past: one state does not tell its U")
    if callable(getattr(model, "predict", None)):
        function = model.predict
    elif callable(getattr(closure, "predict", None)):
        function = closure.predict  # type: ignore[attr-defined]
    elif closure.deterministic:

        def function(X: Array) -> Array:
            closure.start(len(X), np.random.default_rng(0))
            return closure.step(X)

    else:
        raise LeftOutError("the closure is random and offers no predict(X) for its mean")
    return lambda X: checked_forcing(function(X.copy()), X.shape, type(model).__name__)


def _has_memory(closure: Any) -> bool:
    """Return whether a closure remembers states; one around another may pass on a past that nobody keeps."""
    inner = getattr(closure, "mean", getattr(closure, "last", None))
    return _has_memory(inner) if hasattr(inner, "step") else hasattr(closure, "remember")


def offsets_of(K: int) -> NDArray[np.int64]:
    """Return the offsets r of a ring of K points, X_{k+r} being seen from point k: from -(K-1)//2 to K//2.

    Parameters
    ----------
    K : int
        Points of the ring.

    Returns
    -------
    (K,) array of int
        In increasing order.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> diagnostics.offsets_of(4)
    array([-1,  0,  1,  2])
    """
    return np.arange(K) - (K - 1) // 2


def by_offset(values: Array) -> Array:
    """Return values of pairs of points by the offset of the second from the first.

    Parameters
    ----------
    values : (..., K, K) array
        Of the points k and j.

    Returns
    -------
    (..., K, r) array
        With r the offset j - k in the order of `offsets_of`.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import diagnostics
    >>> diagnostics.by_offset(np.eye(4))[:, 1]  # the offset 0
    array([1., 1., 1., 1.])
    """
    K = values.shape[-1]
    index = (np.arange(K)[:, None] + offsets_of(K)) % K
    return np.take_along_axis(values, np.broadcast_to(index, values.shape), axis=-1)


def jacobian(forcing: Forcing, X: Array, step: float = 0.1) -> Array:
    """Return the Jacobian dU_k / dX_j by finite differences.

    ``(8 (U(+h) - U(-h)) - (U(+2h) - U(-2h))) / (12 h)``: exact for polynomials up to degree 4, and wide enough that
    closures in single precision lose nothing. Of a closure that is constant in pieces, such as a forest, it is the
    slope over 4 steps.

    Parameters
    ----------
    forcing : X (n, K) -> U (n, K)
        Such as from `instant_forcing`.
    X : (n, K) array
        States.
    step : float
        The step h, in units of X.

    Returns
    -------
    (n, K, K) array
        In 1 / MTU.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import diagnostics
    >>> diagnostics.jacobian(lambda X: X**2, np.array([[1.0, 2.0]])).round(6)
    array([[[2., 0.],
            [0., 4.]]])
    """
    n, K = X.shape
    out = np.empty((n, K, K))
    for j in range(K):
        shifted = np.repeat(X[None], 4, axis=0)
        shifted[:, :, j] += step * np.array([1.0, -1.0, 2.0, -2.0])[:, None]
        plus, minus, plus_two, minus_two = forcing(shifted.reshape(-1, K)).reshape(4, n, K)
        out[:, :, j] = (8.0 * (plus - minus) - (plus_two - minus_two)) / (12.0 * step)
    return out


def gradient_times_input(gradient: Array, X: Array, mean: float = 0.0) -> Array:
    """Return gradient times input (Shrikumar et al. 2017, arXiv:1605.01713): ``dU_k/dX_j (X_j - mean)``, (n, K, K)."""
    return gradient * (X - mean)[:, None, :]


def locality(weight: Array, offsets: NDArray[np.int64], radius: int) -> float:
    """Return the share of the absolute weight that lies near a point.

    Parameters
    ----------
    weight : (..., r) array
        By offset.
    offsets : (r,) array of int
        From `offsets_of`.
    radius : int
        Points on either side that count as near.

    Returns
    -------
    float
        Within 0 and 1; 0 where there is no weight.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import diagnostics
    >>> diagnostics.locality(np.array([1.0, 2.0, 1.0, 0.0]), diagnostics.offsets_of(4), radius=0)
    0.5
    """
    size = np.abs(weight).reshape(-1, len(offsets)).sum(axis=0)
    total = float(size.sum())
    return float(size[np.abs(offsets) <= radius].sum() / total) if total > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Importance:
    """Mean and standard deviation over points and repetitions of a measure of each offset.

    Parameters
    ----------
    mean, std : (r,) array
        In the order of `offsets_of`.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import diagnostics
    >>> X = np.random.default_rng(0).standard_normal((200, 4))
    >>> found = diagnostics.permutation_importance(lambda X: X, X, X, reference_mean=0.0)
    >>> found.std.shape
    (4,)
    """

    mean: Array
    std: Array


def permutation_importance(
    forcing: Forcing, X: Array, U: Array, reference_mean: float, n_repeats: int = 5, seed: int = 0
) -> Importance:
    """Return the R² that is lost when one input is shuffled among states (Breiman 2001, doi:10.1023/A:1010933404324).

    scikit-learn's permutation importance of each X_j for each U_k, by the offset j - k. R² is about the reference
    (`l96bench.metrics.r2`).

    Parameters
    ----------
    forcing : X (n, K) -> U (n, K)
        Such as from `instant_forcing`.
    X, U : (n, K) array
        States, and the true tendency there.
    reference_mean : float
        The training mean of U.
    n_repeats : int
        Times that each input is shuffled.
    seed : int
        Of the shuffling.

    Returns
    -------
    Importance
        By offset.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import diagnostics
    >>> X = np.random.default_rng(0).standard_normal((200, 4))
    >>> found = diagnostics.permutation_importance(lambda X: X, X, X, reference_mean=0.0)
    >>> (found.mean > 0.01).astype(int)  # U_k depends on X_k alone
    array([0, 1, 0, 0])
    """
    from sklearn.inspection import permutation_importance as shuffled

    K = X.shape[1]

    def losses(view: _View, states: Array, truth: Array) -> dict[str, float]:
        predicted = view.predict(states)
        return {str(k): pointwise.r2(truth[:, k], predicted[:, k], reference_mean) for k in range(K)}

    found = shuffled(_View(forcing), X, U, scoring=losses, n_repeats=n_repeats, random_state=seed)
    rows = np.stack([found[str(k)].importances for k in range(K)])  # (k, j, repetition)
    relative = by_offset(np.moveaxis(rows, 2, 0))
    return Importance(relative.mean(axis=(0, 1)), relative.std(axis=(0, 1)))


class _View:
    """A forcing as a fitted estimator of scikit-learn."""

    def __init__(self, forcing: Forcing) -> None:
        self.forcing = forcing

    def fit(self, X: Array, y: Array) -> _View:
        return self

    def predict(self, X: Array) -> Array:
        return self.forcing(np.asarray(X, dtype=np.float64))


@register_diagnostic("importance", "What the closure looks at", kind="closure", order=80)
def importance(subject: ClosureSubject, results: Results) -> Section:
    """Show permutation importance, Jacobian and locality against the offset around the ring."""
    forcing = instant_forcing(subject.model)
    X, U = subject.states(5 * N_STATES)
    mean = subject.climatology[0]
    offsets = offsets_of(X.shape[1])
    permuted = permutation_importance(forcing, X, U, subject.offline.mean_U)
    chosen = X[:: max(1, len(X) // N_STATES)]
    gradient = jacobian(forcing, chosen)
    slopes = by_offset(gradient)
    products = by_offset(gradient_times_input(gradient, chosen, mean))
    measures = {"permutation": permuted.mean, "Jacobian": slopes, "gradient x input": products}
    radii = range(len(offsets) // 2 + 1)
    scores = {name: np.array([locality(measure, offsets, n) for n in radii]) for name, measure in measures.items()}
    means = [each.mean(axis=(0, 1)) for each in (slopes, np.abs(slopes), np.abs(products))]
    table: list[tuple[str, ...]] = [
        (f"{offset:+d}", f"{loss:.4f}", f"{slope:+.4f}", f"{size:.4f}", f"{product:.4f}")
        for offset, loss, slope, size, product in zip(offsets, permuted.mean, *means, strict=True)
    ]
    for n in list(radii)[:3]:
        within = [f"{score[n]:.3f}" for score in scores.values()]
        table.append((f"locality, n = {n}", within[0], "", *within[1:]))
    caption = (
        f"Left: the R² of U_k that is lost when X_{{k+r}} is shuffled among {len(X):,} test states (5 shuffles; "
        "bars: std over points and shuffles). Middle: the Jacobian dU_k/dX_{k+r} by finite differences at "
        f"{len(chosen)} states. Right: the share of each measure, in absolute value, within n points; gradient "
        "times input is the Jacobian times the anomaly of X_{k+r} about the climatological mean. A closure "
        "that sees X_k alone scores 1 at n = 0."
    )
    header = ("offset r", "loss of R²", "mean slope", "mean |slope|", "mean |gradient x input|")
    return Section(caption, header, table, draw(offsets, permuted, slopes, scores))


def draw(offsets: NDArray[np.int64], permuted: Importance, slopes: Array, scores: Mapping[str, Array]) -> Figure:
    """Draw permutation importance and Jacobian against the offset, and the locality of each measure by radius."""
    made = figure(11, 3.9)
    left, middle, right = made.subplots(1, 3)
    bar = {"color": BLUE, "error_kw": {"lw": 1.2, "ecolor": BLACK, "capsize": 2}}
    left.bar(offsets, permuted.mean, yerr=permuted.std, **bar)
    left.set(xlabel="offset r of X$_{k+r}$", ylabel="loss of R$^2$ of U$_k$", title="permutation importance")
    flat = slopes.reshape(-1, len(offsets))
    size = np.abs(permuted.mean) / max(float(np.abs(permuted.mean).max()), 1e-300) + np.abs(flat).mean(axis=0)
    used = np.abs(offsets)[size > 1e-3 * size.max()] if size.any() else offsets[:0]
    reach = max(4, int(used.max(initial=0)) + 1)
    middle.bar(offsets, flat.mean(axis=0), yerr=flat.std(axis=0), **bar)
    middle.set(xlabel="offset r", ylabel="dU$_k$ / dX$_{k+r}$ (per MTU)", title="Jacobian, mean and std over states")
    for ax in (left, middle):
        ax.axhline(0.0, color=BLACK, lw=0.8)
        ax.set_xlim(max(offsets[0], -reach) - 0.6, min(offsets[-1], reach) + 0.6)
        integer_ticks(ax, offsets[np.abs(offsets) <= reach])
    for (name, score), color, mark in zip(scores.items(), PALETTE, "osD^v", strict=False):
        shown = score[: reach + 1]
        right.plot(np.arange(len(shown)), shown, color=color, marker=mark, ms=5, label=name)
    right.set(xlabel="radius n", ylabel="share within |r| <= n", title="locality", ylim=(0, 1.05))
    integer_ticks(right, np.arange(len(shown)))
    right.legend(loc="lower right")
    right.grid(True)
    return made
